//! What one line of a sidecar's access log says of where a connection, or a request, went. Pure.
//!
//! A name in the SNI or the Host header is what the application said, which need not be true: a plan made of it leads
//! the name, not the address that was called.

use super::inside::{Inside, Named};
use crate::evidence::{AccessLogLine, UpstreamCluster};
use crate::istio::access_log::BLOCK_ALL_ROUTE;
use crate::vocabulary::HostName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// Flags of Envoy by which nothing was sent to the upstream: no route, cluster or host, or no connection to it.
const NEVER_SENT: &[&str] = &["NR", "NC", "NFCF", "UH", "UF", "UO", "URX"];

/// Which way it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Way {
    /// To an egress gateway.
    Gateway,
    /// Out of the cluster, past the gateway.
    Direct,
    /// To something in the cluster.
    InCluster,
    /// Nowhere: the sidecar knows no such host and lets none out (`REGISTRY_ONLY`).
    Refused,
}

/// What the application spoke, as far as the sidecar could tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Spoken {
    /// HTTP that the sidecar could read; each request has a line.
    Http,
    /// TLS with a server name.
    Tls,
    /// Anything else, also TLS without a server name.
    Tcp,
}

/// Where a workload goes. Two lines with the same one are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination {
    /// The name: of a host outside, or of a Service of the cluster. `None` if nothing told one.
    pub host: Option<HostName>,
    /// The address that was called, where there is no name.
    pub address: Option<IpAddr>,
    /// The port that the application called; 0 if the log does not tell it.
    pub port: u16,
    /// What was spoken.
    pub spoken: Spoken,
    /// Which way it took.
    pub way: Way,
    /// The gateway that took it, or the Service by whose name a host outside was called; `NAMESPACE/NAME`.
    pub by: Option<String>,
}

impl Destination {
    /// `HOST:PORT`, or `ADDRESS:PORT`.
    pub fn place(&self) -> String {
        match (&self.host, self.address) {
            (Some(host), _) => format!("{host}:{}", self.port),
            (None, Some(address)) => SocketAddr::new(address, self.port).to_string(),
            (None, None) => format!("unknown:{}", self.port),
        }
    }
}

/// One line, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) to: Destination,
    /// Whom the sidecar itself connected to.
    pub(super) upstream: Option<SocketAddr>,
    /// Whether nothing reached the other side.
    pub(super) failed: bool,
}

/// Reads where a line's connection went; `None` if it came in, or never got a destination.
pub(super) fn sent(line: &AccessLogLine, inside: &Inside) -> Option<Sent> {
    let socket = |text: &Option<String>| text.as_deref()?.parse::<SocketAddr>().ok();
    let upstream = socket(&line.upstream_host);
    let called = socket(&line.downstream_local_address);
    let refused = line.route_name.as_deref() == Some(BLOCK_ALL_ROUTE);
    let place = match &line.upstream_cluster {
        _ if refused => Place::nowhere(line),
        Some(UpstreamCluster::BlackHole) => Place::nowhere(line),
        Some(cluster) => place(cluster, upstream, || name(line), inside)?,
        None => return None,
    };
    let spoken = match (line.is_http(), &line.requested_server_name) {
        (true, _) => Spoken::Http,
        (false, Some(_)) => Spoken::Tls,
        (false, None) => Spoken::Tcp,
    };
    let target = called.or(upstream);
    Some(Sent {
        to: Destination {
            address: target
                .filter(|_| place.host.is_none())
                .map(|socket| socket.ip().to_canonical()),
            port: place
                .port
                .or(target.map(|socket| socket.port()))
                .unwrap_or_default(),
            host: place.host,
            spoken,
            way: place.way,
            by: place.by,
        },
        failed: place.way == Way::Refused || NEVER_SENT.iter().any(|flag| line.has_flag(flag)),
        upstream,
    })
}

/// What a cluster of a sidecar leads to.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) host: Option<HostName>,
    /// As the cluster says it; `None`: as the application called it.
    pub(super) port: Option<u16>,
    pub(super) way: Way,
    pub(super) by: Option<String>,
}

impl Place {
    fn nowhere(line: &AccessLogLine) -> Self {
        Self {
            host: name(line),
            port: None,
            way: Way::Refused,
            by: None,
        }
    }
}

/// Reads where a cluster leads; `None` for those of incoming traffic and of the proxy's own.
pub(super) fn place(
    cluster: &UpstreamCluster,
    upstream: Option<SocketAddr>,
    name: impl Fn() -> Option<HostName>,
    inside: &Inside,
) -> Option<Place> {
    let stays = upstream.is_some_and(|upstream| inside.has(upstream.ip().to_canonical()));
    let by_address = if stays { Way::InCluster } else { Way::Direct };
    Some(match cluster {
        UpstreamCluster::Outbound { host, port, .. } => match inside.named(host) {
            Some(Named::Gateway(gateway)) => Place {
                host: name(),
                port: None,
                way: Way::Gateway,
                by: Some(gateway),
            },
            Some(Named::Service) => Place {
                host: host.parse().ok(),
                port: Some(*port),
                way: Way::InCluster,
                by: None,
            },
            Some(Named::External { service, host }) => Place {
                host: host.or_else(name),
                port: Some(*port),
                way: by_address,
                by: Some(service),
            },
            None => {
                // Of a wildcard only what was asked for is known; a wildcard is never proposed.
                let own = host.parse::<HostName>().ok().filter(|host| !host.is_wildcard());
                Place {
                    host: own.or_else(name),
                    port: Some(*port),
                    way: by_address,
                    by: None,
                }
            }
        },
        UpstreamCluster::Passthrough => {
            let host = if stays { None } else { name() };
            Place {
                host,
                port: None,
                way: by_address,
                by: None,
            }
        }
        UpstreamCluster::BlackHole => Place {
            host: name(),
            port: None,
            way: Way::Refused,
            by: None,
        },
        UpstreamCluster::Other(_) => return None,
    })
}

/// The name that the application asked for: the SNI, else the Host header. What is no DNS name is none.
fn name(line: &AccessLogLine) -> Option<HostName> {
    let said = line
        .requested_server_name
        .as_deref()
        .or(line.authority.as_deref())?;
    let without_port = said
        .rsplit_once(':')
        .filter(|(_, port)| port.parse::<u16>().is_ok())
        .map_or(said, |(host, _)| host);
    let host: HostName = without_port.to_ascii_lowercase().parse().ok()?;
    (!host.is_wildcard()).then_some(host)
}
