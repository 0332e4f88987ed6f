//! Cases from the API reference of NetworkPolicy and from "Network Policies" of Kubernetes' documentation.

use super::*;
use std::net::IpAddr;

/// Title, policies, connection `FROM -> TO PORT[/PROTOCOL]`, and what egress and ingress say: `open` (not isolated),
/// `yes`, `no`; `-` where that end is no pod.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

const DENY_INGRESS: &str = "{podSelector: {}, policyTypes: [Ingress]}";
const DENY_EGRESS: &str = "{podSelector: {}, policyTypes: [Egress]}";
const ALLOW_INGRESS: &str = "{podSelector: {}, ingress: [{}], policyTypes: [Ingress]}";
const ALLOW_EGRESS: &str = "{podSelector: {}, egress: [{}], policyTypes: [Egress]}";

/// The documentation's first example.
const EXAMPLE: &str = "
podSelector: {matchLabels: {role: db}}
policyTypes: [Ingress, Egress]
ingress:
- from:
  - ipBlock: {cidr: 172.17.0.0/16, except: [172.17.1.0/24]}
  - namespaceSelector: {matchLabels: {project: myproject}}
  - podSelector: {matchLabels: {role: frontend}}
  ports: [{protocol: TCP, port: 6379}]
egress:
- to: [{ipBlock: {cidr: 10.0.0.0/24}}]
  ports: [{protocol: TCP, port: 5978}]
";

const BOTH_SELECTORS: &str = "
podSelector: {}
ingress: [{from: [{namespaceSelector: {matchLabels: {project: myproject}}, podSelector: {matchLabels: {role: client}}}]}]
";
const EITHER_SELECTOR: &str = "
podSelector: {}
ingress: [{from: [{namespaceSelector: {matchLabels: {project: myproject}}}, {podSelector: {matchLabels: {role: client}}}]}]
";
/// The documentation's example of `endPort`.
const RANGE: &str = "
podSelector: {matchLabels: {role: db}}
policyTypes: [Egress]
egress: [{to: [{ipBlock: {cidr: 10.0.0.0/24}}], ports: [{protocol: TCP, port: 32000, endPort: 32768}]}]
";
const NAMED: &str = "{podSelector: {}, ingress: [{ports: [{port: redis}]}]}";
const NAMED_OUT: &str = "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: redis}]}]}";
const EXPRESSIONS: &str = "
podSelector: {matchExpressions: [{key: role, operator: In, values: [db, cache]}]}
ingress:
- from:
  - namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [other]}]}
    podSelector: {matchExpressions: [{key: role, operator: Exists}, {key: user, operator: DoesNotExist}]}
";
const OUTSIDE_ONLY: &str = "
podSelector: {}
policyTypes: [Egress]
egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 169.254.169.254/32]}}]}]
";
const SIX: &str = "
podSelector: {}
policyTypes: [Egress]
egress: [{to: [{ipBlock: {cidr: '2001:db8:1::/48', except: ['2001:db8:1:5::/64']}}]}]
";

#[rustfmt::skip]
const CASES: &[Case] = &[
    // Isolation, and the default policies of the documentation.
    ("no policy: nothing is isolated", "", "web -> db 6379", "open", "open"),
    ("default deny ingress isolates every pod of the namespace", DENY_INGRESS, "web -> db 6379", "open", "no"),
    ("but not those of other namespaces", DENY_INGRESS, "web -> project 80", "open", "open"),
    ("default allow ingress", ALLOW_INGRESS, "stranger -> db 1", "open", "yes"),
    ("default allow ingress allows the outside too", ALLOW_INGRESS, "203.0.113.5 -> db 1/UDP", "-", "yes"),
    ("default deny egress", DENY_EGRESS, "web -> db 6379", "no", "open"),
    ("default deny egress, to the outside", DENY_EGRESS, "web -> 203.0.113.5 443", "no", "-"),
    ("default allow egress", ALLOW_EGRESS, "web -> 203.0.113.5 443/SCTP", "yes", "-"),
    ("both directions must allow it", "{podSelector: {}, policyTypes: [Ingress, Egress], egress: [{}]}", "web -> db 80", "yes", "no"),
    ("a reply needs no rule: the server may be isolated for egress", "{podSelector: {matchLabels: {role: db}}, policyTypes: [Egress]}", "web -> db 80", "open", "open"),
    // podSelector of the policy.
    ("a policy isolates only what it selects", "{podSelector: {matchLabels: {role: db}}, policyTypes: [Ingress]}", "db -> web 80", "open", "open"),
    ("no podSelector selects everything", "{policyTypes: [Ingress]}", "web -> batch 80", "open", "no"),
    // policyTypes.
    ("no policyTypes: Ingress always", "{podSelector: {}}", "web -> db 80", "open", "no"),
    ("no policyTypes, no egress rules: not Egress", "{podSelector: {}}", "web -> 203.0.113.5 80", "open", "-"),
    ("no policyTypes, an empty list of egress rules: not Egress (the API server's default)", "{podSelector: {}, egress: []}", "web -> 203.0.113.5 80", "open", "-"),
    ("no policyTypes, egress rules: Egress as well", "{podSelector: {}, egress: [{ports: [{port: 53}]}]}", "web -> 203.0.113.5 80", "no", "-"),
    ("and Ingress still", "{podSelector: {}, egress: [{}]}", "203.0.113.5 -> web 80", "-", "no"),
    ("egress rules without the type Egress say nothing", "{podSelector: {}, policyTypes: [Ingress], egress: [{ports: [{port: 53}]}]}", "web -> 203.0.113.5 80", "open", "-"),
    // The documentation's example.
    ("example: a block", EXAMPLE, "172.17.0.5 -> db 6379", "-", "yes"),
    ("example: its exception", EXAMPLE, "172.17.1.5 -> db 6379", "-", "no"),
    ("example: pods of the namespace with a label", EXAMPLE, "project -> db 6379", "open", "yes"),
    ("example: pods of the own namespace with a label", EXAMPLE, "web -> db 6379", "open", "yes"),
    ("example: other pods of the own namespace", EXAMPLE, "batch -> db 6379", "open", "no"),
    ("example: pods of another namespace", EXAMPLE, "stranger -> db 6379", "open", "no"),
    ("example: another port", EXAMPLE, "web -> db 6380", "open", "no"),
    ("example: another protocol", EXAMPLE, "web -> db 6379/UDP", "open", "no"),
    ("example: egress to a block, which pods may be in", EXAMPLE, "db -> web 5978", "yes", "open"),
    ("example: egress elsewhere", EXAMPLE, "db -> 10.0.1.1 5978", "no", "-"),
    ("example: what is not selected is not isolated", EXAMPLE, "project-db -> web 1", "open", "open"),
    // Peers.
    ("one entry with both selectors: both must hold", BOTH_SELECTORS, "project -> db 1", "open", "yes"),
    ("both: the label is missing", BOTH_SELECTORS, "project-db -> db 1", "open", "no"),
    ("both: the namespace is another", BOTH_SELECTORS, "stranger -> db 1", "open", "no"),
    ("two entries: either", EITHER_SELECTOR, "project-db -> db 1", "open", "yes"),
    ("two entries: a podSelector alone means the own namespace", EITHER_SELECTOR, "stranger -> db 1", "open", "no"),
    ("an empty namespaceSelector: all namespaces", "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}", "stranger -> db 1", "open", "yes"),
    ("but no address outside", "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}", "203.0.113.5 -> db 1", "-", "no"),
    ("an empty podSelector: all pods of the own namespace", "{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}", "batch -> db 1", "open", "yes"),
    ("and no others", "{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}", "stranger -> db 1", "open", "no"),
    ("a namespace by its name", "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: other}}}]}]}", "stranger -> db 1", "open", "yes"),
    ("an empty list of peers is everybody", "{podSelector: {}, ingress: [{from: []}]}", "203.0.113.5 -> db 1", "-", "yes"),
    ("an entry that names nothing is nobody", "{podSelector: {}, ingress: [{from: [{}]}]}", "web -> db 1", "open", "no"),
    ("a policy's own namespace is meant, not the pod's", "in myproject {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {role: frontend}}}]}]}", "web -> project 1", "open", "no"),
    // matchExpressions.
    ("expressions: all hold", EXPRESSIONS, "web -> db 1", "open", "yes"),
    ("expressions: DoesNotExist", EXPRESSIONS, "project -> db 1", "open", "no"),
    ("expressions: NotIn on the namespace", EXPRESSIONS, "stranger -> db 1", "open", "no"),
    ("expressions: Exists", EXPRESSIONS, "batch -> db 1", "open", "no"),
    ("expressions: In does not select the pod", EXPRESSIONS, "stranger -> web 1", "open", "open"),
    // ipBlock.
    ("a block for the outside", OUTSIDE_ONLY, "web -> 203.0.113.5 443", "yes", "-"),
    ("its exceptions", OUTSIDE_ONLY, "web -> 169.254.169.254 80", "no", "-"),
    ("pods inside an exception", OUTSIDE_ONLY, "web -> db 443", "no", "open"),
    ("0.0.0.0/0 holds no IPv6 address", OUTSIDE_ONLY, "web -> 2001:db8:1::5 443", "no", "-"),
    ("a single address", "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 203.0.113.5/32}}]}]}", "web -> 203.0.113.5 1", "yes", "-"),
    ("and not its neighbour", "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 203.0.113.5/32}}]}]}", "web -> 203.0.113.4 1", "no", "-"),
    ("bits behind the prefix do not count", "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 203.0.113.77/24}}]}]}", "web -> 203.0.113.5 1", "yes", "-"),
    ("what is no block holds nothing", "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 203.0.113.0/33}}]}]}", "web -> 203.0.113.5 1", "no", "-"),
    // IPv6.
    ("IPv6 block", SIX, "web -> 2001:db8:1::5 443", "yes", "-"),
    ("IPv6 exception", SIX, "web -> 2001:db8:1:5::5 443", "no", "-"),
    ("::/0 holds no IPv4 address", "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: '::/0'}}]}]}", "web -> 203.0.113.5 1", "no", "-"),
    ("::/0 holds every IPv6 address", "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: '::/0'}}]}]}", "web -> six 1", "yes", "open"),
    // Ports.
    ("a range: its first port", RANGE, "db -> web 32000", "yes", "open"),
    ("a range: its last port", RANGE, "db -> web 32768", "yes", "open"),
    ("a range: one too low", RANGE, "db -> web 31999", "no", "open"),
    ("a range: one too high", RANGE, "db -> web 32769", "no", "open"),
    ("no protocol means TCP", "{podSelector: {}, ingress: [{ports: [{port: 53}]}]}", "web -> db 53", "open", "yes"),
    ("and not UDP", "{podSelector: {}, ingress: [{ports: [{port: 53}]}]}", "web -> db 53/UDP", "open", "no"),
    ("no port means every port of the protocol", "{podSelector: {}, ingress: [{ports: [{protocol: UDP}]}]}", "web -> db 9/UDP", "open", "yes"),
    ("of that protocol alone", "{podSelector: {}, ingress: [{ports: [{protocol: UDP}]}]}", "web -> db 9", "open", "no"),
    ("an empty list of ports is every port", "{podSelector: {}, ingress: [{ports: []}]}", "web -> db 9/SCTP", "open", "yes"),
    ("a named port of the pod", NAMED, "web -> db 6379", "open", "yes"),
    ("another number", NAMED, "web -> db 6378", "open", "no"),
    ("a name is one of a protocol", "{podSelector: {}, ingress: [{ports: [{port: metrics, protocol: UDP}]}]}", "web -> db 9101/UDP", "open", "yes"),
    ("and not of the other", "{podSelector: {}, ingress: [{ports: [{port: metrics, protocol: UDP}]}]}", "web -> db 9100/UDP", "open", "no"),
    ("the name of a sidecar's port", "{podSelector: {}, ingress: [{ports: [{port: envoy}]}]}", "web -> db 15090", "open", "yes"),
    ("but not of a container that ends before the pod runs", "{podSelector: {}, ingress: [{ports: [{port: early}]}]}", "web -> db 1", "open", "no"),
    ("egress by name is looked up at the destination", NAMED_OUT, "batch -> db 6379", "yes", "open"),
    ("outside there are no names", NAMED_OUT, "batch -> 203.0.113.5 6379", "no", "-"),
    // Policies add up.
    ("policies add up", "{podSelector: {}, policyTypes: [Egress]} --- {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{ports: [{port: 443}]}]}", "web -> 203.0.113.5 443", "yes", "-"),
    ("for those that the second selects", "{podSelector: {}, policyTypes: [Egress]} --- {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{ports: [{port: 443}]}]}", "batch -> 203.0.113.5 443", "no", "-"),
    ("a peer of one rule does not get the port of another", "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 1}]}, {ports: [{port: 2}]}]}", "batch -> db 1", "open", "no"),
    ("one rule of two suffices", "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {role: nobody}}}]}, {from: [{podSelector: {matchLabels: {app: web}}}]}]}", "web -> db 1", "open", "yes"),
    ("a policy for ingress does not open egress", "{podSelector: {}, policyTypes: [Egress]} --- {podSelector: {}, ingress: [{}]}", "web -> db 1", "no", "yes"),
    // What the documentation leaves to the engine or says beside the reference.
    ("a pod reaches itself", "{podSelector: {}, policyTypes: [Ingress, Egress]}", "db -> db 6379", "yes", "yes"),
    ("a pod on the host's network is not isolated", "{podSelector: {}, policyTypes: [Ingress, Egress]}", "node -> node 1", "open", "open"),
    ("and no selector means it", EXAMPLE, "node -> db 6379", "open", "no"),
    ("but its address is in a block", "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.168.0.0/16}}]}]}", "node -> db 6379", "open", "yes"),
];

/// An end of a connection: its pod, if it is one, and its address.
fn end(text: &str) -> (Option<Object>, IpAddr) {
    if let Ok(address) = text.parse() {
        return (None, address);
    }
    let pod = pod(text);
    let address = pod.text("/status/podIP").parse().unwrap();
    (Some(pod), address)
}

fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::NotIsolated => "open",
        Decision::Allowed { .. } => "yes",
        Decision::Refused { .. } => "no",
    }
}

#[test]
fn the_documentation_says() {
    let mut wrong = Vec::new();
    for (title, text, connection, egress, ingress) in CASES {
        let policies = read(text);
        let (from, to) = connection.split_once(" -> ").unwrap();
        let (to, port) = to.split_once(' ').unwrap();
        let (port, protocol) = port.split_once('/').unwrap_or((port, "TCP"));
        let port: u16 = port.parse().unwrap();
        let protocol = Protocol::of_field(&json!(protocol)).unwrap();
        let ((source, source_address), (destination, address)) = (end(from), end(to));
        let endpoint = |address, port, pod| Endpoint {
            address,
            port,
            protocol,
            pod,
        };
        let found_egress = source.as_ref().map_or("-", |pod| {
            word(&policies.egress(pod, &endpoint(address, port, destination.as_ref())))
        });
        let found_ingress = destination.as_ref().map_or("-", |pod| {
            let from = endpoint(source_address, 40_000, source.as_ref());
            word(&policies.ingress(pod, &from, port, protocol))
        });
        if (found_egress, found_ingress) != (egress, ingress) {
            wrong.push(format!("{title}: {connection}: {found_egress} {found_ingress}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(CASES.len() >= 40);
}

#[test]
fn decisions_name_the_policies() {
    let policies = read(
        "{podSelector: {}, policyTypes: [Egress]} --- {podSelector: {}, egress: [{ports: [{port: 443}]}]}",
    );
    let names = |references: &[ObjectReference]| -> Vec<String> {
        references.iter().map(ToString::to_string).collect()
    };
    let to = |port| Endpoint {
        address: "203.0.113.5".parse().unwrap(),
        port,
        protocol: Protocol::Tcp,
        pod: None,
    };
    let Decision::Allowed { by } = policies.egress(&pod("web"), &to(443)) else {
        panic!()
    };
    assert_eq!(names(&by), ["NetworkPolicy default/p1"]);
    let Decision::Refused { isolated_by } = policies.egress(&pod("web"), &to(80)) else {
        panic!()
    };
    let both = ["NetworkPolicy default/p0", "NetworkPolicy default/p1"];
    assert_eq!(names(&isolated_by), both);
    assert_eq!(names(&policies.egress_policies_of(&pod("web"))), both);
    assert!(policies.egress_policies_of(&pod("project")).is_empty());
}

#[test]
fn other_kinds_are_skipped_and_foreign_ones_known() {
    let calico = Object(json!({
        "apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy",
        "metadata": {"namespace": "default", "name": "x"}, "spec": {"types": ["Egress"]},
    }));
    let policies = NetworkPolicies::new(std::slice::from_ref(&calico), &[]);
    assert!(policies.egress_policies_of(&pod("web")).is_empty());
    assert!(is_foreign(&calico));
    assert!(!is_foreign(&super::policies(DENY_EGRESS)[0]));
    assert!(
        foreign_kinds()
            .iter()
            .any(|kind| kind.plural == "ciliumnetworkpolicies")
    );
}

#[test]
fn an_address_that_is_not_known_may_leave_it_open() {
    let ask = |text: &str| read(text).egress_to_unknown_address(&pod("web"), 443, Protocol::Tcp);
    assert_eq!(ask("").unwrap(), Decision::NotIsolated);
    assert!(!ask(DENY_EGRESS).unwrap().lets_through());
    assert!(ask(ALLOW_EGRESS).unwrap().lets_through());
    assert_eq!(ask(OUTSIDE_ONLY).unwrap_err().len(), 1, "an address decides");
    let other_port = "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 80}]}]}";
    assert!(!ask(other_port).unwrap().lets_through());
    assert!(
        ask(&format!("{OUTSIDE_ONLY} --- {ALLOW_EGRESS}"))
            .unwrap()
            .lets_through()
    );
}
