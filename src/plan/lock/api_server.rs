//! Where pods reach the API server.

use super::service;
use super::{Peer, Target, Why};
use crate::error::{Error, Result};
use crate::vocabulary::{Object, Protocol};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// What Service default/kubernetes leads to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiServer {
    /// Addresses of the Service with its port: what pods connect to.
    pub service: BTreeSet<SocketAddr>,
    /// Addresses of the API servers themselves: what is left of that after DNAT.
    pub endpoints: BTreeSet<SocketAddr>,
}

/// The Service that stands for the API server, as people name it.
const SERVICE: &str = "Service default/kubernetes";
/// And what is behind it.
const ENDPOINTS: &str = "endpoints of Service default/kubernetes";

impl ApiServer {
    /// Reads Service default/kubernetes and its EndpointSlices.
    ///
    /// # Errors
    /// If the Service or its endpoints are not among the objects.
    pub fn from_objects(objects: &[Object]) -> Result<Self> {
        let mut found = Self::default();
        for object in objects {
            if object.at("/addressType").is_null() {
                let addresses = service::cluster_addresses(object);
                found
                    .service
                    .extend(service::with_ports(&addresses, &ports(object, "/spec/ports")));
            } else {
                let addresses = service::slice_addresses(object);
                found
                    .endpoints
                    .extend(service::with_ports(&addresses, &ports(object, "/ports")));
            }
        }
        let missing = match (found.service.is_empty(), found.endpoints.is_empty()) {
            (false, false) => return Ok(found),
            (true, _) => format!("{SERVICE} has no cluster address"),
            (false, true) => format!("{SERVICE} has no endpoints"),
        };
        Err(Error::usage("it is not known where pods reach the API server").because(missing))
    }

    /// As peers of a policy.
    pub fn peers(&self) -> Vec<Peer> {
        let mut by_port: BTreeMap<(u16, &str), BTreeSet<IpAddr>> = BTreeMap::new();
        for (addresses, of) in [(&self.service, SERVICE), (&self.endpoints, ENDPOINTS)] {
            for address in addresses {
                by_port
                    .entry((address.port(), of))
                    .or_default()
                    .insert(address.ip());
            }
        }
        let peer = |((port, of), addresses): ((u16, &str), BTreeSet<IpAddr>)| Peer {
            why: Why::ApiServer,
            of: of.to_owned(),
            target: Target::Addresses(addresses),
            ports: vec![(Protocol::Tcp, port)],
        };
        by_port.into_iter().map(peer).collect()
    }
}

fn ports(object: &Object, pointer: &str) -> Vec<u16> {
    let number = |port: &serde_json::Value| u16::try_from(port.get("port")?.as_u64()?).ok();
    object.items(pointer).iter().filter_map(number).collect()
}
