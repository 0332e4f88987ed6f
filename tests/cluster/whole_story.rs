//! The main job from beginning to end: set up, proven, undone, and the cluster is as it was.

use crate::support::dump::Dump;
use crate::support::{Stage, manifests, open};
use serde_json::Value;
use std::collections::BTreeMap;

pub(crate) fn verify_agrees_with_the_outside_world(stage: &Stage) {
    let mark = stage.mark();
    let run = stage.egress("verify -o json");
    let document = run.exits(0).json();
    assert_eq!(document["verdict"], "proven", "{run}");
    assert_eq!(document["claims"]["routed"], "proven", "{run}");
    assert_eq!(document["claims"]["enforced"], "notRequired", "{run}");
    let gateway = stage.gateway_addresses();
    assert!(
        stage.peers_of(mark, "kyma-project.io", 443).is_superset(&gateway),
        "the gateway carried it"
    );
    let source = stage.source_addresses();
    let mut seen = 0;
    for probe in document["probes"].as_array().unwrap() {
        let (host, port) = (
            probe["host"].as_str().unwrap(),
            u16::try_from(probe["port"].as_u64().unwrap()).unwrap(),
        );
        let peers = stage.peers_of(mark, host, port);
        let meshed = probe["meshed"] == true;
        match probe["outcome"].as_str().unwrap() {
            "routed" => assert!(
                meshed && peers.is_superset(&gateway) && peers.is_disjoint(&source),
                "{probe}\n{peers:?}"
            ),
            "bypassed" if meshed => assert!(peers.is_superset(&source), "{probe}\n{peers:?}"),
            "bypassed" => assert!(
                peers
                    .iter()
                    .any(|peer| !source.contains(peer) && !gateway.contains(peer)),
                "{probe}\n{peers:?}"
            ),
            other => panic!("{other} of {probe}"),
        }
        seen += 1;
    }
    assert_eq!(
        seen, 8,
        "declared, other port, unknown host on two ports; with and without sidecar"
    );
}

#[test]
fn a_namespace_that_was_there_gets_its_labels_and_foreign_objects_back() {
    let stage = open!(alone).with_namespace("istio-injection=disabled team=blue");
    let namespace = &stage.namespace;
    stage.kubectl.run(&format!(
        "create configmap settings -n {namespace} --from-literal=a=b"
    ));
    stage
        .kubectl
        .run(&format!("create serviceaccount shop -n {namespace}"));
    stage
        .kubectl
        .apply(&manifests::workload(namespace, "shop", manifests::CURL, false));
    stage.rolled_out(namespace, "shop");
    let before = Dump::take(&stage.kubectl);

    stage
        .egress("setup kyma-project.io")
        .exits(5)
        .says(&["istio-injection=disabled", "--yes"]);
    Dump::take(&stage.kubectl).equals(&before);

    stage
        .egress("setup kyma-project.io --yes")
        .exits(0)
        .says(&["no sidecar", "shop-"]);
    let label = |name: &str| {
        stage.kubectl.run(&format!(
            "get namespace {namespace} -o jsonpath={{.metadata.labels.{name}}}"
        ))
    };
    assert_eq!(
        (label("istio-injection").as_str(), label("team").as_str()),
        ("enabled", "blue")
    );
    stage
        .probe("https://kyma-project.io")
        .is("routed", &stage.gateway_addresses());

    stage.egress("cleanup --verify").exits(0);
    Dump::take(&stage.kubectl).equals(&before);
}

#[test]
fn a_namespace_without_any_label_is_as_before_too() {
    let stage = open!(shared).with_namespace("");
    let before = Dump::of_namespace(&stage.kubectl, &stage.namespace);
    stage
        .egress(&format!("setup {} -2.{0}", stage.host).replace(" -2.", " second-"))
        .exits(0);
    stage.egress("cleanup --verify").exits(0);
    Dump::of_namespace(&stage.kubectl, &stage.namespace).equals(&before);
}

#[test]
fn a_second_setup_changes_nothing() {
    let stage = open!(shared).with_route();
    let before = versions(&stage);
    assert!(before.len() >= 10, "{before:?}");
    let again = stage.egress(&format!("setup {}", stage.host));
    again.exits(0);
    assert_eq!(versions(&stage), before, "{again}");
    for word in [" created", " configured", " deleted"] {
        assert!(!again.stderr.contains(word), "`{word}` in {again}");
    }
    let verbose = stage.egress(&format!("setup {} --no-probe -v", stage.host));
    verbose.exits(0).says(&[
        "virtualservice/egress-default unchanged",
        "deployment/curl unchanged",
    ]);
    stage.egress("setup --no-probe").exits(0);
    assert_eq!(versions(&stage), before, "the stored plan again");
}

/// Resource versions of everything in the namespace, and its own. The gateway's access log is shared with other tests.
fn versions(stage: &Stage) -> BTreeMap<String, String> {
    let kinds = "configmaps,serviceaccounts,services,deployments.apps,gateways.networking.istio.io,virtualservices.networking.istio.io,\
                 destinationrules.networking.istio.io,serviceentries.networking.istio.io,telemetries.telemetry.istio.io";
    let list = stage.kubectl.json(&format!("get {kinds} -n {}", stage.namespace));
    let namespace = stage.kubectl.json(&format!("get namespace {}", stage.namespace));
    let text = |object: &Value, pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let items = list["items"].as_array().unwrap().iter().chain([&namespace]);
    items
        .map(|object| {
            (
                text(object, "/kind") + "/" + &text(object, "/metadata/name"),
                text(object, "/metadata/resourceVersion"),
            )
        })
        .collect()
}
