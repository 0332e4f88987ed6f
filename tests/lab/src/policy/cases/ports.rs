//! Which ports a rule is about.

use serde_json::{Value, json};

use super::{Allowed, RefusedArriving, RefusedLeaving, case, read};

/// A policy for `default/db` that lets out on these ports alone, to the peers.
fn out_on(peers: Value, ports: Value) -> Value {
    json!({
        "podSelector": {"matchLabels": {"role": "db"}},
        "policyTypes": ["Egress"],
        "egress": [{"to": peers, "ports": ports}],
    })
}

/// A policy for `default/db` that lets in on these ports alone.
fn in_on(ports: Value) -> Value {
    json!({"podSelector": {"matchLabels": {"role": "db"}}, "ingress": [{"ports": ports}]})
}

#[test]
fn the_protocol_is_tcp_where_none_is_named() {
    case([in_on(json!([{"port": 53}]))]).expect(&[
        ("default/plain", "default/db", "tcp/53", Allowed),
        ("default/plain", "default/db", "udp/53", RefusedArriving),
        ("default/plain", "default/db", "sctp/53", RefusedArriving),
    ]);
}

#[test]
fn a_protocol_without_port_is_all_of_its_ports() {
    case([in_on(json!([{"protocol": "UDP"}]))]).expect(&[
        ("default/plain", "default/db", "udp/0", Allowed),
        ("default/plain", "default/db", "udp/65535", Allowed),
        ("default/plain", "default/db", "tcp/53", RefusedArriving),
        ("default/plain", "default/db", "icmp", RefusedArriving),
    ]);
}

#[test]
fn sctp_is_a_protocol_too() {
    case([in_on(json!([{"protocol": "SCTP", "port": 7}]))]).expect(&[
        ("default/plain", "default/db", "sctp/7", Allowed),
        ("default/plain", "default/db", "sctp/8", RefusedArriving),
        ("default/plain", "default/db", "tcp/7", RefusedArriving),
    ]);
}

#[test]
fn several_ports_are_either_or() {
    let dns = json!([{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]);
    case([out_on(json!([]), dns)]).expect(&[
        ("default/db", "kube-system/dns", "udp/53", Allowed),
        ("default/db", "kube-system/dns", "tcp/53", Allowed),
        ("default/db", "kube-system/dns", "tcp/54", RefusedLeaving),
    ]);
}

#[test]
fn without_ports_protocols_without_ports_pass_too() {
    case([in_on(json!([]))]).expect(&[
        ("default/plain", "default/db", "icmp", Allowed),
        ("default/plain", "default/db", "udp/9", Allowed),
    ]);
    case([in_on(json!([{"port": 80}]))]).expect(&[("default/plain", "default/db", "icmp", RefusedArriving)]);
}

#[test]
fn a_named_port_of_ingress_is_the_isolated_pods_own() {
    case([in_on(json!([{"port": "web"}]))]).expect(&[
        ("default/plain", "default/db", "tcp/8080", Allowed),
        ("default/plain", "default/db", "tcp/80", RefusedArriving),
    ]);
}

#[test]
fn a_named_port_of_egress_is_the_destinations() {
    let mut case = case([out_on(
        json!([{"namespaceSelector": {}}]),
        json!([{"port": "web"}]),
    )]);
    let ports = &mut case.pod("project/client").spec.containers[0].ports;
    ports[0].number = 9090;
    case.expect(&[
        ("default/db", "project/client", "tcp/9090", Allowed),
        ("default/db", "project/client", "tcp/8080", RefusedLeaving),
        ("default/db", "default/plain", "tcp/8080", Allowed),
        ("default/db", "default/plain", "tcp/9090", RefusedLeaving),
        ("default/db", "203.0.113.1", "tcp/8080", RefusedLeaving),
    ]);
}

#[test]
fn a_name_belongs_to_a_protocol() {
    case([in_on(json!([{"port": "dns", "protocol": "UDP"}]))]).expect(&[
        ("default/plain", "default/db", "udp/5353", Allowed),
        ("default/plain", "default/db", "tcp/5353", RefusedArriving),
    ]);
    case([in_on(json!([{"port": "dns"}]))]).expect(&[
        ("default/plain", "default/db", "udp/5353", RefusedArriving),
        ("default/plain", "default/db", "tcp/5353", RefusedArriving),
    ]);
}

#[test]
fn a_name_that_nobody_has_opens_nothing() {
    case([in_on(json!([{"port": "metrics"}]))]).expect(&[(
        "default/plain",
        "default/db",
        "tcp/8080",
        RefusedArriving,
    )]);
    case([out_on(json!([]), json!([{"port": "metrics"}]))]).expect(&[(
        "default/db",
        "default/plain",
        "tcp/8080",
        RefusedLeaving,
    )]);
}

#[test]
fn a_sidecar_names_ports_and_an_ordinary_init_container_does_not() {
    let mut case = case([in_on(json!([{"port": "admin"}, {"port": "once"}]))]);
    case.pod("default/db").spec.init_containers = read(json!([
        {"restartPolicy": "Always", "ports": [{"name": "admin", "containerPort": 15000}]},
        {"ports": [{"name": "once", "containerPort": 15001}]},
    ]));
    case.expect(&[
        ("default/plain", "default/db", "tcp/15000", Allowed),
        ("default/plain", "default/db", "tcp/15001", RefusedArriving),
    ]);
}

#[test]
fn a_named_port_within_a_block_is_that_of_the_pods_in_it() {
    let block = json!([{"ipBlock": {"cidr": "10.2.0.0/24"}}]);
    case([out_on(block, json!([{"port": "web"}]))]).expect(&[
        ("default/db", "project/client", "tcp/8080", Allowed),
        ("default/db", "default/plain", "tcp/8080", RefusedLeaving),
        ("default/db", "10.2.0.99", "tcp/8080", RefusedLeaving),
    ]);
}

#[test]
fn a_range_of_one_port() {
    case([in_on(json!([{"port": 80, "endPort": 80}]))]).expect(&[
        ("default/plain", "default/db", "tcp/80", Allowed),
        ("default/plain", "default/db", "tcp/81", RefusedArriving),
        ("default/plain", "default/db", "tcp/79", RefusedArriving),
    ]);
}
