//! Row 12: an external HTTPS proxy. Applications speak CONNECT themselves, or a proxy of the mesh does it for them.

use super::mentions;
use crate::support::{Stage, open};
use kubectl_egress_lab::{EventKind, Mark, WorldEvent};
use std::collections::BTreeSet;
use std::net::IpAddr;

const PROXY: &str = "proxy.test:3128";

/// Addresses of the lab's forward proxy.
fn proxy_addresses() -> BTreeSet<IpAddr> {
    ["203.0.113.32", "203.0.113.33"]
        .map(|text| text.parse().unwrap())
        .into()
}

/// Tunnels to a host's port 443 that the proxy was asked for since then.
fn tunnels(stage: &Stage, mark: Mark, host: &str) -> Vec<WorldEvent> {
    let events = stage.world.since(mark).unwrap().into_iter();
    let to = format!("{host}:443");
    events
        .filter(|event| event.event == EventKind::Tunnel && event.path.as_deref() == Some(&to))
        .collect()
}

fn peers(events: &[WorldEvent]) -> BTreeSet<IpAddr> {
    events.iter().map(WorldEvent::peer_ip).collect()
}

#[test]
fn applications_reach_a_host_by_a_proxy_of_their_own() {
    let stage = open!(shared);
    let host = &stage.host;
    stage
        .egress(&format!(
            "setup {host} --mode direct --proxy {PROXY} --outbound-policy registry-only --create-namespace --no-probe"
        ))
        .exits(0)
        .says(&["203.0.113.32", "203.0.113.33"]);
    let mark = stage.mark();
    let probed = stage.probe_host();
    assert_eq!(probed.outcome(), "direct", "{}", probed.run);
    assert!(
        probed.peers().is_subset(&proxy_addresses()),
        "{:?}",
        probed.peers()
    );
    assert_eq!(peers(&tunnels(&stage, mark, host)), stage.source_addresses());
    let verify = stage.egress("verify --skip-unmeshed -o json");
    assert_eq!(verify.json()["claims"]["routed"], "proven", "{verify}");

    // Without the proxy the host stays unknown to the mesh.
    let mark = stage.mark();
    let past = stage.kubectl.attempt(&format!(
        "exec -n {} deploy/curl -c curl -- curl -sS -m 5 -o /dev/null https://{host}",
        stage.namespace
    ));
    assert!(past.is_err(), "{past:?}");
    assert!(stage.peers_of(mark, host, 443).is_empty());
    stage.egress("cleanup --verify").exits(0);
}

#[test]
fn a_proxy_that_the_mesh_knows_by_a_wrong_address_is_a_bypass() {
    let stage = open!(shared);
    let setup = format!(
        "setup {} --mode direct --proxy {PROXY} --address 203.0.113.99 --create-namespace",
        stage.host
    );
    mentions(stage.egress(&setup).exits(1), &["EGR-101", "PassthroughCluster"]);
    stage.probe_host().finds("EGR-101").run.exits(1);
}

#[test]
fn a_sidecar_tunnels_in_the_applications_place_and_takes_no_other_proxys_port() {
    let stage = open!(shared);
    let host = &stage.host;
    let setup = format!("setup {host} --mode direct --proxy {PROXY} --tunnel --create-namespace");
    stage.egress(&setup).exits(0).says(&["direct"]);
    let mark = stage.mark();
    let probed = stage.probe_host();
    assert_eq!(probed.outcome(), "direct", "{}", probed.run);
    assert!(
        probed.peers().is_subset(&proxy_addresses()),
        "{:?}",
        probed.peers()
    );
    assert_eq!(peers(&tunnels(&stage, mark, host)), stage.source_addresses());

    // An application that asks for one address of a proxy gets that one.
    let mark = stage.mark();
    for _ in 0..4 {
        stage.kubectl.run(&format!(
            "exec -n {} deploy/curl -c curl -- curl -sS -m 5 -o /dev/null -x http://203.0.113.33:3128 https://edition.cnn.com",
            stage.namespace
        ));
    }
    let asked = tunnels(&stage, mark, "edition.cnn.com");
    assert!(asked.len() >= 4);
    let of_source = asked
        .iter()
        .filter(|event| stage.source_addresses().contains(&event.peer_ip()));
    for event in of_source {
        assert_eq!(event.local.ip().to_string(), "203.0.113.33", "{event:?}");
    }
}

#[test]
fn a_gateway_tunnels_and_a_host_that_the_proxy_does_not_reach_is_unreachable() {
    let stage = open!(alone);
    let host = &stage.host;
    stage
        .egress(&format!(
            "setup {host} refused.test --proxy {PROXY} --tunnel --create-namespace --no-probe"
        ))
        .exits(0);
    let mark = stage.mark();
    let probed = stage.probe_host();
    assert_eq!(probed.outcome(), "routed", "{}", probed.run);
    assert!(
        probed.peers().is_subset(&proxy_addresses()),
        "{:?}",
        probed.peers()
    );
    assert_eq!(peers(&tunnels(&stage, mark, host)), stage.gateway_addresses());

    let mark = stage.mark();
    let refused = stage.probe("https://refused.test");
    assert_eq!(refused.outcome(), "unreachable", "{}", refused.run);
    let asked = tunnels(&stage, mark, "refused.test");
    assert!(
        !asked.is_empty() && asked.iter().all(|event| event.error.is_some()),
        "{asked:?}"
    );
    stage.egress("cleanup --verify").exits(0);
}

#[test]
fn what_a_proxy_cannot_carry_is_refused() {
    let stage = open!(shared).with_namespace("istio-injection=enabled");
    let host = &stage.host;
    for (flags, says) in [
        (format!("{host} --proxy {PROXY}"), "past every gateway"),
        (
            format!("{host}:80 --mode http --proxy {PROXY} --tunnel"),
            "Istio tunnels TCP only",
        ),
        (
            format!("{host} --mode direct --proxy {PROXY} --tunnel --address 203.0.113.32"),
            "addresses",
        ),
        (
            format!("{host} --mode direct --proxy nobody.test:3128 --no-probe"),
            "--address",
        ),
    ] {
        stage.egress(&format!("setup {flags}")).exits(2).says(&[says]);
    }
}
