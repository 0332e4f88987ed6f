//! The semantics of NetworkPolicy, as cases: policies, a packet, what becomes of it. The policies are those of the
//! documentation (<https://kubernetes.io/docs/concepts/services-networking/network-policies/>) and variations of them.

#![expect(
    clippy::needless_pass_by_value,
    reason = "cases are easier to read with values"
)]

mod directions;
mod documentation;
mod peers;
mod ports;
mod rules_text;

use std::net::IpAddr;

use serde_json::{Value, json};

use super::announce::Announced;
use super::compile::{Objects, compile};
use super::object::{Namespace, NetworkPolicy, Pod, Protocol};
use super::ruleset::{Packet, Ruleset, Verdict};

use Verdict::{Allowed, RefusedArriving, RefusedLeaving};

/// Keys and values.
type Labels = &'static [(&'static str, &'static str)];

/// Pods of all cases: key, labels, IPv4 and IPv6 address.
const PODS: &[(&str, Labels, &str, &str)] = &[
    ("default/db", &[("role", "db")], "10.1.0.1", "fd00::1"),
    ("default/frontend", &[("role", "frontend")], "10.1.0.2", "fd00::2"),
    ("default/plain", &[], "10.1.0.3", "fd00::3"),
    ("project/client", &[("role", "client")], "10.2.0.1", "fd00:2::1"),
    (
        "project/frontend",
        &[("role", "frontend")],
        "10.2.0.2",
        "fd00:2::2",
    ),
    (
        "kube-system/dns",
        &[("k8s-app", "kube-dns")],
        "10.3.0.1",
        "fd00:3::1",
    ),
];

/// Namespaces of all cases, with their labels beside the one that every namespace has.
const NAMESPACES: &[(&str, Labels)] = &[
    ("default", &[]),
    ("project", &[("project", "myproject"), ("tier", "inner")]),
    ("kube-system", &[("tier", "system")]),
];

/// A cluster with policies.
struct Case {
    policies: Vec<NetworkPolicy>,
    pods: Vec<Pod>,
    namespaces: Vec<Namespace>,
    announced: Announced,
    outside_blocks: Vec<IpAddr>,
}

/// The cluster with one policy in `default` for each `spec`.
fn case(specs: impl IntoIterator<Item = Value>) -> Case {
    let policies = specs.into_iter().enumerate().map(|(number, spec)| {
        json!({"metadata": {"name": format!("policy-{number}"), "namespace": "default"}, "spec": spec})
    });
    let namespaces = NAMESPACES.iter().map(|(name, labels)| {
        let mut labels: serde_json::Map<_, _> = strings(labels);
        labels.insert("kubernetes.io/metadata.name".into(), json!(name));
        json!({"metadata": {"name": name, "labels": labels}})
    });
    Case {
        policies: policies.map(read).collect(),
        pods: PODS.iter().map(|pod| read(pod_object(pod))).collect(),
        namespaces: namespaces.map(read).collect(),
        announced: Announced::new(),
        outside_blocks: vec![],
    }
}

fn pod_object((key, labels, four, six): &(&str, Labels, &str, &str)) -> Value {
    let (namespace, name) = key.split_once('/').unwrap();
    let ports = json!([
        {"name": "web", "containerPort": 8080},
        {"name": "dns", "containerPort": 5353, "protocol": "UDP"},
    ]);
    json!({
        "metadata": {"name": name, "namespace": namespace, "labels": strings(labels)},
        "spec": {"containers": [{"name": "main", "ports": ports}]},
        "status": {"phase": "Running", "podIP": four, "podIPs": [{"ip": four}, {"ip": six}]},
    })
}

fn strings(pairs: &[(&str, &str)]) -> serde_json::Map<String, Value> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect()
}

fn read<T: serde::de::DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).unwrap()
}

impl Case {
    fn ruleset(&self) -> Ruleset {
        compile(&Objects {
            policies: self.policies.iter().collect(),
            pods: self.pods.iter().collect(),
            namespaces: self.namespaces.iter().collect(),
            announced: self.announced.clone(),
            outside_blocks: &self.outside_blocks,
        })
    }

    /// Judges a packet between two ends, each a pod's key or an address; `port` is `tcp/80`, or `icmp`.
    fn judge(&self, from: &str, to: &str, port: &str) -> Verdict {
        let packet = Packet {
            source: end(from),
            destination: end(to),
            port: port.split_once('/').map(|(protocol, number)| {
                let protocol = match protocol {
                    "tcp" => Protocol::Tcp,
                    "udp" => Protocol::Udp,
                    _ => Protocol::Sctp,
                };
                (protocol, number.parse().unwrap())
            }),
        };
        self.ruleset().judge(&packet)
    }

    /// Checks a list of packets.
    #[track_caller]
    fn expect(&self, packets: &[(&str, &str, &str, Verdict)]) {
        for (from, to, port, verdict) in packets {
            assert_eq!(self.judge(from, to, port), *verdict, "{from} -> {to} {port}");
        }
    }

    /// The pod of the case with this key, to be changed.
    fn pod(&mut self, key: &str) -> &mut Pod {
        self.pods
            .iter_mut()
            .find(|pod| pod.metadata.key() == key)
            .unwrap()
    }
}

/// An address: that of a pod (`@6` behind the key: the IPv6 one), or a literal one.
fn end(text: &str) -> IpAddr {
    let (key, six) = text.strip_suffix("@6").map_or((text, false), |key| (key, true));
    match PODS.iter().find(|pod| pod.0 == key) {
        Some(pod) => if six { pod.3 } else { pod.2 }.parse().unwrap(),
        None => text.parse().unwrap(),
    }
}
