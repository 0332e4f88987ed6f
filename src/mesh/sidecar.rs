//! What a sidecar does with a request of its application.

use super::decision::{Decision, Matter};
use super::names::{cluster_name, covers, specificity};
use super::payload::Payload;
use super::records::{Origin, PortProtocol, ServiceRecord, VirtualServiceRecord};
use super::viewer::Viewer;
use super::virtual_address::at_virtual_address;
use super::world::World;
use crate::istio::{Destination, RouteDestination};
use std::net::IpAddr;

/// Name of the gateway that stands for all sidecars.
pub(super) const MESH: &str = "mesh";

/// Where a sidecar's listener sends a request.
#[derive(Debug)]
pub(super) enum Way<'world> {
    /// Past every route: `PassthroughCluster`, or refused under REGISTRY_ONLY. `http`: an HTTP listener decides it,
    /// by `allow_any` or `block_all`.
    Unknown { http: bool },
    /// To the service itself, no VirtualService speaking for it.
    Service(&'world ServiceRecord),
    /// As a VirtualService says.
    Routed(Route<'world>),
    /// An HTTP listener has no route for CONNECT.
    NoTunnel,
    /// Not known to the model: what.
    NotModelled(String),
}

/// A route of a VirtualService.
#[derive(Debug)]
pub(super) struct Route<'world> {
    pub(super) owner: &'world VirtualServiceRecord,
    pub(super) destination: &'world Destination,
    /// Other destinations share the traffic.
    pub(super) weighted: bool,
    /// Host that the request is sent on with.
    pub(super) rewrite: Option<&'world str>,
}

impl<'world> Route<'world> {
    pub(super) fn new(
        owner: &'world VirtualServiceRecord,
        routes: &'world [RouteDestination],
    ) -> Option<Self> {
        let first = routes.first()?;
        Some(Self {
            owner,
            destination: &first.destination,
            weighted: routes.len() > 1,
            rewrite: None,
        })
    }

    pub(super) fn title(&self) -> String {
        self.owner.identity.title("VirtualService")
    }
}

/// What listens on a port for all addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listens {
    Nothing,
    Http,
    Stream,
    /// It looks at the first bytes.
    Either,
}

/// Whether a VirtualService is for sidecars, and one of its matches is, too: what a match names beside that has no
/// effect (seen on the lab).
pub(super) fn for_mesh(of_match: &[String], of_service: &[String]) -> bool {
    let named = |list: &[String]| list.is_empty() || list.iter().any(|gateway| gateway == MESH);
    named(of_match) && named(of_service)
}

/// Services that have a port with a listener for all addresses, in the order in which istiod takes them: those that
/// are exported to single namespaces before those for all, older before younger.
fn on_port<'world>(
    world: &'world World<'world>,
    viewer: &Viewer<'world>,
    port: u16,
) -> Vec<(&'world ServiceRecord, PortProtocol)> {
    let mut found: Vec<_> = world
        .services
        .iter()
        .filter(|service| viewer.sees_service(world, service))
        .filter_map(|service| Some((service, service.protocol(port)?)))
        .filter(|(service, protocol)| match &service.origin {
            // HTTP is told apart by its Host, whatever the address.
            _ if *protocol == PortProtocol::Http => true,
            Origin::Entry { .. } => viewer.addresses_of(world, service).is_empty(),
            Origin::Pods(_) | Origin::Elsewhere(_) => false,
        })
        .collect();
    let rank = |service: &ServiceRecord| match service.export_to.as_slice() {
        [only] if only == "." => 0,
        [] => 2,
        list if list.iter().any(|entry| entry == "*") => 2,
        _ => 1,
    };
    found.sort_by_key(|(service, _)| rank(service));
    found
}

/// HTTP and streams on one port exclude each other: what came first stays.
fn listens(on_port: &[(&ServiceRecord, PortProtocol)]) -> Listens {
    match on_port.first().map(|(_, protocol)| *protocol) {
        None | Some(PortProtocol::Other) => Listens::Nothing,
        Some(PortProtocol::Http) => Listens::Http,
        Some(PortProtocol::Tls | PortProtocol::Tcp) => Listens::Stream,
        Some(PortProtocol::Unsaid) => Listens::Either,
    }
}

/// Finds the way of what an application sends to a port.
pub(super) fn way<'world>(
    world: &'world World<'world>,
    viewer: &Viewer<'world>,
    payload: &Payload,
    port: u16,
    address: Option<IpAddr>,
) -> Way<'world> {
    if let Some(way) = at_virtual_address(world, viewer, payload, port, address) {
        return way;
    }
    let on_port = on_port(world, viewer, port);
    let streamed = || without_server_name(&on_port);
    match (listens(&on_port), payload) {
        (Listens::Http, Payload::Http { host }) => http(world, viewer, host, port),
        (Listens::Http, Payload::Connect { .. }) => Way::NoTunnel,
        // Seen on the lab: the HTTP chain of a listener for all addresses takes nothing but HTTP.
        (Listens::Nothing | Listens::Http, _) => Way::Unknown { http: false },
        (Listens::Stream, Payload::ApplicationTls { server_name }) => {
            tls(world, viewer, server_name, port).unwrap_or_else(streamed)
        }
        (Listens::Stream, _) => streamed(),
        (Listens::Either, _) => Way::NotModelled(format!("port {port}, whose protocol is not said")),
    }
}

/// TLS by server name; `None` if nothing on the port is for it.
fn tls<'world>(
    world: &'world World<'world>,
    viewer: &Viewer<'world>,
    server_name: &str,
    port: u16,
) -> Option<Way<'world>> {
    // Measured: a VirtualService for a host that no ServiceEntry declares has no effect (truth.md 8).
    let routes = viewer
        .virtual_services(world)
        .flat_map(|owner| server_names(owner, port))
        .filter(|(name, owner, _)| covers(name, server_name) && speaks_for_any(world, viewer, owner, port));
    let best = most_specific(routes, server_name);
    let own = world
        .service(viewer, server_name, Some(port))
        .filter(|service| service.protocol(port) == Some(PortProtocol::Tls))
        .filter(|service| {
            without_addresses(world, viewer, service) && !is_routed(world, viewer, service, port)
        });
    match (best, own) {
        (Some((name, ..)), Some(service)) if specificity(&service.host) > specificity(name) => {
            Some(Way::Service(service))
        }
        (Some((_, owner, destinations)), _) => Some(by_route(owner, destinations)),
        (None, own) => own.map(Way::Service),
    }
}

fn without_addresses(world: &World, viewer: &Viewer<'_>, service: &ServiceRecord) -> bool {
    service.is_external() && viewer.addresses_of(world, service).is_empty()
}

fn by_route<'world>(
    owner: &'world VirtualServiceRecord,
    destinations: &'world [RouteDestination],
) -> Way<'world> {
    Route::new(owner, destinations).map_or_else(|| without_destination(owner), Way::Routed)
}

/// Whether a VirtualService is for some service whose listener on the port reads server names.
fn speaks_for_any(world: &World, viewer: &Viewer<'_>, owner: &VirtualServiceRecord, port: u16) -> bool {
    let is_stream = |service: &ServiceRecord| {
        without_addresses(world, viewer, service)
            && service.protocol(port).is_some_and(PortProtocol::is_stream)
    };
    owner.specification.hosts.iter().any(|pattern| {
        if pattern.starts_with('*') {
            let mut services = world.services.iter();
            return services.any(|service| {
                covers(pattern, &service.host) && is_stream(service) && viewer.sees_service(world, service)
            });
        }
        let exact = world.service(viewer, pattern, Some(port));
        exact.is_some_and(|service| service.host == *pattern && is_stream(service))
    })
}

/// Server names that a VirtualService routes in the mesh at a port.
fn server_names(owner: &VirtualServiceRecord, port: u16) -> impl Iterator<Item = NamedRoute<'_>> {
    let specification = &owner.specification;
    specification.tls.iter().flat_map(move |route| {
        let here = route.matches.iter().filter(move |one| {
            for_mesh(&one.gateways, &specification.gateways) && (one.port == 0 || one.port == port)
        });
        here.flat_map(|one| &one.sni_hosts)
            .map(move |name| (name.as_str(), owner, route.route.as_slice()))
    })
}

/// The VirtualServices for a service.
fn speaking<'world, 'service>(
    world: &'world World<'world>,
    viewer: &Viewer<'world>,
    service: &'service ServiceRecord,
) -> impl Iterator<Item = &'world VirtualServiceRecord> + use<'world, 'service> {
    viewer.virtual_services_for(world, &service.host)
}

/// Whether some route by server name is for the service: then it has no filter chain of its own.
fn is_routed(world: &World, viewer: &Viewer<'_>, service: &ServiceRecord, port: u16) -> bool {
    speaking(world, viewer, service).any(|owner| server_names(owner, port).next().is_some())
}

fn without_destination<'world>(owner: &VirtualServiceRecord) -> Way<'world> {
    Way::NotModelled(format!(
        "a route without destination in {}",
        owner.identity.title("VirtualService")
    ))
}

/// What takes everything on a port, whatever its first bytes: a service of plain TCP without addresses.
fn without_server_name<'world>(on_port: &[(&'world ServiceRecord, PortProtocol)]) -> Way<'world> {
    let mut on_port = on_port.iter();
    match on_port.find(|(_, protocol)| *protocol == PortProtocol::Tcp) {
        Some((service, _)) => Way::Service(service),
        None => Way::Unknown { http: false },
    }
}

type NamedRoute<'world> = (
    &'world str,
    &'world VirtualServiceRecord,
    &'world [RouteDestination],
);

/// The route of one service for a server name, and whether the service is routed at all.
pub(super) fn server_name_route<'world>(
    world: &'world World<'world>,
    viewer: &Viewer<'world>,
    service: &ServiceRecord,
    server_name: &str,
    port: u16,
) -> (Option<Way<'world>>, bool) {
    let mut routes = speaking(world, viewer, service)
        .flat_map(|owner| server_names(owner, port))
        .peekable();
    let any = routes.peek().is_some();
    let best = most_specific(routes, server_name);
    (
        best.map(|(_, owner, destinations)| by_route(owner, destinations)),
        any,
    )
}

/// The route with the most specific name for a server name; the first of several alike.
fn most_specific<'world>(
    routes: impl Iterator<Item = NamedRoute<'world>>,
    server_name: &str,
) -> Option<NamedRoute<'world>> {
    let mut best: Option<NamedRoute<'world>> = None;
    for route in routes.filter(|(name, ..)| covers(name, server_name)) {
        if best.is_none_or(|(found, ..)| specificity(route.0) > specificity(found)) {
            best = Some(route);
        }
    }
    best
}

/// Plain HTTP by Host.
fn http<'world>(world: &'world World<'world>, viewer: &Viewer<'world>, host: &str, port: u16) -> Way<'world> {
    let service = world.service(viewer, host, Some(port));
    match service {
        Some(service) if service.protocol(port) != Some(PortProtocol::Http) => {
            return Way::Unknown { http: true };
        }
        // Istio builds the route of port 80 also for hosts that nothing declares (its sidecar route builder).
        None if port != 80 => return Way::Unknown { http: true },
        _ => {}
    }
    let name = service.map_or(host, |service| &service.host);
    for owner in viewer.virtual_services_for(world, name) {
        let specification = &owner.specification;
        // One without a route for this port counts as not there (seen on the lab).
        let fitting = specification.http.iter().find(|route| {
            let unconditional = route.matches.is_empty() && for_mesh(&[], &specification.gateways);
            let mut matches = route.matches.iter();
            unconditional
                || matches.any(|one| {
                    for_mesh(&one.gateways, &specification.gateways) && (one.port == 0 || one.port == port)
                })
        });
        let Some(route) = fitting else { continue };
        let Some(mut found) = Route::new(owner, &route.route) else {
            return without_destination(owner);
        };
        found.rewrite = route.rewrite.as_ref().map(|rewrite| rewrite.authority.as_str());
        return Way::Routed(found);
    }
    service.map_or(Way::Unknown { http: true }, Way::Service)
}

/// The objects that made a service known.
pub(super) fn known_by(world: &World, viewer: &Viewer<'_>, host: &str, port: u16) -> Option<Decision> {
    let service = world.service(viewer, host, Some(port))?;
    Some(Decision::new(Matter::Known, service.title()))
}

/// Server names and the cluster of each filter chain on a port, as the sidecar's listener shows them.
pub(super) fn tls_chains(world: &World, viewer: &Viewer<'_>, port: u16) -> Vec<(Vec<String>, String)> {
    let mut chains: Vec<(Vec<String>, String)> = Vec::new();
    let mut add = |name: &str, cluster: String| {
        let known = chains.iter_mut().find(|(_, found)| *found == cluster);
        match known {
            Some((names, _)) => names.push(name.to_owned()),
            None => chains.push((vec![name.to_owned()], cluster)),
        }
    };
    let mut seen = std::collections::BTreeSet::new();
    for service in &world.services {
        // Kubernetes Services have listeners of their own, at their addresses.
        let of_tls = service.is_external() && service.protocol(port) == Some(PortProtocol::Tls);
        if !of_tls || !viewer.sees_service(world, service) || !seen.insert(&service.host) {
            continue;
        }
        match server_name_route(world, viewer, service, &service.host, port) {
            (Some(Way::Routed(route)), _) => {
                let namespace = &route.owner.identity.namespace;
                let target = super::cluster::resolve(
                    world,
                    *viewer,
                    route.destination,
                    namespace,
                    port,
                    &service.host,
                );
                add(&service.host, target.name);
            }
            (None, false) => add(&service.host, cluster_name(port, "", &service.host)),
            _ => {}
        }
    }
    chains
}
