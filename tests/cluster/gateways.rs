//! Which gateway: named, several to choose from, none behind the Service.

use crate::support::dump::Dump;
use crate::support::{manifests, open};

#[test]
fn of_two_gateways_one_has_to_be_named_and_that_one_carries_the_traffic() {
    let mut stage = open!(alone);
    let edge = stage.another_namespace();
    stage.make_namespace(&edge, "");
    stage.kubectl.apply(&manifests::gateway(&edge, "edge-egress"));
    stage.rolled_out(&edge, "edge-egress");

    let before = Dump::take(&stage.kubectl);
    let unsure = stage.changes_nothing(&format!("setup {} --create-namespace", stage.host));
    unsure.exits(2).says(&[
        "istio-system/istio-egressgateway",
        &format!("{edge}/edge-egress"),
        "--gateway",
    ]);

    stage
        .egress(&format!(
            "setup {} --create-namespace --gateway {edge}/edge-egress",
            stage.host
        ))
        .exits(0);
    let own = stage.addresses(&edge, "istio=edge-egress");
    let probed = stage.probe_host();
    probed.is("routed", &own);
    let pod = probed.probe["hops"][0]["pod"].as_str().unwrap();
    assert!(pod.starts_with(&format!("{edge}/edge-egress-")), "{pod}");
    // The plan remembers its gateway.
    stage.egress("setup").exits(0);
    stage.egress("verify --skip-unmeshed").exits(0);
    stage.egress("cleanup --verify").exits(0);
    Dump::take(&stage.kubectl).equals(&before);
}

#[test]
fn a_gateway_that_is_named_wrongly_is_refused_before_anything_is_changed() {
    let mut stage = open!(shared);
    let edge = stage.another_namespace();
    stage.make_namespace(&edge, "");
    let ports = "[{name: tls, port: 443, targetPort: 8443}]";
    for (name, selector, ports) in [
        ("hollow", "{app: nobody}", ports),
        ("plain", "{app: nobody}", "[{name: http, port: 80}]"),
    ] {
        stage.kubectl.apply(&format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {edge}}}\nspec: {{selector: {selector}, ports: {ports}}}\n"
        ));
    }
    let setup = |gateway: &str| {
        stage.changes_nothing(&format!(
            "setup {} --create-namespace --gateway {gateway}",
            stage.host
        ))
    };
    setup(&format!("{edge}/hollow")).exits(2).says(&[
        &format!("{edge}/hollow"),
        "matches no pod",
        "app=nobody",
        "hint: ",
    ]);
    setup(&format!("{edge}/plain"))
        .exits(2)
        .says(&[&format!("{edge}/plain"), "no port for TLS", "443"]);
    setup("istio-system/nobody")
        .exits(2)
        .says(&["istio-system/nobody", "does not exist", "hint: "]);
    setup("istio-system/istiod")
        .exits(2)
        .says(&["istio-system/istiod", "no Istio gateway"]);
    setup("nobody").exits(2).says(&["NAMESPACE/NAME"]);
}

#[test]
fn a_missing_gateway_is_made_with_consent_only() {
    let stage = open!(alone);
    let place = "-n istio-system";
    let service = stage
        .kubectl
        .json(&format!("get service istio-egressgateway {place}"));
    // Hidden for the while: the Service is what a gateway is found by.
    stage
        .kubectl
        .run(&format!("delete service istio-egressgateway {place}"));
    let refused = stage.changes_nothing(&format!("setup {} --create-namespace", stage.host));
    let mut service = service;
    let metadata = service["metadata"].as_object_mut().unwrap();
    metadata.retain(|name, _| matches!(name.as_str(), "name" | "namespace" | "labels" | "annotations"));
    service.as_object_mut().unwrap().remove("status");
    stage.kubectl.apply(&service.to_string());
    refused.exits(5).says(&["no egress gateway", "--yes"]);
}
