//! Objects become a [`Ruleset`]. The rules are those of the API reference, `networking.k8s.io/v1` NetworkPolicy:
//!
//! - A pod is isolated in a direction as soon as one policy of its namespace selects it for that direction.
//! - Policies only ever add: what one rule of one policy allows is allowed.
//! - Pods in the node's network are neither isolated nor found by selectors; nobody can tell them from the node.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::announce::Announced;
use super::network::Network;
use super::object::{Namespace, NetworkPolicy, Pod, PolicyPeer, PolicyPort, PolicyType, PortName};
use super::ruleset::{Allow, Block, Peers, PodRules, Ports, Ruleset};

/// The objects of a cluster.
#[derive(Debug, Clone, Default)]
pub(super) struct Objects<'a> {
    pub(super) policies: Vec<&'a NetworkPolicy>,
    pub(super) pods: Vec<&'a Pod>,
    pub(super) namespaces: Vec<&'a Namespace>,
    /// Addresses of pods that are newer than what the pods say.
    pub(super) announced: Announced,
    /// Addresses that no `ipBlock` finds.
    pub(super) outside_blocks: &'a [IpAddr],
}

/// Compiles them.
pub(super) fn compile(objects: &Objects<'_>) -> Ruleset {
    let isolated = objects.pods.iter().filter_map(|pod| {
        let rules = PodRules {
            name: pod.metadata.key(),
            addresses: objects.addresses(pod),
            egress: objects.egress(pod),
            ingress: objects.ingress(pod),
        };
        let isolated = rules.egress.is_some() || rules.ingress.is_some();
        (isolated && !rules.addresses.is_empty()).then_some(rules)
    });
    Ruleset {
        pods: isolated.collect(),
    }
}

impl Objects<'_> {
    /// The addresses of a pod. One that a younger pod has is no longer that of a pod which is still being removed.
    pub(super) fn addresses(&self, pod: &Pod) -> Vec<IpAddr> {
        let addresses = |pod: &Pod| {
            let announced = self.announced.get(&pod.metadata.uid);
            announced
                .filter(|_| !pod.has_ended())
                .cloned()
                .unwrap_or_else(|| pod.addresses())
        };
        let age = |pod: &Pod| (pod.metadata.creation_timestamp.clone(), pod.metadata.uid.clone());
        let taken = |address: &IpAddr| {
            self.pods
                .iter()
                .any(|other| age(other) > age(pod) && addresses(other).contains(address))
        };
        addresses(pod)
            .into_iter()
            .filter(|address| !taken(address))
            .collect()
    }

    fn egress(&self, pod: &Pod) -> Option<Vec<Allow>> {
        let policies = self.policies_of(pod, PolicyType::Egress);
        let rules = policies.iter().flat_map(|policy| {
            policy.spec.egress.iter().flat_map(|rule| {
                self.peers(policy, &rule.to)
                    .into_iter()
                    .flat_map(|peers| self.towards(&peers, &rule.ports))
            })
        });
        (!policies.is_empty()).then(|| rules.collect())
    }

    fn ingress(&self, pod: &Pod) -> Option<Vec<Allow>> {
        let policies = self.policies_of(pod, PolicyType::Ingress);
        let rules = policies.iter().flat_map(|policy| {
            policy.spec.ingress.iter().flat_map(|rule| {
                self.peers(policy, &rule.from)
                    .into_iter()
                    .flat_map(|peers| into_pod(pod, &peers, &rule.ports))
            })
        });
        (!policies.is_empty()).then(|| rules.collect())
    }

    fn policies_of(&self, pod: &Pod, direction: PolicyType) -> Vec<&NetworkPolicy> {
        let of_pod = |policy: &&&NetworkPolicy| {
            policy.metadata.namespace == pod.metadata.namespace
                && policy.spec.pod_selector.matches(&pod.metadata.labels)
                && applies_to(policy, direction)
        };
        self.policies.iter().filter(of_pod).copied().collect()
    }

    /// The peers of a rule, each on its own. A rule that names none is about everybody.
    fn peers(&self, policy: &NetworkPolicy, peers: &[PolicyPeer]) -> Vec<Peers> {
        if peers.is_empty() {
            return vec![Peers::Anyone];
        }
        peers.iter().filter_map(|peer| self.peer(policy, peer)).collect()
    }

    fn peer(&self, policy: &NetworkPolicy, peer: &PolicyPeer) -> Option<Peers> {
        if let Some(block) = &peer.ip_block {
            let network: Network = block.cidr.parse().ok()?;
            let except = block.except.iter().filter_map(|part| part.parse().ok());
            let hidden = self.outside_blocks.iter().copied().map(Network::single);
            return Some(Peers::Block(Block {
                network,
                except: except.chain(hidden).collect(),
            }));
        }
        let selected = |pod: &&&Pod| match (&peer.namespace_selector, &peer.pod_selector) {
            (None, None) => false,
            (None, Some(pods)) => {
                pod.metadata.namespace == policy.metadata.namespace && pods.matches(&pod.metadata.labels)
            }
            (Some(namespaces), pods) => {
                self.namespaces.iter().any(|namespace| {
                    namespace.metadata.name == pod.metadata.namespace
                        && namespaces.matches(&namespace.metadata.labels)
                }) && pods
                    .as_ref()
                    .is_none_or(|pods| pods.matches(&pod.metadata.labels))
            }
        };
        let addresses: BTreeSet<_> = self
            .pods
            .iter()
            .filter(selected)
            .flat_map(|pod| self.addresses(pod))
            .collect();
        Some(Peers::Addresses(addresses))
    }

    /// Rules for traffic to peers: a port's name means what the pod at the other end calls so.
    fn towards(&self, peers: &Peers, ports: &[PolicyPort]) -> Vec<Allow> {
        if ports.is_empty() {
            return vec![allow(peers, Ports::Every)];
        }
        let mut rules = Vec::new();
        for port in ports {
            let Some(PortName::Name(name)) = &port.port else {
                rules.extend(numbered(port).map(|ports| allow(peers, ports)));
                continue;
            };
            for pod in &self.pods {
                let addresses = self.addresses(pod).into_iter();
                let addresses: BTreeSet<_> = addresses.filter(|address| peers.hold(*address)).collect();
                let number = pod.named_port(name, port.protocol);
                if let (Some(number), false) = (number, addresses.is_empty()) {
                    rules.push(allow(&Peers::Addresses(addresses), one(port, number)));
                }
            }
        }
        rules
    }
}

/// Rules for traffic from peers: a port's name means what the pod itself calls so.
fn into_pod(pod: &Pod, peers: &Peers, ports: &[PolicyPort]) -> Vec<Allow> {
    if ports.is_empty() {
        return vec![allow(peers, Ports::Every)];
    }
    let resolve = |port: &PolicyPort| match &port.port {
        Some(PortName::Name(name)) => pod
            .named_port(name, port.protocol)
            .map(|number| one(port, number)),
        _ => numbered(port),
    };
    ports
        .iter()
        .filter_map(resolve)
        .map(|ports| allow(peers, ports))
        .collect()
}

/// Whether a policy is about a direction. Without `policyTypes` it is about ingress, and about egress only where it has
/// egress rules.
fn applies_to(policy: &NetworkPolicy, direction: PolicyType) -> bool {
    if policy.spec.policy_types.is_empty() {
        direction == PolicyType::Ingress || !policy.spec.egress.is_empty()
    } else {
        policy.spec.policy_types.contains(&direction)
    }
}

fn allow(peers: &Peers, ports: Ports) -> Allow {
    Allow {
        peers: peers.clone(),
        ports,
    }
}

fn one(port: &PolicyPort, number: u16) -> Ports {
    Ports::Range {
        protocol: port.protocol,
        first: number,
        last: number,
    }
}

/// A port by number, a range, or every port of the protocol; none for a name.
fn numbered(port: &PolicyPort) -> Option<Ports> {
    let (first, last) = match port.port {
        None => (0, u16::MAX),
        Some(PortName::Number(number)) => (number, port.end_port.unwrap_or(number)),
        Some(PortName::Name(_)) => return None,
    };
    Some(Ports::Range {
        protocol: port.protocol,
        first,
        last,
    })
}
