//! What holds below the mesh: NetworkPolicies for those who use the gateway, and the nodes that they share with it.
//!
//! Source: domain.md problems 31, 32 and section 4.4; Istio's egress gateway task ("Cluster administrators ... must
//! ensure no traffic leaves the mesh bypassing the egress gateway", nodes of its own for the gateway).

use super::super::network_policy::{Endpoint, address_of};
use super::Remark;
use super::legs::At;
use super::scene::{Scene, is_meshed, is_router, selects};
use crate::finding::{Severity, catalogue};
use crate::vocabulary::{Object, Protocol};
use std::collections::{BTreeMap, BTreeSet};

/// Label that Kyma's Istio module puts on its own objects.
const MODULE_LABEL: &str = "kyma-project.io/module";

pub(super) fn check(scene: &Scene<'_>, remarks: &mut Vec<Remark>) {
    let users = users(scene);
    for (client, services) in &users {
        remarks.extend(nothing_enforces(scene, client, services));
        remarks.extend(label_missing(scene, client, services));
        remarks.extend(nodes_shared(scene, client, services));
    }
}

/// Namespaces that send hosts to gateways, with the Services of these.
fn users(scene: &Scene<'_>) -> BTreeMap<String, BTreeSet<String>> {
    let mut users: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for leg in scene.legs.iter().filter(|leg| leg.at == At::Mesh) {
        if scene.gateways_behind(&leg.destination).is_some() {
            for client in scene.clients_of(leg) {
                users.entry(client).or_default().insert(leg.destination.clone());
            }
        }
    }
    users
}

fn nothing_enforces(scene: &Scene<'_>, client: &str, services: &BTreeSet<String>) -> Option<Remark> {
    if !scene.knows("NetworkPolicy") || !scene.knows("Pod") || scene.is_held(client) {
        return None;
    }
    let service = services.first()?;
    let message = format!(
        "namespace {client} sends hosts to {service}, and no NetworkPolicy keeps its pods from going past it"
    );
    Some(Remark::new(&catalogue::NOTHING_ENFORCES, message).of(client))
}

/// Pods of the gateway behind a Service.
fn gateway_pods<'a>(scene: &Scene<'a>, services: &BTreeSet<String>) -> Vec<&'a Object> {
    let services: Vec<&Object> = services
        .iter()
        .filter_map(|host| scene.services.get(host).copied())
        .collect();
    let behind = |pod: &&Object| services.iter().any(|service| selects(service, pod));
    scene.routers().iter().copied().filter(behind).collect()
}

/// Kyma's module lets only pods with a label reach the gateway (section 4.4).
fn label_missing(scene: &Scene<'_>, client: &str, services: &BTreeSet<String>) -> Option<Remark> {
    if !scene.knows("NetworkPolicy") || !scene.knows("Namespace") {
        return None;
    }
    let gateways = gateway_pods(scene, services);
    let gateway = gateways.first()?;
    let of_module = scene.policies.iter().any(|policy| {
        policy.namespace() == gateway.namespace() && policy.label(MODULE_LABEL) == Some("istio")
    });
    let port = gateway_port(scene, services)?;
    let refused: Vec<&str> = scene
        .pods_in(client)
        .filter(|pod| is_meshed(pod))
        .filter(|pod| !pod.text("/status/podIP").is_empty() && pod.at("/spec/hostNetwork") != true)
        .filter(|pod| {
            let from = Endpoint {
                pod: Some(pod),
                address: address_of(pod),
                port: 0,
                protocol: Protocol::Tcp,
            };
            !scene
                .network
                .ingress(gateway, &from, port, Protocol::Tcp)
                .lets_through()
        })
        .map(Object::name)
        .collect();
    let first = refused.first()?;
    let more = match refused.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let gateway = format!("{}/{}", gateway.namespace().unwrap_or_default(), gateway.name());
    let article = if of_module {
        &catalogue::GATEWAY_LABEL_MISSING
    } else {
        &catalogue::STOPPED_BY_POLICY
    };
    let message =
        format!("NetworkPolicies of the gateway's pod {gateway} do not let Pod {client}/{first}{more} in");
    let mut remark = Remark::new(article, message).of(client);
    // Whether this pod has anything to send there, objects do not tell.
    remark.finding.severity = Severity::Warning;
    remark.finding.objects.push(format!("Pod {client}/{first}"));
    Some(remark)
}

/// The target port at which sidecars reach the gateway.
fn gateway_port(scene: &Scene<'_>, services: &BTreeSet<String>) -> Option<u16> {
    let leg = scene
        .legs
        .iter()
        .find(|leg| leg.at == At::Mesh && services.contains(&leg.destination))?;
    let service = scene.services.get(&leg.destination)?;
    let entry = service
        .items("/spec/ports")
        .iter()
        .find(|entry| entry["port"] == leg.destination_port)?;
    match entry["targetPort"].as_u64() {
        Some(target) => u16::try_from(target).ok(),
        None if entry["targetPort"].is_null() => Some(leg.destination_port),
        None => None,
    }
}

/// Applications that NetworkPolicies hold may stand beside the gateway: they do not get out.
fn nodes_shared(scene: &Scene<'_>, client: &str, services: &BTreeSet<String>) -> Option<Remark> {
    if !scene.knows("NetworkPolicy") || !scene.knows("Pod") {
        return None;
    }
    let gateways = gateway_pods(scene, services);
    let nodes: BTreeSet<&str> = gateways
        .iter()
        .map(|pod| pod.text("/spec/nodeName"))
        .filter(|node| !node.is_empty())
        .collect();
    let beside = scene.pods_in(client).find(|pod| {
        nodes.contains(pod.text("/spec/nodeName")) && !is_router(pod) && !scene.is_pod_held(pod)
    })?;
    let message = format!(
        "pods of the gateway {} and of namespace {client} run on node {}",
        services.first()?,
        beside.text("/spec/nodeName")
    );
    let mut remark = Remark::new(&catalogue::NODES_SHARED, message).of(client);
    remark
        .finding
        .objects
        .push(format!("Pod {client}/{}", beside.name()));
    Some(remark)
}
