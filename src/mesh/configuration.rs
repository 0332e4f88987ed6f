//! What a proxy holds, as its admin port shows it.

use super::records::PortProtocol;
use super::viewer::Viewer;
use super::world::World;
use super::{cluster, gateway, servers, sidecar};
use crate::istio::access_log::{BLACK_HOLE_CLUSTER, PASSTHROUGH_CLUSTER};
use crate::vocabulary::PodName;

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
    /// Names of clusters, sorted.
    pub clusters: Vec<String>,
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
    let viewer = if record.gateway {
        Viewer::gateway(record)
    } else {
        Viewer::sidecar(world, &pod.namespace, &record.labels)
    };
    let listeners = if record.gateway {
        servers::listening_ports(world, record)
            .into_iter()
            .map(|port| listener(port, gateway::tls_chains(world, record, port)))
            .collect()
    } else if record.sidecar {
        tls_ports(world)
            .into_iter()
            .map(|port| listener(port, sidecar::tls_chains(world, &viewer, port)))
            .collect()
    } else {
        return None;
    };
    let mut clusters = cluster::names(world, viewer);
    clusters.push(BLACK_HOLE_CLUSTER.to_owned());
    clusters.push(PASSTHROUGH_CLUSTER.to_owned());
    clusters.sort();
    Some(ProxyConfiguration { listeners, clusters })
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
