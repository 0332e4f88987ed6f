//! The servers of Gateways: which of them listen on a port of a pod, and for which hosts.

use super::names::covers;
use super::records::{GatewayRecord, Origin, PodRecord};
use super::world::World;
use crate::istio::Server;
use std::collections::{BTreeMap, BTreeSet};

/// What a server does with TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Plain HTTP.
    Http,
    /// TLS goes on as it is, by its server name.
    Passthrough,
    /// TLS of the mesh is taken off; HTTP is inside.
    MutualHttp,
    /// TLS of the mesh is taken off; anything is inside.
    MutualTcp,
    /// What this tool never makes.
    Other,
}

impl Kind {
    pub(super) fn of(server: &Server) -> Self {
        let protocol = server.port.protocol.to_ascii_uppercase();
        let mode = server.tls.as_ref().map(|tls| tls.mode.as_str());
        match (protocol.as_str(), mode) {
            ("HTTP" | "HTTP2" | "GRPC" | "GRPC-WEB", None) => Self::Http,
            ("TLS" | "HTTPS", Some("PASSTHROUGH")) => Self::Passthrough,
            ("HTTPS", Some("ISTIO_MUTUAL")) => Self::MutualHttp,
            ("TLS", Some("ISTIO_MUTUAL")) => Self::MutualTcp,
            _ => Self::Other,
        }
    }

    pub(super) fn is_tls(self) -> bool {
        !matches!(self, Self::Http)
    }
}

/// A server that listens on a pod's port.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listening<'world> {
    pub(super) gateway: &'world GatewayRecord,
    pub(super) server: &'world Server,
}

impl<'world> Listening<'world> {
    pub(super) fn kind(&self) -> Kind {
        Kind::of(self.server)
    }

    /// Host patterns, without the namespaces before them.
    pub(super) fn patterns(&self) -> impl Iterator<Item = &'world str> {
        let hosts = self.server.hosts.iter();
        hosts.map(|entry| {
            entry
                .split_once('/')
                .map_or(entry.as_str(), |(_, pattern)| pattern)
        })
    }
}

/// Servers on a target port of a pod, oldest Gateway first. Plain HTTP and TLS on one port exclude each other: what
/// came first stays; of two servers with one server name the older keeps it.
pub(super) fn servers<'world>(
    world: &'world World<'world>,
    pod: &'world PodRecord<'world>,
    port: u16,
) -> Vec<Listening<'world>> {
    let mut found: Vec<Listening<'world>> = Vec::new();
    let mut targets = Targets::of(world, pod);
    for gateway in &world.gateways {
        if !pod.has_labels(&gateway.specification.selector) {
            continue;
        }
        for server in &gateway.specification.servers {
            let listening = Listening { gateway, server };
            let fits = found
                .first()
                .is_none_or(|first| first.kind().is_tls() == listening.kind().is_tls());
            if fits && targets.of_port(server.port.number) == port {
                found.push(listening);
            }
        }
    }
    found
}

/// On which ports a pod listens for servers' ports: the target of the port of that number of the first Service that
/// selects it.
struct Targets<'world> {
    world: &'world World<'world>,
    pod: &'world PodRecord<'world>,
    /// What was asked for already: a thousand servers have one port.
    known: BTreeMap<u16, u16>,
}

impl<'world> Targets<'world> {
    fn of(world: &'world World<'world>, pod: &'world PodRecord<'world>) -> Self {
        Self {
            world,
            pod,
            known: BTreeMap::new(),
        }
    }

    fn of_port(&mut self, number: u16) -> u16 {
        let (world, pod) = (self.world, self.pod);
        *self
            .known
            .entry(number)
            .or_insert_with(|| target_port(world, pod, number))
    }
}

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
    let mut targets = Targets::of(world, pod);
    let ports: BTreeSet<u16> = world
        .gateways
        .iter()
        .filter(|gateway| pod.has_labels(&gateway.specification.selector))
        .flat_map(|gateway| &gateway.specification.servers)
        .map(|server| targets.of_port(server.port.number))
        .collect();
    ports.into_iter().collect()
}

/// Whether a list of gateways (`name` or `namespace/name`) in a namespace names this Gateway.
pub(super) fn names(list: &[String], namespace: &str, gateway: &GatewayRecord) -> bool {
    list.iter().any(|entry| {
        let (of, name) = entry.split_once('/').unwrap_or((namespace, entry));
        of == gateway.identity.namespace && name == gateway.identity.name
    })
}

/// Whether a server takes a host of a VirtualService in this namespace.
pub(super) fn takes(listening: &Listening<'_>, host: &str, namespace: &str) -> bool {
    listening.server.hosts.iter().any(|entry| {
        let (scope, pattern) = entry.split_once('/').unwrap_or(("*", entry));
        let own = scope == "." && namespace == listening.gateway.identity.namespace;
        (scope == "*" || scope == namespace || own) && (covers(pattern, host) || covers(host, pattern))
    })
}
