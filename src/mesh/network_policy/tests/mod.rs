//! The evaluator against the documentation, and against a second, naive one.

mod cases;
mod naive;
mod properties;
mod ways_out;

use super::*;
use crate::vocabulary::Object;
use serde_json::{Value, json};

/// A pod of the documentation's examples, by a short name.
pub(super) fn pod(name: &str) -> Object {
    let (namespace, labels, address) = match name {
        "db" => ("default", json!({"role": "db"}), "10.0.0.10"),
        "web" => ("default", json!({"role": "frontend", "app": "web"}), "10.0.0.11"),
        "batch" => ("default", json!({}), "10.0.0.12"),
        "node" => ("default", json!({"role": "frontend"}), "192.168.0.5"),
        "six" => ("default", json!({"role": "db"}), "2001:db8::10"),
        "project" => (
            "myproject",
            json!({"role": "client", "user": "alice"}),
            "10.1.0.10",
        ),
        "project-db" => ("myproject", json!({"role": "db"}), "10.1.0.11"),
        "stranger" => ("other", json!({"role": "client"}), "10.2.0.10"),
        other => panic!("no pod {other}"),
    };
    let ports = json!([
        {"name": "redis", "containerPort": 6379}, {"name": "metrics", "containerPort": 9100, "protocol": "TCP"},
        {"name": "metrics", "containerPort": 9101, "protocol": "UDP"},
    ]);
    let sidecar = json!({"name": "proxy", "restartPolicy": "Always", "ports": [{"name": "envoy", "containerPort": 15090}]});
    let finished = json!({"name": "init", "ports": [{"name": "early", "containerPort": 1}]});
    Object(json!({
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": {
            "hostNetwork": name == "node", "containers": [{"name": "main", "ports": ports}],
            "initContainers": [sidecar, finished],
        },
        "status": {"podIP": address, "podIPs": [{"ip": address}]},
    }))
}

pub(super) fn namespaces() -> Vec<Object> {
    let namespace = |name: &str, labels: Value| Object(json!({"metadata": {"name": name, "labels": labels}}));
    vec![
        namespace("default", json!({"kubernetes.io/metadata.name": "default"})),
        namespace("myproject", json!({"project": "myproject", "team": "a"})),
        namespace("other", Value::Null),
    ]
}

/// Policies `p0`, `p1` … of namespace `default` (`myproject` where the text begins with `in myproject`), from the
/// YAML of their specifications, which `---` separates.
pub(super) fn policies(text: &str) -> Vec<Object> {
    let specification = |(number, text): (usize, &str)| {
        let text = text.trim();
        let (namespace, text) = match text.strip_prefix("in myproject") {
            Some(rest) => ("myproject", rest),
            None => ("default", text),
        };
        let spec: Value = serde_saphyr::from_str(text).unwrap();
        Object(json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"namespace": namespace, "name": format!("p{number}")}, "spec": spec,
        }))
    };
    text.split("---")
        .filter(|text| !text.trim().is_empty())
        .enumerate()
        .map(specification)
        .collect()
}

pub(super) fn read(text: &str) -> NetworkPolicies {
    NetworkPolicies::new(&policies(text), &namespaces())
}
