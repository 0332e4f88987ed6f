//! NetworkPolicies, pods and namespaces, as far as enforcement needs them.
//! Fields and defaults are those of the API reference, `networking.k8s.io/v1` and `v1`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use super::selector::LabelSelector;

/// Name, namespace, labels, version.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) uid: String,
    pub(super) resource_version: String,
    /// As the API writes it, so that the order of texts is the order of times.
    pub(super) creation_timestamp: String,
    pub(super) labels: BTreeMap<String, String>,
}

impl Metadata {
    /// `NAMESPACE/NAME`, or the name alone of what is in no namespace.
    pub(super) fn key(&self) -> String {
        if self.namespace.is_empty() {
            self.name.clone()
        } else {
            format!("{}/{}", self.namespace, self.name)
        }
    }
}

/// A NetworkPolicy.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct NetworkPolicy {
    pub(super) metadata: Metadata,
    pub(super) spec: PolicySpec,
}

/// Its `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PolicySpec {
    pub(super) pod_selector: LabelSelector,
    pub(super) policy_types: Vec<PolicyType>,
    pub(super) ingress: Vec<IngressRule>,
    pub(super) egress: Vec<EgressRule>,
}

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum PolicyType {
    Ingress,
    Egress,
}

/// One rule of `ingress`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct IngressRule {
    pub(super) from: Vec<PolicyPeer>,
    pub(super) ports: Vec<PolicyPort>,
}

/// One rule of `egress`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct EgressRule {
    pub(super) to: Vec<PolicyPeer>,
    pub(super) ports: Vec<PolicyPort>,
}

/// A peer: pods by their labels and their namespace's, or a range of addresses.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PolicyPeer {
    pub(super) pod_selector: Option<LabelSelector>,
    pub(super) namespace_selector: Option<LabelSelector>,
    pub(super) ip_block: Option<IpBlock>,
}

/// A range of addresses without parts of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct IpBlock {
    pub(super) cidr: String,
    pub(super) except: Vec<String>,
}

/// A port, a range of ports, or every port of a protocol.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PolicyPort {
    pub(super) protocol: Protocol,
    pub(super) port: Option<PortName>,
    pub(super) end_port: Option<u16>,
}

/// A port's number, or the name that a container gives to it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum PortName {
    Number(u16),
    Name(String),
}

/// A protocol with ports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Protocol {
    #[default]
    Tcp,
    Udp,
    Sctp,
}

/// A pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pod {
    pub(super) metadata: Metadata,
    pub(super) spec: PodSpec,
    pub(super) status: PodStatus,
}

/// Its `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodSpec {
    pub(super) host_network: bool,
    pub(super) containers: Vec<Container>,
    pub(super) init_containers: Vec<Container>,
}

/// A container of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Container {
    pub(super) restart_policy: String,
    pub(super) ports: Vec<ContainerPort>,
}

/// A port that a container names.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ContainerPort {
    pub(super) name: String,
    #[serde(rename = "containerPort")]
    pub(super) number: u16,
    pub(super) protocol: Protocol,
}

/// A pod's `status`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodStatus {
    pub(super) phase: String,
    #[serde(rename = "podIP")]
    pub(super) pod_ip: Option<IpAddr>,
    #[serde(rename = "podIPs")]
    pub(super) pod_ips: Vec<PodAddress>,
}

/// One of its addresses.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct PodAddress {
    pub(super) ip: IpAddr,
}

impl Pod {
    /// The addresses that are this pod's alone: none where it shares the node's, and none where its containers have
    /// ended, as they may be another pod's by now.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        if self.spec.host_network || self.has_ended() {
            return vec![];
        }
        if self.status.pod_ips.is_empty() {
            return self.status.pod_ip.into_iter().collect();
        }
        self.status.pod_ips.iter().map(|address| address.ip).collect()
    }

    /// Whether its containers have ended for good.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }

    /// The number of the port that a container, or a sidecar among the init containers, calls `name`.
    pub(super) fn named_port(&self, name: &str, protocol: Protocol) -> Option<u16> {
        let sidecars = self
            .spec
            .init_containers
            .iter()
            .filter(|container| container.restart_policy == "Always");
        self.spec
            .containers
            .iter()
            .chain(sidecars)
            .flat_map(|container| &container.ports)
            .find(|port| port.name == name && port.protocol == protocol)
            .map(|port| port.number)
    }
}

/// A Namespace.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Namespace {
    pub(super) metadata: Metadata,
}
