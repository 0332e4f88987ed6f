//! What the NetworkPolicies of a namespace say together: does another one open what the lock closes?

use crate::cluster::Cluster;
use crate::engine::pods;
use crate::error::Result;
use crate::finding::{Finding, catalogue};
use crate::istio::kinds;
use crate::mesh::network_policy::{Inside, NetworkPolicies};
use crate::plan::ownership::is_ours;
use crate::vocabulary::{Kind, LabelSelector, Object, ObjectReference, names};
use futures::future::{try_join_all, try_join3};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Groups of policy kinds that engines bring along, with the kinds that can hold for a namespace's pods. They are not
/// evaluated, so they are named.
const FOREIGN_KINDS: &[(&str, &str, &str, &str, bool)] = &[
    (
        "cilium.io",
        "v2",
        "CiliumNetworkPolicy",
        "ciliumnetworkpolicies",
        true,
    ),
    (
        "cilium.io",
        "v2",
        "CiliumClusterwideNetworkPolicy",
        "ciliumclusterwidenetworkpolicies",
        false,
    ),
    (
        "crd.projectcalico.org",
        "v1",
        "NetworkPolicy",
        "networkpolicies",
        true,
    ),
    (
        "crd.projectcalico.org",
        "v1",
        "GlobalNetworkPolicy",
        "globalnetworkpolicies",
        false,
    ),
    (
        "crd.antrea.io",
        "v1beta1",
        "NetworkPolicy",
        "networkpolicies",
        true,
    ),
    (
        "crd.antrea.io",
        "v1beta1",
        "ClusterNetworkPolicy",
        "clusternetworkpolicies",
        false,
    ),
    (
        "policy.networking.k8s.io",
        "v1alpha1",
        "AdminNetworkPolicy",
        "adminnetworkpolicies",
        false,
    ),
    (
        "policy.networking.k8s.io",
        "v1alpha2",
        "ClusterNetworkPolicy",
        "clusternetworkpolicies",
        false,
    ),
];

/// A namespace's pods and policies at one moment.
#[derive(Debug, Clone)]
pub struct Policies {
    /// The namespace.
    pub namespace: String,
    /// Its NetworkPolicies.
    pub policies: Vec<Object>,
    /// Its pods.
    pub pods: Vec<Object>,
    /// The namespaces that rules may select by label.
    pub namespaces: Vec<Object>,
    /// Policies of other kinds, which nobody here evaluates.
    pub foreign: Vec<String>,
}

/// Reads them.
///
/// # Errors
/// If the cluster refuses.
pub async fn read(cluster: &Cluster, namespace: &str) -> Result<Policies> {
    let (policies, pods, namespaces) = try_join3(
        async {
            cluster
                .list(&kinds::network_policy(), Some(namespace), None)
                .await
        },
        async { cluster.list(&kinds::pod(), Some(namespace), None).await },
        async {
            // Without the permission a rule's namespaceSelector is matched by nothing that is known.
            cluster.list_as_permitted(&kinds::namespace(), None, None).await
        },
    )
    .await?;
    let foreign = try_join_all(
        FOREIGN_KINDS
            .iter()
            .map(|kind| foreign_policies(cluster, namespace, kind)),
    )
    .await?;
    Ok(Policies {
        namespace: namespace.to_owned(),
        policies,
        pods,
        namespaces,
        foreign: foreign.into_iter().flatten().collect(),
    })
}

async fn foreign_policies(
    cluster: &Cluster,
    namespace: &str,
    (group, version, kind, plural, namespaced): &(&str, &str, &str, &str, bool),
) -> Result<Vec<String>> {
    let kind = Kind::new(group, version, kind, plural, *namespaced);
    // A kind that is not served has no objects; one that may not be read cannot be named.
    let found = cluster
        .list_as_permitted(&kind, namespaced.then_some(namespace), None)
        .await?;
    let named = found.iter().map(|object| object.reference(&kind).to_string());
    Ok(named.collect())
}

/// What lets a pod of the namespace out beside the lock: one finding per policy and destination, with its pods.
/// `own`: the lock, which opens what it was derived to open, and what its run made beside it; `proxies`: pods that can
/// carry traffic out.
pub fn ways_out(
    policies: &Policies,
    own: &[ObjectReference],
    allowed: &[(IpAddr, u16)],
    proxies: &[Object],
) -> Vec<Finding> {
    let evaluated = NetworkPolicies::new(&policies.policies, &policies.namespaces);
    let inside = Inside { allowed, proxies };
    let mut holes: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for pod in policies.pods.iter().filter(|pod| !is_over(pod)) {
        for way in evaluated.ways_out(pod, own, &inside) {
            holes
                .entry((way.policy.name.clone(), way.destination))
                .or_default()
                .insert(pod.name().to_owned());
        }
    }
    let mut findings: Vec<Finding> = holes
        .into_iter()
        .map(|((policy, destination), pods)| {
            let pods: Vec<String> = pods.into_iter().collect();
            Finding::new(
                &catalogue::OTHER_POLICY_OPENS,
                format!(
                    "NetworkPolicy {policy} lets {} reach {destination}",
                    named(&policies.namespace, &pods)
                ),
            )
            .about(format!("NetworkPolicy {}/{policy}", policies.namespace))
        })
        .collect();
    if !policies.foreign.is_empty() {
        findings.push(Finding::new(
            &catalogue::FOREIGN_POLICY_KINDS,
            format!("not evaluated: {}", policies.foreign.join(", ")),
        ));
    }
    findings
}

/// Addresses and ports that a lock opens by its spec: single addresses, and pods named by labels. Its peers that are
/// whole namespaces are not among them: what another policy opens there is compared with nothing.
pub fn allowed_by(spec: &Value, pods: &[Object]) -> Vec<(IpAddr, u16)> {
    let mut allowed = Vec::new();
    for rule in spec["egress"].as_array().into_iter().flatten() {
        let ports: Vec<u16> = rule["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|port| u16::try_from(port["port"].as_u64()?).ok())
            .collect();
        for peer in rule["to"].as_array().into_iter().flatten() {
            for address in addresses(peer, pods) {
                allowed.extend(ports.iter().map(|port| (address, *port)));
            }
        }
    }
    allowed
}

fn addresses(peer: &Value, pods: &[Object]) -> Vec<IpAddr> {
    if let Some(block) = peer["ipBlock"]["cidr"].as_str() {
        let single = block.strip_suffix("/32").or_else(|| block.strip_suffix("/128"));
        return single
            .and_then(|address| address.parse().ok())
            .into_iter()
            .collect();
    }
    let namespace = peer["namespaceSelector"]["matchLabels"][names::NAMESPACE_NAME_LABEL].as_str();
    let labels = &peer["podSelector"]["matchLabels"];
    let selected = pods
        .iter()
        .filter(|pod| namespace.is_some() && pod.namespace() == namespace)
        .filter(|pod| labels.is_object() && pod.labels_match("/metadata/labels", labels));
    selected
        .flat_map(pods::addresses)
        .filter_map(|address| address.parse().ok())
        .collect()
}

/// Pods of the namespace that the lock does not hold: its selector leaves them out, or they are on the host's network,
/// where no NetworkPolicy applies (Kubernetes documentation, Network Policies).
pub fn not_held(policies: &Policies, selector: &LabelSelector) -> Option<Finding> {
    let left_out: Vec<String> = policies
        .pods
        .iter()
        .filter(|pod| !is_over(pod) && !is_ours(pod))
        .filter(|pod| pod.at("/spec/hostNetwork") == true || !selector.matches(pod.at("/metadata/labels")))
        .map(|pod| pod.name().to_owned())
        .collect();
    (!left_out.is_empty()).then(|| {
        Finding::new(
            &catalogue::PODS_NOT_LOCKED,
            format!("the lock does not hold {}", named(&policies.namespace, &left_out)),
        )
    })
}

fn named(namespace: &str, pods: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = pods
        .iter()
        .take(SHOWN)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match pods.len() {
        1 => format!("pod {namespace}/{shown}"),
        many if many <= SHOWN => format!("pods {shown} of {namespace}"),
        many => format!("pods {shown} and {} more of {namespace}", many - SHOWN),
    }
}

fn is_over(pod: &Object) -> bool {
    matches!(pod.text("/status/phase"), "Succeeded" | "Failed")
}
