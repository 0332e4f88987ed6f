//! Both evaluators agree on whatever policies and connections are made up.

use super::naive::{Connection, judge};
use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

fn labels() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map(select(vec!["a", "b"]), select(vec!["1", "2"]), 0..3)
        .prop_map(|labels| json!(labels))
}

fn expression() -> impl Strategy<Value = Value> {
    let values = vec(select(vec!["1", "2"]), 1..3);
    (
        select(vec!["a", "b"]),
        select(vec!["In", "NotIn", "Exists", "DoesNotExist"]),
        values,
    )
        .prop_map(|(key, operator, values)| {
            if operator.ends_with("In") {
                json!({"key": key, "operator": operator, "values": values})
            } else {
                json!({"key": key, "operator": operator})
            }
        })
}

fn selector() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => Just(json!({})),
        3 => labels().prop_map(|labels| json!({"matchLabels": labels})),
        2 => (labels(), vec(expression(), 1..3))
            .prop_map(|(labels, list)| json!({"matchLabels": labels, "matchExpressions": list})),
    ]
}

fn peer() -> impl Strategy<Value = Value> {
    let ranges = vec![
        "10.0.0.0/8",
        "10.1.0.0/16",
        "10.1.0.2/32",
        "0.0.0.0/0",
        "203.0.113.0/25",
        "10.2.3.4/14",
    ];
    let block = (select(ranges.clone()), vec(select(ranges), 0..2))
        .prop_map(|(range, except)| json!({"ipBlock": {"cidr": range, "except": except}}));
    prop_oneof![
        selector().prop_map(|pods| json!({"podSelector": pods})),
        selector().prop_map(|namespaces| json!({"namespaceSelector": namespaces})),
        (selector(), selector())
            .prop_map(|(namespaces, pods)| json!({"namespaceSelector": namespaces, "podSelector": pods})),
        block,
    ]
}

fn protocol() -> impl Strategy<Value = Option<&'static str>> {
    select(vec![None, Some("TCP"), Some("UDP")])
}

fn port() -> impl Strategy<Value = Value> {
    let entry = prop_oneof![
        Just(json!({})),
        (1_u16..5).prop_map(|port| json!({"port": port})),
        (1_u16..3, 2_u16..5).prop_map(|(first, more)| json!({"port": first, "endPort": first + more})),
        select(vec!["one", "two"]).prop_map(|name| json!({"port": name})),
    ];
    (entry, protocol()).prop_map(|(mut entry, protocol)| {
        if let Some(protocol) = protocol {
            entry["protocol"] = json!(protocol);
        }
        entry
    })
}

fn policy() -> impl Strategy<Value = Value> {
    let rule = |peers: &'static str| {
        (vec(peer(), 0..3), vec(port(), 0..3))
            .prop_map(move |(list, ports)| json!({peers: list, "ports": ports}))
    };
    let types = select(vec![vec!["Ingress"], vec!["Egress"], vec!["Ingress", "Egress"]]);
    (
        selector(),
        types,
        vec(rule("from"), 0..3),
        vec(rule("to"), 0..3),
        select(vec!["x", "y"]),
    )
        .prop_map(|(pods, types, ingress, egress, namespace)| {
            json!({"namespace": namespace, "spec": {
                "podSelector": pods, "policyTypes": types, "ingress": ingress, "egress": egress,
            }})
        })
}

/// A pod as the naive evaluator takes it; or, without a namespace, an address outside.
fn end() -> impl Strategy<Value = Value> {
    let ports = json!({"TCP": {"one": 1, "two": 2}, "UDP": {"one": 3}});
    let pod = (select(vec!["x", "y"]), labels(), 0_u8..3, 0_u8..3).prop_map(
        move |(namespace, labels, high, low)| {
            let address = format!("10.{high}.0.{low}");
            json!({"namespace": namespace, "labels": labels, "address": address, "ports": ports})
        },
    );
    let outside = select(vec!["203.0.113.5", "203.0.113.200", "10.1.0.2"])
        .prop_map(|address| json!({"address": address}));
    prop_oneof![4 => pod, 1 => outside]
}

fn to_object(end: &Value) -> Option<Object> {
    let of_protocol = |protocol: &str| -> Vec<Value> {
        let named = end["ports"][protocol].as_object().into_iter().flatten();
        named
            .map(|(name, port)| json!({"name": name, "containerPort": port, "protocol": protocol}))
            .collect()
    };
    let ports = [of_protocol("TCP"), of_protocol("UDP")].concat();
    end["namespace"].as_str().map(|namespace| {
        Object(json!({
            "metadata": {"namespace": namespace, "name": format!("{} {}", end["address"], end["labels"]), "labels": end["labels"]},
            "spec": {"containers": [{"ports": ports}]}, "status": {"podIP": end["address"]},
        }))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(700))]

    #[test]
    fn both_agree(
        policies in vec(policy(), 0..4),
        labels in (labels(), labels()),
        from in end(),
        to in end(),
        port in 1_u16..6,
        protocol in select(vec!["TCP", "UDP"]),
    ) {
        let namespaces = json!({"x": labels.0, "y": labels.1});
        let objects: Vec<Object> = policies
            .iter()
            .enumerate()
            .map(|(number, policy)| Object(json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                "metadata": {"name": number.to_string(), "namespace": policy["namespace"]}, "spec": policy["spec"],
            })))
            .collect();
        let named = |name: &str| Object(json!({"metadata": {"name": name, "labels": namespaces[name]}}));
        let read = NetworkPolicies::new(&objects, &[named("x"), named("y")]);
        let connection = Connection { from: &from, to: &to, port: port.into(), protocol };
        let (source, destination) = (to_object(&from), to_object(&to));
        let kind = Protocol::of_field(&json!(protocol)).unwrap();
        let endpoint = |end: &Value, pod| Endpoint {
            address: end["address"].as_str().unwrap().parse().unwrap(), port, protocol: kind, pod,
        };
        let answer = |decision: Decision| match decision {
            Decision::NotIsolated => None,
            Decision::Allowed { .. } => Some(true),
            Decision::Refused { .. } => Some(false),
        };
        if let Some(source) = &source {
            let found = answer(read.egress(source, &endpoint(&to, destination.as_ref())));
            prop_assert_eq!(found, judge("Egress", &policies, &namespaces, &connection));
        }
        if let Some(destination) = &destination {
            let found = answer(read.ingress(destination, &endpoint(&from, source.as_ref()), port, kind));
            prop_assert_eq!(found, judge("Ingress", &policies, &namespaces, &connection));
        }
    }
}
