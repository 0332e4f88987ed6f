//! What a gateway's pod does with a connection that reached it.

use super::names::{covers, specificity};
use super::payload::Payload;
use super::records::{GatewayRecord, Identity, PodRecord, VirtualServiceRecord};
use super::servers::{Kind, Listening, names, servers, takes};
use super::sidecar::Route;
use super::viewer::Viewer;
use super::world::World;
use crate::istio::RouteDestination;

/// What a gateway's listener has for a connection.
#[derive(Debug)]
pub(super) enum Entrance<'world> {
    /// No server listens on the port: the connection is refused.
    NoListener,
    /// No filter chain fits the connection's first bytes or server name: it is closed.
    NoChain,
    /// An HTTP server got what is not HTTP. `inside`: within TLS that it had taken off.
    NotHttp { inside: bool },
    /// An HTTP server ended the application's own TLS with a certificate of the mesh; no request came.
    Intercepted,
    /// A server of mesh TLS got TLS without a certificate of the mesh; of a stream, with its route.
    Unauthenticated(Option<Passage<'world>>),
    /// No route for the Host: 404.
    NoRoute,
    /// A route.
    Routed(Passage<'world>),
    /// Not known to the model.
    NotModelled(String),
}

/// A way through a gateway.
#[derive(Debug)]
pub(super) struct Passage<'world> {
    pub(super) route: Route<'world>,
    pub(super) gateway: &'world GatewayRecord,
    /// Port of the server, which is the Service's.
    pub(super) port: u16,
    /// What is inside the layer that the server took off.
    pub(super) inner: Payload,
    /// The server ended the application's own TLS with a certificate that the application does not expect.
    pub(super) intercepted: bool,
}

/// Finds the way of a connection that arrived at a pod's port.
pub(super) fn enter<'world>(
    world: &'world World<'world>,
    pod: &'world PodRecord<'world>,
    port: u16,
    payload: &Payload,
) -> Entrance<'world> {
    let servers = servers(world, pod, port);
    let Some(first) = servers.first() else {
        return Entrance::NoListener;
    };
    if !first.kind().is_tls() {
        return match payload {
            Payload::Http { host } => http(world, pod, &servers, host, payload),
            Payload::Connect { .. } => Entrance::NotModelled("CONNECT at a gateway".to_owned()),
            _ => Entrance::NotHttp { inside: false },
        };
    }
    let (server_name, inner) = match payload {
        // No filter chain without TLS.
        Payload::Http { .. }
        | Payload::Connect { .. }
        | Payload::Originated {
            server_name: None, ..
        } => return Entrance::NoChain,
        Payload::Originated {
            server_name: Some(server_name),
            ..
        }
        | Payload::ApplicationTls { server_name } => (server_name, None),
        Payload::MeshTls { server_name, inner } => (server_name, Some(inner.as_ref())),
    };
    let chains = chains(world, pod, &servers);
    // The most specific server name, the older of two alike.
    let mut best: Option<&Chain<'_>> = None;
    for chain in &chains {
        let better = best.is_none_or(|found| specificity(chain.name) > specificity(found.name));
        if covers(chain.name, server_name) && better {
            best = Some(chain);
        }
    }
    let Some(chain) = best else {
        return Entrance::NoChain;
    };
    match (chain.listening.kind(), inner) {
        (Kind::Other, _) => Entrance::NotModelled(format!(
            "server {} of {}, which ends TLS with a certificate of its own",
            chain.listening.server.port.number,
            chain.listening.gateway.identity.title("Gateway")
        )),
        (Kind::Passthrough, _) => stream(chain, payload.clone(), false),
        (Kind::MutualHttp, None) if matches!(payload, Payload::Originated { .. }) => {
            Entrance::Unauthenticated(None)
        }
        (Kind::MutualTcp, None) if matches!(payload, Payload::Originated { .. }) => {
            match stream(chain, payload.clone(), false) {
                Entrance::Routed(passage) => Entrance::Unauthenticated(Some(passage)),
                other => other,
            }
        }
        (Kind::MutualHttp, None) => Entrance::Intercepted,
        (Kind::MutualTcp, Some(inner)) => stream(chain, inner.clone(), false),
        // The application gets the gateway's certificate in place of the host's (truth.md 3, variant c).
        (Kind::MutualTcp, None) => stream(chain, payload.clone(), true),
        (Kind::MutualHttp, Some(Payload::Http { host })) => {
            let inner = Payload::Http { host: host.clone() };
            http(world, pod, &[chain.listening], host, &inner)
        }
        (Kind::MutualHttp | Kind::Http, _) => Entrance::NotHttp { inside: true },
    }
}

fn stream<'world>(chain: &Chain<'world>, inner: Payload, intercepted: bool) -> Entrance<'world> {
    let Some((owner, destinations)) = chain.route else {
        return Entrance::NoChain;
    };
    match Route::new(owner, destinations) {
        Some(route) => Entrance::Routed(Passage {
            route,
            gateway: chain.listening.gateway,
            port: chain.listening.server.port.number,
            inner,
            intercepted,
        }),
        None => Entrance::NotModelled("a route without destination".to_owned()),
    }
}

/// A filter chain of a TLS listener.
struct Chain<'world> {
    /// Server name that it is for.
    name: &'world str,
    listening: Listening<'world>,
    /// Where a stream goes; HTTP is routed by its Host instead.
    route: Option<(&'world VirtualServiceRecord, &'world [RouteDestination])>,
}

/// The filter chains of servers of TLS. A server of a stream without a route for a name has no chain for it.
fn chains<'world>(
    world: &'world World<'world>,
    pod: &'world PodRecord<'world>,
    servers: &[Listening<'world>],
) -> Vec<Chain<'world>> {
    let mut chains: Vec<Chain<'world>> = Vec::new();
    let mut taken: std::collections::BTreeSet<&str> = std::collections::BTreeSet::new();
    for listening in servers.iter().copied() {
        // What an older server on the port has under exactly this name, a younger one does not get.
        let own: Vec<&str> = listening.patterns().filter(|name| taken.insert(name)).collect();
        match listening.kind() {
            Kind::Passthrough => {
                let known = |name: &str| {
                    own.iter()
                        .any(|pattern| covers(pattern, name) || covers(name, pattern))
                };
                for (name, owner, route) in tls_matches(world, pod, listening) {
                    if known(name) {
                        chains.push(Chain {
                            name,
                            listening,
                            route: Some((owner, route)),
                        });
                    }
                }
            }
            Kind::MutualTcp => {
                let route = tcp_route(world, pod, listening);
                let named = own.into_iter().filter(|_| route.is_some());
                chains.extend(named.map(|name| Chain {
                    name,
                    listening,
                    route,
                }));
            }
            Kind::MutualHttp | Kind::Other => chains.extend(own.into_iter().map(|name| Chain {
                name,
                listening,
                route: None,
            })),
            Kind::Http => {}
        }
    }
    chains
}

/// Whether a VirtualService's match is for this server.
fn bound(of_match: &[String], port: u16, owner: &Identity, listening: &Listening<'_>) -> bool {
    (of_match.is_empty() || names(of_match, &owner.namespace, listening.gateway))
        && (port == 0 || port == listening.server.port.number)
}

/// VirtualServices of a server.
fn owners<'world>(
    world: &'world World<'world>,
    pod: &'world PodRecord<'world>,
    listening: Listening<'world>,
) -> impl Iterator<Item = &'world VirtualServiceRecord> {
    Viewer::gateway(pod).virtual_services_of(world, listening.gateway)
}

/// Server names of a server that lets TLS pass, with the VirtualService and the route of each.
fn tls_matches<'world>(
    world: &'world World<'world>,
    pod: &'world PodRecord<'world>,
    listening: Listening<'world>,
) -> Vec<(
    &'world str,
    &'world VirtualServiceRecord,
    &'world [RouteDestination],
)> {
    let mut found = Vec::new();
    for owner in owners(world, pod, listening) {
        let specification = &owner.specification;
        let namespace = &owner.identity.namespace;
        for route in &specification.tls {
            for one in &route.matches {
                if !bound(&one.gateways, one.port, &owner.identity, &listening) {
                    continue;
                }
                for name in &one.sni_hosts {
                    let declared = owner.is_for(name);
                    if declared && takes(&listening, name, namespace) {
                        found.push((name.as_str(), owner, route.route.as_slice()));
                    }
                }
            }
        }
    }
    found
}

/// The first route of opaque TCP for a server: where a server ended TLS, `tls` routes have no effect (truth.md 3).
fn tcp_route<'world>(
    world: &'world World<'world>,
    pod: &'world PodRecord<'world>,
    listening: Listening<'world>,
) -> Option<(&'world VirtualServiceRecord, &'world [RouteDestination])> {
    for owner in owners(world, pod, listening) {
        let namespace = &owner.identity.namespace;
        let mut hosts = owner.specification.hosts.iter();
        if !hosts.any(|host| takes(&listening, host, namespace)) {
            continue;
        }
        let fits = |route: &&crate::istio::TcpRoute| {
            let mut matches = route.matches.iter();
            route.matches.is_empty()
                || matches.any(|one| bound(&one.gateways, one.port, &owner.identity, &listening))
        };
        if let Some(route) = owner.specification.tcp.iter().find(fits) {
            return Some((owner, &route.route));
        }
    }
    None
}

fn http<'world>(
    world: &'world World<'world>,
    pod: &'world PodRecord<'world>,
    servers: &[Listening<'world>],
    host: &str,
    inner: &Payload,
) -> Entrance<'world> {
    for listening in servers {
        for owner in owners(world, pod, *listening) {
            let specification = &owner.specification;
            let namespace = &owner.identity.namespace;
            let is_for = owner.is_for(host) && takes(listening, host, namespace);
            if !is_for {
                continue;
            }
            let route = specification.http.iter().find(|route| {
                let mut matches = route.matches.iter();
                route.matches.is_empty()
                    || matches.any(|one| bound(&one.gateways, one.port, &owner.identity, listening))
            });
            let Some(route) = route else { continue };
            let Some(mut found) = Route::new(owner, &route.route) else {
                return Entrance::NotModelled("a route without destination".to_owned());
            };
            found.rewrite = route.rewrite.as_ref().map(|rewrite| rewrite.authority.as_str());
            return Entrance::Routed(Passage {
                route: found,
                gateway: listening.gateway,
                port: listening.server.port.number,
                inner: inner.clone(),
                intercepted: false,
            });
        }
    }
    Entrance::NoRoute
}

/// Server names and cluster of each filter chain on a pod's port.
pub(super) fn tls_chains(world: &World, pod: &PodRecord, port: u16) -> Vec<(Vec<String>, String)> {
    let viewer = Viewer::gateway(pod);
    let servers = servers(world, pod, port);
    let mut shown = Vec::new();
    for chain in chains(world, pod, &servers) {
        let cluster = chain.route.and_then(|(owner, destinations)| {
            let first = destinations.first()?;
            let namespace = &owner.identity.namespace;
            let number = chain.listening.server.port.number;
            let target =
                super::cluster::resolve(world, viewer, &first.destination, namespace, number, chain.name);
            Some(target.name)
        });
        if let Some(cluster) = cluster
            && !shown
                .iter()
                .any(|(names, _): &(Vec<String>, String)| names[0] == chain.name)
        {
            shown.push((vec![chain.name.to_owned()], cluster));
        }
    }
    shown
}
