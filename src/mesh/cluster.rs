//! Envoy's clusters: does a proxy have one, and where does it lead.

use super::names::{cluster_name, covers, full_host, visible};
use super::prediction::Upstream;
use super::records::{DestinationRuleRecord, Origin, ServiceRecord};
use super::world::World;
use crate::istio::Destination;

/// A cluster that a route names.
#[derive(Debug)]
pub(super) struct Target {
    /// Its name in Envoy.
    pub(super) name: String,
    pub(super) state: TargetState,
    pub(super) not_modelled: Vec<String>,
}

/// What the proxy knows of a cluster.
#[derive(Debug)]
pub(super) enum TargetState {
    /// Nothing: no such service, port or subset.
    Missing,
    /// It has no endpoint.
    Empty,
    /// It leads there.
    Leads(Upstream),
}

/// Where a proxy is and what it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Viewer<'name> {
    pub(super) namespace: &'name str,
    pub(super) gateway: bool,
}

/// Resolves a route's destination. `listener_port` is the port where nothing is said; `asked` the host that the
/// request names, for wildcards.
pub(super) fn resolve(
    world: &World,
    viewer: Viewer<'_>,
    destination: &Destination,
    owner_namespace: &str,
    listener_port: u16,
    asked: &str,
) -> Target {
    let host = full_host(&destination.host, owner_namespace);
    let known = world.service(viewer.namespace, &host, None);
    let port = destination
        .port
        .as_ref()
        .map(|port| port.number)
        .or_else(|| {
            known
                .filter(|service| service.ports.len() == 1)
                .map(|service| service.ports[0].number)
        })
        .unwrap_or(listener_port);
    let subset = destination.subset.as_deref().unwrap_or_default();
    let mut target = Target {
        name: cluster_name(port, subset, &host),
        state: TargetState::Missing,
        not_modelled: Vec::new(),
    };
    // A cluster belongs to exactly this host: a wildcard entry does not make clusters for the hosts that it covers.
    let found = world
        .service(viewer.namespace, &host, Some(port))
        .filter(|service| service.host == host);
    let Some(service) = found else {
        return target;
    };
    let rules = destination_rules(world, viewer.namespace, service);
    for rule in &rules {
        target.not_modelled.extend(rule.not_modelled.iter().cloned());
    }
    let has_subset = |rule: &&DestinationRuleRecord| {
        rule.specification
            .subsets
            .iter()
            .any(|known| known.name == subset)
    };
    if !subset.is_empty() && !rules.iter().any(has_subset) {
        return target;
    }
    target.state = endpoints(world, viewer, service, port, asked);
    target
}

/// The DestinationRules of a service that a proxy uses: those of its own namespace, else of the service's, else
/// of the root namespace (Istio's lookup path).
fn destination_rules<'world>(
    world: &'world World,
    viewer: &str,
    service: &ServiceRecord,
) -> Vec<&'world DestinationRuleRecord> {
    let of_namespace = |namespace: &str| -> Vec<&DestinationRuleRecord> {
        let exact = |rule: &&DestinationRuleRecord| {
            let host = full_host(&rule.specification.host, &rule.identity.namespace);
            rule.identity.namespace == namespace
                && covers(&host, &service.host)
                && visible(&rule.specification.export_to, namespace, viewer)
        };
        world.destination_rules.iter().filter(exact).collect()
    };
    [viewer, &service.identity.namespace, &world.root_namespace]
        .into_iter()
        .map(of_namespace)
        .find(|rules| !rules.is_empty())
        .unwrap_or_default()
}

fn endpoints(
    world: &World,
    viewer: Viewer<'_>,
    service: &ServiceRecord,
    port: u16,
    asked: &str,
) -> TargetState {
    let to_host = |address: &str| {
        TargetState::Leads(Upstream::Host {
            address: address.to_owned(),
            port,
        })
    };
    match &service.origin {
        Origin::Entry { endpoints, .. } if !endpoints.is_empty() => to_host(&endpoints[0]),
        Origin::Entry { resolution, .. } => match resolution.as_str() {
            "DNS" | "DNS_ROUND_ROBIN" => to_host(&service.host),
            "STATIC" => TargetState::Empty,
            // NONE and DYNAMIC_DNS know the host only from the original connection or a filter that gateways
            // do not have: measured, truth.md section 6.
            _ if viewer.gateway => TargetState::Empty,
            _ => to_host(asked),
        },
        Origin::Pods(selector) => {
            let target = service.port(port).map(|port| &port.target);
            let ready = world.pods.iter().find(|pod| {
                pod.ready
                    && pod.name.namespace == service.identity.namespace
                    && !selector.is_empty()
                    && pod.has_labels(selector)
            });
            let upstream = ready.and_then(|pod| {
                Some(Upstream::Pod {
                    pod: pod.name.clone(),
                    address: pod.address.clone(),
                    port: pod.target_port(target?)?,
                })
            });
            upstream.map_or(TargetState::Empty, TargetState::Leads)
        }
    }
}

/// Names of all clusters that a proxy of this namespace has.
pub(super) fn names(world: &World, viewer: &str) -> Vec<String> {
    let mut names = Vec::new();
    for service in &world.services {
        if !visible(&service.export_to, &service.identity.namespace, viewer) {
            continue;
        }
        let rules = destination_rules(world, viewer, service);
        for port in &service.ports {
            names.push(cluster_name(port.number, "", &service.host));
            for subset in rules.iter().flat_map(|rule| &rule.specification.subsets) {
                names.push(cluster_name(port.number, &subset.name, &service.host));
            }
        }
    }
    names.sort();
    names.dedup();
    names
}
