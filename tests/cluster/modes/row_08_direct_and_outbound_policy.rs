//! Row 8: ServiceEntry only, and what sidecars do with hosts that the mesh does not know.

use super::legs;
use crate::support::open;

#[test]
fn a_direct_host_leaves_at_the_sidecar_and_registry_only_refuses_the_unknown() {
    let stage = open!(shared);
    let host = &stage.host;
    stage
        .egress(&format!(
            "setup {host} --mode direct --outbound-policy registry-only --create-namespace"
        ))
        .exits(0)
        .says(&[
            "direct",
            "outboundTrafficPolicy of the mesh is ALLOW_ANY and stays so",
        ]);
    let probed = stage.probe_host();
    probed.is("direct", &stage.source_addresses()).finds("EGR-130");
    assert_eq!(legs(&probed.probe), ["sidecar-host: tls"], "{}", probed.run);
    let unknown = stage.probe_until("https://edition.cnn.com", "blocked");
    unknown.is("blocked", &[].into()).finds("EGR-109");
    assert_eq!(unknown.probe["blockedBy"], "registry-only", "{}", unknown.run);
    // A port of the host that the plan does not name is unknown, too.
    stage.probe(&format!("http://{host}")).is("blocked", &[].into());

    stage
        .egress(&format!("setup {host} --mode direct --outbound-policy allow-any"))
        .exits(0);
    stage
        .probe_until("https://edition.cnn.com", "bypassed")
        .is("bypassed", &stage.source_addresses());
    stage.egress("cleanup --verify").exits(0);
    assert!(
        stage
            .kubectl
            .names(&format!("get sidecar -n {}", stage.namespace))
            .is_empty()
    );
}

#[test]
fn a_sidecar_of_somebody_else_is_refused_by_name() {
    let stage = open!(shared).with_namespace("istio-injection=enabled");
    let namespace = &stage.namespace;
    stage.kubectl.apply(&format!(
        "apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: theirs, namespace: {namespace}}}
spec: {{egress: [{{hosts: [\"*/*\"]}}]}}
"
    ));
    let refused = stage.changes_nothing(&format!("setup {} --outbound-policy registry-only", stage.host));
    refused
        .exits(5)
        .says(&["theirs", "Sidecar", "kubectl edit sidecar"]);
}
