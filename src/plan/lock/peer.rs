//! What a lock lets through, one line each, with the reason.

use crate::vocabulary::Protocol;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// One thing that locked pods may reach.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// What it is for.
    pub why: Why,
    /// What it was derived from, for example `Service kube-system/kube-dns`.
    pub of: String,
    /// Who may be reached.
    pub target: Target,
    /// At which ports, in order; empty: at all.
    pub ports: Vec<(Protocol, u16)>,
}

/// What a peer is for; in the order in which peers stand in a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Why {
    /// A nameserver of the pods' resolv.conf that is no Service of the cluster.
    DnsResolver,
    /// The addresses of the Service of the cluster's DNS.
    DnsService,
    /// What stands behind it.
    DnsPods,
    /// The cache that listens on each node.
    NodeLocalDns,
    /// istiod, from which sidecars get configuration and certificates.
    Istiod,
    /// The addresses of its Service.
    IstiodService,
    /// The egress gateway.
    GatewayPods,
    /// The addresses of its Service.
    GatewayService,
    /// The API server.
    ApiServer,
    /// The other pods of the cluster.
    InCluster,
}

/// Who may be reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// Pods of one namespace with all of these labels.
    Pods {
        /// The namespace.
        namespace: String,
        /// The labels; none: all pods of the namespace.
        labels: BTreeMap<String, String>,
    },
    /// These addresses.
    Addresses(BTreeSet<IpAddr>),
    /// All pods, except those of these namespaces.
    PodsOutsideNamespaces(BTreeSet<String>),
}

impl Peer {
    /// One line for the user: what is let through, and why.
    pub fn explain(&self) -> String {
        format!("{}{}: {}", self.target, ports(&self.ports), self.reason())
    }

    fn reason(&self) -> String {
        let of = &self.of;
        match self.why {
            Why::DnsResolver => format!("DNS, nameserver in {of}"),
            Why::DnsService => format!("DNS, address of {of}"),
            Why::DnsPods => format!("DNS, behind {of}"),
            Why::NodeLocalDns => format!("DNS cache of the node, from {of}"),
            Why::Istiod => format!("istiod, behind {of}"),
            Why::IstiodService => format!("istiod, address of {of}"),
            Why::GatewayPods => format!("egress gateway, behind {of}"),
            Why::GatewayService => format!("egress gateway, address of {of}"),
            Why::ApiServer => format!("API server, from {of}"),
            Why::InCluster => format!("other pods, as {of} says"),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pods { namespace, labels } => {
                let labels: Vec<_> = labels
                    .iter()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect();
                let which = if labels.is_empty() {
                    "all pods".to_owned()
                } else {
                    format!("pods {}", labels.join(","))
                };
                write!(formatter, "{which} in {namespace}")
            }
            Self::Addresses(addresses) => {
                let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                formatter.write_str(&addresses.join(", "))
            }
            Self::PodsOutsideNamespaces(namespaces) => {
                let namespaces: Vec<_> = namespaces.iter().map(String::as_str).collect();
                write!(formatter, "pods of all namespaces but {}", namespaces.join(", "))
            }
        }
    }
}

/// ` port 53 (TCP, UDP), 8080 (TCP)`, ports with the same protocols together; nothing for all ports.
fn ports(ports: &[(Protocol, u16)]) -> String {
    let mut by_port: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for (protocol, port) in ports {
        by_port.entry(*port).or_default().push(protocol.to_string());
    }
    let texts: Vec<_> = by_port
        .iter()
        .map(|(port, protocols)| format!("{port} ({})", protocols.join(", ")))
        .collect();
    match texts.len() {
        0 => String::new(),
        1 => format!(", port {}", texts[0]),
        _ => format!(", ports {}", texts.join(", ")),
    }
}
