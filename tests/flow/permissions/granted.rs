//! What `render --rbac` prints, put into a sandbox, whole or without one rule.

use super::recorded::Asked;
use kubectl_egress::sandbox::Sandbox;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;

/// The manifests of one command, for namespace `demo`.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) user: String,
    objects: Vec<Value>,
}

impl Grant {
    /// Prints them; no cluster is there.
    pub(crate) fn of(rbac: &str) -> Self {
        let output = Command::new(env!("CARGO_BIN_EXE_kubectl-egress"))
            .args(format!("render -n demo -o json --rbac {rbac}").split_whitespace())
            .env("KUBECONFIG", "/nonexistent")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let list: Value = serde_json::from_slice(&output.stdout).unwrap();
        let objects = list["items"].as_array().unwrap().clone();
        let account = objects[0]["metadata"]["name"].as_str().unwrap();
        Self {
            user: format!("system:serviceaccount:demo:{account}"),
            objects,
        }
    }

    pub(crate) fn put(&self, sandbox: &Sandbox) {
        for object in &self.objects {
            sandbox.put(object).unwrap();
        }
    }

    /// Every single permission.
    pub(crate) fn rules(&self) -> BTreeSet<Asked> {
        let mut all = BTreeSet::new();
        for role in &self.objects {
            let namespace = role["metadata"]["namespace"].as_str().unwrap_or_default();
            for rule in role["rules"].as_array().into_iter().flatten() {
                for (group, resource, verb) in parts(rule) {
                    all.insert(Asked {
                        namespace: namespace.to_owned(),
                        group,
                        resource,
                        verb,
                    });
                }
            }
        }
        all
    }

    /// The same without one of them.
    pub(crate) fn without(&self, one: &Asked) -> Self {
        let mut less = self.clone();
        for role in &mut less.objects {
            if role["metadata"]["namespace"].as_str().unwrap_or_default() != one.namespace {
                continue;
            }
            let rules = role["rules"].as_array().cloned().unwrap_or_default();
            let mut kept = Vec::new();
            for rule in rules {
                for (group, resource, verb) in parts(&rule) {
                    if (&group, &resource, &verb) == (&one.group, &one.resource, &one.verb) {
                        continue;
                    }
                    let mut single = json!({"apiGroups": [group], "resources": [resource], "verbs": [verb]});
                    if !rule["resourceNames"].is_null() {
                        single["resourceNames"] = rule["resourceNames"].clone();
                    }
                    kept.push(single);
                }
            }
            if role["kind"] == "Role" || role["kind"] == "ClusterRole" {
                role["rules"] = Value::Array(kept);
            }
        }
        less
    }
}

fn parts(rule: &Value) -> Vec<(String, String, String)> {
    let list = |field: &str| -> Vec<String> {
        rule[field]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| one.as_str().unwrap().to_owned())
            .collect()
    };
    let mut all = Vec::new();
    for group in list("apiGroups") {
        for resource in list("resources") {
            for verb in list("verbs") {
                all.push((group.clone(), resource.clone(), verb));
            }
        }
    }
    all
}

/// What is asked first and done without: kinds of Kyma that a plain Istio does not serve (discovery is asked then),
/// Telemetry objects, pods and Secrets of other namespaces (those that count are asked for).
pub(crate) fn is_done_without(asked: &Asked) -> bool {
    let everywhere = asked.namespace.is_empty();
    asked.resource == "istios"
        || everywhere
            && asked.verb == "list"
            && ["telemetries", "secrets", "pods"].contains(&asked.resource.as_str())
}

/// What a run here does not come to: a Lease is made, or looked for where another run holds it, taken over from a dead
/// one, and renewed in longer runs; what is there at once is not waited for; a
/// namespace stays in which the ServiceAccount is, and that it is in is the only way to run this; APIRules are asked
/// for where discovery has them.
pub(crate) fn is_not_reached_here(asked: &Asked) -> bool {
    asked.resource == "apirules"
        || asked.resource == "leases" && ["create", "get", "patch", "update"].contains(&asked.verb.as_str())
        || asked.verb == "watch"
        || asked.resource == "namespaces" && ["delete", "get"].contains(&asked.verb.as_str())
}
