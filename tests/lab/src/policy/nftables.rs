//! A ruleset as text for `nft -f -`, which takes it as a whole or not at all.
//!
//! Packets that leave a pod are judged at `prerouting`, where traffic to the node itself passes too. Packets to a pod
//! are judged at `forward`, where what the node itself sends, the kubelet's probes above all, never passes.

use std::fmt::Write;
use std::net::IpAddr;

use super::engine::PolicyEngine;
use super::object::Protocol;
use super::ruleset::{Allow, Block, Peers, PodRules, Ports, Ruleset};

/// The table's name in the node's network namespace.
const TABLE: &str = "inet lab-policy";
/// Without these no IPv6 address is ever found; they are not what a policy is about.
const NEIGHBOURS: &str =
    "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept";

/// What belongs to a connection that was allowed once.
const ESTABLISHED: &str = "    ct state established,related accept\n";
/// Answers alone: what goes the connection's own way is judged again and again.
const ANSWERS_ONLY: &str =
    "    ct state related accept\n    ct state established ct direction reply accept\n";
/// How a refusal is told.
const ANSWER: &str =
    "    meta l4proto tcp reject with tcp reset\n    reject with icmpx type port-unreachable\n";

/// Writes the text that puts `rules` in the place of whatever is there.
pub(super) fn text(rules: &Ruleset, engine: PolicyEngine) -> String {
    // `add` first, as `delete` alone fails where there is no table yet.
    let mut text = format!("add table {TABLE}\ndelete table {TABLE}\n");
    if !engine.enforces() {
        return text;
    }
    let _ = writeln!(text, "table {TABLE} {{");
    for direction in [Direction::Egress, Direction::Ingress] {
        for (number, pod) in rules.pods.iter().enumerate() {
            if let Some(rules) = direction.rules(pod) {
                pod_chain(&mut text, direction, number, pod, rules, engine);
            }
        }
        base_chain(&mut text, direction, rules, engine);
    }
    text.push_str("}\n");
    text
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Egress,
    Ingress,
}

impl Direction {
    fn word(self) -> &'static str {
        match self {
            Self::Egress => "egress",
            Self::Ingress => "ingress",
        }
    }

    fn rules(self, pod: &PodRules) -> Option<&[Allow]> {
        match self {
            Self::Egress => pod.egress.as_deref(),
            Self::Ingress => pod.ingress.as_deref(),
        }
    }

    /// Which address of a packet is the isolated pod's.
    fn pod_side(self) -> &'static str {
        match self {
            Self::Egress => "saddr",
            Self::Ingress => "daddr",
        }
    }

    /// Which address of a packet is the peer's.
    fn peer_side(self) -> &'static str {
        match self {
            Self::Egress => "daddr",
            Self::Ingress => "saddr",
        }
    }
}

fn pod_chain(
    text: &mut String,
    direction: Direction,
    number: usize,
    pod: &PodRules,
    rules: &[Allow],
    engine: PolicyEngine,
) {
    let word = direction.word();
    let _ = writeln!(text, "  chain {word}-{number} {{ # {}", pod.name);
    // A pod reaches itself, also by way of a Service.
    let own = Peers::Addresses(pod.addresses.iter().copied().collect());
    for peers in peer_matches(direction, &own) {
        let _ = writeln!(text, "    {peers}accept");
    }
    for rule in rules {
        let ports = port_match(&rule.ports);
        for peers in peer_matches(direction, &rule.peers) {
            let _ = writeln!(text, "    {peers}{ports}accept");
        }
    }
    if engine.answers() {
        text.push_str(ANSWER);
    }
    text.push_str("    drop\n  }\n");
}

fn base_chain(text: &mut String, direction: Direction, rules: &Ruleset, engine: PolicyEngine) {
    let (hook, priority) = match direction {
        Direction::Egress => ("prerouting", engine.egress_priority()),
        Direction::Ingress => ("forward", 0),
    };
    let word = direction.word();
    let _ = writeln!(
        text,
        "  chain {word} {{\n    type filter hook {hook} priority {priority}; policy accept;"
    );
    let _ = writeln!(text, "    {NEIGHBOURS}");
    text.push_str(if engine.cuts() { ANSWERS_ONLY } else { ESTABLISHED });
    if engine.cuts() && direction == Direction::Ingress {
        no_pieces(text, rules);
    }
    for family in [Family::Four, Family::Six] {
        let jumps: Vec<_> = rules
            .pods
            .iter()
            .enumerate()
            .filter(|(_, pod)| direction.rules(pod).is_some())
            .flat_map(|(number, pod)| {
                let addresses = pod.addresses.iter().filter(|address| family.has(**address));
                addresses.map(move |address| format!("{address} : goto {word}-{number}"))
            })
            .collect();
        if !jumps.is_empty() {
            let _ = writeln!(
                text,
                "    {} {} vmap {{ {} }}",
                family.word(),
                direction.pod_side(),
                jumps.join(", ")
            );
        }
    }
    text.push_str("  }\n");
}

/// Keeps pieces of connections that were cut away from isolated pods: the kernel would take the first of them for a new
/// connection in the other direction, and what the pod sends for its answers.
fn no_pieces(text: &mut String, rules: &Ruleset) {
    let isolated = Peers::Addresses(rules.pods.iter().flat_map(|pod| pod.addresses.clone()).collect());
    for pods in peer_matches(Direction::Egress, &isolated) {
        let _ = writeln!(
            text,
            "    {pods}ct state new tcp flags & (fin | syn | rst | ack) != syn drop"
        );
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Four,
    Six,
}

impl Family {
    fn has(self, address: IpAddr) -> bool {
        address.is_ipv4() == (self == Self::Four)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Four => "ip",
            Self::Six => "ip6",
        }
    }
}

/// The beginnings of the rules that a rule for these peers needs: one for each family, none where there is nobody.
fn peer_matches(direction: Direction, peers: &Peers) -> Vec<String> {
    let side = direction.peer_side();
    match peers {
        Peers::Anyone => vec![String::new()],
        Peers::Addresses(addresses) => [Family::Four, Family::Six]
            .into_iter()
            .filter_map(|family| {
                let of_family = addresses.iter().filter(|address| family.has(**address));
                let listed: Vec<_> = of_family.map(ToString::to_string).collect();
                (!listed.is_empty()).then(|| format!("{} {side} {{ {} }} ", family.word(), listed.join(", ")))
            })
            .collect(),
        Peers::Block(block) => vec![block_match(side, block)],
    }
}

fn block_match(side: &str, block: &Block) -> String {
    let four = block.network.is_ipv4();
    let family = if four { Family::Four } else { Family::Six }.word();
    let mut text = format!("{family} {side} {} ", block.network);
    for part in block.except.iter().filter(|part| part.is_ipv4() == four) {
        let _ = write!(text, "{family} {side} != {part} ");
    }
    text
}

fn port_match(ports: &Ports) -> String {
    match ports {
        Ports::Every => String::new(),
        Ports::Range {
            protocol,
            first,
            last,
        } => {
            let word = match protocol {
                Protocol::Tcp => "tcp",
                Protocol::Udp => "udp",
                Protocol::Sctp => "sctp",
            };
            format!("{word} dport {first}-{last} ")
        }
    }
}
