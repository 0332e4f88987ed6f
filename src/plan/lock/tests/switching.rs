//! The objects of the dead-man's switch.

use super::*;
use crate::plan::ownership::Manifest;
use crate::vocabulary::names;

fn undo() -> SwitchUndo {
    SwitchUndo::Delete { lock: run().lock() }
}

fn restore() -> SwitchUndo {
    SwitchUndo::Restore {
        lock: "kubectl-egress-lock-earlier".to_owned(),
        uid: "u-1".to_owned(),
        spec: json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": "203.0.113.1/32"}}]}]}),
    }
}

fn server() -> ApiServer {
    let mut objects = api_server();
    objects[0].0["spec"]["clusterIPs"] = json!(["198.19.0.1", "fd00::1"]);
    objects.push(slice(
        "default",
        "kubernetes",
        &["fd00:51::2"],
        &json!([{"name": "https", "port": 6443}]),
    ));
    ApiServer::from_objects(&objects).unwrap()
}

fn find<'a>(manifests: &'a [Manifest], kind: &str) -> &'a Manifest {
    manifests
        .iter()
        .find(|manifest| manifest.reference.kind.kind == kind)
        .unwrap()
}

fn job(undo: &SwitchUndo) -> Manifest {
    switch_job(&run(), undo, &server(), names::SOURCE_IMAGE, 1_800_000_000)
}

fn variable(job: &Manifest, wanted: &str) -> String {
    let variables = job.object.items("/spec/template/spec/containers/0/env");
    let found = variables.iter().find(|variable| variable["name"] == wanted);
    found.unwrap()["value"].as_str().unwrap().to_owned()
}

#[test]
fn it_may_do_what_it_is_for_and_nothing_else() {
    for (undo, lock, verbs) in [
        (undo(), "kubectl-egress-lock-abcdefghij", ["get", "delete"]),
        (restore(), "kubectl-egress-lock-earlier", ["get", "patch"]),
    ] {
        let foundation = switch_foundation(&run(), &undo, &server());
        assert_eq!(
            find(&foundation, "Role").object.at("/rules"),
            &json!([{
                "apiGroups": ["networking.k8s.io"],
                "resources": ["networkpolicies"],
                "resourceNames": [lock, "kubectl-egress-lock-abcdefghij-canary"],
                "verbs": verbs,
            }])
        );
        let binding = &find(&foundation, "RoleBinding").object;
        let name = "kubectl-egress-lock-abcdefghij-switch";
        assert_eq!(
            binding.at("/roleRef"),
            &json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name})
        );
        assert_eq!(
            binding.at("/subjects"),
            &json!([{"kind": "ServiceAccount", "name": name, "namespace": "test-egress"}])
        );
    }
}

#[test]
fn the_guard_reaches_the_api_server_and_nothing_else() {
    let foundation = switch_foundation(&run(), &undo(), &server());
    let block = |cidr: &str| json!({"ipBlock": {"cidr": cidr}});
    assert_eq!(
        find(&foundation, "NetworkPolicy").object.at("/spec"),
        &json!({
            "podSelector": {"matchLabels": {"kubectl-egress.dev/switch": "abcdefghij"}},
            "policyTypes": ["Egress"],
            "egress": [
                {"to": [block("198.19.0.1/32"), block("fd00::1/128")], "ports": [{"port": 443, "protocol": "TCP"}]},
                {"to": [block("198.51.100.2/32"), block("fd00:51::2/128")], "ports": [{"port": 6443, "protocol": "TCP"}]},
            ],
        })
    );
}

#[test]
fn the_canary_has_the_locks_rules_for_the_switchs_pod_alone() {
    let peers = peers(&tutorial());
    let (canary, lock) = (
        canary(&run(), &peers).object,
        lock(&run(), &settings(), &peers).object,
    );
    assert_eq!(canary.at("/spec/egress"), lock.at("/spec/egress"));
    let job = job(&undo()).object;
    assert!(job.labels_match(
        "/spec/template/metadata/labels",
        canary.at("/spec/podSelector/matchLabels")
    ));
    assert_eq!(canary.name(), "kubectl-egress-lock-abcdefghij-canary");
}

#[test]
fn every_object_is_named_and_labelled_by_the_run() {
    let mut all = switch_foundation(&run(), &undo(), &server());
    all.extend([canary(&run(), &[]), lock(&run(), &settings(), &[]), job(&undo())]);
    for manifest in all {
        assert!(
            manifest.reference.name.starts_with(names::LOCK_PREFIX),
            "{}",
            manifest.reference
        );
        assert_eq!(
            manifest.object.label(names::LOCK_LABEL),
            Some("abcdefghij"),
            "{}",
            manifest.reference
        );
        assert_eq!(manifest.reference.namespace.as_deref(), Some("test-egress"));
        assert!(crate::plan::ownership::touchable_kinds().contains(&manifest.reference.kind));
        assert!(!manifest.shared);
    }
}

#[test]
fn the_job_starts_again_until_it_is_done() {
    let job = job(&undo()).object;
    let spec = job.at("/spec/template/spec");
    assert_eq!(spec["restartPolicy"], "OnFailure");
    assert!(job.at("/spec/backoffLimit").as_i64().unwrap() > 100_000);
    assert_eq!(job.at("/spec/activeDeadlineSeconds"), &Value::Null);
    assert_eq!(job.at("/spec/ttlSecondsAfterFinished"), &Value::Null);
    assert!(
        spec["tolerations"]
            .as_array()
            .unwrap()
            .iter()
            .all(|toleration| toleration["tolerationSeconds"] == 0)
    );
}

/// Kubernetes documentation, Pod Security Standards, profile "restricted".
#[test]
fn the_jobs_pod_is_restricted_and_not_injected() {
    let job = job(&undo()).object;
    let spec = job.at("/spec/template/spec");
    let container = &spec["containers"][0];
    assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
    assert_eq!(
        spec["securityContext"]["seccompProfile"]["type"],
        "RuntimeDefault"
    );
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(
        container["securityContext"]["capabilities"]["drop"],
        json!(["ALL"])
    );
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    for resources in ["requests", "limits"] {
        assert!(
            container["resources"][resources]["cpu"].is_string()
                && container["resources"][resources]["memory"].is_string()
        );
    }
    for pointer in [
        "/spec/template/metadata/labels/sidecar.istio.io~1inject",
        "/spec/template/metadata/annotations/sidecar.istio.io~1inject",
    ] {
        assert_eq!(job.text(pointer), "false");
    }
    assert_eq!(container["command"], json!(["sh", "/switch/switch.sh", "wait"]));
}

#[test]
fn everything_that_differs_comes_by_variables_and_files() {
    let deleting = job(&undo());
    assert_eq!(variable(&deleting, "SWITCH_UNDO"), "delete");
    assert_eq!(variable(&deleting, "SWITCH_LOCK"), run().lock());
    assert_eq!(variable(&deleting, "SWITCH_CANARY"), run().canary());
    assert_eq!(variable(&deleting, "SWITCH_DEADLINE"), "1800000000");
    assert_eq!(
        variable(&deleting, "SWITCH_ENDPOINTS"),
        "198.51.100.2:6443 [fd00:51::2]:6443"
    );
    assert_eq!(variable(&deleting, "SWITCH_LOCK_UID"), "");
    let restoring = job(&restore());
    assert_eq!(variable(&restoring, "SWITCH_UNDO"), "restore");
    assert_eq!(variable(&restoring, "SWITCH_LOCK"), "kubectl-egress-lock-earlier");
    assert_eq!(variable(&restoring, "SWITCH_LOCK_UID"), "u-1");

    let data = |undo: &SwitchUndo| {
        find(&switch_foundation(&run(), undo, &server()), "ConfigMap")
            .object
            .at("/data")
            .clone()
    };
    assert_eq!(data(&undo()), json!({"switch.sh": switch::SCRIPT}));
    let SwitchUndo::Restore { spec, .. } = restore() else {
        unreachable!()
    };
    let stored = data(&restore())["spec.json"].as_str().unwrap().to_owned();
    assert_eq!(serde_json::from_str::<Value>(&stored).unwrap(), spec);
    assert!(!stored.contains('\n'), "the script reads one line");
    assert!(variable(&restoring, "SWITCH_SPEC").ends_with("/spec.json"));
}

#[test]
fn the_token_is_nowhere_but_mounted() {
    let foundation = switch_foundation(&run(), &undo(), &server());
    assert_eq!(
        find(&foundation, "ServiceAccount")
            .object
            .at("/automountServiceAccountToken"),
        false
    );
    assert!(
        foundation
            .iter()
            .all(|manifest| manifest.reference.kind.kind != "Secret")
    );
    let job = job(&undo()).object;
    assert_eq!(job.at("/spec/template/spec/automountServiceAccountToken"), true);
    assert_eq!(
        job.text("/spec/template/spec/serviceAccountName"),
        "kubectl-egress-lock-abcdefghij-switch"
    );
}

#[test]
fn every_variable_is_documented_and_every_documented_one_is_there() {
    let text = include_str!("../switch.rs");
    let documented: BTreeSet<&str> = text
        .lines()
        .filter(|line| line.starts_with("//! | `SWITCH_"))
        .filter_map(|line| line.split('`').nth(1))
        .collect();
    let job = job(&undo()).object;
    let variables = job.items("/spec/template/spec/containers/0/env");
    let given: BTreeSet<&str> = variables
        .iter()
        .filter_map(|variable| variable["name"].as_str())
        .collect();
    assert_eq!(documented, given);
    for name in given {
        assert!(switch::SCRIPT.contains(&format!("${name}")), "{name}");
    }
}
