//! A resolver on the node, as with NodeLocal DNS.

use kubectl_egress_lab::PolicyEngine;
use serde_json::{Value, json};

use crate::place::{Place, TIMED_OUT, UNRESOLVED, dns};
use crate::{OTHER, OUTSIDE};

/// A rule that lets out to the node's resolver.
fn resolver(place: &Place) -> Value {
    let address = place.lab.layout().node_local_dns();
    json!({
        "to": [{"ipBlock": {"cidr": format!("{address}/32")}}],
        "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
    })
}

#[test]
fn a_policy_that_knows_only_kube_dns_breaks_names() {
    let Some(place) = Place::with_node_local_dns(PolicyEngine::AfterDnat) else {
        return;
    };
    let address = place.lab.layout().node_local_dns().to_string();
    let (_, text) = place.exec(&["cat", "/etc/resolv.conf"]);
    let servers: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("nameserver"))
        .collect();
    assert_eq!(servers, [format!("nameserver {address}")]);
    place.expect(&[(OUTSIDE, 0)]);

    let world = json!({"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]});
    place.lock(&json!([dns(), world]));
    let (code, text) = place.curl(&[OUTSIDE]);
    assert!(matches!(code, UNRESOLVED | TIMED_OUT), "{code}: {text}");
    place.lock(&json!([resolver(&place), world]));
    place.expect(&[(OUTSIDE, 0), (OTHER, 0)]);
    // What the node itself asks is no pod's traffic, so the lock need not know kube-dns.
    let (code, text) = place.exec(&["nslookup", "kubernetes.default.svc.cluster.local"]);
    assert_eq!(code, 0, "{text}");
}
