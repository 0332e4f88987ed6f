//! Row 2: HTTP through the gateway, with and without mutual TLS on the mesh leg.

use super::{TELLING, legs};
use crate::support::open;

#[test]
fn http_goes_through_the_gateway_inside_mutual_tls_and_the_host_is_not_told_who_called() {
    let stage = open!(shared);
    let host = &stage.host;
    stage
        .egress(&format!("setup {host} --mode http --create-namespace"))
        .exits(0)
        .says(&["mTLS", "plaintext"]);
    let probed = stage.probe(&format!("http://{host}"));
    probed.is("routed", &stage.gateway_addresses());
    assert_eq!(
        legs(&probed.probe),
        ["sidecar-gateway: mtls", "gateway-host: plaintext"],
        "{}",
        probed.run
    );
    assert_eq!(probed.seen[0].port, 80);
    for header in TELLING {
        assert!(
            !probed.seen[0].headers.contains_key(header),
            "{header}: {:?}",
            probed.seen
        );
    }
    // Nothing was said of 443, so it is no business of the plan's.
    stage
        .probe(&format!("https://{host}"))
        .is("bypassed", &stage.source_addresses());

    // The user keeps the headers.
    stage
        .egress(&format!("route {host} --mode http --keep-headers"))
        .exits(0);
    let mut kept = stage.probe(&format!("http://{host}"));
    for _ in 0..10 {
        if kept.seen[0].headers.contains_key("x-forwarded-client-cert") {
            break;
        }
        kept = stage.probe(&format!("http://{host}"));
    }
    let told = &kept.seen[0].headers["x-forwarded-client-cert"];
    assert!(told.contains(&format!("/ns/{}/", stage.namespace)), "{told}");
    stage.egress("cleanup --verify").exits(0);
}

#[test]
fn without_mutual_tls_the_mesh_leg_is_reported_as_plaintext() {
    // Plain HTTP and TLS do not share a port of the gateway.
    let stage = open!(alone);
    let host = &stage.host;
    stage
        .egress(&format!(
            "setup {host} --mode http --mesh-mtls=false --create-namespace"
        ))
        .exits(0);
    let probed = stage.probe(&format!("http://{host}"));
    probed.is("routed", &stage.gateway_addresses());
    assert_eq!(
        legs(&probed.probe),
        ["sidecar-gateway: plaintext", "gateway-host: plaintext"],
        "{}",
        probed.run
    );
    assert!(!probed.seen[0].headers.contains_key("x-forwarded-for"));
}

#[test]
fn a_sidecar_that_offers_no_mutual_tls_is_refused_by_the_gateway() {
    let stage = open!(shared);
    let host = &stage.host;
    stage
        .egress(&format!("setup {host} --mode http --create-namespace --no-probe"))
        .exits(0);
    stage.kubectl.with(&[
        "patch",
        "destinationrule",
        "egress-default",
        "-n",
        &stage.namespace,
        "--type=json",
        r#"-p=[{"op": "remove", "path": "/spec/subsets/0/trafficPolicy"}]"#,
    ]);
    let refused = stage.probe_until(&format!("http://{host}"), "blocked");
    refused.is("blocked", &[].into()).finds("EGR-110").run.exits(1);
    stage
        .egress("status")
        .says(&["DestinationRule", "trafficPolicy", "differs"]);
    stage.egress(&format!("setup {host} --mode http")).exits(0);
}
