//! Who a rule is about.

use serde_json::{Value, json};

use super::{Allowed, RefusedArriving, RefusedLeaving, case};

/// A policy for `default/db` that lets out to the peers alone.
fn out_to(peers: Value) -> Value {
    json!({
        "podSelector": {"matchLabels": {"role": "db"}},
        "policyTypes": ["Egress"],
        "egress": [{"to": peers}],
    })
}

/// A policy for `default/db` that lets in from the peers alone.
fn in_from(peers: Value) -> Value {
    json!({"podSelector": {"matchLabels": {"role": "db"}}, "ingress": [{"from": peers}]})
}

fn project() -> Value {
    json!({"matchLabels": {"project": "myproject"}})
}

fn clients() -> Value {
    json!({"matchLabels": {"role": "client"}})
}

#[test]
fn a_pod_selector_alone_finds_pods_of_the_policys_namespace() {
    let frontends = json!([{"podSelector": {"matchLabels": {"role": "frontend"}}}]);
    case([out_to(frontends)]).expect(&[
        ("default/db", "default/frontend", "tcp/80", Allowed),
        ("default/db", "project/frontend", "tcp/80", RefusedLeaving),
    ]);
}

#[test]
fn both_selectors_in_one_peer_must_both_hold() {
    let peers = json!([{"namespaceSelector": project(), "podSelector": clients()}]);
    case([in_from(peers)]).expect(&[
        ("project/client", "default/db", "tcp/80", Allowed),
        ("project/frontend", "default/db", "tcp/80", RefusedArriving),
    ]);
}

#[test]
fn two_peers_are_either_or() {
    let peers =
        json!([{"namespaceSelector": project()}, {"podSelector": {"matchLabels": {"role": "frontend"}}}]);
    case([in_from(peers)]).expect(&[
        ("project/client", "default/db", "tcp/80", Allowed),
        ("default/frontend", "default/db", "tcp/80", Allowed),
        ("default/plain", "default/db", "tcp/80", RefusedArriving),
    ]);
}

#[test]
fn an_empty_pod_selector_finds_every_pod_of_the_policys_namespace() {
    case([out_to(json!([{"podSelector": {}}]))]).expect(&[
        ("default/db", "default/plain", "tcp/80", Allowed),
        ("default/db", "project/client", "tcp/80", RefusedLeaving),
        ("default/db", "203.0.113.1", "tcp/80", RefusedLeaving),
    ]);
}

#[test]
fn an_empty_namespace_selector_finds_every_pod_and_nobody_outside() {
    case([out_to(json!([{"namespaceSelector": {}}]))]).expect(&[
        ("default/db", "default/plain", "tcp/80", Allowed),
        ("default/db", "kube-system/dns", "udp/53", Allowed),
        ("default/db", "203.0.113.1", "tcp/80", RefusedLeaving),
    ]);
}

#[test]
fn match_expressions_of_namespaces_and_pods() {
    let others = json!({"matchExpressions": [
        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", "default"]},
        {"key": "project", "operator": "Exists"},
    ]});
    let without_role = json!({"matchExpressions": [{"key": "role", "operator": "DoesNotExist"}]});
    let peers = json!([{"namespaceSelector": others}, {"podSelector": without_role}]);
    case([out_to(peers)]).expect(&[
        ("default/db", "project/client", "tcp/80", Allowed),
        ("default/db", "default/plain", "tcp/80", Allowed),
        ("default/db", "default/frontend", "tcp/80", RefusedLeaving),
        ("default/db", "kube-system/dns", "udp/53", RefusedLeaving),
    ]);
}

#[test]
fn match_expressions_choose_the_isolated_pods() {
    let with_role = json!({"matchExpressions": [{"key": "role", "operator": "Exists"}]});
    case([json!({"podSelector": with_role})]).expect(&[
        ("project/client", "default/db", "tcp/80", RefusedArriving),
        ("project/client", "default/frontend", "tcp/80", RefusedArriving),
        ("project/client", "default/plain", "tcp/80", Allowed),
    ]);
}

#[test]
fn an_ip_block_has_exceptions() {
    let block = json!({"cidr": "203.0.113.0/24", "except": ["203.0.113.16/28", "203.0.113.20/32"]});
    case([out_to(json!([{"ipBlock": block}]))]).expect(&[
        ("default/db", "203.0.113.15", "tcp/443", Allowed),
        ("default/db", "203.0.113.16", "tcp/443", RefusedLeaving),
        ("default/db", "203.0.113.20", "tcp/443", RefusedLeaving),
        ("default/db", "203.0.113.31", "tcp/443", RefusedLeaving),
        ("default/db", "203.0.113.32", "tcp/443", Allowed),
        ("default/db", "203.0.114.1", "tcp/443", RefusedLeaving),
    ]);
}

#[test]
fn what_one_block_excepts_another_may_hold() {
    let whole = json!({"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.16/28"]}});
    let part = json!({"ipBlock": {"cidr": "203.0.113.20/32"}});
    case([out_to(json!([whole, part]))]).expect(&[
        ("default/db", "203.0.113.20", "tcp/443", Allowed),
        ("default/db", "203.0.113.21", "tcp/443", RefusedLeaving),
    ]);
}

#[test]
fn the_widest_block_is_of_one_family() {
    case([out_to(json!([{"ipBlock": {"cidr": "0.0.0.0/0"}}]))]).expect(&[
        ("default/db", "203.0.113.1", "tcp/80", Allowed),
        ("default/db", "project/client", "tcp/80", Allowed),
        ("default/db@6", "2001:db8::1", "tcp/80", RefusedLeaving),
    ]);
}

#[test]
fn blocks_and_pods_of_ipv6() {
    let block = json!({"cidr": "2001:db8::/32", "except": ["2001:db8:1::/48"]});
    let peers = json!([{"ipBlock": block}, {"podSelector": {"matchLabels": {"role": "frontend"}}}]);
    case([out_to(peers)]).expect(&[
        ("default/db@6", "2001:db8::1", "tcp/80", Allowed),
        ("default/db@6", "2001:db8:1::1", "tcp/80", RefusedLeaving),
        ("default/db@6", "default/frontend@6", "tcp/80", Allowed),
        ("default/db@6", "default/plain@6", "tcp/80", RefusedLeaving),
        ("default/db", "203.0.113.1", "tcp/80", RefusedLeaving),
    ]);
}

#[test]
fn a_peer_that_selects_nothing_opens_nothing() {
    let nobody = json!([{"podSelector": {"matchLabels": {"role": "nobody"}}}]);
    case([out_to(nobody)]).expect(&[("default/db", "default/plain", "tcp/80", RefusedLeaving)]);
    case([out_to(json!([{}]))]).expect(&[("default/db", "default/plain", "tcp/80", RefusedLeaving)]);
}

#[test]
fn a_rule_without_peers_is_about_everybody() {
    let spec = json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"ports": [{"port": 443}]}]});
    case([spec]).expect(&[
        ("default/db", "203.0.113.1", "tcp/443", Allowed),
        ("default/db", "project/client", "tcp/443", Allowed),
        ("default/db", "203.0.113.1", "tcp/80", RefusedLeaving),
    ]);
    case([out_to(json!([]))]).expect(&[("default/db", "203.0.113.1", "udp/1", Allowed)]);
}

#[test]
fn pods_in_the_nodes_network_are_neither_isolated_nor_found() {
    let everyone =
        json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"podSelector": {}}]}]});
    let mut case = case([everyone]);
    case.pod("default/frontend").spec.host_network = true;
    case.expect(&[
        ("default/frontend", "203.0.113.1", "tcp/80", Allowed),
        ("default/db", "default/frontend", "tcp/80", RefusedLeaving),
        ("default/db", "default/plain", "tcp/80", Allowed),
    ]);
}

#[test]
fn the_address_of_a_pod_that_has_ended_is_nobodys() {
    let mut case = case([out_to(json!([{"podSelector": {}}]))]);
    case.pod("default/plain").status.phase = "Succeeded".into();
    case.pod("default/frontend").status.phase = "Failed".into();
    case.expect(&[
        ("default/db", "default/plain", "tcp/80", RefusedLeaving),
        ("default/db", "default/frontend", "tcp/80", RefusedLeaving),
    ]);
}

#[test]
fn an_address_that_was_given_again_is_the_younger_pods() {
    let mut case = case([out_to(
        json!([{"podSelector": {"matchLabels": {"role": "frontend"}}}]),
    )]);
    let again = case.pod("default/plain").status.clone();
    case.pod("default/plain").metadata.creation_timestamp = "2026-01-01T00:00:01Z".into();
    case.pod("default/frontend").status = again.clone();
    case.pod("default/frontend").metadata.creation_timestamp = "2026-01-01T00:00:00Z".into();
    case.expect(&[("default/db", "default/plain", "tcp/80", RefusedLeaving)]);
    case.pod("default/frontend").metadata.creation_timestamp = "2026-01-01T00:00:02Z".into();
    case.expect(&[("default/db", "default/plain", "tcp/80", Allowed)]);
}

#[test]
fn what_was_announced_is_newer_than_what_the_pod_says() {
    let mut case = case([out_to(
        json!([{"podSelector": {"matchLabels": {"role": "frontend"}}}]),
    )]);
    for (key, uid, address) in [
        ("default/frontend", "f", "10.1.0.99"),
        ("default/db", "d", "10.1.0.98"),
    ] {
        case.pod(key).metadata.uid = uid.into();
        case.announced.insert(uid.into(), vec![address.parse().unwrap()]);
    }
    case.expect(&[
        ("10.1.0.98", "10.1.0.99", "tcp/80", Allowed),
        ("10.1.0.98", "default/frontend", "tcp/80", RefusedLeaving),
    ]);
    case.pod("default/frontend").status.phase = "Succeeded".into();
    case.expect(&[("10.1.0.98", "10.1.0.99", "tcp/80", RefusedLeaving)]);
}

#[test]
fn labels_of_now_count() {
    let mut case = case([in_from(json!([{"podSelector": clients()}]))]);
    case.expect(&[("default/plain", "default/db", "tcp/80", RefusedArriving)]);
    let labels = &mut case.pod("default/plain").metadata.labels;
    labels.insert("role".into(), "client".into());
    case.expect(&[("default/plain", "default/db", "tcp/80", Allowed)]);
}

#[test]
fn where_blocks_do_not_find_nodes_a_rule_for_everybody_still_does() {
    let block = out_to(json!([{"ipBlock": {"cidr": "0.0.0.0/0"}}]));
    let mut blocked = case([block.clone()]);
    blocked.expect(&[("default/db", "198.51.100.2", "tcp/6443", Allowed)]);
    blocked.outside_blocks = vec!["198.51.100.2".parse().unwrap()];
    blocked.expect(&[
        ("default/db", "198.51.100.2", "tcp/6443", RefusedLeaving),
        ("default/db", "198.51.100.3", "tcp/6443", Allowed),
    ]);
    let mut open = case([block, out_to(json!([]))]);
    open.outside_blocks = vec!["198.51.100.2".parse().unwrap()];
    open.expect(&[("default/db", "198.51.100.2", "tcp/6443", Allowed)]);
}
