//! Sidecar resources that leave a route of their own namespace out.
//!
//! Source: domain.md problem 15; Istio's reference of Sidecar: `egress.hosts` lists what the proxies get.

use super::super::names::full_host;
use super::Remark;
use super::legs::{At, overlap};
use super::scene::{Scene, name_of};
use crate::finding::catalogue;
use crate::vocabulary::Object;

pub(super) fn check(scene: &Scene<'_>, remarks: &mut Vec<Remark>) {
    for leg in scene.legs.iter().filter(|leg| leg.at == At::Mesh) {
        if scene.gateways_behind(&leg.destination).is_none() {
            continue;
        }
        let route = &scene.virtual_services[leg.route];
        for client in scene.clients_of(leg) {
            let Some(sidecar) = sidecar_of(scene, &client) else {
                continue;
            };
            let hidden = leg.hosts.iter().find(|host| {
                let host = full_host(host, route.namespace);
                !lists(sidecar, &client, route.namespace, &host)
            });
            let Some(host) = hidden else { continue };
            let message = format!(
                "{} does not list {}/{host}, so that sidecars of namespace {client} do not get VirtualService {}",
                name_of(sidecar),
                route.namespace,
                route.name()
            );
            let remark = Remark::new(&catalogue::SIDECAR_LEAVES_OUT, message)
                .about(sidecar)
                .about(route.object)
                .of(&client);
            remarks.push(remark);
        }
    }
}

/// The Sidecar for all pods of a namespace: its own, else the root namespace's. Those for single workloads are not
/// looked at: the route may be for others.
fn sidecar_of<'s>(scene: &'s Scene<'_>, namespace: &str) -> Option<&'s Object> {
    let of = |place: &str| {
        let mut all = scene.sidecars_in(place);
        all.find(|sidecar| sidecar.at("/spec/workloadSelector").is_null())
    };
    of(namespace).or_else(|| of(scene.root()))
}

/// Whether a Sidecar lets its proxies have what `owner` says of a host. Without `egress` it is everything.
fn lists(sidecar: &Object, viewer: &str, owner: &str, host: &str) -> bool {
    let listeners = sidecar.items("/spec/egress");
    if listeners.is_empty() {
        return true;
    }
    let mut entries = listeners
        .iter()
        .flat_map(|listener| listener["hosts"].as_array().into_iter().flatten())
        .filter_map(|entry| entry.as_str()?.split_once('/'));
    entries.any(|(namespace, pattern)| {
        let of_owner = match namespace {
            "*" => true,
            "." => owner == viewer,
            "~" => false,
            named => named == owner,
        };
        of_owner && overlap(pattern, host)
    })
}
