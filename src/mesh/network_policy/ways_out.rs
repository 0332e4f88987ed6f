//! Ways around a lock: what other policies of the same pod let out, as policies add up.

use super::address_block::AddressBlock;
use super::peer::{Peer, on_host_network};
use super::port::{PortRule, Ports, named};
use super::record::{Policy, Rule};
use super::{Direction, NetworkPolicies};
use crate::vocabulary::{Object, ObjectReference};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// What is no way out, and who carries traffic out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Inside<'a> {
    /// Addresses and ports that the lock itself allows: an `ipBlock` of exactly such an address and port is no way
    /// out.
    pub allowed: &'a [(IpAddr, u16)],
    /// Pods that can carry traffic out: gateways, ingress gateways, those of istiod's namespace. A peer that selects
    /// one of them on a port which is not in `allowed` for its address is a way out.
    pub proxies: &'a [Object],
}

/// A rule that lets a pod out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayOut {
    /// The policy.
    pub policy: ObjectReference,
    /// Position of the rule in `spec.egress`, from 0.
    pub rule: usize,
    /// Where to, in words: `any address, any port`, `203.0.113.0/24 port 443`,
    /// `pod istio-system/istio-ingressgateway-x port 8443`.
    pub destination: String,
}

impl NetworkPolicies {
    /// Rules of the policies that select `pod` for egress, other than `except`, that let out what the lock does not.
    ///
    /// A pod peer is a way out only if it selects one of the pods that carry traffic out; an address block is one
    /// unless it is a single address with ports that the lock allows too: what lies behind other addresses is not
    /// known here.
    pub fn ways_out(&self, pod: &Object, except: &[ObjectReference], inside: &Inside<'_>) -> Vec<WayOut> {
        // Name and namespace decide: a reference may have been made with another version of the kind.
        let exempt = |policy: &&Policy| {
            except.iter().any(|known| {
                known.namespace.as_deref() == Some(&policy.namespace) && known.name == policy.reference.name
            })
        };
        let mut ways = Vec::new();
        for policy in self.isolating(pod, Direction::Egress) {
            if exempt(&policy) {
                continue;
            }
            let rules = policy.rules(Direction::Egress).unwrap_or_default();
            for (position, rule) in rules.iter().enumerate() {
                for destination in self.destinations(policy, rule, inside) {
                    ways.push(WayOut {
                        policy: policy.reference.clone(),
                        rule: position,
                        destination,
                    });
                }
            }
        }
        ways
    }

    /// Where a rule leads out to.
    fn destinations(&self, policy: &Policy, rule: &Rule, inside: &Inside<'_>) -> Vec<String> {
        if rule.peers.is_empty() {
            return with_ports("any address", &rule.ports, |_| true)
                .into_iter()
                .collect();
        }
        let mut found = Vec::new();
        for peer in &rule.peers {
            match peer {
                Peer::Block(block) if block.leads_nowhere() => {}
                Peer::Block(block) => {
                    let is_out = |ports: &PortRule| out_of_block(ports, block, inside);
                    found.extend(with_ports(&block.to_string(), &rule.ports, is_out));
                }
                Peer::Pods { .. } => {
                    let selected = inside.proxies.iter().filter(|pod| {
                        !on_host_network(pod) && peer.selects(&policy.namespace, pod, &self.namespaces)
                    });
                    for pod in selected {
                        let title = format!("pod {}/{}", pod.namespace().unwrap_or_default(), pod.name());
                        let addresses = addresses(pod);
                        let is_out = |ports: &PortRule| opens(ports, Some(pod), &addresses, inside);
                        found.extend(with_ports(&title, &rule.ports, is_out));
                    }
                }
                Peer::Nobody => {}
            }
        }
        found
    }
}

/// Whether an entry of `ports` opens something behind a block that the lock does not.
fn out_of_block(rule: &PortRule, block: &AddressBlock, inside: &Inside<'_>) -> bool {
    let behind = |pod: &&Object| addresses(pod).iter().any(|address| block.contains(*address));
    let mut pods = inside.proxies.iter().filter(behind);
    match block.only_address() {
        Some(address) => opens(rule, pods.next(), &[address], inside),
        // Only pods give ports a name.
        None if matches!(rule.ports, Ports::Named(_)) => {
            pods.any(|pod| opens(rule, Some(pod), &addresses(pod), inside))
        }
        None => true,
    }
}

/// Whether an entry of `ports` opens something at these addresses of one peer that the lock does not.
fn opens(rule: &PortRule, pod: Option<&Object>, addresses: &[IpAddr], inside: &Inside<'_>) -> bool {
    let allowed: BTreeSet<u16> = inside
        .allowed
        .iter()
        .filter(|(address, _)| addresses.contains(address))
        .map(|(_, port)| *port)
        .collect();
    let Some(protocol) = rule.protocol else {
        return false;
    };
    match &rule.ports {
        Ports::All => true,
        Ports::Range(range) => range.clone().any(|port| !allowed.contains(&port)),
        // A name that nothing gives a number opens nothing.
        Ports::Named(name) => pod.is_some_and(|pod| {
            named(pod, name, protocol)
                .iter()
                .any(|port| !allowed.contains(port))
        }),
        Ports::None => false,
    }
}

/// Names a destination with those of its ports that are a way out; `None` if none is. No entry means every port.
fn with_ports(title: &str, ports: &[PortRule], is_out: impl Fn(&PortRule) -> bool) -> Option<String> {
    if ports.is_empty() {
        return Some(format!("{title}, any port"));
    }
    let out: Vec<String> = ports
        .iter()
        .filter(|rule| rule.protocol.is_some() && rule.ports != Ports::None && is_out(rule))
        .map(ToString::to_string)
        .collect();
    match out.as_slice() {
        [] => None,
        [one] if one.starts_with("any ") => Some(format!("{title}, {one}")),
        [one] => Some(format!("{title} port {one}")),
        several => Some(format!("{title} ports {}", several.join(", "))),
    }
}

fn addresses(pod: &Object) -> Vec<IpAddr> {
    let of_family = pod
        .items("/status/podIPs")
        .iter()
        .filter_map(|entry| entry["ip"].as_str());
    std::iter::once(pod.text("/status/podIP"))
        .chain(of_family)
        .filter_map(|address| address.parse().ok())
        .collect()
}
