//! Ambient mode: nothing is guessed. The lab has no ztunnel, so what would become of a request cannot be seen here.

use crate::support::manifests::{CURL, workload};
use crate::support::{Run, open};
use serde_json::Value;

const MODE: &str = "istio.io/dataplane-mode";

fn not_modelled(run: &Run) -> Vec<Value> {
    let mut document = run.exits(0).json();
    let path = document["paths"][0].take();
    let said = path["notModelled"].as_array().unwrap().clone();
    let ambient: Vec<Value> = said
        .into_iter()
        .filter(|what| what.as_str().unwrap().starts_with("not modelled: ambient"))
        .collect();
    assert_eq!(ambient.is_empty(), path["outcome"] != "inconclusive", "{run}");
    ambient
}

#[test]
fn a_namespace_or_a_pod_in_ambient_mode_is_named_and_not_guessed_at() {
    let stage = open!(shared).with_namespace(&format!("{MODE}=ambient"));
    let namespace = stage.namespace.clone();
    stage.kubectl.apply(&workload(&namespace, "plain", CURL, false));
    stage.rolled_out(&namespace, "plain");
    let explain = |more: &str| stage.egress(&format!("explain {} -o json {more}", stage.host));
    let found = || {
        let run = stage.changes_nothing("check -o json");
        let findings = run.json()["findings"].as_array().unwrap().clone();
        let mut of_ambient = findings.into_iter().filter(|one| one["code"] == "EGR-337");
        of_ambient.next().map(|one| one["objects"][0].clone())
    };
    // Whoever is thought of, and the pod that is there.
    for source in ["", "--from bare", "--from deploy/plain"] {
        assert!(!not_modelled(&explain(source)).is_empty(), "{source}");
    }
    let run = stage.egress(&format!("explain {}", stage.host));
    assert!(run.exits(0).stdout.contains("not modelled: ambient"), "{run}");
    assert_eq!(found(), Some(format!("Namespace {namespace}").into()));

    stage.kubectl.run(&format!("label namespace {namespace} {MODE}-"));
    assert!(not_modelled(&explain("--from deploy/plain")).is_empty());
    assert_eq!(found(), None);

    stage
        .kubectl
        .run(&format!("label pod -n {namespace} -l app=plain {MODE}=ambient"));
    assert!(!not_modelled(&explain("--from deploy/plain")).is_empty());
    assert!(not_modelled(&explain("")).is_empty());
    assert!(found().is_some_and(|object| object.as_str().unwrap().starts_with("Pod ")));
}
