//! Which proxy wrote a line, as far as the line itself shows.

use super::super::{AccessLogLine, UpstreamCluster};
use super::cluster_name::{INBOUND_PASSTHROUGH, service_of};
use crate::istio::access_log::{ALLOW_ANY_ROUTE, BLOCK_ALL_ROUTE};
use schemars::JsonSchema;
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};

/// The proxy that wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// A sidecar, about what its own application sends.
    Sidecar,
    /// A gateway.
    Gateway,
    /// A sidecar, about what comes in to its application.
    Inbound,
    /// The line does not show it.
    Proxy,
}

impl Speaker {
    /// Finds out from the addresses: a sidecar's own end of the upstream connection has the client's address, a
    /// gateway's that of the listener. Where no upstream connection was made, from names and ports that only one has.
    pub fn of(line: &AccessLogLine) -> Self {
        if is_inbound(line) {
            return Self::Inbound;
        }
        let own = ip(line.upstream_local_address.as_deref());
        if own.is_some() && own == ip(line.downstream_local_address.as_deref()) {
            return Self::Gateway;
        }
        if own.is_some() && own == ip(line.downstream_remote_address.as_deref()) {
            return Self::Sidecar;
        }
        if is_of_a_sidecar(line) {
            return Self::Sidecar;
        }
        // A gateway's pods listen on ports above 1024, which its Service maps 80 and 443 to (truth.md 17).
        match port(line.downstream_local_address.as_deref()) {
            Some(8080 | 8443 | 15443) => Self::Gateway,
            Some(80 | 443) => Self::Sidecar,
            _ => Self::Proxy,
        }
    }
}

fn is_inbound(line: &AccessLogLine) -> bool {
    match &line.upstream_cluster {
        Some(UpstreamCluster::Other(name)) => {
            name.starts_with("inbound|") || INBOUND_PASSTHROUGH.contains(&name.as_str())
        }
        _ => line.route_name.as_deref() == Some("inbound"),
    }
}

fn is_of_a_sidecar(line: &AccessLogLine) -> bool {
    let by_route = matches!(
        line.route_name.as_deref(),
        Some(BLOCK_ALL_ROUTE | ALLOW_ANY_ROUTE)
    );
    by_route
        || matches!(
            line.upstream_cluster,
            Some(UpstreamCluster::Passthrough | UpstreamCluster::BlackHole)
        )
}

/// Whether the cluster that a sidecar sent to is an egress gateway: a Service that is not what was asked for.
pub(super) fn is_to_gateway(line: &AccessLogLine, speaker: Speaker) -> bool {
    let Some(UpstreamCluster::Outbound { host, .. }) = &line.upstream_cluster else {
        return false;
    };
    let Some((name, _)) = service_of(host) else {
        return false;
    };
    if speaker == Speaker::Gateway {
        return false;
    }
    let asked = line
        .authority
        .as_deref()
        .or(line.requested_server_name.as_deref());
    let asked = asked
        .map(without_port)
        .filter(|asked| !asked.starts_with("outbound_."));
    match asked {
        Some(asked) if asked.parse::<IpAddr>().is_err() => {
            asked != name && !host.starts_with(&format!("{asked}.")) && asked != host
        }
        _ => name.contains("egress"),
    }
}

/// The host part of `HOST:PORT`.
pub(super) fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

pub(super) fn ip(socket: Option<&str>) -> Option<IpAddr> {
    socket?
        .parse::<SocketAddr>()
        .ok()
        .map(|socket| socket.ip().to_canonical())
}

pub(super) fn port(socket: Option<&str>) -> Option<u16> {
    socket?.parse::<SocketAddr>().ok().map(|socket| socket.port())
}
