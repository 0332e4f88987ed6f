//! What a sidecar does with a request of its application.

use super::names::{cluster_name, covers, specificity, visible};
use super::records::{PortProtocol, ServiceRecord, VirtualServiceRecord};
use super::world::World;
use crate::istio::Destination;

/// Name of the gateway that stands for all sidecars.
pub(super) const MESH: &str = "mesh";

/// Where a sidecar's listener sends a request.
#[derive(Debug)]
pub(super) enum Way<'world> {
    /// Past every route: `PassthroughCluster`, or refused under REGISTRY_ONLY.
    Unknown,
    /// To the service itself, no VirtualService speaking for it.
    Service(&'world ServiceRecord),
    /// As a VirtualService says.
    Routed {
        owner: &'world VirtualServiceRecord,
        destination: &'world Destination,
        /// More destinations share the traffic.
        weighted: bool,
    },
    /// Not known to the model.
    NotModelled(String),
}

/// Whether `gateways` of a match, or else of its VirtualService, name the mesh.
fn for_mesh(of_match: &[String], of_service: &[String]) -> bool {
    let named = if of_match.is_empty() { of_service } else { of_match };
    named.is_empty() || named.iter().any(|gateway| gateway == MESH)
}

/// VirtualServices that a namespace sees, oldest first.
pub(super) fn virtual_services<'world>(
    world: &'world World,
    viewer: &'world str,
) -> impl Iterator<Item = &'world VirtualServiceRecord> {
    world.virtual_services.iter().filter(move |service| {
        visible(
            &service.specification.export_to,
            &service.identity.namespace,
            viewer,
        )
    })
}

/// TLS by server name.
pub(super) fn tls<'world>(world: &'world World, viewer: &'world str, host: &str, port: u16) -> Way<'world> {
    // Measured: a VirtualService for a host that no ServiceEntry declares has no effect (truth.md 8).
    let Some(service) = world.service(viewer, host, Some(port)) else {
        return Way::Unknown;
    };
    if service.port(port).map(|port| port.protocol) != Some(PortProtocol::Tls) {
        return Way::NotModelled(format!(
            "not modelled: TLS to port {port} of {}, which is not declared as TLS",
            service.host
        ));
    }
    let mut best: Option<(&str, &VirtualServiceRecord, &crate::istio::TlsRoute)> = None;
    let mut any = false;
    for owner in virtual_services(world, viewer) {
        let specification = &owner.specification;
        if !specification
            .hosts
            .iter()
            .any(|pattern| covers(pattern, &service.host))
        {
            continue;
        }
        for route in &specification.tls {
            for one in &route.matches {
                if !for_mesh(&one.gateways, &specification.gateways) || (one.port != 0 && one.port != port) {
                    continue;
                }
                any = true;
                for name in one.sni_hosts.iter().filter(|name| covers(name, host)) {
                    // The first wins unless a later one is more specific.
                    if best.is_none_or(|(found, _, _)| specificity(name) > specificity(found)) {
                        best = Some((name, owner, route));
                    }
                }
            }
        }
    }
    match best {
        Some((_, owner, route)) => routed(owner, &route.route),
        None if any => Way::Unknown,
        None => Way::Service(service),
    }
}

fn routed<'world>(
    owner: &'world VirtualServiceRecord,
    route: &'world [crate::istio::RouteDestination],
) -> Way<'world> {
    match route.first() {
        Some(first) => Way::Routed {
            owner,
            destination: &first.destination,
            weighted: route.len() > 1,
        },
        None => Way::NotModelled(format!(
            "not modelled: a route without destination in VirtualService {}/{}",
            owner.identity.namespace, owner.identity.name
        )),
    }
}

/// Plain HTTP by Host.
pub(super) fn http<'world>(world: &'world World, viewer: &'world str, host: &str, port: u16) -> Way<'world> {
    let service = world.service(viewer, host, Some(port));
    if let Some(declared) = service.and_then(|service| service.port(port))
        && declared.protocol != PortProtocol::Http
    {
        return Way::NotModelled(format!(
            "not modelled: plain HTTP to port {port} of {host}, which is not declared as HTTP"
        ));
    }
    // Istio builds the route of port 80 also for hosts that nothing declares (its sidecar route builder).
    if service.is_none() && port != 80 {
        return Way::Unknown;
    }
    let name = service.map_or(host, |service| &service.host);
    for owner in virtual_services(world, viewer) {
        let specification = &owner.specification;
        if !specification.hosts.iter().any(|pattern| covers(pattern, name)) {
            continue;
        }
        for route in &specification.http {
            let fits = route.matches.iter().any(|one| {
                for_mesh(&one.gateways, &specification.gateways) && (one.port == 0 || one.port == port)
            });
            let unconditional = route.matches.is_empty() && for_mesh(&[], &specification.gateways);
            if fits || unconditional {
                return routed(owner, &route.route);
            }
        }
    }
    service.map_or(Way::Unknown, Way::Service)
}

/// Server names and the cluster of each filter chain on a port, as the sidecar's listener shows them.
pub(super) fn tls_chains(world: &World, viewer: &str, port: u16) -> Vec<(Vec<String>, String)> {
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
        let of_tls =
            service.is_external() && service.port(port).map(|port| port.protocol) == Some(PortProtocol::Tls);
        if !of_tls || !visible(&service.export_to, &service.identity.namespace, viewer) {
            continue;
        }
        if !seen.insert(&service.host) {
            continue;
        }
        match tls(world, viewer, &service.host, port) {
            Way::Routed {
                owner, destination, ..
            } => {
                let viewer = super::cluster::Viewer {
                    namespace: viewer,
                    gateway: false,
                };
                let namespace = &owner.identity.namespace;
                let target =
                    super::cluster::resolve(world, viewer, destination, namespace, port, &service.host);
                add(&service.host, target.name);
            }
            Way::Service(service) => add(&service.host, cluster_name(port, "", &service.host)),
            Way::Unknown | Way::NotModelled(_) => {}
        }
    }
    chains
}
