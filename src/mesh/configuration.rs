//! What a proxy holds, as its admin port shows it.

use super::gateway::Entrance;
use super::payload::Payload;
use super::prediction::LegTls;
use super::records::PortProtocol;
use super::viewer::Viewer;
use super::world::World;
use super::{cluster, gateway, servers, sidecar};
use crate::istio::access_log::{BLACK_HOLE_CLUSTER, PASSTHROUGH_CLUSTER};
use crate::vocabulary::PodName;
use std::collections::BTreeMap;

/// A filter chain for server names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Server names (SNI).
    pub server_names: Vec<String>,
    /// The cluster that it leads to.
    pub cluster: String,
}

/// A listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name, for example `0.0.0.0_8443`.
    pub name: String,
    /// Its port, 1 to 65535.
    pub port: u16,
    /// Its filter chains.
    pub chains: Vec<Chain>,
}

/// A proxy's listeners and clusters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyConfiguration {
    /// Listeners by port.
    pub listeners: Vec<Listener>,
    /// Clusters by their names, each with the TLS that the proxy adds on the way to it.
    pub clusters: BTreeMap<String, LegTls>,
}

/// What the proxy in a pod holds; `None` if the pod has none.
pub fn configuration(world: &World, pod: &PodName) -> Option<ProxyConfiguration> {
    let record = world.pod(pod)?;
    let listener = |port: u16, chains: Vec<(Vec<String>, String)>| Listener {
        name: format!("0.0.0.0_{port}"),
        port,
        chains: chains
            .into_iter()
            .map(|(server_names, cluster)| Chain {
                server_names,
                cluster,
            })
            .collect(),
    };
    let viewer = if record.is_gateway() {
        Viewer::gateway(record)
    } else {
        Viewer::of_pod(world, record)
    };
    let listeners = if record.is_gateway() {
        servers::listening_ports(world, record)
            .into_iter()
            .map(|port| listener(port, gateway::tls_chains(world, record, port)))
            .collect()
    } else if record.has_sidecar() {
        tls_ports(world)
            .into_iter()
            .map(|port| listener(port, sidecar::tls_chains(world, &viewer, port)))
            .collect()
    } else {
        return None;
    };
    let mut clusters = cluster::all(world, viewer);
    for own in [BLACK_HOLE_CLUSTER, PASSTHROUGH_CLUSTER] {
        clusters.insert(own.to_owned(), LegTls::None);
    }
    Some(ProxyConfiguration { listeners, clusters })
}

/// The cluster to which a gateway's pod sends requests for a host that come by HTTP to its port, plain or within TLS of
/// the mesh; `None` if it has no route for them.
pub fn http_route(world: &World, pod: &PodName, port: u16, host: &str) -> Option<String> {
    let record = world.pod(pod).filter(|record| record.is_gateway())?;
    let plain = Payload::Http {
        host: host.to_owned(),
    };
    let protected = Payload::MeshTls {
        server_name: host.to_owned(),
        inner: Box::new(plain.clone()),
    };
    let passage =
        [protected, plain]
            .iter()
            .find_map(|payload| match gateway::enter(world, record, port, payload) {
                Entrance::Routed(passage) if passage.inner.host().is_some() => Some(passage),
                _ => None,
            })?;
    let owner = &passage.route.owner.identity.namespace;
    let asked = passage.route.rewrite.unwrap_or(host);
    let viewer = Viewer::gateway(record);
    let target = cluster::resolve(
        world,
        viewer,
        passage.route.destination,
        owner,
        passage.port,
        asked,
    );
    Some(target.name)
}

fn tls_ports(world: &World) -> Vec<u16> {
    let mut ports: Vec<u16> = world
        .services
        .iter()
        .filter(|service| service.is_external())
        .flat_map(|service| &service.ports)
        .filter(|port| port.protocol == PortProtocol::Tls)
        .map(|port| port.number)
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}
