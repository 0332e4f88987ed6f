//! What a gateway's pod does with a request that reached it.

use super::names::{covers, specificity};
use super::records::{GatewayRecord, Origin, PodRecord, VirtualServiceRecord, is_passthrough};
use super::sidecar::virtual_services;
use super::world::World;
use crate::istio::{Destination, RouteDestination, Server};
use crate::vocabulary::Scheme;

/// What a gateway's listener has for a request.
#[derive(Debug)]
pub(super) enum Entrance<'world> {
    /// No server listens on the port: the connection is refused.
    NoListener,
    /// Servers listen; none has a filter chain or route for the host.
    NoRoute,
    /// A route.
    Routed {
        owner: &'world VirtualServiceRecord,
        destination: &'world Destination,
        /// Port of the server, which is the Service's.
        port: u16,
        weighted: bool,
    },
    /// Not known to the model.
    NotModelled(String),
}

/// A server that listens on a pod's port.
struct Listening<'world> {
    gateway: &'world GatewayRecord,
    server: &'world Server,
}

/// Servers on a target port of a pod.
fn servers<'world>(world: &'world World, pod: &PodRecord, port: u16) -> Vec<Listening<'world>> {
    let mut found = Vec::new();
    for gateway in &world.gateways {
        if !pod.has_labels(&gateway.specification.selector) {
            continue;
        }
        for server in &gateway.specification.servers {
            if target_port(world, pod, server.port.number) == port {
                found.push(Listening { gateway, server });
            }
        }
    }
    found
}

/// The port on which the pod listens for a server's port: the target of the Service's port of that number.
fn target_port(world: &World, pod: &PodRecord, number: u16) -> u16 {
    let of_service = world.services.iter().find_map(|service| match &service.origin {
        Origin::Pods(selector)
            if !selector.is_empty()
                && service.identity.namespace == pod.name.namespace
                && pod.has_labels(selector) =>
        {
            pod.target_port(&service.port(number)?.target)
        }
        _ => None,
    });
    of_service.unwrap_or(number)
}

/// Target ports that a pod listens on.
pub(super) fn listening_ports(world: &World, pod: &PodRecord) -> Vec<u16> {
    let mut ports: Vec<u16> = world
        .gateways
        .iter()
        .filter(|gateway| pod.has_labels(&gateway.specification.selector))
        .flat_map(|gateway| &gateway.specification.servers)
        .map(|server| target_port(world, pod, server.port.number))
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// Whether a list of gateways (`name` or `namespace/name`) in a namespace names this Gateway.
fn names(list: &[String], namespace: &str, gateway: &GatewayRecord) -> bool {
    list.iter().any(|entry| {
        let (of, name) = entry.split_once('/').unwrap_or((namespace, entry));
        of == gateway.identity.namespace && name == gateway.identity.name
    })
}

/// Whether a server takes a host of a VirtualService in this namespace.
fn takes(listening: &Listening<'_>, host: &str, namespace: &str) -> bool {
    listening.server.hosts.iter().any(|entry| {
        let (scope, pattern) = entry.split_once('/').unwrap_or(("*", entry));
        let own = scope == "." && namespace == listening.gateway.identity.namespace;
        (scope == "*" || scope == namespace || own) && (covers(pattern, host) || covers(host, pattern))
    })
}

/// Finds the way of a request that arrived at a pod's port.
pub(super) fn enter<'world>(
    world: &'world World,
    pod: &'world PodRecord,
    port: u16,
    scheme: Scheme,
    host: &str,
) -> Entrance<'world> {
    let servers = servers(world, pod, port);
    if servers.is_empty() {
        return Entrance::NoListener;
    }
    if let Some(unknown) = servers.iter().find(|listening| {
        let tls = listening.server.tls.is_some() || listening.server.port.protocol == "TLS";
        let plain = !tls && matches!(listening.server.port.protocol.as_str(), "HTTP" | "HTTP2");
        let covered = listening.server.hosts.iter().any(|entry| {
            let pattern = entry
                .split_once('/')
                .map_or(entry.as_str(), |(_, pattern)| pattern);
            covers(pattern, host)
        });
        covered && !(is_passthrough(listening.server) || plain)
    }) {
        return Entrance::NotModelled(format!(
            "not modelled: server {} of Gateway {}/{}, which is neither TLS PASSTHROUGH nor plain HTTP",
            unknown.server.port.number, unknown.gateway.identity.namespace, unknown.gateway.identity.name
        ));
    }
    match scheme {
        Scheme::Https => tls(world, pod, &servers, host),
        Scheme::Http => http(world, pod, &servers, host),
    }
}

fn tls<'world>(
    world: &'world World,
    pod: &'world PodRecord,
    servers: &[Listening<'world>],
    host: &str,
) -> Entrance<'world> {
    let mut best: Option<(&str, &VirtualServiceRecord, &[RouteDestination], u16)> = None;
    for listening in servers
        .iter()
        .filter(|listening| is_passthrough(listening.server))
    {
        for (name, owner, route) in tls_matches(world, pod, listening) {
            let better = best.is_none_or(|(found, ..)| specificity(name) > specificity(found));
            if covers(name, host) && better {
                best = Some((name, owner, route, listening.server.port.number));
            }
        }
    }
    match best {
        Some((_, owner, route, port)) => routed(owner, route, port),
        None => Entrance::NoRoute,
    }
}

/// Server names of a server, with the VirtualService and the route of each.
fn tls_matches<'world>(
    world: &'world World,
    pod: &'world PodRecord,
    listening: &Listening<'world>,
) -> Vec<(
    &'world str,
    &'world VirtualServiceRecord,
    &'world [RouteDestination],
)> {
    let mut found = Vec::new();
    for owner in virtual_services(world, &pod.name.namespace) {
        let specification = &owner.specification;
        let namespace = &owner.identity.namespace;
        if !names(&specification.gateways, namespace, listening.gateway) {
            continue;
        }
        for route in &specification.tls {
            for one in &route.matches {
                let here = one.gateways.is_empty() || names(&one.gateways, namespace, listening.gateway);
                if !here || (one.port != 0 && one.port != listening.server.port.number) {
                    continue;
                }
                for name in &one.sni_hosts {
                    let declared = specification.hosts.iter().any(|pattern| covers(pattern, name));
                    if declared && takes(listening, name, namespace) {
                        found.push((name.as_str(), owner, route.route.as_slice()));
                    }
                }
            }
        }
    }
    found
}

fn http<'world>(
    world: &'world World,
    pod: &'world PodRecord,
    servers: &[Listening<'world>],
    host: &str,
) -> Entrance<'world> {
    let plain = servers.iter().filter(|listening| listening.server.tls.is_none());
    for listening in plain {
        let port = listening.server.port.number;
        for owner in virtual_services(world, &pod.name.namespace) {
            let specification = &owner.specification;
            let namespace = &owner.identity.namespace;
            let bound = names(&specification.gateways, namespace, listening.gateway)
                && specification.hosts.iter().any(|pattern| covers(pattern, host))
                && takes(listening, host, namespace);
            if !bound {
                continue;
            }
            let route = specification.http.iter().find(|route| {
                route.matches.is_empty()
                    || route.matches.iter().any(|one| {
                        (one.gateways.is_empty() || names(&one.gateways, namespace, listening.gateway))
                            && (one.port == 0 || one.port == port)
                    })
            });
            if let Some(route) = route {
                return routed(owner, &route.route, port);
            }
        }
    }
    Entrance::NoRoute
}

fn routed<'world>(
    owner: &'world VirtualServiceRecord,
    route: &'world [RouteDestination],
    port: u16,
) -> Entrance<'world> {
    match route.first() {
        Some(first) => Entrance::Routed {
            owner,
            destination: &first.destination,
            port,
            weighted: route.len() > 1,
        },
        None => Entrance::NotModelled("not modelled: a route without destination".to_owned()),
    }
}

/// Server names and cluster of each filter chain on a pod's port.
pub(super) fn tls_chains(world: &World, pod: &PodRecord, port: u16) -> Vec<(Vec<String>, String)> {
    let viewer = super::cluster::Viewer {
        namespace: &pod.name.namespace,
        gateway: true,
    };
    let mut chains = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for listening in servers(world, pod, port) {
        if !is_passthrough(listening.server) {
            continue;
        }
        for (name, owner, route) in tls_matches(world, pod, &listening) {
            let Some(first) = route.first() else { continue };
            if !seen.insert(name) {
                continue;
            }
            let namespace = &owner.identity.namespace;
            let number = listening.server.port.number;
            let target = super::cluster::resolve(world, viewer, &first.destination, namespace, number, name);
            chains.push((vec![name.to_owned()], target.name));
        }
    }
    chains
}
