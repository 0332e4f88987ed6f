//! From what is in the cluster to what a lock must let through.

use super::service::{Behind, name_of, on_host_network};
use super::{ApiServer, LockSettings, Peer, Target, Why, dns};
use crate::error::{Error, Result};
use crate::plan::GatewayTarget;
use crate::vocabulary::{InCluster, Object, Protocol};
use std::collections::{BTreeMap, BTreeSet};

/// Port of istiod that sidecars connect to: configuration and certificates, over mutual TLS. Its other ports are for
/// the API server (15017) and for monitoring.
const ISTIOD_PORT: u16 = 15012;

/// What was observed before a lock is derived.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The namespace to be locked.
    pub namespace: String,
    /// `/etc/resolv.conf` of a pod of that namespace.
    pub resolv_conf: String,
    /// All Services of the cluster: a nameserver's address belongs to one of any namespace.
    pub services: Vec<Object>,
    /// EndpointSlices of [`namespaces_to_observe`].
    pub endpoint_slices: Vec<Object>,
    /// Pods of [`namespaces_to_observe`], and those of the namespace to be locked.
    pub pods: Vec<Object>,
    /// DaemonSets of kube-system.
    pub daemon_sets: Vec<Object>,
    /// The plan's gateway, with the ports that the plan uses: without `http` if no host comes to it by HTTP.
    pub gateway: GatewayTarget,
    /// Istio's root namespace.
    pub root_namespace: String,
    /// Revisions of istiod that the namespace's injection label and its running sidecars name; none: the default one.
    pub revisions: BTreeSet<String>,
    /// Service default/kubernetes and its EndpointSlices.
    pub api_server: Vec<Object>,
}

/// Whose pods and EndpointSlices [`derive()`] needs, as far as resolv.conf and Services tell: those of DNS, istiod and the gateway.
pub fn namespaces_to_observe(
    resolv_conf: &str,
    services: &[Object],
    gateway: &GatewayTarget,
    root_namespace: &str,
) -> BTreeSet<String> {
    let dns = dns::nameservers(resolv_conf).into_iter();
    let dns = dns.filter_map(|address| dns::service_at(address, services)?.namespace().map(str::to_owned));
    dns.chain([gateway.namespace.clone(), root_namespace.to_owned()])
        .collect()
}

/// What the lock must let through, in the order in which it stands in the policy. The same objects, in whatever
/// order, give the same peers.
///
/// # Errors
/// Everything that could not be derived, named; or that the lock would hold the gateway, istiod or DNS itself.
pub fn derive(observed: &Observed, settings: &LockSettings) -> Result<Vec<Peer>> {
    let mut missing = Vec::new();
    let mut peers = Vec::new();
    for part in [dns::peers(observed), istiod(observed), gateway(observed)] {
        match part {
            Ok(found) => peers.extend(found),
            Err(cause) => missing.push(cause),
        }
    }
    if !missing.is_empty() {
        let refused = Error::usage(format!(
            "no lock can be derived for namespace {}",
            observed.namespace
        ));
        return Err(missing.into_iter().fold(refused, Error::because));
    }
    if settings.api_server {
        peers.extend(ApiServer::from_objects(&observed.api_server)?.peers());
    }
    if settings.in_cluster == InCluster::Allow {
        peers.push(Peer {
            why: Why::InCluster,
            of: "--in-cluster allow".to_owned(),
            target: Target::PodsOutsideNamespaces(
                [
                    observed.root_namespace.clone(),
                    observed.gateway.namespace.clone(),
                ]
                .into(),
            ),
            ports: Vec::new(),
        });
    }
    let peers = in_order(peers);
    refuse_own_servants(observed, settings, &peers)?;
    Ok(peers)
}

/// Peers for the same purpose and target become one, and all are put into their order.
fn in_order(peers: Vec<Peer>) -> Vec<Peer> {
    let mut ports: BTreeMap<(Why, Target, String), BTreeSet<(u16, Protocol)>> = BTreeMap::new();
    for peer in peers {
        let more = peer.ports.into_iter().map(|(protocol, port)| (port, protocol));
        ports
            .entry((peer.why, peer.target, peer.of))
            .or_default()
            .extend(more);
    }
    let peer = |((why, target, of), ports): ((Why, Target, String), BTreeSet<(u16, Protocol)>)| Peer {
        why,
        of,
        target,
        ports: ports
            .into_iter()
            .map(|(port, protocol)| (protocol, port))
            .collect(),
    };
    ports.into_iter().map(peer).collect()
}

/// A lock on the gateway's own pods would stop what they are there for; likewise istiod and DNS.
fn refuse_own_servants(observed: &Observed, settings: &LockSettings, peers: &[Peer]) -> Result<()> {
    for peer in peers {
        let Target::Pods { namespace, labels } = &peer.target else {
            continue;
        };
        let labels = serde_json::json!(labels);
        let held = observed.pods.iter().find(|pod| {
            *namespace == observed.namespace
                && pod.namespace() == Some(namespace)
                && !on_host_network(pod)
                && pod.labels_match("/metadata/labels", &labels)
                && settings.selector.matches(pod.at("/metadata/labels"))
        });
        if let Some(pod) = held {
            let what = match peer.why {
                Why::GatewayPods => "the egress gateway",
                Why::Istiod => "istiod",
                _ => "the cluster's DNS",
            };
            return Err(Error::usage(format!("the lock would hold {what} itself"))
                .because(format!(
                    "pod {namespace}/{} is among the pods that it selects",
                    pod.name()
                ))
                .hint(
                    "select the pods to lock with --selector, or keep the gateway in a namespace of its own",
                ));
        }
    }
    Ok(())
}

fn gateway(observed: &Observed) -> std::result::Result<Vec<Peer>, String> {
    let target = &observed.gateway;
    let service = find(observed, &target.namespace, &target.service)
        .ok_or_else(|| format!("the gateway's Service {target} does not exist"))?;
    let mut peers = Vec::new();
    for port in std::iter::once(target.tls_port).chain(target.http.map(|http| http.port)) {
        let mut behind = Behind::new(service, port, Why::GatewayService, Why::GatewayPods);
        behind.selector.clone_from(&target.selector);
        peers.extend(behind.peers(observed)?);
    }
    Ok(peers)
}

fn istiod(observed: &Observed) -> std::result::Result<Vec<Peer>, String> {
    let mut peers = Vec::new();
    for service in istiod_services(observed)? {
        peers.extend(Behind::new(service, ISTIOD_PORT, Why::IstiodService, Why::Istiod).peers(observed)?);
    }
    Ok(peers)
}

/// The Services of the revisions that are in use. A tag that no Service bears the name of can stand for any revision,
/// so that all of them are let through.
fn istiod_services(observed: &Observed) -> std::result::Result<Vec<&Object>, String> {
    let root = &observed.root_namespace;
    let default = BTreeSet::from(["default".to_owned()]);
    let revisions = if observed.revisions.is_empty() {
        &default
    } else {
        &observed.revisions
    };
    let mut found = Vec::new();
    for revision in revisions {
        let named = istiod_names(revision)
            .into_iter()
            .find_map(|name| find(observed, root, &name));
        if let Some(service) = named {
            found.push(service);
            continue;
        }
        let any: Vec<&Object> = observed
            .services
            .iter()
            .filter(|service| is_istiod(service, root))
            .collect();
        if any.is_empty() {
            let name = &istiod_names(revision)[0];
            return Err(format!(
                "there is no Service {root}/{name}, nor another one of istiod"
            ));
        }
        found.extend(any);
    }
    found.sort_by_key(|service| name_of(service));
    found.dedup_by_key(|service| name_of(service));
    Ok(found)
}

/// Names that istiod's Service has for a revision or a tag (Istio's charts istio-control and revisiontags).
fn istiod_names(revision: &str) -> Vec<String> {
    match revision {
        "" | "default" => vec!["istiod".to_owned(), "istiod-default".to_owned()],
        other => vec![format!("istiod-{other}"), format!("istiod-revision-tag-{other}")],
    }
}

fn is_istiod(service: &Object, root: &str) -> bool {
    service.namespace() == Some(root)
        && service.label("app") == Some("istiod")
        && service
            .items("/spec/ports")
            .iter()
            .any(|port| port["port"] == ISTIOD_PORT)
}

fn find<'a>(observed: &'a Observed, namespace: &str, name: &str) -> Option<&'a Object> {
    let named = |service: &&Object| service.namespace() == Some(namespace) && service.name() == name;
    observed.services.iter().find(named)
}
