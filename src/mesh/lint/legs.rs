//! What VirtualServices lead where, taken apart: one leg per match and destination.

use super::super::names::{covers, full_host};
use super::scene::Item;
use crate::istio::{HttpMatch, RouteDestination, VirtualServiceSpec};

/// The word for all sidecars.
const MESH: &str = "mesh";

/// What a route looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    Http,
    Tls,
    Tcp,
}

/// Whose route it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum At {
    /// The sidecars'.
    Mesh,
    /// That of a Gateway's proxies: `namespace/name`.
    Gateway(String),
}

/// One way that a VirtualService shows.
#[derive(Debug, Clone)]
pub(super) struct Leg {
    /// Index of the VirtualService.
    pub(super) route: usize,
    pub(super) layer: Layer,
    pub(super) at: At,
    /// Port at which the request arrives; 0 for any.
    pub(super) port: u16,
    /// Hosts or server names, wildcards among them.
    pub(super) hosts: Vec<String>,
    /// Full name of the destination.
    pub(super) destination: String,
    pub(super) subset: Option<String>,
    /// Port of the destination; 0 where none is named.
    pub(super) destination_port: u16,
}

/// Whether two patterns have a host in common.
pub(super) fn overlap(left: &str, right: &str) -> bool {
    covers(left, right) || covers(right, left)
}

/// The legs of one VirtualService.
pub(super) fn legs_of(index: usize, item: &Item<'_, VirtualServiceSpec>) -> Vec<Leg> {
    let spec = &item.spec;
    let mut legs = Legs {
        index,
        item,
        found: Vec::new(),
    };
    for route in &spec.http {
        legs.add_plain(Layer::Http, &route.matches, &route.route);
    }
    for route in &spec.tcp {
        legs.add_plain(Layer::Tcp, &route.matches, &route.route);
    }
    for route in &spec.tls {
        for wanted in &route.matches {
            legs.add(
                Layer::Tls,
                &wanted.gateways,
                wanted.port,
                &wanted.sni_hosts,
                &route.route,
            );
        }
    }
    legs.found
}

struct Legs<'a, 'item> {
    index: usize,
    item: &'a Item<'item, VirtualServiceSpec>,
    found: Vec<Leg>,
}

impl Legs<'_, '_> {
    fn add_plain(&mut self, layer: Layer, matches: &[HttpMatch], to: &[RouteDestination]) {
        let hosts = self.item.spec.hosts.clone();
        if matches.is_empty() {
            self.add(layer, &[], 0, &hosts, to);
        }
        for wanted in matches {
            self.add(layer, &wanted.gateways, wanted.port, &hosts, to);
        }
    }

    fn add(
        &mut self,
        layer: Layer,
        gateways: &[String],
        port: u16,
        hosts: &[String],
        to: &[RouteDestination],
    ) {
        let own = &self.item.spec.gateways;
        let mesh = [MESH.to_owned()];
        let gateways = match (gateways, own.as_slice()) {
            ([], []) => &mesh[..],
            ([], own) => own,
            (named, _) => named,
        };
        for gateway in gateways {
            for destination in to.iter().map(|entry| &entry.destination) {
                self.found.push(Leg {
                    route: self.index,
                    layer,
                    at: place(gateway, self.item.namespace),
                    port,
                    hosts: hosts.to_vec(),
                    destination: full_host(&destination.host, self.item.namespace),
                    subset: destination.subset.clone().filter(|subset| !subset.is_empty()),
                    destination_port: destination.port.as_ref().map_or(0, |port| port.number),
                });
            }
        }
    }
}

/// Who is meant by a name in `gateways`: without a namespace, one of the VirtualService's own; `name.namespace` is the
/// old way to write one (Istio, `resolveGatewayName`).
pub(super) fn place(name: &str, namespace: &str) -> At {
    if name == MESH {
        return At::Mesh;
    }
    At::Gateway(match (name.split_once('/'), name.split_once('.')) {
        (Some((".", name)), _) => format!("{namespace}/{name}"),
        (Some(_), _) => name.to_owned(),
        (None, Some((name, rest))) => {
            let namespace = rest.split('.').next().unwrap_or_default();
            format!("{namespace}/{name}")
        }
        (None, None) => format!("{namespace}/{name}"),
    })
}
