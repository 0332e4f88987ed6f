//! What NetworkPolicies let through.
//!
//! Rules: the Kubernetes API reference of `networking.k8s.io/v1` NetworkPolicy and the page "Network Policies" of the
//! documentation. Policies are additive: a pod that none selects for a direction is not isolated in it; one that
//! some select may do what any of them allows, and nothing else. A connection needs the source's egress and the
//! destination's ingress. Addresses are those that the packet has when it is judged: after a Service's address was
//! replaced by a pod's, with most engines.
//!
//! Pods on the host's network are not isolated, and no selector of a peer reaches them: the documentation leaves that
//! to the engine and names this as what engines most often do. A pod always reaches itself.

mod address_block;
pub(in crate::mesh) use address_block::Cidr;
mod foreign;
mod peer;
mod port;
mod record;
mod ways_out;

#[cfg(test)]
mod tests;

pub use foreign::{foreign_kinds, is_foreign};
pub use ways_out::{Inside, WayOut};

use crate::vocabulary::{Object, ObjectReference, Protocol};
use peer::{Match, Other};
use port::Destination;
use record::{Policy, Rule};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// One end of a connection, as a policy sees it.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint<'a> {
    /// Its address.
    pub address: IpAddr,
    /// Its port, 1 to 65535.
    pub port: u16,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The pod that has the address, if it is a pod's: selectors and named ports are looked up there.
    pub pod: Option<&'a Object>,
}

/// What the policies say of a connection, in one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// No policy selects the pod for this direction: everything is let through.
    NotIsolated,
    /// Let through.
    Allowed {
        /// By these policies; none if the pod speaks to itself.
        by: Vec<ObjectReference>,
    },
    /// Stopped.
    Refused {
        /// The policies that select the pod; none of them allows it.
        isolated_by: Vec<ObjectReference>,
    },
}

impl Decision {
    /// Whether the packet passes.
    pub fn lets_through(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }
}

/// In which direction a pod is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ingress,
    Egress,
}

/// The policies of a cluster, or of as many namespaces as were read.
#[derive(Debug, Clone, Default)]
pub struct NetworkPolicies {
    /// By their namespace, of which a policy is.
    policies: BTreeMap<String, Vec<Policy>>,
    /// Labels by namespace.
    namespaces: BTreeMap<String, serde_json::Value>,
}

impl NetworkPolicies {
    /// Reads policies; objects of other kinds are skipped. A namespace that is not among `namespaces` has only the
    /// label with its name, which the API server sets.
    pub fn new(policies: &[Object], namespaces: &[Object]) -> Self {
        let mut read = Self::default();
        for object in policies {
            read.add_policy(object);
        }
        for object in namespaces {
            read.add_namespace(object);
        }
        read
    }

    /// Adds a policy; an object of another kind is skipped.
    pub(super) fn add_policy(&mut self, object: &Object) {
        if let Some(policy) = Policy::read(object) {
            let of_namespace = self.policies.entry(policy.namespace.clone()).or_default();
            of_namespace.push(policy);
        }
    }

    /// Adds a namespace.
    pub(super) fn add_namespace(&mut self, object: &Object) {
        let labels = object.at("/metadata/labels").clone();
        self.namespaces.insert(object.name().to_owned(), labels);
    }

    /// The policies that isolate a pod for egress.
    pub fn egress_policies_of(&self, pod: &Object) -> Vec<ObjectReference> {
        references(&self.isolating(pod, Direction::Egress))
    }

    /// Whether a pod may send there.
    pub fn egress(&self, pod: &Object, to: &Endpoint<'_>) -> Decision {
        let other = Other::new(to.address, to.pod);
        let destination = Destination {
            port: to.port,
            protocol: to.protocol,
            pod: to.pod,
        };
        // The address is known, so nothing stays open.
        self.tally(pod, Direction::Egress, other, destination).decision()
    }

    /// Whether a pod may be reached from there at a port. The port of `from` decides nothing.
    pub fn ingress(&self, pod: &Object, from: &Endpoint<'_>, port: u16, protocol: Protocol) -> Decision {
        let destination = Destination {
            port,
            protocol,
            pod: Some(pod),
        };
        let other = Other::new(from.address, from.pod);
        self.tally(pod, Direction::Ingress, other, destination).decision()
    }

    /// Whether one pod may connect to another: both directions.
    pub fn connects(&self, from: &Object, to: &Object, port: u16, protocol: Protocol) -> bool {
        let endpoint = |pod| Endpoint {
            address: address_of(pod),
            port,
            protocol,
            pod: Some(pod),
        };
        self.egress(from, &endpoint(to)).lets_through()
            && self.ingress(to, &endpoint(from), port, protocol).lets_through()
    }

    /// Whether a pod may send to something outside whose address is not known; `Err` names the policies whose rules
    /// by address would decide it.
    pub(super) fn egress_to_unknown_address(
        &self,
        pod: &Object,
        port: u16,
        protocol: Protocol,
    ) -> Result<Decision, Vec<ObjectReference>> {
        let destination = Destination {
            port,
            protocol,
            pod: None,
        };
        let tally = self.tally(pod, Direction::Egress, Other::UNKNOWN, destination);
        if tally.allowing.is_empty() && !tally.undecided.is_empty() {
            return Err(references(&tally.undecided));
        }
        Ok(tally.decision())
    }

    fn isolating(&self, pod: &Object, direction: Direction) -> Vec<&Policy> {
        if peer::on_host_network(pod) {
            return Vec::new();
        }
        let of_namespace = self.policies.get(pod.namespace().unwrap_or_default());
        of_namespace
            .into_iter()
            .flatten()
            .filter(|policy| policy.selects(pod) && policy.rules(direction).is_some())
            .collect()
    }

    fn tally(
        &self,
        pod: &Object,
        direction: Direction,
        other: Other<'_>,
        destination: Destination<'_>,
    ) -> Tally<'_> {
        let isolating = self.isolating(pod, direction);
        let mut tally = Tally {
            to_itself: other.is(pod),
            ..Tally::default()
        };
        for policy in isolating {
            let rules = policy.rules(direction).unwrap_or_default();
            let best = rules
                .iter()
                .filter(|rule| rule.covers(destination))
                .map(|rule| self.peers_match(rule, policy, other))
                .max();
            match best {
                Some(Match::Yes) => tally.allowing.push(policy),
                Some(Match::Unknown) => tally.undecided.push(policy),
                Some(Match::No) | None => {}
            }
            tally.isolating.push(policy);
        }
        tally
    }

    /// Whether the other end is among the peers of a rule.
    fn peers_match(&self, rule: &Rule, policy: &Policy, other: Other<'_>) -> Match {
        if rule.peers.is_empty() {
            return Match::Yes;
        }
        let of_peers = rule
            .peers
            .iter()
            .map(|peer| peer.matches(&policy.namespace, other, &self.namespaces));
        of_peers.max().unwrap_or(Match::No)
    }
}

/// What each policy that selects a pod says of one connection.
#[derive(Default)]
struct Tally<'policies> {
    to_itself: bool,
    isolating: Vec<&'policies Policy>,
    allowing: Vec<&'policies Policy>,
    /// Would allow it if the address fits.
    undecided: Vec<&'policies Policy>,
}

impl Tally<'_> {
    fn decision(&self) -> Decision {
        if self.isolating.is_empty() {
            Decision::NotIsolated
        } else if self.to_itself || !self.allowing.is_empty() {
            Decision::Allowed {
                by: references(&self.allowing),
            }
        } else {
            Decision::Refused {
                isolated_by: references(&self.isolating),
            }
        }
    }
}

/// A pod's address; that of a pod which has none yet is in no block but `0.0.0.0/0`.
pub(super) fn address_of(pod: &Object) -> IpAddr {
    let address = pod.text("/status/podIP").parse();
    address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

fn references(policies: &[&Policy]) -> Vec<ObjectReference> {
    policies.iter().map(|policy| policy.reference.clone()).collect()
}
