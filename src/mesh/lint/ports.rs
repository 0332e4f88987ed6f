//! A host is routed on one of its usual ports, and the other one is left open.
//!
//! Source: domain.md problem 12; truth.md section 1 (`http://` of a host that is routed on 443: 200, past the gateway).

use super::Remark;
use super::legs::At;
use super::scene::{Scene, name_of};
use crate::finding::catalogue;
use crate::vocabulary::Object;
use std::collections::BTreeSet;

const USUAL: [u16; 2] = [80, 443];

pub(super) fn check(scene: &Scene<'_>, remarks: &mut Vec<Remark>) {
    let mut routed: BTreeSet<(String, &str, usize)> = BTreeSet::new();
    for leg in scene.legs.iter().filter(|leg| leg.at == At::Mesh) {
        if scene.gateways_behind(&leg.destination).is_none() {
            continue;
        }
        for client in scene.clients_of(leg) {
            for host in leg.hosts.iter().filter(|host| !host.starts_with('*')) {
                routed.insert((client.clone(), host, leg.route));
            }
        }
    }
    for (client, host, route) in routed {
        let open = USUAL
            .into_iter()
            .find(|port| is_open(scene, &client, host, *port));
        let Some(open) = open.filter(|_| USUAL.iter().any(|port| is_routed(scene, &client, host, *port)))
        else {
            continue;
        };
        if scene.is_held(&client) || !scene.tells("VirtualService") || !scene.tells("NetworkPolicy") {
            continue;
        }
        let route = &scene.virtual_services[route];
        let message = format!(
            "{host} is sent to the gateway, but port {open} of it leaves namespace {client} directly"
        );
        // It concerns those who send requests; the route's owner may be another namespace.
        let mut remark = Remark::new(&catalogue::PORT_LEFT_OPEN, message).of(&client);
        remark.finding = remark.finding.about(name_of(route.object));
        remarks.push(remark);
    }
}

/// Whether any VirtualService that a namespace sees says where a port of a host goes.
fn is_routed(scene: &Scene<'_>, client: &str, host: &str, port: u16) -> bool {
    scene.mesh_legs_for(host).any(|leg| {
        let any = leg.port == 0 && leg.layer == super::legs::Layer::Http && port == 80;
        (leg.port == port || any) && scene.sees_route(client, &scene.virtual_services[leg.route])
    })
}

/// Whether a port that no route is for gets out at the sidecar.
fn is_open(scene: &Scene<'_>, client: &str, host: &str, port: u16) -> bool {
    if is_routed(scene, client, host, port) {
        return false;
    }
    let declared = scene.entries_of(host).any(|entry| {
        scene.sees_entry(client, entry) && entry.spec.ports.iter().any(|known| known.number == port)
    });
    declared || allows_any(scene, client)
}

/// Whether sidecars of a namespace let out what they do not know; a Sidecar resource's word goes before the mesh's.
fn allows_any(scene: &Scene<'_>, client: &str) -> bool {
    // Without the mesh configuration nothing is known.
    if scene.mesh.is_null() {
        return false;
    }
    let of = |namespace: &str| {
        scene
            .sidecars_in(namespace)
            .map(|sidecar| mode_of(sidecar).to_owned())
            .find(|mode| !mode.is_empty())
    };
    let own = of(client).or_else(|| of(scene.root()));
    let of_mesh = scene.mesh["outboundTrafficPolicy"]["mode"]
        .as_str()
        .unwrap_or("ALLOW_ANY");
    own.as_deref().unwrap_or(of_mesh) == "ALLOW_ANY"
}

fn mode_of(sidecar: &Object) -> &str {
    sidecar.text("/spec/outboundTrafficPolicy/mode")
}
