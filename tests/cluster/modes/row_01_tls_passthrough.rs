//! Row 1: TLS passthrough on plain Istio. What the Kyma module does about it is in `kyma`.

use super::legs;
use crate::support::dump::Dump;
use crate::support::open;
use crate::whole_story::verify_agrees_with_the_outside_world;

#[test]
fn a_host_is_set_up_proven_and_undone_and_the_cluster_is_as_before() {
    let stage = open!(alone);
    let before = Dump::take(&stage.kubectl);
    stage
        .egress("setup kyma-project.io --create-namespace")
        .exits(0)
        .says(&["virtualservice/egress-default created"]);
    verify_agrees_with_the_outside_world(&stage);
    let cleanup = stage.egress("cleanup --verify");
    assert!(cleanup.exits(0).stdout.contains("is left"), "{cleanup}");
    Dump::take(&stage.kubectl).equals(&before);
}

#[test]
fn a_routed_request_reaches_the_world_from_the_gateway() {
    let stage = open!(shared).with_route();
    let probed = stage.probe_host();
    probed.is("routed", &stage.gateway_addresses()).run.exits(0);
    assert_eq!(
        legs(&probed.probe),
        ["sidecar-gateway: tls", "gateway-host: tls"],
        "{}",
        probed.run
    );
    // The receipts are of this connection: the gateway's line names the port from which the world was called.
    let port = probed.seen[0].peer.to_string();
    let receipts = probed.probe["hops"][1]["receipts"].to_string();
    assert!(receipts.contains(&port), "{port} is not in {receipts}");
}

#[test]
fn plain_http_bypasses_when_only_tls_is_routed() {
    let stage = open!(shared).with_route();
    let source = stage.source_addresses();
    stage
        .probe(&format!("http://{}", stage.host))
        .is("bypassed", &source)
        .run
        .exits(0);
    stage
        .probe_with(&format!("http://{}", stage.host), "--expect routed")
        .is("bypassed", &source)
        .run
        .exits(1);
    stage
        .probe_with("https://edition.cnn.com", "--expect bypassed")
        .is("bypassed", &source)
        .run
        .exits(0);
    // Another name of the same server: same address, other SNI.
    stage.probe("https://tls.test").is("bypassed", &source);
}
