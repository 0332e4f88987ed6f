//! What a hop's `encryption` says, held against the packets themselves.
//!
//! Each case begins to capture, changes the mode, and lets the tool probe. On the leg to the gateway and on the leg to
//! the host at least one connection must have been made, and all of them must look as the tool said: mutual TLS of the
//! mesh has Istio's own ALPN names, an application's TLS has the host's name in a hello without them, and plaintext can
//! be read. That a client certificate was shown cannot be seen in TLS 1.3; the outside world's log tells it.

use crate::support::probed::Probed;
use crate::support::{Stage, open};
use kubectl_egress_lab::{CapturedConnection, Carried, addresses_of};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Begins with these: the names by which Istio's proxies know each other (`istio`, `istio-peer-exchange`, `istio-h2`).
const MESH_PROTOCOL: &str = "istio";

/// Server names that end so are the tool's own, and go nowhere.
const SENTINEL: &str = ".sentinel.kubectl-egress.invalid";

/// Runs a command and a probe, and returns the probe with the connections of both.
fn captured(stage: &mut Stage, command: &str, url: &str, outcome: &str) -> (Probed, Vec<CapturedConnection>) {
    let capture = stage.lab().capture().unwrap();
    stage.egress(command).exits(0);
    let probed = stage.probe_until(url, outcome);
    (probed, capture.finish().unwrap())
}

/// How a leg was protected, by its packets: every kind that was seen.
fn seen(
    connections: &[CapturedConnection],
    from: &BTreeSet<IpAddr>,
    to: &BTreeSet<IpAddr>,
    host: &str,
) -> BTreeSet<String> {
    let of_leg = connections
        .iter()
        .filter(|connection| from.contains(&connection.client.ip()) && to.contains(&connection.server.ip()));
    of_leg
        .filter_map(|connection| match connection.carried() {
            Carried::Nothing | Carried::Unfinished => None,
            Carried::PlainHttp => Some("plaintext".to_owned()),
            Carried::Tls { protocols, .. }
                if protocols.iter().any(|name| name.starts_with(MESH_PROTOCOL)) =>
            {
                Some("mtls".to_owned())
            }
            Carried::Tls { server_name, .. } if server_name.as_deref() == Some(host) => {
                Some("tls".to_owned())
            }
            // By which the tool shows that the sidecar's log delivers.
            Carried::Tls { server_name, .. }
                if server_name
                    .as_deref()
                    .is_some_and(|name| name.ends_with(SENTINEL)) =>
            {
                None
            }
            other => Some(format!("{other:?}")),
        })
        .collect()
}

/// What the tool says of a leg, as `from-to`.
fn said(probed: &Probed, from: &str, to: &str) -> String {
    let hops = probed.probe["hops"].as_array().unwrap();
    let hop = hops.iter().find(|hop| hop["from"] == from && hop["to"] == to);
    let hop = hop.unwrap_or_else(|| panic!("no hop {from}-{to}: {}", probed.run));
    hop["encryption"].as_str().unwrap().to_owned()
}

#[track_caller]
fn agrees(probed: &Probed, leg: (&str, &str), wanted: &str, seen: &BTreeSet<String>) {
    let said = said(probed, leg.0, leg.1);
    assert_eq!(said, wanted, "{leg:?}; {}", probed.run);
    assert_eq!(
        seen.iter().collect::<Vec<_>>(),
        [&said],
        "{leg:?} on the wire; {}",
        probed.run
    );
}

#[test]
fn what_is_said_of_each_leg_is_what_its_packets_show() {
    let mut stage = open!(alone).with_namespace("istio-injection=enabled");
    let host = stage.host.clone();
    let world: BTreeSet<IpAddr> = addresses_of(&host).into_iter().map(IpAddr::from).collect();
    let gateway = stage.gateway_addresses();
    for (mode, scheme, outcome, [mesh, outside]) in [
        ("http", "http", "routed", ["mtls", "plaintext"]),
        (
            "http --mesh-mtls=false",
            "http",
            "routed",
            ["plaintext", "plaintext"],
        ),
        ("tls-origination", "http", "routed", ["mtls", "tls"]),
        (
            "tls-origination --mesh-mtls=false",
            "http",
            "routed",
            ["plaintext", "tls"],
        ),
        ("passthrough --mesh-mtls", "https", "routed", ["mtls", "tls"]),
        ("passthrough", "https", "routed", ["tls", "tls"]),
        // At the sidecar: no gateway sees it.
        ("tls-origination --at sidecar", "http", "direct", ["", "tls"]),
        ("direct", "https", "direct", ["", "tls"]),
    ] {
        // Proxies keep HTTP connections for the next request: a new host and a new source make new ones.
        let label = mode.replace([' ', '='], "-").replace("--", "-");
        let host = host.replacen(".wild.test", &format!("-{label}.wild.test"), 1);
        // Without the other port, which would be routed as it is.
        let port = if scheme == "http" { 80 } else { 443 };
        let command = format!("setup {host}:{port} --mode {mode}");
        let (probed, connections) = captured(&mut stage, &command, &format!("{scheme}://{host}"), outcome);
        let source = stage.source_addresses();
        let on_the_wire =
            |from: &BTreeSet<IpAddr>, to: &BTreeSet<IpAddr>| seen(&connections, from, to, &host);
        let straight = on_the_wire(&source, &world);
        if outcome == "direct" {
            probed.is("direct", &source);
            agrees(&probed, ("sidecar", "host"), outside, &straight);
        } else {
            probed.is("routed", &gateway);
            assert!(
                straight.is_empty(),
                "{mode}: straight from the source: {straight:?}"
            );
            let of_mesh = on_the_wire(&source, &gateway);
            agrees(&probed, ("sidecar", "gateway"), mesh, &of_mesh);
            let of_host = on_the_wire(&gateway, &world);
            agrees(&probed, ("gateway", "host"), outside, &of_host);
        }
        stage.egress("cleanup --verify").exits(0);
    }
}

/// The plan says mutual TLS, and somebody has taken it off at both ends: the tool says what is, not what was planned.
#[test]
fn a_leg_that_somebody_unprotected_is_said_to_be_plaintext() {
    let mut stage = open!(alone).with_namespace("istio-injection=enabled");
    let host = stage.host.clone();
    let gateway = stage.gateway_addresses();
    stage
        .egress(&format!("setup {host} --mode http --mesh-mtls"))
        .exits(0);
    let source = stage.source_addresses();
    let namespace = stage.namespace.clone();
    let capture = stage.lab().capture().unwrap();
    let patch = |kind: &str, operations: &str| {
        let patch = format!("-p={operations}");
        stage.kubectl.with(&[
            "patch",
            kind,
            "egress-default",
            "-n",
            &namespace,
            "--type=json",
            &patch,
        ]);
    };
    patch(
        "gateway",
        r#"[{"op": "replace", "path": "/spec/servers/0/port/protocol", "value": "HTTP"}, {"op": "remove", "path": "/spec/servers/0/tls"}]"#,
    );
    let subsets = stage.kubectl.run(&format!(
        "get destinationrule egress-default -n {namespace} -o jsonpath={{.spec.subsets}}"
    ));
    let subsets: serde_json::Value = serde_json::from_str(&subsets).unwrap();
    let number = subsets.as_array().unwrap().len();
    let operations: Vec<String> = (0..number)
        .map(|index| {
            format!(r#"{{"op": "replace", "path": "/spec/subsets/{index}/trafficPolicy", "value": {{"tls": {{"mode": "DISABLE"}}}}}}"#)
        })
        .collect();
    patch("destinationrule", &format!("[{}]", operations.join(",")));
    let url = format!("http://{host}");
    let mut probed = stage.probe_until(&url, "routed");
    for _ in 0..10 {
        if probed.outcome() == "routed" && said(&probed, "sidecar", "gateway") == "plaintext" {
            break;
        }
        probed = stage.probe_until(&url, "routed");
    }
    let connections = capture.finish().unwrap();
    probed.is("routed", &gateway).finds("EGR-138");
    assert_eq!(said(&probed, "sidecar", "gateway"), "plaintext", "{}", probed.run);
    let of_mesh = seen(&connections, &source, &gateway, &host);
    assert!(of_mesh.contains("plaintext"), "{of_mesh:?}; {}", probed.run);
}

#[test]
fn a_client_certificate_that_is_said_is_seen_by_the_host() {
    let mut stage = open!(alone).with_namespace("istio-injection=enabled");
    let authority = stage.world.authority();
    let pki = authority.parent().unwrap().to_owned();
    let world: BTreeSet<IpAddr> = addresses_of("mtls.test").into_iter().map(IpAddr::from).collect();
    let gateway = stage.gateway_addresses();
    let command = format!(
        "setup mtls.test:80 --mode mtls-origination --client-cert {} --client-key {} --server-ca {}",
        pki.join("client.pem").display(),
        pki.join("client.key").display(),
        authority.display()
    );
    let (probed, connections) = captured(&mut stage, &command, "http://mtls.test", "routed");
    probed.is("routed", &gateway);
    assert_eq!(said(&probed, "gateway", "host"), "mtls", "{}", probed.run);
    assert!(probed.seen[0].client_certificate.as_ref().unwrap().verified);
    let of_host = seen(&connections, &gateway, &world, "mtls.test");
    assert_eq!(
        of_host.into_iter().collect::<Vec<_>>(),
        ["tls"],
        "{connections:?}"
    );
    let of_mesh = seen(&connections, &stage.source_addresses(), &gateway, "mtls.test");
    agrees(&probed, ("sidecar", "gateway"), "mtls", &of_mesh);
    stage.egress("cleanup --verify").exits(0);
}
