//! VirtualServices by what they name: a proxy is asked about one host, and a cluster has routes for thousands.

use super::names::full_host;
use super::records::{GatewayRecord, VirtualServiceRecord};
use super::sidecar::for_mesh;
use crate::istio::HttpMatch;
use std::collections::{BTreeSet, HashMap};

/// Indexes of VirtualServices, in the order of their list.
#[derive(Debug, Clone, Default)]
pub(super) struct RouteIndex {
    /// By the Gateways of a whole VirtualService: namespace and name.
    by_gateway: HashMap<(String, String), Vec<usize>>,
    by_host: HashMap<String, Vec<usize>>,
    /// Those with a host that is a pattern.
    patterns: Vec<usize>,
    /// By the full name of a host to which a route of the mesh leads.
    by_destination: HashMap<String, Vec<usize>>,
}

impl RouteIndex {
    pub(super) fn of(all: &[VirtualServiceRecord]) -> Self {
        let mut index = Self::default();
        for (number, owner) in all.iter().enumerate() {
            index.add(number, owner);
        }
        index
    }

    fn add(&mut self, number: usize, owner: &VirtualServiceRecord) {
        let namespace = &owner.identity.namespace;
        let specification = &owner.specification;
        let gateways: BTreeSet<(&str, &str)> = specification
            .gateways
            .iter()
            .map(|entry| entry.split_once('/').unwrap_or((namespace, entry)))
            .collect();
        for (of, name) in gateways {
            let key = (of.to_owned(), name.to_owned());
            self.by_gateway.entry(key).or_default().push(number);
        }
        let hosts: BTreeSet<&String> = specification.hosts.iter().collect();
        if hosts.iter().any(|host| host.starts_with('*')) {
            self.patterns.push(number);
        }
        for host in hosts.into_iter().filter(|host| !host.starts_with('*')) {
            self.by_host.entry(host.clone()).or_default().push(number);
        }
        for host in mesh_destinations(owner) {
            self.by_destination.entry(host).or_default().push(number);
        }
    }

    /// Those that name a Gateway, oldest first.
    pub(super) fn of_gateway(&self, gateway: &GatewayRecord) -> &[usize] {
        let key = (gateway.identity.namespace.clone(), gateway.identity.name.clone());
        self.by_gateway.get(&key).map_or(&[], Vec::as_slice)
    }

    /// Those that may be for a host, oldest first: they name it, or have a pattern.
    pub(super) fn of_host(&self, host: &str) -> BTreeSet<usize> {
        let named = self.by_host.get(host).into_iter().flatten();
        named.chain(&self.patterns).copied().collect()
    }

    /// Those of which a route of the mesh leads to a host, oldest first.
    pub(super) fn leading_to(&self, host: &str) -> &[usize] {
        self.by_destination.get(host).map_or(&[], Vec::as_slice)
    }
}

/// Full names of the hosts to which sidecars are led.
fn mesh_destinations(owner: &VirtualServiceRecord) -> BTreeSet<String> {
    let specification = &owner.specification;
    let here = |gateways: &[String]| for_mesh(gateways, &specification.gateways);
    let of_tls = specification.tls.iter().filter(|route| {
        let mut matches = route.matches.iter();
        matches.any(|one| here(&one.gateways))
    });
    let of_requests = |matches: &[HttpMatch]| match matches {
        [] => here(&[]),
        some => some.iter().any(|one| here(&one.gateways)),
    };
    let of_http = specification
        .http
        .iter()
        .filter(|route| of_requests(&route.matches));
    let of_tcp = specification
        .tcp
        .iter()
        .filter(|route| of_requests(&route.matches));
    of_tls
        .flat_map(|route| &route.route)
        .chain(of_http.flat_map(|route| &route.route))
        .chain(of_tcp.flat_map(|route| &route.route))
        .map(|one| full_host(&one.destination.host, &owner.identity.namespace))
        .collect()
}
