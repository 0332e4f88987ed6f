//! NetworkPolicies: two evaluators that share no code agree.

use crate::choice::Choice;
use kubectl_egress::mesh::network_policy::{Decision, Endpoint, NetworkPolicies};
use kubectl_egress::vocabulary::{Object, Protocol};
use naive::{Connection, judge};
use serde_json::{Map, Value, json};

#[path = "../../../src/mesh/network_policy/tests/naive.rs"]
mod naive;

const RANGES: [&str; 6] = [
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.0.2/32",
    "0.0.0.0/0",
    "203.0.113.0/25",
    "10.2.3.4/14",
];
const PROTOCOLS: [&str; 2] = ["TCP", "UDP"];

fn labels(choice: &mut Choice<'_>) -> Value {
    let mut labels = Map::new();
    for _ in 0..choice.below(3) {
        labels.insert(choice.of(&["a", "b"]).to_owned(), json!(choice.of(&["1", "2"])));
    }
    Value::Object(labels)
}

fn expression(choice: &mut Choice<'_>) -> Value {
    let operator = choice.of(&["In", "NotIn", "Exists", "DoesNotExist"]);
    let mut expression = json!({"key": choice.of(&["a", "b"]), "operator": operator});
    if operator.ends_with("In") {
        let mut values = choice.some(2, |choice| choice.of(&["1", "2"]));
        values.push(choice.of(&["1", "2", "3"]));
        expression["values"] = json!(values);
    }
    expression
}

fn selector(choice: &mut Choice<'_>) -> Value {
    match choice.below(3) {
        0 => json!({}),
        1 => json!({"matchLabels": labels(choice)}),
        _ => json!({"matchLabels": labels(choice), "matchExpressions": choice.some(3, expression)}),
    }
}

fn peer(choice: &mut Choice<'_>) -> Value {
    match choice.below(4) {
        0 => json!({"podSelector": selector(choice)}),
        1 => json!({"namespaceSelector": selector(choice)}),
        2 => json!({"namespaceSelector": selector(choice), "podSelector": selector(choice)}),
        _ => {
            let except = choice.some(3, |choice| choice.of(&RANGES));
            json!({"ipBlock": {"cidr": choice.of(&RANGES), "except": except}})
        }
    }
}

fn port(choice: &mut Choice<'_>) -> Value {
    let first = choice.below(4) + 1;
    let mut entry = match choice.below(4) {
        0 => json!({}),
        1 => json!({"port": first}),
        2 => json!({"port": first, "endPort": first + choice.below(4)}),
        _ => json!({"port": choice.of(&["one", "two", "three"])}),
    };
    if choice.below(2) == 1 {
        entry["protocol"] = json!(choice.of(&PROTOCOLS));
    }
    entry
}

fn policy(choice: &mut Choice<'_>) -> Value {
    let rule = |choice: &mut Choice<'_>, peers: &str| json!({peers: choice.some(3, peer), "ports": choice.some(3, port)});
    let types: [&[&str]; 3] = [&["Egress"], &["Ingress"], &["Ingress", "Egress"]];
    json!({"namespace": choice.of(&["x", "y"]), "spec": {
        "podSelector": selector(choice), "policyTypes": choice.of(&types),
        "ingress": choice.some(3, |choice| rule(choice, "from")),
        "egress": choice.some(3, |choice| rule(choice, "to")),
    }})
}

/// A pod as the naive evaluator takes it; or, without a namespace, an address outside.
fn end(choice: &mut Choice<'_>) -> Value {
    if choice.below(5) == 4 {
        return json!({"address": choice.of(&["203.0.113.5", "203.0.113.200", "10.1.0.2"])});
    }
    let address = format!("10.{}.0.{}", choice.below(3), choice.below(3));
    json!({
        "namespace": choice.of(&["x", "y"]), "labels": labels(choice), "address": address,
        "ports": {"TCP": {"one": 1, "two": 2}, "UDP": {"one": 3}},
    })
}

fn pod(end: &Value) -> Option<Object> {
    let mut ports = Vec::new();
    for protocol in PROTOCOLS {
        for (name, port) in end["ports"][protocol].as_object().into_iter().flatten() {
            ports.push(json!({"name": name, "containerPort": port, "protocol": protocol}));
        }
    }
    let namespace = end["namespace"].as_str()?;
    Some(Object(json!({
        // Two ends are the same pod exactly if all of it is the same, as for the naive evaluator.
        "metadata": {"namespace": namespace, "name": end.to_string(), "labels": end["labels"]},
        "spec": {"containers": [{"ports": ports}]}, "status": {"podIP": end["address"]},
    })))
}

fn is_allowed(decision: &Decision) -> Option<bool> {
    match decision {
        Decision::NotIsolated => None,
        Decision::Allowed { .. } => Some(true),
        Decision::Refused { .. } => Some(false),
    }
}

/// Whatever policies and connections the bytes choose, both evaluators agree.
pub fn network_policy(data: &[u8]) {
    let mut choice = Choice::new(data);
    let port = u16::from(choice.below(5)) + 1;
    let protocol = choice.of(&PROTOCOLS);
    let (from, to) = (end(&mut choice), end(&mut choice));
    let namespaces = json!({"x": labels(&mut choice), "y": labels(&mut choice)});
    let policies = choice.some(4, policy);
    let objects: Vec<Object> = policies
        .iter()
        .enumerate()
        .map(|(number, policy)| {
            Object(json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": policy["spec"],
                "metadata": {"name": number.to_string(), "namespace": policy["namespace"]},
            }))
        })
        .collect();
    let named = |name: &str| Object(json!({"metadata": {"name": name, "labels": namespaces[name]}}));
    let read = NetworkPolicies::new(&objects, &[named("x"), named("y")]);
    let connection = Connection {
        from: &from,
        to: &to,
        port: port.into(),
        protocol,
    };
    let (source, destination) = (pod(&from), pod(&to));
    let kind = Protocol::of_field(&json!(protocol)).unwrap();
    let endpoint = |end: &Value, pod| Endpoint {
        address: end["address"].as_str().unwrap().parse().unwrap(),
        port,
        protocol: kind,
        pod,
    };
    if let Some(source) = &source {
        let found = is_allowed(&read.egress(source, &endpoint(&to, destination.as_ref())));
        let expected = judge("Egress", &policies, &namespaces, &connection);
        assert_eq!(found, expected, "egress {from} to {to}: {policies:?}");
    }
    if let Some(destination) = &destination {
        let found = is_allowed(&read.ingress(destination, &endpoint(&from, source.as_ref()), port, kind));
        let expected = judge("Ingress", &policies, &namespaces, &connection);
        assert_eq!(found, expected, "ingress {from} to {to}: {policies:?}");
    }
}
