//! Envoy's clusters: does a proxy have one, where does it lead, and what TLS does it add.

use super::client_tls;
use super::decision::{Decision, Matter};
use super::names::{cluster_name, covers, full_host, specificity, visible};
use super::prediction::{LegTls, Upstream};
use super::records::{DestinationRuleRecord, Origin, ServicePort, ServiceRecord, is_ipv6};
use super::viewer::Viewer;
use super::world::World;
use crate::istio::{ClientTls, Destination, Endpoint, PortSelector};
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// A cluster that a route names.
#[derive(Debug)]
pub(super) struct Target {
    /// Its name in Envoy.
    pub(super) name: String,
    pub(super) state: TargetState,
    /// The TLS that the proxy adds.
    pub(super) tls: LegTls,
    /// A Secret that the TLS needs and that is not there.
    pub(super) missing_secret: Option<String>,
    pub(super) decided_by: Vec<Decision>,
    pub(super) not_modelled: Vec<String>,
}

/// What the proxy knows of a cluster.
#[derive(Debug)]
pub(super) enum TargetState {
    /// Nothing: no such service, port or subset.
    Missing(String),
    /// It has no endpoint.
    Empty,
    /// It leads to an address of IPv6, and the proxy has none of its own.
    OtherFamily(Upstream),
    /// It leads there.
    Leads(Upstream),
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
    let known = world.service(&viewer, &host, None);
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
        state: TargetState::Missing(format!(
            "no Service or ServiceEntry that it sees has {host} with port {port}"
        )),
        tls: LegTls::None,
        missing_secret: None,
        decided_by: Vec::new(),
        not_modelled: Vec::new(),
    };
    // A cluster belongs to exactly this host: a wildcard entry does not make clusters for the hosts that it covers.
    let found = world
        .service(&viewer, &host, Some(port))
        .filter(|service| service.host == host);
    let Some(service) = found else {
        return target;
    };
    let rules = destination_rules(world, viewer, service);
    for rule in &rules {
        target.not_modelled.extend(rule.not_modelled.iter().cloned());
    }
    let has_subset = |rule: &DestinationRuleRecord| {
        rule.specification
            .subsets
            .iter()
            .any(|known| known.name == subset)
    };
    if !subset.is_empty() && !rules.iter().any(|rule| has_subset(rule)) {
        target.state = TargetState::Missing(format!(
            "no DestinationRule that it uses for {host} has a subset {subset}"
        ));
        return target;
    }
    if let Some(rule) = rules.iter().find(|rule| !subset.is_empty() && has_subset(rule)) {
        let title = rule.identity.title("DestinationRule");
        target.decided_by.push(Decision::new(Matter::Subset, title));
    }
    if let Some((tls, rule)) = client_tls::of(&rules, subset, port) {
        target
            .decided_by
            .push(Decision::new(Matter::Tls, rule.identity.title("DestinationRule")));
        add_tls(world, viewer, tls, &host, &mut target, (port, subset));
    }
    target
        .decided_by
        .push(Decision::new(Matter::Endpoints, service.title()));
    let (state, unknown) = endpoints(world, viewer, service, port, asked);
    target.state = state;
    target.not_modelled.extend(unknown);
    target
}

fn add_tls(
    world: &World,
    viewer: Viewer<'_>,
    tls: &ClientTls,
    host: &str,
    target: &mut Target,
    (port, subset): (u16, &str),
) {
    let named = tls.sni.clone().filter(|name| !name.is_empty());
    target.tls = match tls.mode.as_str() {
        "ISTIO_MUTUAL" => LegTls::Mesh {
            // Measured: truth.md 3, variant d.
            server_name: named.unwrap_or_else(|| format!("outbound_.{port}_.{subset}_.{host}")),
        },
        "SIMPLE" | "MUTUAL" => {
            let mutual = tls.mode == "MUTUAL";
            match &tls.credential_name {
                // A sidecar gets no Secret, and the request leaves in plaintext (truth.md, surprise 3).
                Some(_) if !viewer.gateway => LegTls::None,
                Some(secret) => {
                    let there = world.has_secret(viewer.namespace, secret);
                    let authority = world.has_secret(viewer.namespace, &format!("{secret}-cacert"));
                    if there == Some(false) && authority == Some(false) {
                        target.missing_secret = Some(format!("{}/{secret}", viewer.namespace));
                    }
                    LegTls::Originated {
                        server_name: named,
                        mutual,
                    }
                }
                None => LegTls::Originated {
                    server_name: named,
                    mutual,
                },
            }
        }
        _ => LegTls::None,
    };
}

/// The DestinationRules of a service that a proxy uses, oldest first: those for the most specific host in its own
/// namespace, else in the service's, else in the root namespace. A proxy in the root namespace looks there first for
/// rules that are private to it only (Istio's lookup path, `destinationRule` of its push context).
pub(super) fn destination_rules<'world>(
    world: &'world World<'world>,
    viewer: Viewer<'_>,
    service: &ServiceRecord,
) -> Vec<&'world DestinationRuleRecord> {
    let in_root = viewer.namespace == world.root_namespace;
    let of_namespace = |namespace: &str, private_only: bool| -> Vec<&DestinationRuleRecord> {
        let host_of =
            |rule: &DestinationRuleRecord| full_host(&rule.specification.host, &rule.identity.namespace);
        let own = namespace == viewer.namespace;
        let kept = |rule: &&DestinationRuleRecord| {
            let export_to = &rule.specification.export_to;
            let private = export_to.len() == 1 && (export_to[0] == "." || export_to[0] == namespace);
            rule.identity.namespace == namespace
                && covers(&host_of(rule), &service.host)
                && (if own {
                    visible(export_to, namespace, namespace)
                } else {
                    !private
                })
                && (!private_only || export_to.as_slice() == ["."])
        };
        let kept: Vec<&DestinationRuleRecord> = world.destination_rules.iter().filter(kept).collect();
        let most_specific = kept
            .iter()
            .map(|rule| host_of(rule))
            .max_by(|left, right| specificity(left).cmp(&specificity(right)));
        let of_host = kept
            .into_iter()
            .filter(|rule| Some(host_of(rule)) == most_specific);
        let seen = |merged: &Vec<&DestinationRuleRecord>| {
            visible(&merged[0].specification.export_to, namespace, viewer.namespace)
        };
        let last = merged(of_host).into_iter().rfind(seen);
        last.unwrap_or_default()
    };
    [
        of_namespace(viewer.namespace, in_root),
        of_namespace(&service.identity.namespace, false),
        of_namespace(&world.root_namespace, false),
    ]
    .into_iter()
    .find(|rules| !rules.is_empty())
    .unwrap_or_default()
}

/// Rules of one host, oldest first, as Istio merges them: only with those of the same `exportTo`. One that meets another
/// stands for itself as well, and of all that a proxy sees the last one alone counts. Seen on the lab (Istio's
/// `mergeDestinationRule`, `PILOT_ENABLE_ENHANCED_DESTINATIONRULE_MERGE`).
fn merged<'world>(
    rules: impl Iterator<Item = &'world DestinationRuleRecord>,
) -> Vec<Vec<&'world DestinationRuleRecord>> {
    let exported = |rule: &DestinationRuleRecord| -> BTreeSet<String> {
        rule.specification.export_to.iter().cloned().collect()
    };
    let mut all: Vec<Vec<&DestinationRuleRecord>> = Vec::new();
    for rule in rules {
        let mut alone = true;
        for entry in &mut all {
            alone = exported(entry[0]) != exported(rule);
            if !alone {
                entry.push(rule);
            }
        }
        if alone {
            all.push(vec![rule]);
        }
    }
    all
}

fn endpoints(
    world: &World,
    viewer: Viewer<'_>,
    service: &ServiceRecord,
    port: u16,
    asked: &str,
) -> (TargetState, Option<String>) {
    let Some(declared) = service.port(port) else {
        return (TargetState::Empty, None);
    };
    match &service.origin {
        Origin::Entry {
            selects_pods: true, ..
        } => (
            TargetState::Empty,
            Some(format!("not modelled: `workloadSelector` of {}", service.title())),
        ),
        Origin::Entry {
            endpoints,
            resolution,
            ..
        } => {
            let number = entry_port(declared);
            if let Some(first) = endpoints.first().filter(|_| resolution != "NONE") {
                let port = first.ports.get(&declared.name).copied().unwrap_or(number);
                return to_endpoint(viewer, service, endpoints, &first.address, port);
            }
            let state = match resolution.as_str() {
                "DNS" | "DNS_ROUND_ROBIN" => TargetState::Leads(to_host(&service.host, number)),
                "STATIC" => TargetState::Empty,
                // NONE and DYNAMIC_DNS know the host only from the original connection or a filter that gateways
                // do not have: measured, truth.md section 6.
                _ if viewer.gateway => TargetState::Empty,
                // The original address, at the target port if there is one.
                _ => TargetState::Leads(to_host(asked, number)),
            };
            (state, None)
        }
        Origin::Elsewhere(what) => (
            TargetState::Empty,
            Some(format!("not modelled: {what}, {}", service.title())),
        ),
        Origin::Pods(selector) => (of_pods(world, service, declared, selector), None),
    }
}

fn to_host(address: &str, port: u16) -> Upstream {
    Upstream::Host {
        address: address.to_owned(),
        port,
    }
}

/// Where an endpoint that is written down leads: to the first of them, which stands for all.
fn to_endpoint(
    viewer: Viewer<'_>,
    service: &ServiceRecord,
    endpoints: &[Endpoint],
    first: &str,
    port: u16,
) -> (TargetState, Option<String>) {
    let upstream = to_host(first, port);
    let of_ipv6 = endpoints.iter().filter(|one| is_ipv6(&one.address)).count();
    match (of_ipv6, viewer.has_only_ipv4()) {
        (0, _) => (TargetState::Leads(upstream), None),
        (some, true) if some == endpoints.len() => (TargetState::OtherFamily(upstream), None),
        _ => {
            let unknown = format!("not modelled: endpoints of IPv6 of {}", service.title());
            (TargetState::Leads(upstream), Some(unknown))
        }
    }
}

fn entry_port(declared: &ServicePort) -> u16 {
    declared
        .target
        .as_u64()
        .and_then(|target| u16::try_from(target).ok())
        .unwrap_or(declared.number)
}

fn of_pods(
    world: &World,
    service: &ServiceRecord,
    declared: &ServicePort,
    selector: &std::collections::BTreeMap<String, String>,
) -> TargetState {
    let ready = world.pods.iter().find(|pod| {
        pod.name.namespace == service.identity.namespace
            && !selector.is_empty()
            && pod.has_labels(selector)
            && pod.is_ready()
    });
    let upstream = ready.and_then(|pod| {
        Some(Upstream::Pod {
            pod: pod.name.clone(),
            address: pod.address().to_owned(),
            port: pod.target_port(&declared.target)?,
        })
    });
    upstream.map_or(TargetState::Empty, TargetState::Leads)
}

/// All clusters that a proxy has, each with the TLS that it adds.
pub(super) fn all(world: &World, viewer: Viewer<'_>) -> BTreeMap<String, LegTls> {
    let mut found = BTreeMap::new();
    for service in &world.services {
        if !viewer.sees_service(world, service) {
            continue;
        }
        let rules = destination_rules(world, viewer, service);
        for port in &service.ports {
            let subsets = rules.iter().flat_map(|rule| &rule.specification.subsets);
            for subset in std::iter::once("").chain(subsets.map(|subset| subset.name.as_str())) {
                let destination = Destination {
                    host: service.host.clone(),
                    port: Some(PortSelector { number: port.number }),
                    subset: Some(subset.to_owned()).filter(|subset| !subset.is_empty()),
                };
                let namespace = &service.identity.namespace;
                let target = resolve(world, viewer, &destination, namespace, port.number, &service.host);
                found.insert(target.name, target.tls);
            }
        }
    }
    found
}
