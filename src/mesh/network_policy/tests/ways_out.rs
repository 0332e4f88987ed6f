//! Which rules of other policies lead around a lock.

use super::*;
use crate::istio::kinds;

fn proxies() -> Vec<Object> {
    let pod = |name: &str, address: &str| {
        Object(json!({
            "metadata": {"namespace": "istio-system", "name": name, "labels": {"app": name}},
            "spec": {"containers": [{"ports": [{"name": "tls", "containerPort": 8443}, {"name": "admin", "containerPort": 15000}]}]},
            "status": {"podIP": address, "podIPs": [{"ip": address}, {"ip": "2001:db8::19"}]},
        }))
    };
    vec![pod("egress", "10.9.0.19"), pod("ingress", "10.9.0.20")]
}

/// The ways out of `web`, as `POLICY RULE DESTINATION`.
fn found(text: &str) -> Vec<String> {
    let address = |text: &str| text.parse().unwrap();
    let allowed = [(address("10.9.0.19"), 8443), (address("10.96.0.10"), 53)];
    let proxies = proxies();
    let inside = Inside {
        allowed: &allowed,
        proxies: &proxies,
    };
    let lock = ObjectReference::namespaced(kinds::network_policy(), "default", "p0");
    let all = format!("{{podSelector: {{}}, policyTypes: [Egress], egress: [{{}}]}} --- {text}");
    read(&all)
        .ways_out(&pod("web"), &[lock], &inside)
        .iter()
        .map(|way| format!("{} {} {}", way.policy.name, way.rule, way.destination))
        .collect()
}

fn rule(rule: &str) -> String {
    format!("{{podSelector: {{}}, policyTypes: [Egress], egress: [{rule}]}}")
}

#[rstest::rstest]
#[case::everything("{}", "p1 0 any address, any port")]
#[case::every_address_of_a_port("{ports: [{port: 443}]}", "p1 0 any address port 443")]
#[case::dns_to_everywhere(
    "{ports: [{port: 53, protocol: UDP}, {port: 53}]}",
    "p1 0 any address ports 53/UDP, 53"
)]
#[case::a_protocol("{ports: [{protocol: UDP}]}", "p1 0 any address, any UDP port")]
#[case::a_block(
    "{to: [{ipBlock: {cidr: 203.0.113.0/24}}], ports: [{port: 443}]}",
    "p1 0 203.0.113.0/24 port 443"
)]
#[case::exceptions(
    "{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 192.168.0.0/16]}}]}",
    "p1 0 0.0.0.0/0 except 10.0.0.0/8, 192.168.0.0/16, any port"
)]
#[case::a_range(
    "{to: [{ipBlock: {cidr: 203.0.113.7/32}}], ports: [{port: 8000, endPort: 8999}]}",
    "p1 0 203.0.113.7/32 port 8000-8999"
)]
#[case::ipv6("{to: [{ipBlock: {cidr: '::/0'}}]}", "p1 0 ::/0, any port")]
#[case::the_locks_address_at_all_ports(
    "{to: [{ipBlock: {cidr: 10.96.0.10/32}}]}",
    "p1 0 10.96.0.10/32, any port"
)]
#[case::the_locks_address_at_another_port(
    "{to: [{ipBlock: {cidr: 10.96.0.10/32}}], ports: [{port: 53}, {port: 54}]}",
    "p1 0 10.96.0.10/32 port 54"
)]
#[case::another_gateway(
    "{to: [{namespaceSelector: {}, podSelector: {matchLabels: {app: ingress}}}], ports: [{port: 8443}]}",
    "p1 0 pod istio-system/ingress port 8443"
)]
#[case::a_name_at_another_gateway(
    "{to: [{namespaceSelector: {}, podSelector: {matchLabels: {app: ingress}}}], ports: [{port: tls}]}",
    "p1 0 pod istio-system/ingress port tls"
)]
#[case::the_gateways_admin_port(
    "{to: [{namespaceSelector: {}, podSelector: {matchLabels: {app: egress}}}], ports: [{port: 8443}, {port: admin}]}",
    "p1 0 pod istio-system/egress port admin"
)]
#[case::all_ports_of_the_gateway(
    "{to: [{namespaceSelector: {}, podSelector: {matchLabels: {app: egress}}}]}",
    "p1 0 pod istio-system/egress, any port"
)]
fn ways(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(found(&rule(text)), [expected]);
}

#[rstest::rstest]
#[case::nothing("")]
#[case::what_the_lock_allows(
    "{to: [{ipBlock: {cidr: 10.96.0.10/32}}], ports: [{port: 53, protocol: UDP}, {port: 53}]}"
)]
#[case::pods_of_the_own_namespace("{to: [{podSelector: {}}]}")]
#[case::pods_that_carry_nothing_out("{to: [{namespaceSelector: {matchLabels: {project: myproject}}}]}")]
#[case::the_gateway_as_the_lock_has_it(
    "{to: [{namespaceSelector: {}, podSelector: {matchLabels: {app: egress}}}], ports: [{port: 8443}, {port: tls}]}"
)]
#[case::loopback("{to: [{ipBlock: {cidr: 127.0.0.0/8}}]}")]
#[case::a_block_without_rest("{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}")]
#[case::a_name_outside("{to: [{ipBlock: {cidr: 203.0.113.0/24}}], ports: [{port: tls}]}")]
fn no_ways(#[case] text: &str) {
    assert_eq!(found(&rule(text)), Vec::<String>::new());
}

#[test]
fn only_policies_of_the_pod_and_of_egress_count() {
    assert_eq!(
        found("{podSelector: {matchLabels: {role: db}}, policyTypes: [Egress], egress: [{}]}"),
        Vec::<String>::new()
    );
    assert_eq!(
        found("{podSelector: {}, policyTypes: [Ingress], ingress: [{}], egress: [{}]}"),
        Vec::<String>::new()
    );
    let several = "{podSelector: {}, egress: [{to: [{podSelector: {}}]}, {ports: [{port: 1}]}]} --- {podSelector: {}, policyTypes: [Egress], egress: [{}]}";
    assert_eq!(
        found(several),
        ["p1 1 any address port 1", "p2 0 any address, any port"]
    );
}

#[test]
fn a_selector_of_every_pod_of_every_namespace_names_each_proxy() {
    assert_eq!(
        found(&rule(
            "{to: [{namespaceSelector: {}}], ports: [{port: 443}, {port: 8443}]}"
        )),
        [
            "p1 0 pod istio-system/egress port 443",
            "p1 0 pod istio-system/ingress ports 443, 8443"
        ]
    );
}
