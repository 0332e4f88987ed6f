//! A host goes through a gateway in two hops, and each needs a route; one alone is worse than none.
//!
//! Source: domain.md problems 12 and 17; truth.md section 0 (6) and section 1: with one leg alone the answer is a 200
//! that went out directly, or a refusal of the gateway.

use super::super::names::full_host;
use super::Remark;
use super::legs::{At, Layer, Leg, overlap, place};
use super::scene::{Item, Scene, in_cluster_namespace};
use crate::finding::catalogue;
use crate::istio::{GatewaySpec, Server};
use crate::vocabulary::Object;
use serde_json::Value;

pub(super) fn check(scene: &Scene<'_>, remarks: &mut Vec<Remark>) {
    for item in &scene.virtual_services {
        let named = item.spec.gateways.iter().map(|name| place(name, item.namespace));
        for at in named {
            let At::Gateway(name) = at else { continue };
            if scene.gateway(&name).is_none() && scene.tells("Gateway") {
                let message = format!(
                    "VirtualService {} is for Gateway {name}, which does not exist",
                    item.name()
                );
                let remark = Remark::new(&catalogue::GATEWAY_NOT_THERE, message).about(item.object);
                remarks.push(remark.unless_elsewhere(scene));
            }
        }
    }
    for leg in &scene.legs {
        match &leg.at {
            At::Mesh => remarks.extend(gateway_leg_of(scene, leg)),
            At::Gateway(name) => remarks.extend(mesh_leg_of(scene, leg, name)),
        }
    }
}

/// A port of a gateway, in the ways that a Gateway may write it.
pub(super) fn same_port(scene: &Scene<'_>, service: &str, port: u16, written: u16) -> bool {
    if port == written {
        return true;
    }
    let Some(service) = scene.services.get(service) else {
        return false;
    };
    let entry = service
        .items("/spec/ports")
        .iter()
        .find(|entry| entry["port"] == port);
    let target = entry.map_or(&Value::Null, |entry| &entry["targetPort"]);
    target.as_u64() == Some(u64::from(written))
}

/// The servers that listen for a host where a leg to a gateway ends, with their Gateways.
pub(super) fn servers_for<'s, 'a>(
    scene: &Scene<'_>,
    gateways: &[&'s Item<'a, GatewaySpec>],
    leg: &Leg,
    host: &str,
) -> Vec<(&'s Item<'a, GatewaySpec>, &'s Server)> {
    let mut found = Vec::new();
    for gateway in gateways {
        for server in &gateway.spec.servers {
            let port = same_port(scene, &leg.destination, leg.destination_port, server.port.number);
            if port
                && server
                    .hosts
                    .iter()
                    .any(|pattern| overlap(host_part(pattern), host))
            {
                found.push((*gateway, server));
            }
        }
    }
    found
}

/// `namespace/host` without its namespace.
pub(super) fn host_part(pattern: &str) -> &str {
    pattern.split_once('/').map_or(pattern, |(_, host)| host)
}

fn gateway_leg_of(scene: &Scene<'_>, leg: &Leg) -> Option<Remark> {
    let gateways = scene.gateways_behind(&leg.destination)?;
    if leg.destination_port == 0 || !scene.tells("Gateway") || !scene.tells("VirtualService") {
        return None;
    }
    let own = &scene.virtual_services[leg.route];
    // What is meant for the Service itself, and not for a host behind it, ends there.
    let host = leg.hosts.iter().find(|host| {
        let host = full_host(host, own.namespace);
        in_cluster_namespace(&host).is_none() && !leads_on(scene, &gateways, leg, &host)
    })?;
    let servers = servers_for(scene, &gateways, leg, host);
    let port = leg.destination_port;
    let why = if servers.is_empty() {
        format!("no Gateway there listens for it at port {port}")
    } else if let Some(hidden) = hidden_route(scene, &servers, host) {
        format!("{hidden}, which leads it on, is not exported to the gateway's namespace")
    } else {
        let names: Vec<String> = servers.iter().map(|(gateway, _)| gateway.name()).collect();
        format!(
            "no VirtualService leads it on from Gateway {}",
            names.join(" or ")
        )
    };
    let message = format!(
        "VirtualService {} sends {host} to {} at port {port}, and {why}",
        own.name(),
        leg.destination
    );
    let remark = Remark::new(&catalogue::GATEWAY_LEG_MISSING, message).about(own.object);
    Some(remark.unless_elsewhere(scene))
}

/// Whether a route of one of the servers is for the host, and seen by the gateway's proxies.
fn leads_on(scene: &Scene<'_>, gateways: &[&Item<'_, GatewaySpec>], leg: &Leg, host: &str) -> bool {
    servers_for(scene, gateways, leg, host)
        .iter()
        .any(|(gateway, server)| {
            scene
                .legs
                .iter()
                .any(|next| is_next(scene, next, gateway, server, host) && is_seen(scene, next, gateway))
        })
}

fn is_next(
    scene: &Scene<'_>,
    next: &Leg,
    gateway: &Item<'_, GatewaySpec>,
    server: &Server,
    host: &str,
) -> bool {
    let port = next.port == 0
        || next.port == server.port.number
        || scene
            .services_of(gateway)
            .iter()
            .any(|service| maps(service, next.port, server.port.number));
    next.at == At::Gateway(gateway.name()) && next.is_for(host) && port
}

/// Whether one of two numbers is a Service's port, and the other its target.
fn maps(service: &Object, left: u16, right: u16) -> bool {
    service.items("/spec/ports").iter().any(|entry| {
        let (port, target) = (entry["port"].as_u64(), entry["targetPort"].as_u64());
        let (left, right) = (Some(u64::from(left)), Some(u64::from(right)));
        (port == left && target == right) || (port == right && target == left)
    })
}

fn is_seen(scene: &Scene<'_>, leg: &Leg, gateway: &Item<'_, GatewaySpec>) -> bool {
    let route = &scene.virtual_services[leg.route];
    let homes = scene.homes_of(gateway);
    homes.is_empty() || homes.iter().any(|home| scene.sees_route(home, route))
}

fn hidden_route(
    scene: &Scene<'_>,
    servers: &[(&Item<'_, GatewaySpec>, &Server)],
    host: &str,
) -> Option<String> {
    let hidden = scene.legs.iter().find(|leg| {
        servers.iter().any(|(gateway, server)| {
            is_next(scene, leg, gateway, server, host) && !is_seen(scene, leg, gateway)
        })
    })?;
    Some(format!(
        "VirtualService {}",
        scene.virtual_services[hidden.route].name()
    ))
}

fn mesh_leg_of(scene: &Scene<'_>, leg: &Leg, name: &str) -> Option<Remark> {
    let gateway = scene.gateway(name)?;
    let external = scene.entries_of(&leg.destination).next().is_some();
    if !external || !scene.tells("VirtualService") || !is_egress(scene, gateway) {
        return None;
    }
    let host = leg
        .hosts
        .iter()
        .find(|host| !is_sent_there(scene, gateway, host))?;
    let route = &scene.virtual_services[leg.route];
    let message = format!(
        "VirtualService {} leads {host} on from Gateway {name}, and none for mesh sends it there: sidecars let it out directly",
        route.name()
    );
    let remark = Remark::new(&catalogue::MESH_LEG_MISSING, message).about(route.object);
    Some(remark.unless_elsewhere(scene))
}

/// Whether a Gateway is for traffic that goes out: sidecars are sent to it, or its Service is called so. One that the
/// outside can reach may well lead on to external hosts.
fn is_egress(scene: &Scene<'_>, gateway: &Item<'_, GatewaySpec>) -> bool {
    let services = scene.services_of(gateway);
    let from_outside = |service: &Object| ["LoadBalancer", "NodePort"].contains(&service.text("/spec/type"));
    if services.iter().any(|service| from_outside(service)) {
        return false;
    }
    let called = |text: &str| text.contains("egress");
    gateway.spec.selector.values().any(|value| called(value))
        || services.iter().any(|service| called(service.name()))
        || scene
            .legs
            .iter()
            .any(|leg| leg.at == At::Mesh && ends_at(scene, leg, gateway))
}

/// Whether a leg ends at a Gateway's pods.
pub(super) fn ends_at(scene: &Scene<'_>, leg: &Leg, gateway: &Item<'_, GatewaySpec>) -> bool {
    scene
        .gateways_behind(&leg.destination)
        .is_some_and(|behind| behind.iter().any(|known| known.name() == gateway.name()))
}

/// Whether any VirtualService for sidecars sends a host to a Gateway's pods.
fn is_sent_there(scene: &Scene<'_>, gateway: &Item<'_, GatewaySpec>, host: &str) -> bool {
    let to_gateway = |leg: &Leg| leg.at == At::Mesh && leg.is_for(host) && ends_at(scene, leg, gateway);
    // TCP is matched by port and address: which host it is for, only addresses say.
    let opaque = |leg: &Leg| leg.at == At::Mesh && leg.layer == Layer::Tcp && ends_at(scene, leg, gateway);
    scene.legs.iter().any(|leg| to_gateway(leg) || opaque(leg))
}
