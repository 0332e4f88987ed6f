//! DNS: from the pods' resolv.conf to whom they ask.

use super::service::{Behind, cluster_addresses, on_host_network};
use super::{Observed, Peer, Target, Why};
use crate::vocabulary::{Object, Protocol};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

/// Where a resolver listens; resolv.conf cannot name another port (resolv.conf(5)).
pub const DNS_PORT: u16 = 53;
/// How many nameservers are used; more are ignored (`MAXNS`, resolv.conf(5)).
const NAMESERVERS: usize = 3;
/// How a peer names the file.
const FILE: &str = "the pods' /etc/resolv.conf";
/// Where the cache of each node is deployed, by Kubernetes' own manifest and by Gardener.
const CACHE_NAMESPACE: &str = "kube-system";

/// The nameservers that the file names, in its order.
pub fn nameservers(resolv_conf: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let address = words
            .next()
            .filter(|word| *word == "nameserver")
            .and(words.next())?;
        // A zone, as in fe80::1%eth0, is the interface and no part of the address.
        address.split('%').next()?.parse().ok()
    };
    resolv_conf
        .lines()
        .filter_map(address)
        .take(NAMESERVERS)
        .collect()
}

/// The Service with this cluster address.
pub(super) fn service_at(address: IpAddr, services: &[Object]) -> Option<&Object> {
    services
        .iter()
        .find(|service| cluster_addresses(service).contains(&address))
}

/// What lets DNS through.
///
/// # Errors
/// What is missing, as one sentence.
pub(super) fn peers(observed: &Observed) -> Result<Vec<Peer>, String> {
    let mut caches: Vec<Cache> = observed.daemon_sets.iter().filter_map(Cache::of).collect();
    let cached: BTreeSet<IpAddr> = caches
        .iter()
        .flat_map(|cache| cache.addresses.iter().copied())
        .collect();
    let mut peers = Vec::new();
    let mut resolvers = BTreeSet::new();
    let mut local = BTreeSet::new();
    let servers = nameservers(&observed.resolv_conf);
    for address in servers.iter().copied().filter(|address| !address.is_loopback()) {
        if let Some(service) = service_at(address, &observed.services) {
            let mut behind = Behind::new(service, DNS_PORT, Why::DnsService, Why::DnsPods).peers(observed)?;
            // A resolver changes to TCP when an answer is too long (RFC 7766); the cache on the node answers it at
            // the Service's address, also where the Service itself names UDP alone.
            for peer in behind.iter_mut().filter(|peer| peer.why == Why::DnsService) {
                peer.ports = both();
            }
            peers.extend(behind);
        } else if is_link_local(address) {
            local.insert(address);
        } else if !cached.contains(&address) {
            resolvers.insert(address);
        }
    }
    if !resolvers.is_empty() {
        peers.push(at(Why::DnsResolver, FILE, Target::Addresses(resolvers)));
    }
    let local: BTreeSet<IpAddr> = local.difference(&cached).copied().collect();
    if !local.is_empty() {
        peers.push(at(Why::NodeLocalDns, FILE, Target::Addresses(local)));
    }
    for cache in &mut caches {
        cache.addresses.retain(|address| !let_through(&peers, *address));
    }
    peers.extend(caches.into_iter().flat_map(Cache::peers));
    match (peers.is_empty(), servers.is_empty()) {
        (false, _) => Ok(peers),
        (true, true) => Err(format!("{FILE} names no nameserver")),
        (true, false) => Err(format!(
            "{FILE} names only nameservers inside the pod itself, so that it is not known whom these ask"
        )),
    }
}

fn let_through(peers: &[Peer], address: IpAddr) -> bool {
    let holds =
        |peer: &Peer| matches!(&peer.target, Target::Addresses(addresses) if addresses.contains(&address));
    peers
        .iter()
        .any(|peer| peer.why == Why::DnsService && holds(peer))
}

fn both() -> Vec<(Protocol, u16)> {
    vec![(Protocol::Tcp, DNS_PORT), (Protocol::Udp, DNS_PORT)]
}

fn at(why: Why, of: &str, target: Target) -> Peer {
    Peer {
        why,
        of: of.to_owned(),
        target,
        ports: both(),
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => is_unicast_link_local(address),
    }
}

/// fe80::/10 (RFC 4291, 2.5.6).
fn is_unicast_link_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfe80
}

/// The cache of each node: NodeLocal DNSCache, a DaemonSet whose program is told its addresses by `-localip`.
///
/// It takes over the address of the DNS Service as well, so that packets to it never leave the node (Kubernetes
/// documentation, "Using NodeLocal DNSCache in Kubernetes Clusters").
struct Cache {
    name: String,
    addresses: BTreeSet<IpAddr>,
    /// Its pods, where they have addresses of their own (Cilium's redirect).
    pods: Option<Target>,
}

impl Cache {
    fn of(daemon_set: &Object) -> Option<Self> {
        if daemon_set.namespace() != Some(CACHE_NAMESPACE) {
            return None;
        }
        let template = Object(daemon_set.at("/spec/template").clone());
        let containers = template.items("/spec/containers").iter();
        let addresses: BTreeSet<IpAddr> = containers.flat_map(local_addresses).collect();
        if addresses.is_empty() {
            return None;
        }
        let labels = daemon_set.at("/spec/selector/matchLabels").as_object();
        let pods = labels
            .filter(|_| !on_host_network(&template))
            .map(|labels| Target::Pods {
                namespace: CACHE_NAMESPACE.to_owned(),
                labels: super::service::texts(labels),
            });
        Some(Self {
            name: format!("DaemonSet {CACHE_NAMESPACE}/{}", daemon_set.name()),
            addresses,
            pods,
        })
    }

    fn peers(self) -> Vec<Peer> {
        let addresses = Some(self.addresses).filter(|addresses| !addresses.is_empty());
        let targets = addresses.map(Target::Addresses).into_iter().chain(self.pods);
        targets
            .map(|target| at(Why::NodeLocalDns, &self.name, target))
            .collect()
    }
}

/// The value of `-localip A,B` (also with two dashes, or `=`) of a container's command and arguments.
fn local_addresses(container: &Value) -> Vec<IpAddr> {
    let words: Vec<&str> = ["command", "args"]
        .iter()
        .filter_map(|field| container.get(field)?.as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut lists = Vec::new();
    for (at, word) in words.iter().enumerate() {
        match word.trim_start_matches('-').split_once('=') {
            Some(("localip", list)) => lists.push(list),
            None if ["-localip", "--localip"].contains(word) => lists.extend(words.get(at + 1).copied()),
            _ => {}
        }
    }
    lists
        .iter()
        .flat_map(|list| list.split(','))
        .filter_map(|text| text.trim().parse().ok())
        .collect()
}
