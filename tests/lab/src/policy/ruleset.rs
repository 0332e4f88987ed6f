//! What the kernel is to do, in a form that one can think about: for each isolated pod, what may leave it and what may
//! reach it. Names, selectors and namespaces are gone; addresses and port numbers are left.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::network::Network;
use super::object::Protocol;

/// All pods that a policy isolates, in at least one direction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ruleset {
    pub(super) pods: Vec<PodRules>,
}

/// What a pod may do. Nothing else matters to it: everything that no rule allows is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PodRules {
    /// `NAMESPACE/NAME`, for comments.
    pub(super) name: String,
    pub(super) addresses: Vec<IpAddr>,
    /// What may leave it; none where it is not isolated for egress.
    pub(super) egress: Option<Vec<Allow>>,
    /// What may reach it; none where it is not isolated for ingress.
    pub(super) ingress: Option<Vec<Allow>>,
}

/// One rule: these peers on these ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Allow {
    pub(super) peers: Peers,
    pub(super) ports: Ports,
}

/// The other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Peers {
    Anyone,
    Addresses(BTreeSet<IpAddr>),
    Block(Block),
}

/// A range without parts of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) network: Network,
    pub(super) except: Vec<Network>,
}

/// The port that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ports {
    /// Every port of every protocol, protocols without ports included.
    Every,
    Range {
        protocol: Protocol,
        first: u16,
        last: u16,
    },
}

/// The first packet of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// Protocol and port asked for; none for protocols without ports.
    pub(super) port: Option<(Protocol, u16)>,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    /// It may not leave its source.
    RefusedLeaving,
    /// It may not reach its destination.
    RefusedArriving,
}

impl Ruleset {
    /// Judges a packet that is forwarded: both ends must allow it.
    pub(super) fn judge(&self, packet: &Packet) -> Verdict {
        if packet.source == packet.destination {
            return Verdict::Allowed;
        }
        let refuses = |address, peer, rules: fn(&PodRules) -> &Option<Vec<Allow>>| {
            self.pods
                .iter()
                .filter(|pod| pod.addresses.contains(&address))
                .filter_map(|pod| rules(pod).as_ref())
                .any(|rules| !rules.iter().any(|rule| rule.allows(peer, packet.port)))
        };
        if refuses(packet.source, packet.destination, |pod| &pod.egress) {
            Verdict::RefusedLeaving
        } else if refuses(packet.destination, packet.source, |pod| &pod.ingress) {
            Verdict::RefusedArriving
        } else {
            Verdict::Allowed
        }
    }
}

impl Allow {
    fn allows(&self, peer: IpAddr, port: Option<(Protocol, u16)>) -> bool {
        self.peers.hold(peer) && self.ports.hold(port)
    }
}

impl Peers {
    /// Whether the address is one of them.
    pub(super) fn hold(&self, address: IpAddr) -> bool {
        match self {
            Self::Anyone => true,
            Self::Addresses(addresses) => addresses.contains(&address),
            Self::Block(block) => {
                block.network.contains(address) && !block.except.iter().any(|part| part.contains(address))
            }
        }
    }
}

impl Ports {
    fn hold(&self, port: Option<(Protocol, u16)>) -> bool {
        match self {
            Self::Every => true,
            Self::Range {
                protocol,
                first,
                last,
            } => port.is_some_and(|(other, number)| other == *protocol && (*first..=*last).contains(&number)),
        }
    }
}
