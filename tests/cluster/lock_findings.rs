//! Findings of locks that change, or whose surroundings do: each real, and beside the same command without the fault.

use crate::support::{Stage, open};
use serde_json::{Value, json};

const LOCKDOWN: &str = "lockdown --yes -o json";

/// The name of the namespace's lock.
fn lock(stage: &Stage) -> String {
    let named = stage.kubectl.run(&format!(
        "get networkpolicy -n {} -l kubectl-egress.dev/role=lock -o name",
        stage.namespace
    ));
    named.trim().to_owned()
}

#[test]
fn a_lock_that_somebody_changes_before_it_is_confirmed_is_taken_back() {
    let stage = open!(shared).with_route();
    let mut running = stage.start(LOCKDOWN);
    // The proof is complete then, and the lock is read once more.
    running.until_it_says("disarm the switch");
    let opened = r#"[{"op": "add", "path": "/spec/egress/-", "value": {"to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}]}}]"#;
    let name = lock(&stage);
    stage.kubectl.with(&[
        "patch",
        &name,
        "-n",
        &stage.namespace,
        "--type=json",
        "-p",
        opened,
    ]);
    let run = running.finish();
    run.exits(3).finds("EGR-513");
    assert_eq!(lock(&stage), "", "{run}");
    let twin = stage.egress(LOCKDOWN);
    twin.exits(0).finds_no("EGR-513");
}

#[test]
fn a_lock_whose_run_is_not_at_its_end_is_named() {
    let stage = open!(shared).with_route();
    let mut running = stage.start(LOCKDOWN);
    running.until_it_says("new pod with sidecar");
    stage.egress("status -o json").finds("EGR-514");
    running.finish().exits(0);
    stage.egress("status -o json").exits(0).finds_no("EGR-514");
}

/// Puts back a Service of the lab's under another cluster address.
fn made_anew(stage: &Stage, service: &str) {
    let mut live: Value = stage
        .kubectl
        .json(&format!("get service {service} -n istio-system -o json"));
    live["metadata"] = json!({
        "name": live["metadata"]["name"], "namespace": live["metadata"]["namespace"], "labels": live["metadata"]["labels"],
    });
    let specification = live["spec"].as_object_mut().unwrap();
    specification.remove("clusterIP");
    specification.remove("clusterIPs");
    live.as_object_mut().unwrap().remove("status");
    stage
        .kubectl
        .run(&format!("delete service {service} -n istio-system"));
    stage.kubectl.apply(&live.to_string());
}

#[test]
fn a_lock_for_an_address_that_has_moved_is_named() {
    let stage = open!(alone).with_route();
    stage.egress(LOCKDOWN).exits(0);
    stage.egress("status -o json").exits(0).finds_no("EGR-515");
    made_anew(&stage, "istio-egressgateway");
    stage.egress("status -o json").finds("EGR-515");
    stage.egress(LOCKDOWN).exits(0);
    stage.egress("status -o json").exits(0).finds_no("EGR-515");
}

/// A kind of a CNI plugin that this lab does not have, as its cluster would serve it; gone with this value.
struct ForeignKind<'stage>(&'stage Stage);

const DEFINITION: &str = r#"{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": "ciliumnetworkpolicies.cilium.io"}, "spec": {"group": "cilium.io", "scope": "Namespaced",
    "names": {"plural": "ciliumnetworkpolicies", "singular": "ciliumnetworkpolicy", "kind": "CiliumNetworkPolicy"},
    "versions": [{"name": "v2", "served": true, "storage": true,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}}"#;

impl<'stage> ForeignKind<'stage> {
    fn of(stage: &'stage Stage) -> Self {
        stage.kubectl.apply(DEFINITION);
        let kind = Self(stage);
        stage
            .kubectl
            .run("wait --for=condition=Established crd ciliumnetworkpolicies.cilium.io --timeout=30s");
        kind
    }
}

impl Drop for ForeignKind<'_> {
    fn drop(&mut self) {
        self.0.kubectl.run("delete crd ciliumnetworkpolicies.cilium.io");
    }
}

#[test]
fn a_policy_of_a_kind_that_is_not_evaluated_is_named() {
    let stage = open!(alone).with_route();
    let twin = stage.egress(LOCKDOWN);
    twin.exits(0).finds_no("EGR-511");
    stage.egress("status -o json").exits(0).finds_no("EGR-511");
    let _kind = ForeignKind::of(&stage);
    let policy = json!({"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "theirs", "namespace": stage.namespace}, "spec": {"endpointSelector": {}}});
    stage.kubectl.apply(&policy.to_string());
    stage.egress("status -o json").finds("EGR-511");
}
