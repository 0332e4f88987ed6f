//! Somebody changed something meanwhile, or took the journal, the namespace or a kind away.

use super::*;
use crate::support::{manifests, open};
use serde_json::json;

#[test]
fn the_label_comes_back_with_its_owner_while_others_change_the_namespace() {
    let (stage, before) = settled(open!(shared), "istio-injection=disabled team=a");
    let owner = namespace(&stage);
    set_up(&stage);
    let during = namespace(&stage);
    assert_eq!(during["metadata"]["labels"]["istio-injection"], "enabled");
    assert!(
        during["metadata"]["annotations"][NOTE]
            .as_str()
            .unwrap()
            .contains("disabled")
    );
    let (kubectl, name) = (&stage.kubectl, &stage.namespace);
    kubectl.run(&format!("label namespace {name} team=b new=c --overwrite"));
    kubectl.run(&format!("annotate namespace {name} somebody=else"));
    let cleanup = stage.egress("cleanup --verify");
    cleanup.exits(0);
    assert!(!cleanup.stderr.contains("warning"), "{cleanup}");
    let after = namespace(&stage);
    assert_eq!(owners(&after), owners(&owner));
    let labels = &after["metadata"]["labels"];
    assert_eq!(labels["istio-injection"], "disabled");
    assert_eq!((&labels["team"], &labels["new"]), (&json!("b"), &json!("c")));
    assert_eq!(after["metadata"]["annotations"], json!({"somebody": "else"}));
    kubectl.run(&format!("label namespace {name} team=a new- --overwrite"));
    kubectl.run(&format!("annotate namespace {name} somebody-"));
    Dump::of_namespace(kubectl, name).equals(&before);
}

#[test]
fn a_label_that_somebody_changed_is_told_with_all_three_values_and_left() {
    let (stage, _) = settled(open!(shared), "istio-injection=disabled");
    set_up(&stage);
    let name = &stage.namespace;
    stage.kubectl.run(&format!(
        "label namespace {name} istio-injection=mine --overwrite"
    ));
    let cleanup = stage.egress("cleanup --verify");
    cleanup.exits(0).says(&[
        &format!("label istio-injection of Namespace {name} was changed meanwhile"),
        "it is \"mine\" now by kubectl",
        "this plan had set \"enabled\"",
        "before the plan it was \"disabled\"",
        "kubectl label namespace",
    ]);
    assert!(
        cleanup.stdout.contains("kept: label istio-injection"),
        "{cleanup}"
    );
    let after = namespace(&stage);
    assert_eq!(after["metadata"]["labels"]["istio-injection"], "mine");
    assert_eq!(after["metadata"]["annotations"][NOTE], Value::Null);
    stage.egress("cleanup --verify").exits(0);
}

#[test]
fn a_label_that_somebody_took_away_stays_away_and_is_told() {
    let (stage, _) = settled(open!(shared), "istio-injection=disabled");
    set_up(&stage);
    let name = &stage.namespace;
    stage
        .kubectl
        .run(&format!("label namespace {name} istio-injection-"));
    stage
        .egress("cleanup --verify")
        .exits(0)
        .says(&["it is not set now", "before the plan it was \"disabled\""]);
    assert_eq!(
        namespace(&stage)["metadata"]["labels"]["istio-injection"],
        Value::Null
    );
}

#[test]
fn with_the_journal_gone_all_is_found_by_its_marks_and_the_value_by_its_note() {
    let (stage, before) = settled(open!(shared), "istio-injection=disabled");
    let owner = namespace(&stage);
    set_up(&stage);
    without_journal(&stage);
    stage.egress("cleanup --verify").exits(0);
    assert_eq!(owners(&namespace(&stage)), owners(&owner));
    Dump::of_namespace(&stage.kubectl, &stage.namespace).equals(&before);
}

#[test]
fn without_journal_and_managed_fields_the_note_still_tells() {
    let (stage, before) = settled(open!(shared), "istio-injection=disabled");
    set_up(&stage);
    let name = &stage.namespace;
    let nobody = "[{\"op\":\"replace\",\"path\":\"/metadata/managedFields\",\"value\":[{}]}]";
    let arguments = ["patch", "namespace", name, "--type=json", "-p", nobody];
    stage.kubectl.with(&arguments);
    stage.egress("cleanup --verify").exits(0);
    Dump::of_namespace(&stage.kubectl, name).equals(&before);
}

#[test]
fn a_workloads_annotation_comes_back_without_the_journal() {
    let stage = open!(shared).with_namespace("istio-injection=enabled");
    let (name, kubectl) = (&stage.namespace, &stage.kubectl);
    let mut shop = manifests::workload(name, "shop", manifests::CURL, true);
    let labels = "metadata: {labels: {app: shop";
    let annotated = "metadata: {annotations: {traffic.sidecar.istio.io/excludeOutboundIPRanges: 10.9.0.0/16}, labels: {app: shop";
    shop = shop.replace(labels, annotated);
    kubectl.apply(&shop);
    stage.rolled_out(name, "shop");
    let read = || kubectl.json(&format!("get deployment shop -n {name}"));
    let before = read();
    stage
        .egress(&format!(
            "setup {} --yes --no-probe --from deploy/shop --exclude-ranges 203.0.113.0/24",
            stage.host
        ))
        .exits(0);
    let ranges = |object: &Value| {
        object["spec"]["template"]["metadata"]["annotations"]["traffic.sidecar.istio.io/excludeOutboundIPRanges"]
            .clone()
    };
    assert_eq!(ranges(&read()), "10.9.0.0/16,203.0.113.0/24");
    without_journal(&stage);
    stage.egress("cleanup --verify").exits(0);
    assert_eq!(ranges(&read()), ranges(&before));
    // Their next apply meets no conflict.
    kubectl.apply(&shop);
    let notes = read()["metadata"]["annotations"].to_string();
    assert!(!notes.contains("kubectl-egress"), "{notes}");
}

#[test]
fn with_the_namespace_gone_what_is_elsewhere_is_found_by_its_marks() {
    let stage = open!(shared).with_route();
    let name = &stage.namespace;
    let elsewhere = "get telemetries.telemetry.istio.io -n istio-system -o json --show-managed-fields";
    let ours = format!("kubectl-egress/{name}/");
    assert!(
        stage.kubectl.run(elsewhere).contains(&ours),
        "nothing to clean up"
    );
    stage
        .kubectl
        .run(&format!("delete namespace {name} --timeout=60s"));
    stage
        .egress("cleanup --verify")
        .exits(0)
        .says(&[&format!("namespace {name} does not exist"), "found by its marks"]);
    assert!(!stage.kubectl.run(elsewhere).contains(&ours));
    stage
        .egress("cleanup --verify")
        .exits(0)
        .says(&["there is nothing to undo in it"]);
}

#[test]
fn what_somebody_wrote_into_a_telemetry_of_ours_stays_and_ours_goes() {
    let (stage, _) = settled(open!(shared), "");
    set_up(&stage);
    let (name, kubectl) = (&stage.namespace, &stage.kubectl);
    let telemetry = "telemetries.telemetry.istio.io kubectl-egress-source";
    let tracing = "{\"spec\":{\"tracing\":[{\"randomSamplingPercentage\":7}]}}";
    let mut arguments: Vec<&str> = ["patch"].into_iter().chain(telemetry.split(' ')).collect();
    arguments.extend(["-n", name, "--type=merge", "-p", tracing]);
    kubectl.with(&arguments);
    let selector = kubectl.json(&format!("get {telemetry} -n {name}"))["spec"]["selector"].clone();
    stage.egress("cleanup --verify").exits(0).says(&[
        &format!("Telemetry {name}/kubectl-egress-source"),
        "spec.tracing is [{\"randomSamplingPercentage\":7}] by kubectl",
    ]);
    let after = kubectl.json(&format!("get {telemetry} -n {name}"));
    assert_eq!(
        after["spec"],
        json!({"selector": selector, "tracing": [{"randomSamplingPercentage": 7}]})
    );
    assert!(!after.to_string().contains("managed-by"), "{after}");
}

/// Takes a kind away from all of the cluster, and brings it back.
struct WithoutKind<'stage> {
    stage: &'stage Stage,
    definition: Value,
}

impl<'stage> WithoutKind<'stage> {
    fn new(stage: &'stage Stage, definition: &str) -> Self {
        let mut kept = stage
            .kubectl
            .json(&format!("get customresourcedefinition {definition}"));
        kept["status"] = Value::Null;
        kept["metadata"] = json!({"name": definition, "labels": kept["metadata"]["labels"],
            "annotations": kept["metadata"]["annotations"]});
        stage.kubectl.run(&format!(
            "delete customresourcedefinition {definition} --timeout=60s"
        ));
        Self {
            stage,
            definition: kept,
        }
    }
}

impl Drop for WithoutKind<'_> {
    fn drop(&mut self) {
        let name = self.definition["metadata"]["name"].as_str().unwrap_or_default();
        let kubectl = &self.stage.kubectl;
        let _ = kubectl.feed("create -f -", &self.definition.to_string());
        let _ = kubectl.attempt(&format!(
            "wait --for=condition=Established customresourcedefinition/{name} --timeout=30s"
        ));
    }
}

#[test]
fn a_kind_that_was_taken_out_of_the_cluster_is_told_and_holds_nothing_up() {
    let stage = open!(alone).with_route();
    let without = WithoutKind::new(&stage, "telemetries.telemetry.istio.io");
    let cleanup = stage.egress("cleanup --verify");
    cleanup.exits(0).says(&[
        "this cluster no longer has the kind telemetries.telemetry.istio.io",
        "Telemetry istio-system/kubectl-egress-istio-egressgateway",
    ]);
    drop(without);
    let gone = stage
        .kubectl
        .attempt(&format!("get namespace {}", stage.namespace));
    assert!(gone.is_err(), "the namespace that was made is left");
    // The lab is as good as before.
    set_up_and_route(&stage);
}

#[track_caller]
fn set_up_and_route(stage: &Stage) {
    stage
        .egress(&format!("setup {} --create-namespace", stage.host))
        .exits(0);
    stage.probe_host().is("routed", &stage.gateway_addresses());
}
