//! The examples of the documentation, word for word, and what its text says about them.

use serde_json::{Value, json};

use super::{Allowed, RefusedArriving, RefusedLeaving, case};

/// "The NetworkPolicy resource".
fn example() -> Value {
    json!({
        "podSelector": {"matchLabels": {"role": "db"}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{
            "from": [
                {"ipBlock": {"cidr": "172.17.0.0/16", "except": ["172.17.1.0/24"]}},
                {"namespaceSelector": {"matchLabels": {"project": "myproject"}}},
                {"podSelector": {"matchLabels": {"role": "frontend"}}},
            ],
            "ports": [{"protocol": "TCP", "port": 6379}],
        }],
        "egress": [{
            "to": [{"ipBlock": {"cidr": "10.0.0.0/24"}}],
            "ports": [{"protocol": "TCP", "port": 5978}],
        }],
    })
}

#[test]
fn the_example_lets_in_three_kinds_of_peers_on_one_port() {
    case([example()]).expect(&[
        ("default/frontend", "default/db", "tcp/6379", Allowed),
        ("project/client", "default/db", "tcp/6379", Allowed),
        ("project/frontend", "default/db", "tcp/6379", Allowed),
        ("172.17.0.9", "default/db", "tcp/6379", Allowed),
        ("172.17.2.9", "default/db", "tcp/6379", Allowed),
        ("172.17.1.9", "default/db", "tcp/6379", RefusedArriving),
        ("172.18.0.9", "default/db", "tcp/6379", RefusedArriving),
        ("default/plain", "default/db", "tcp/6379", RefusedArriving),
        ("kube-system/dns", "default/db", "tcp/6379", RefusedArriving),
        ("default/frontend", "default/db", "tcp/6380", RefusedArriving),
        ("default/frontend", "default/db", "udp/6379", RefusedArriving),
    ]);
}

#[test]
fn the_example_lets_out_to_one_range_on_one_port() {
    case([example()]).expect(&[
        ("default/db", "10.0.0.7", "tcp/5978", Allowed),
        ("default/db", "10.0.1.7", "tcp/5978", RefusedLeaving),
        ("default/db", "10.0.0.7", "tcp/5979", RefusedLeaving),
        ("default/db", "default/frontend", "tcp/5978", RefusedLeaving),
    ]);
}

#[test]
fn the_example_leaves_other_pods_alone() {
    case([example()]).expect(&[
        ("default/plain", "default/frontend", "tcp/1", Allowed),
        ("203.0.113.1", "default/plain", "tcp/80", Allowed),
        ("default/plain", "203.0.113.1", "icmp", Allowed),
    ]);
}

#[test]
fn default_deny_all_ingress() {
    case([json!({"podSelector": {}, "policyTypes": ["Ingress"]})]).expect(&[
        ("default/frontend", "default/db", "tcp/80", RefusedArriving),
        ("project/client", "default/plain", "tcp/80", RefusedArriving),
        ("default/db", "203.0.113.1", "tcp/80", Allowed),
        ("default/db", "project/client", "tcp/80", Allowed),
    ]);
}

#[test]
fn allow_all_ingress() {
    let deny = json!({"podSelector": {}, "policyTypes": ["Ingress"]});
    let allow = json!({"podSelector": {}, "ingress": [{}], "policyTypes": ["Ingress"]});
    case([deny, allow]).expect(&[
        ("203.0.113.1", "default/db", "tcp/80", Allowed),
        ("project/client", "default/plain", "icmp", Allowed),
    ]);
}

#[test]
fn default_deny_all_egress() {
    case([json!({"podSelector": {}, "policyTypes": ["Egress"]})]).expect(&[
        ("default/db", "203.0.113.1", "tcp/80", RefusedLeaving),
        ("default/db", "default/frontend", "udp/53", RefusedLeaving),
        ("203.0.113.1", "default/db", "tcp/80", Allowed),
    ]);
}

#[test]
fn allow_all_egress() {
    let deny = json!({"podSelector": {}, "policyTypes": ["Egress"]});
    let allow = json!({"podSelector": {}, "egress": [{}], "policyTypes": ["Egress"]});
    case([deny, allow]).expect(&[
        ("default/db", "203.0.113.1", "tcp/80", Allowed),
        ("default/db", "2001:db8::1", "udp/80", Allowed),
    ]);
}

#[test]
fn default_deny_all_traffic() {
    case([json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})]).expect(&[
        ("default/db", "203.0.113.1", "tcp/80", RefusedLeaving),
        ("203.0.113.1", "default/db", "tcp/80", RefusedArriving),
        ("default/db", "default/frontend", "tcp/80", RefusedLeaving),
        ("project/client", "203.0.113.1", "tcp/80", Allowed),
    ]);
}

/// "Targeting a range of ports".
#[test]
fn a_range_of_ports() {
    let spec = json!({
        "podSelector": {"matchLabels": {"role": "db"}},
        "policyTypes": ["Egress"],
        "egress": [{
            "to": [{"ipBlock": {"cidr": "10.0.0.0/24"}}],
            "ports": [{"protocol": "TCP", "port": 32000, "endPort": 32768}],
        }],
    });
    case([spec]).expect(&[
        ("default/db", "10.0.0.7", "tcp/31999", RefusedLeaving),
        ("default/db", "10.0.0.7", "tcp/32000", Allowed),
        ("default/db", "10.0.0.7", "tcp/32500", Allowed),
        ("default/db", "10.0.0.7", "tcp/32768", Allowed),
        ("default/db", "10.0.0.7", "tcp/32769", RefusedLeaving),
        ("default/db", "10.0.0.7", "udp/32500", RefusedLeaving),
    ]);
}

/// "Targeting multiple namespaces by label".
#[test]
fn several_namespaces_by_label() {
    let values = ["inner", "outer"];
    let spec = json!({
        "podSelector": {"matchLabels": {"role": "db"}},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"namespaceSelector": {
            "matchExpressions": [{"key": "tier", "operator": "In", "values": values}],
        }}]}],
    });
    case([spec]).expect(&[
        ("default/db", "project/client", "tcp/80", Allowed),
        ("default/db", "kube-system/dns", "tcp/80", RefusedLeaving),
        ("default/db", "default/plain", "tcp/80", RefusedLeaving),
    ]);
}

/// "Targeting a Namespace by its name".
#[test]
fn a_namespace_by_its_name() {
    let name = json!({"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}});
    let spec = json!({
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"namespaceSelector": name}], "ports": [{"protocol": "UDP", "port": 53}]}],
    });
    case([spec]).expect(&[
        ("default/db", "kube-system/dns", "udp/53", Allowed),
        ("default/db", "kube-system/dns", "tcp/53", RefusedLeaving),
        ("default/db", "project/client", "udp/53", RefusedLeaving),
    ]);
}
