//! The NetworkPolicies, as they are sent to the API server.

use super::*;
use crate::plan::ownership;
use crate::vocabulary::{InCluster, names};

fn spec_of(observed: &Observed, settings: &LockSettings) -> Value {
    policy_spec(settings, &derive(observed, settings).unwrap())
}

fn rule(to: &Value, ports: &Value) -> Value {
    json!({"to": [to], "ports": ports})
}

fn block(cidr: &str) -> Value {
    json!({"ipBlock": {"cidr": cidr}})
}

fn pods(namespace: &str, labels: &Value) -> Value {
    json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}, "podSelector": {"matchLabels": labels}})
}

/// The policies of the tutorials (Kyma's, twice, and Istio's) let out DNS to kube-system and everything to
/// istio-system. What their stories need of that, and no more.
#[test]
fn the_tutorials_policy_and_less() {
    let dns = json!([{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]);
    let tcp = |port: u16| json!([{"port": port, "protocol": "TCP"}]);
    let expected = json!({
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [
            rule(&block("198.19.0.10/32"), &dns),
            rule(&pods("kube-system", &json!({"k8s-app": "kube-dns"})), &dns),
            rule(&pods("istio-system", &json!({"app": "istiod", "istio.io/rev": "default"})), &tcp(15012)),
            rule(&block("198.19.0.20/32"), &tcp(15012)),
            rule(&pods("istio-system", &json!({"app": "istio-egressgateway", "istio": "egressgateway"})), &tcp(8443)),
            rule(&block("198.19.0.30/32"), &tcp(443)),
        ],
    });
    assert_eq!(spec_of(&tutorial(), &settings()), expected);
}

#[test]
fn in_cluster_allow_opens_all_other_pods() {
    let allow = LockSettings {
        in_cluster: InCluster::Allow,
        ..settings()
    };
    let spec = spec_of(&tutorial(), &allow);
    assert_eq!(
        spec["egress"].as_array().unwrap().last().unwrap(),
        &json!({"to": [{"namespaceSelector": {"matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["istio-system"]}]}}]})
    );
}

#[test]
fn addresses_of_both_families_are_single_ones() {
    let mut observed = tutorial();
    observed.resolv_conf = "nameserver 203.0.113.53\nnameserver 2001:db8::53\n".to_owned();
    let spec = spec_of(&observed, &settings());
    assert_eq!(
        spec["egress"][0]["to"],
        json!([block("203.0.113.53/32"), block("2001:db8::53/128")])
    );
}

#[test]
fn the_lock_selects_what_it_is_told_and_is_the_plans() {
    let settings = LockSettings {
        selector: "app=shop,!job".parse().unwrap(),
        ..settings()
    };
    let lock = lock(&run(), &settings, &peers(&tutorial()));
    assert_eq!(
        lock.reference.to_string(),
        "NetworkPolicy test-egress/kubectl-egress-lock-abcdefghij"
    );
    assert_eq!(lock.object.name(), lock_name("abcdefghij"));
    assert_eq!(
        lock.object.at("/spec/podSelector"),
        &json!({"matchLabels": {"app": "shop"}, "matchExpressions": [{"key": "job", "operator": "DoesNotExist"}]})
    );
    assert_eq!(lock.manager, names::MANAGER);
    let mut live = lock.object.clone();
    live.0["metadata"]["managedFields"] = json!([{"manager": names::MANAGER}]);
    assert_eq!(ownership::plan_of(&live), Some(run().plan));
    assert_eq!(live.label(names::LOCK_LABEL), Some("abcdefghij"));
    assert_eq!(live.label(names::ROLE_LABEL), Some("lock"));
}
