//! Which pods are isolated, in which direction, and how policies add up.

use serde_json::{Value, json};

use super::{Allowed, RefusedArriving, RefusedLeaving, case};

fn db() -> Value {
    json!({"matchLabels": {"role": "db"}})
}

#[test]
fn without_policies_everything_passes() {
    case([]).expect(&[
        ("default/db", "203.0.113.1", "tcp/80", Allowed),
        ("203.0.113.1", "default/db", "udp/80", Allowed),
        ("default/db@6", "2001:db8::1", "icmp", Allowed),
    ]);
}

#[test]
fn without_types_a_policy_is_about_ingress() {
    case([json!({"podSelector": db()})]).expect(&[
        ("default/plain", "default/db", "tcp/80", RefusedArriving),
        ("default/db", "default/plain", "tcp/80", Allowed),
    ]);
}

#[test]
fn without_types_egress_rules_make_it_about_both() {
    let spec = json!({"podSelector": db(), "egress": [{"ports": [{"port": 443}]}]});
    case([spec]).expect(&[
        ("default/db", "203.0.113.1", "tcp/443", Allowed),
        ("default/db", "203.0.113.1", "tcp/80", RefusedLeaving),
        ("default/plain", "default/db", "tcp/443", RefusedArriving),
    ]);
}

#[test]
fn without_types_an_empty_list_of_egress_rules_is_none() {
    case([json!({"podSelector": db(), "egress": []})]).expect(&[
        ("default/db", "203.0.113.1", "tcp/80", Allowed),
        ("default/plain", "default/db", "tcp/80", RefusedArriving),
    ]);
}

#[test]
fn with_egress_alone_ingress_stays_open_and_its_rules_do_not_count() {
    let spec = json!({
        "podSelector": db(),
        "policyTypes": ["Egress"],
        "ingress": [{"ports": [{"port": 1}]}],
    });
    case([spec]).expect(&[
        ("default/plain", "default/db", "tcp/80", Allowed),
        ("default/db", "default/plain", "tcp/80", RefusedLeaving),
    ]);
}

#[test]
fn with_ingress_alone_egress_rules_do_not_count() {
    let spec = json!({
        "podSelector": db(),
        "policyTypes": ["Ingress"],
        "egress": [{"ports": [{"port": 1}]}],
    });
    case([spec]).expect(&[
        ("default/db", "default/plain", "tcp/80", Allowed),
        ("default/plain", "default/db", "tcp/80", RefusedArriving),
    ]);
}

#[test]
fn an_empty_rule_allows_everything_and_no_rule_nothing() {
    case([json!({"podSelector": db(), "policyTypes": ["Egress"], "egress": [{}]})]).expect(&[(
        "default/db",
        "203.0.113.1",
        "udp/1",
        Allowed,
    )]);
    case([json!({"podSelector": db(), "policyTypes": ["Egress"], "egress": []})]).expect(&[(
        "default/db",
        "203.0.113.1",
        "udp/1",
        RefusedLeaving,
    )]);
}

#[test]
fn policies_add_up() {
    let web = json!({"podSelector": db(), "policyTypes": ["Egress"], "egress": [{"ports": [{"port": 443}]}]});
    let dns = json!({"podSelector": {}, "policyTypes": ["Egress"],
        "egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}]});
    case([web, dns]).expect(&[
        ("default/db", "203.0.113.1", "tcp/443", Allowed),
        ("default/db", "203.0.113.1", "udp/53", Allowed),
        ("default/db", "203.0.113.1", "tcp/80", RefusedLeaving),
        ("default/plain", "203.0.113.1", "udp/53", Allowed),
        ("default/plain", "203.0.113.1", "tcp/443", RefusedLeaving),
    ]);
}

#[test]
fn a_rules_peers_do_not_borrow_another_rules_ports() {
    let rules = json!([
        {"to": [{"ipBlock": {"cidr": "203.0.113.1/32"}}], "ports": [{"port": 80}]},
        {"to": [{"ipBlock": {"cidr": "203.0.113.2/32"}}], "ports": [{"port": 443}]},
    ]);
    case([json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": rules})]).expect(&[
        ("default/db", "203.0.113.1", "tcp/80", Allowed),
        ("default/db", "203.0.113.1", "tcp/443", RefusedLeaving),
        ("default/db", "203.0.113.2", "tcp/443", Allowed),
        ("default/db", "203.0.113.2", "tcp/80", RefusedLeaving),
    ]);
}

#[test]
fn both_ends_must_allow() {
    let out = json!({"podSelector": {"matchLabels": {"role": "frontend"}}, "policyTypes": ["Egress"],
        "egress": [{"to": [{"podSelector": db()}]}]});
    let closed = json!({"podSelector": db(), "policyTypes": ["Ingress"]});
    let open = json!({"podSelector": db(), "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"role": "frontend"}}}]}]});
    case([out.clone()]).expect(&[("default/frontend", "default/db", "tcp/80", Allowed)]);
    case([out.clone(), closed.clone()]).expect(&[(
        "default/frontend",
        "default/db",
        "tcp/80",
        RefusedArriving,
    )]);
    case([out, closed.clone(), open.clone()]).expect(&[(
        "default/frontend",
        "default/db",
        "tcp/80",
        Allowed,
    )]);
    let silent = json!({"podSelector": {"matchLabels": {"role": "frontend"}}, "policyTypes": ["Egress"]});
    case([silent, closed, open]).expect(&[("default/frontend", "default/db", "tcp/80", RefusedLeaving)]);
}

#[test]
fn a_pod_reaches_itself_whatever_isolates_it() {
    case([json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})]).expect(&[
        ("default/db", "default/db", "tcp/80", Allowed),
        ("default/db@6", "default/db@6", "tcp/80", Allowed),
    ]);
}

#[test]
fn a_policy_is_about_pods_of_its_own_namespace() {
    case([json!({"podSelector": {"matchLabels": {"role": "frontend"}}})]).expect(&[
        ("default/plain", "default/frontend", "tcp/80", RefusedArriving),
        ("default/plain", "project/frontend", "tcp/80", Allowed),
    ]);
}

#[test]
fn a_missing_pod_selector_selects_every_pod() {
    case([json!({"policyTypes": ["Ingress"]})]).expect(&[
        ("project/client", "default/plain", "tcp/80", RefusedArriving),
        ("project/client", "default/db", "tcp/80", RefusedArriving),
    ]);
}

#[test]
fn both_families_of_an_isolated_pod_are_isolated() {
    case([json!({"podSelector": db(), "policyTypes": ["Egress"]})]).expect(&[
        ("default/db", "203.0.113.1", "tcp/80", RefusedLeaving),
        ("default/db@6", "2001:db8::1", "tcp/80", RefusedLeaving),
        ("default/frontend@6", "2001:db8::1", "tcp/80", Allowed),
    ]);
}
