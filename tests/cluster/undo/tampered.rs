//! A tenant writes into the journal of their namespace; an administrator runs `cleanup`.

use super::*;
use crate::support::open;
use rstest::rstest;
use serde_json::json;

fn object(kind: [&str; 4], namespace: Option<&str>, name: &str, manager: &str, shared: bool) -> Value {
    let [group, version, kind, plural] = kind;
    json!({"type": "object", "manager": manager, "shared": shared, "reference": {
        "kind": {"group": group, "version": version, "kind": kind, "plural": plural, "namespaced": namespace.is_some()},
        "namespace": namespace, "name": name}})
}

fn label(namespace: &str, pointer: &str, before: &Value, manager: &str) -> Value {
    json!({"type": "field", "manager": manager, "pointer": pointer, "before": before, "reference": {
        "kind": {"group": "", "version": "v1", "kind": "Namespace", "plural": "namespaces", "namespaced": false},
        "namespace": null, "name": namespace}})
}

const SECRET: [&str; 4] = ["", "v1", "Secret", "secrets"];
const CONFIG_MAP: [&str; 4] = ["", "v1", "ConfigMap", "configmaps"];
const CLUSTER_ROLE: [&str; 4] = ["rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles"];
const SERVICE_ENTRY: [&str; 4] = ["networking.istio.io", "v1", "ServiceEntry", "serviceentries"];

#[test]
fn nothing_that_a_tenant_wrote_into_the_journal_is_done_and_all_that_is_honest_is() {
    let mut stage = open!(shared);
    let victim = stage.another_namespace();
    let (stage, before) = settled(stage, "");
    let (kubectl, name) = (&stage.kubectl, &stage.namespace);
    stage.make_namespace(&victim, "istio-injection=disabled");
    kubectl.run(&format!(
        "create secret generic precious -n {victim} --from-literal=a=b"
    ));
    kubectl.run(&format!("create clusterrole {victim} --verb=get --resource=pods"));
    stage
        .egress_in(&victim, "setup one.wild.test --yes --no-probe")
        .exits(0);
    let victims = Dump::of_namespace(kubectl, &victim);
    set_up(&stage);
    let ours = format!("kubectl-egress/{name}/default");
    tamper(&stage, |journal| {
        journal["entries"].as_array_mut().unwrap().extend([
            object(SECRET, Some(&victim), "precious", "kubectl-egress", false),
            object(CLUSTER_ROLE, None, &victim, "kubectl-egress", false),
            // Their plan's own, as if it were shared: no label of a plan would be asked for.
            object(
                SERVICE_ENTRY,
                Some(&victim),
                "egress-default-443",
                "kubectl-egress",
                true,
            ),
            object(
                SERVICE_ENTRY,
                Some(&victim),
                "egress-default-443",
                "kubectl-egress",
                false,
            ),
            object(CONFIG_MAP, Some(&victim), "kubectl-egress-default", &ours, true),
            label(&victim, "/metadata/labels/istio-injection", &json!("evil"), &ours),
            label(
                name,
                "/metadata/labels/pod-security.kubernetes.io~1enforce",
                &json!("privileged"),
                &ours,
            ),
            label(
                name,
                "/metadata/labels/istio-injection",
                &json!({"a": "b"}),
                &ours,
            ),
            json!({"type": "namespace", "name": victim, "uid": "x"}),
            json!({"type": "shell", "command": "rm"}),
        ]);
    });
    let cleanup = stage.egress("cleanup");
    cleanup.exits(5).says(&[
        &format!("Secret {victim}/precious carries no label or field of ours"),
        &format!("it names ClusterRole {victim}, a kind that this program never creates"),
        &format!("it names the field manager kubectl-egress for ServiceEntry {victim}/egress-default-443"),
        &format!("ServiceEntry {victim}/egress-default-443 says that it belongs to another plan"),
        &format!("ConfigMap {victim}/kubectl-egress-default says that it belongs to one plan alone"),
        &format!("it names a field of Namespace {victim}, which this program never sets"),
        &format!("pod-security.kubernetes.io~1enforce of Namespace {name}, which this program never sets"),
        "the value {\"a\":\"b\"}",
        &format!("it names the namespace {victim}, not its own"),
        "unknown variant `shell`",
        "(the journal was last written by `kubectl",
        &format!("kubectl get configmap kubectl-egress-default -n {name} -o yaml"),
        &format!("kubectl delete configmap kubectl-egress-default -n {name}"),
    ]);
    Dump::of_namespace(kubectl, &victim).equals(&victims);
    kubectl.run(&format!("get clusterrole {victim}"));
    kubectl.run(&format!("delete clusterrole {victim}"));
    let left = Dump::of_namespace(kubectl, name);
    without_journal(&stage);
    let without = Dump::of_namespace(kubectl, name);
    assert_ne!(left, without, "the journal is kept to be looked at");
    without.equals(&before);
    stage.egress("cleanup --verify").exits(0);
}

#[rstest]
#[case::no_json("{\"version\": 1,", "it is no JSON")]
#[case::a_megabyte("", "it is no JSON")]
#[case::another_plan(
    "{\"version\":1,\"plan\":{\"identity\":{\"namespace\":\"kube-system\",\"name\":\"x\"}}}",
    "kube-system"
)]
fn with_a_journal_that_is_none_all_is_found_by_its_marks(#[case] text: &str, #[case] why: &str) {
    let (stage, before) = settled(open!(shared), "istio-injection=disabled");
    set_up(&stage);
    let at = format!("get {JOURNAL} -n {}", stage.namespace);
    let mut object = stage.kubectl.json(&at);
    let junk = "junk ".repeat(200_000);
    object["data"] = json!({"journal": if text.is_empty() { &junk } else { text }});
    stage.kubectl.feed("replace -f -", &object.to_string()).unwrap();
    let cleanup = stage.egress("cleanup");
    cleanup
        .exits(5)
        .says(&[why, "refused", "kubectl delete configmap kubectl-egress-default"]);
    assert!(cleanup.stderr.len() < 10_000, "{cleanup}");
    without_journal(&stage);
    Dump::of_namespace(&stage.kubectl, &stage.namespace).equals(&before);
    stage.egress("cleanup --verify").exits(0);
}

#[test]
fn a_newer_journal_is_not_guessed_and_without_it_all_is_found() {
    let (stage, before) = settled(open!(shared), "istio-injection=disabled");
    set_up(&stage);
    tamper(&stage, |journal| journal["version"] = json!(99));
    let refused = stage.egress("cleanup");
    refused.exits(2).says(&[
        "it has version 99",
        "nothing was changed",
        "kubectl delete configmap",
    ]);
    stage.kubectl.run(&format!(
        "get serviceentry egress-default-443 -n {}",
        stage.namespace
    ));
    without_journal(&stage);
    stage.egress("cleanup --verify").exits(0);
    Dump::of_namespace(&stage.kubectl, &stage.namespace).equals(&before);
}

#[test]
fn a_value_of_before_is_the_notes_and_never_the_journals_alone() {
    let (stage, before) = settled(open!(shared), "istio-injection=disabled");
    set_up(&stage);
    let evil = |journal: &mut Value| {
        for entry in journal["entries"].as_array_mut().unwrap() {
            if entry["type"] == "field" {
                entry["before"] = json!("evil");
                entry["owners"] = json!([{"manager": "somebody", "operation": "Apply"}]);
            }
        }
    };
    tamper(&stage, evil);
    stage.egress("cleanup --verify").exits(0).says(&[
        "the journal says that it was \"evil\" before, the note on the object says \"disabled\": the note counts",
    ]);
    Dump::of_namespace(&stage.kubectl, &stage.namespace).equals(&before);

    // And where there was nothing to note, there is nothing to write.
    let name = &stage.namespace;
    stage
        .kubectl
        .run(&format!("label namespace {name} istio-injection-"));
    set_up(&stage);
    tamper(&stage, evil);
    stage.egress("cleanup").exits(5).says(&[
        "the journal says that it was \"evil\" before, and no note of ours on the object",
        &format!("kubectl label namespace {name} --overwrite istio-injection=VALUE"),
    ]);
    assert_eq!(
        namespace(&stage)["metadata"]["labels"]["istio-injection"],
        "enabled",
        "it is left as it is"
    );
    without_journal(&stage);
    stage.egress("cleanup --verify").exits(0);
    assert_eq!(
        namespace(&stage)["metadata"]["labels"]["istio-injection"],
        Value::Null
    );
}

#[test]
fn an_object_with_another_uid_is_refused_by_name() {
    let (stage, _) = settled(open!(shared), "");
    set_up(&stage);
    tamper(&stage, |journal| {
        for entry in journal["entries"].as_array_mut().unwrap() {
            if entry["reference"]["kind"]["kind"] == "Gateway" {
                entry["uid"] = json!("11111111-1111-1111-1111-111111111111");
            }
        }
    });
    let name = &stage.namespace;
    stage.egress("cleanup").exits(5).says(&[&format!(
        "Gateway {name}/egress-default has another UID than the one that was made"
    )]);
    let left = stage.kubectl.names(&format!(
        "get gateways.networking.istio.io,serviceentries -n {name}"
    ));
    assert_eq!(left, ["gateway.networking.istio.io/egress-default"]);
    without_journal(&stage);
    stage.egress("cleanup --verify").exits(0);
}
