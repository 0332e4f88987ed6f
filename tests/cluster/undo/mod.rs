//! `cleanup` under adversity: others changed things meanwhile, the journal is gone or somebody tampered with it, what
//! is deleted does not go. On the Kyma lab also `kyma/undo.rs`.

mod meanwhile;
mod stuck;
mod tampered;

use crate::support::Stage;
use crate::support::dump::Dump;
use serde_json::Value;

/// Name of the journal.
pub(crate) const JOURNAL: &str = "configmap kubectl-egress-default";
/// Annotation by which a namespace notes what the injection label was.
const NOTE: &str = "kubectl-egress.dev/before-istio-injection";

/// The stage's namespace, made with labels, and what it is like once it has settled.
fn settled(stage: Stage, labels: &str) -> (Stage, Dump) {
    let stage = stage.with_namespace(labels);
    let namespace = &stage.namespace;
    for map in ["kube-root-ca.crt", "istio-ca-root-cert"] {
        stage.kubectl.run(&format!(
            "wait --for=create configmap/{map} -n {namespace} --timeout=30s"
        ));
    }
    stage.kubectl.run(&format!(
        "wait --for=create serviceaccount/default -n {namespace} --timeout=30s"
    ));
    let dump = Dump::of_namespace(&stage.kubectl, namespace);
    (stage, dump)
}

/// Sets the stage's host up without probing it.
#[track_caller]
fn set_up(stage: &Stage) {
    stage
        .egress(&format!("setup {} --yes --no-probe", stage.host))
        .exits(0);
}

fn namespace(stage: &Stage) -> Value {
    stage.kubectl.json(&format!(
        "get namespace {} --show-managed-fields",
        stage.namespace
    ))
}

/// Who owns the injection label.
fn owners(namespace: &Value) -> Vec<&str> {
    let entries = namespace["metadata"]["managedFields"].as_array().unwrap().iter();
    entries
        .filter(|entry| {
            entry["fieldsV1"]
                .pointer("/f:metadata/f:labels/f:istio-injection")
                .is_some()
        })
        .map(|entry| entry["manager"].as_str().unwrap())
        .collect()
}

/// Somebody changes the journal.
#[track_caller]
pub(crate) fn tamper(stage: &Stage, change: impl FnOnce(&mut Value)) {
    let at = format!("get {JOURNAL} -n {}", stage.namespace);
    let mut object = stage.kubectl.json(&at);
    let mut journal: Value = serde_json::from_str(object["data"]["journal"].as_str().unwrap()).unwrap();
    change(&mut journal);
    object["data"]["journal"] = Value::String(journal.to_string());
    stage.kubectl.feed("replace -f -", &object.to_string()).unwrap();
}

/// Nobody needs the journal any more.
#[track_caller]
pub(crate) fn without_journal(stage: &Stage) {
    stage
        .kubectl
        .run(&format!("delete {JOURNAL} -n {}", stage.namespace));
}
