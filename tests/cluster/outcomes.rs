//! One test per outcome: what we say is what the outside world saw.

use crate::support::wire::Wire;
use crate::support::{Running, Stage, open};
use kubectl_egress_lab::{EventKind, OutboundPolicy, WorldEvent};
use std::collections::BTreeSet;
use std::time::Duration;

const NOBODY: BTreeSet<std::net::IpAddr> = BTreeSet::new();

#[test]
fn a_pod_without_sidecar_bypasses() {
    let stage = open!(shared).with_route();
    let probed = stage.probe_with(&format!("https://{}", stage.host), "--unmeshed");
    assert_eq!(probed.outcome(), "bypassed", "{}", probed.run);
    assert_eq!(probed.probe["meshed"], false);
    let known: BTreeSet<_> = stage
        .gateway_addresses()
        .union(&stage.source_addresses())
        .copied()
        .collect();
    assert_eq!(probed.seen.len(), 1);
    assert!(probed.peers().is_disjoint(&known), "{:?}", probed.peers());
    assert_eq!(
        stage
            .kubectl
            .names(&format!("get pods -n {} -l app!=curl", stage.namespace)),
        Vec::<String>::new()
    );
}

#[test]
fn without_its_service_entry_a_host_bypasses_and_verify_disproves() {
    let stage = open!(shared).with_route();
    stage
        .kubectl
        .run(&format!("delete serviceentry --all -n {}", stage.namespace));
    let source = stage.source_addresses();
    stage
        .probe_until(&format!("https://{}", stage.host), "bypassed")
        .is("bypassed", &source)
        .finds("EGR-101");
    let verify = stage.egress("verify -o json --skip-unmeshed");
    let document = verify.exits(1).json();
    assert_eq!(document["claims"]["routed"], "disproven");
    assert_eq!(document["verdict"], "disproven");
    let status = stage.egress("status -o json");
    assert!(
        status.stdout.contains("EGR-301") || status.stdout.contains("missing"),
        "{status}"
    );
}

#[test]
fn an_old_line_at_the_gateway_fools_the_tutorial_and_not_us() {
    let stage = open!(shared).routed("rotating.test");
    let gateway = stage.gateway_addresses();
    let mut fooled = None;
    // The lab's logs are rotated often, and `kubectl logs` then shows only what came after: the old line may be gone.
    for _ in 0..4 {
        stage
            .probe_until("https://rotating.test", "routed")
            .is("routed", &gateway);
        stage
            .kubectl
            .run(&format!("delete virtualservice --all -n {}", stage.namespace));
        let probed = stage.probe_until("https://rotating.test", "bypassed");
        let log = stage
            .kubectl
            .run("logs -n istio-system -l istio=egressgateway -c istio-proxy --tail=-1");
        if log.lines().any(|line| line.contains("rotating.test")) {
            fooled = Some(probed);
            break;
        }
        stage.egress("setup rotating.test --no-probe").exits(0);
    }
    let probed = fooled.unwrap_or_else(|| panic!("the tutorial's check finds its line"));
    probed
        .is("bypassed", &stage.source_addresses())
        .finds("EGR-101")
        .run
        .exits(1);
    stage.egress("verify --skip-unmeshed").exits(1);
}

#[test]
fn registry_only_blocks_what_the_plan_does_not_name() {
    let mut stage = open!(alone).routed("kyma-project.io");
    stage.set_outbound_policy(OutboundPolicy::RegistryOnly);
    for url in [
        "https://edition.cnn.com",
        "http://edition.cnn.com",
        "http://kyma-project.io",
    ] {
        let probed = stage.probe_until(url, "blocked");
        probed.is("blocked", &NOBODY).finds("EGR-109");
        assert_eq!(probed.probe["blockedBy"], "registry-only", "{}", probed.run);
    }
    stage
        .probe("https://kyma-project.io")
        .is("routed", &stage.gateway_addresses());
    // Nothing of the plan gets out of the mesh; a pod without sidecar does, and that is said without failing.
    let verify = stage.egress("verify -o json");
    let document = verify.exits(0).json();
    assert_eq!(document["claims"]["routed"], "proven");
    let unmeshed = document["probes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|probe| probe["meshed"] == false);
    assert!(
        unmeshed.clone().count() > 0 && unmeshed.clone().all(|probe| probe["outcome"] == "bypassed"),
        "{verify}"
    );
    stage.egress("verify --require enforced").exits(1);
}

#[test]
fn a_server_that_refuses_is_unreachable() {
    let stage = open!(shared).routed("refused.test");
    let probed = stage.probe("https://refused.test");
    probed.is("unreachable", &NOBODY).finds("EGR-108").run.exits(3);
    // The host's own failure says nothing about the way, for or against.
    stage.egress("verify --skip-unmeshed").exits(3);
}

// Tests that need the silent server run alone: one host has one plan, and there is one such server.
#[test]
fn a_server_that_never_answers_is_not_routed() {
    let stage = open!(alone).routed("silent.test");
    let mark = stage.mark();
    let probed = stage.probe_with("https://silent.test", "--max-time 3");
    assert_ne!(probed.outcome(), "routed", "{}", probed.run);
    assert_ne!(probed.outcome(), "bypassed", "{}", probed.run);
    let accepted = stage.world.since(mark).unwrap();
    let accepted: BTreeSet<_> = accepted
        .iter()
        .filter(|event| event.server == "silent.test" && event.event != EventKind::Request)
        .map(WorldEvent::peer_ip)
        .collect();
    assert_eq!(
        accepted,
        stage.gateway_addresses(),
        "the connection itself came from the gateway"
    );
}

#[test]
fn a_server_with_a_wrong_certificate_is_never_proven() {
    let stage = open!(shared).routed("wrongsan.test expired.test");
    for url in ["https://wrongsan.test", "https://expired.test"] {
        let probed = stage.probe(url);
        assert_ne!(probed.outcome(), "routed", "{}", probed.run);
        assert_eq!(probed.peers(), NOBODY, "no request was made");
        probed.finds("EGR-112");
        assert_ne!(probed.run.code, Some(0), "{}", probed.run);
    }
    let verify = stage.egress("verify -o json --skip-unmeshed");
    assert_ne!(verify.json()["claims"]["routed"], "proven", "{verify}");
    assert_ne!(verify.code, Some(0), "{verify}");
}

#[test]
fn with_the_gateways_access_log_off_nothing_is_proven() {
    let stage = open!(alone).with_route();
    stage.kubectl.run("delete telemetry --all -n istio-system");
    // The gateway hears of it a moment later; until then its log delivers, and proves.
    let probed = stage.probe_until(&format!("https://{}", stage.host), "inconclusive");
    probed.finds("EGR-202");
    let mark = stage.mark();
    let verify = stage.egress("verify -o json --skip-unmeshed");
    let document = verify.exits(3).json();
    assert_eq!(document["verdict"], "inconclusive", "{verify}");
    assert_eq!(document["probes"][0]["outcome"], "inconclusive", "{verify}");
    assert!(verify.stdout.contains("EGR-202"), "{verify}");
    assert_eq!(
        stage.peers_of(mark, &stage.host, 443),
        stage.gateway_addresses(),
        "though the gateway carried it"
    );
    // The way back is the same command as the way there.
    stage.egress("setup").exits(0);
    stage.probe_host().is("routed", &stage.gateway_addresses());
}

#[test]
fn with_the_sources_access_log_off_nothing_is_proven() {
    let stage = open!(shared).with_route();
    stage
        .kubectl
        .run(&format!("delete telemetry --all -n {}", stage.namespace));
    let url = format!("https://{}", stage.host);
    let probed = stage.probe_until(&url, "inconclusive");
    probed.is("inconclusive", &stage.gateway_addresses()).run.exits(3);
}

#[test]
fn with_no_gateway_pod_nothing_is_proven() {
    let stage = open!(alone).with_route();
    stage.scale_gateway(0);
    let probed = stage.probe_host();
    assert_eq!(probed.peers(), NOBODY, "{}", probed.run);
    assert!(
        matches!(probed.outcome(), "inconclusive" | "unreachable" | "blocked"),
        "{}",
        probed.run
    );
    let verify = stage.egress("verify -o json --skip-unmeshed");
    assert_ne!(verify.json()["claims"]["routed"], "proven", "{verify}");
    assert!(verify.stdout.contains("EGR-201"), "{verify}");
    stage.scale_gateway(1);
    stage
        .probe_until(&format!("https://{}", stage.host), "routed")
        .is("routed", &stage.gateway_addresses());
}

#[test]
fn a_source_that_dies_under_a_probe_proves_nothing() {
    let stage = open!(shared).with_route();
    assert_eq!(stage.probe_host().findings(), Vec::<&str>::new());
    let running = at_the_silent_server(&stage, "");
    stage.kubectl.run(&format!(
        "delete pod -n {} -l app=curl --grace-period=0 --force",
        stage.namespace
    ));
    let run = running.finish();
    let document = run.exits(3).json();
    assert_eq!(document["probes"][0]["outcome"], "inconclusive", "{run}");
    // Whether curl or its exec dies first is chance.
    assert!(
        run.stdout.contains("EGR-107") || run.stdout.contains("EGR-104"),
        "{run}"
    );
}

#[test]
fn a_broken_route_at_the_gateway_is_blocked_there() {
    let mut stage = open!(shared).with_route();
    // Somebody else's route keeps the gateway's listener; without any, the connection itself is refused.
    let other = stage.another_namespace();
    stage
        .egress_in(
            &other,
            &format!("setup {other}.wild.test --create-namespace --no-probe"),
        )
        .exits(0);
    stage.kubectl.run(&format!(
        "delete gateways.networking.istio.io --all -n {}",
        stage.namespace
    ));
    let probed = stage.probe_until(&format!("https://{}", stage.host), "blocked");
    probed.is("blocked", &NOBODY).finds("EGR-110");
    assert_eq!(probed.probe["blockedBy"], "gateway");
    stage.egress("verify --skip-unmeshed").exits(1);
    stage.egress("setup").exits(0);
    stage.probe_host().is("routed", &stage.gateway_addresses());
}

#[test]
fn an_exec_that_is_cut_proves_nothing() {
    let stage = open!(shared).with_route();
    let server = stage
        .kubectl
        .run("config view --minify -o jsonpath={.clusters[0].cluster.server}");
    let server = server.trim_start_matches("https://");
    let wire = Wire::to(server);
    let name = server.split(':').next().unwrap();
    let running = at_the_silent_server(
        &stage,
        &format!("--server {} --tls-server-name {name}", wire.url()),
    );
    wire.cut();
    let run = running.finish();
    let document = run.exits(3).json();
    assert_eq!(document["probes"][0]["outcome"], "inconclusive", "{run}");
    assert!(run.stdout.contains("EGR-107"), "{run}");
    assert_eq!(stage.probe_host().findings(), Vec::<&str>::new());
}

/// A probe that has reached the server that never answers, and waits there.
fn at_the_silent_server(stage: &Stage, flags: &str) -> Running {
    let mark = stage.mark();
    let source = stage.source_addresses();
    let running = stage.start(&format!(
        "probe https://silent.test --max-time 20 -o json {flags}"
    ));
    let reached = |event: &WorldEvent| event.server == "silent.test" && source.contains(&event.peer_ip());
    stage
        .world
        .wait_for(mark, Duration::from_secs(30), reached)
        .unwrap();
    running
}
