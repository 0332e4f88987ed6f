//! Gateways: pods, ports and servers that do not go together.
//!
//! Source: domain.md problems 7, 8, 17; truth.md surprise 11 and section 3; Istio's merge of Gateways (`MergeGateways`).

use super::Remark;
use super::legs::{Layer, Leg};
use super::scene::{Item, Scene};
use super::two_hops::host_part;
use crate::finding::{Severity, catalogue};
use crate::istio::{GatewaySpec, Server};
use crate::vocabulary::Object;
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(super) fn check(scene: &Scene<'_>, remarks: &mut Vec<Remark>) {
    for gateway in &scene.gateways {
        remarks.extend(without_pods(scene, gateway));
        for server in &gateway.spec.servers {
            remarks.extend(port_not_served(scene, gateway, server));
            remarks.extend(tls_routes(scene, gateway, server));
        }
    }
    collisions(scene, remarks);
}

/// Namespaces whose VirtualServices are for a Gateway.
fn users<'s>(scene: &'s Scene<'_>, gateway: &Item<'_, GatewaySpec>) -> Vec<&'s str> {
    scene
        .legs_of(&gateway.name())
        .map(|leg| scene.virtual_services[leg.route].namespace)
        .collect()
}

fn remark(
    scene: &Scene<'_>,
    article: &'static crate::finding::Article,
    message: String,
    gateway: &Item<'_, GatewaySpec>,
) -> Remark {
    let remark = Remark::new(article, message).about(gateway.object);
    users(scene, gateway).into_iter().fold(remark, Remark::of)
}

fn written(gateway: &Item<'_, GatewaySpec>) -> String {
    let pairs = gateway
        .spec
        .selector
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join(",")
}

fn without_pods(scene: &Scene<'_>, gateway: &Item<'_, GatewaySpec>) -> Option<Remark> {
    let knows = scene.knows("Pod") && scene.knows("Service");
    if gateway.spec.selector.is_empty() || !knows || !scene.pods_of(gateway).is_empty() {
        return None;
    }
    let selector = written(gateway);
    let services = scene.services_of(gateway);
    if let Some(service) = services.first() {
        let message = format!(
            "Service {}/{} is for the pods that Gateway {} selects ({selector}), and there are none",
            service.namespace().unwrap_or_default(),
            service.name(),
            gateway.name()
        );
        return Some(remark(scene, &catalogue::GATEWAY_NOT_READY, message, gateway));
    }
    let message = format!(
        "Gateway {} selects {selector}, and no pod has these labels",
        gateway.name()
    );
    Some(remark(
        scene,
        &catalogue::GATEWAY_SELECTS_NOTHING,
        message,
        gateway,
    ))
}

fn port_not_served(scene: &Scene<'_>, gateway: &Item<'_, GatewaySpec>, server: &Server) -> Option<Remark> {
    let services = scene.services_of(gateway);
    let pods = scene.pods_of(gateway);
    let number = u64::from(server.port.number);
    let has = |service: &&Object| {
        service.items("/spec/ports").iter().any(|port| {
            port["port"].as_u64() == Some(number)
                || port["targetPort"].as_u64() == Some(number)
                || port["targetPort"].is_string()
        })
    };
    // A pod on the host's network, or with ports of the host, is reached without its Service.
    let by_host = |pod: &&Object| {
        let containers = pod.items("/spec/containers").iter();
        let mut ports = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
        pod.at("/spec/hostNetwork") == true || ports.any(|port| !port["hostPort"].is_null())
    };
    if services.is_empty() || services.iter().any(has) || pods.iter().any(by_host) || !scene.tells("Service")
    {
        return None;
    }
    let names: Vec<String> = services
        .iter()
        .map(|service| {
            let ports = service.items("/spec/ports").iter();
            let ports: Vec<String> = ports
                .filter_map(|port| port["port"].as_u64())
                .map(|port| port.to_string())
                .collect();
            format!(
                "Service {}/{} has {}",
                service.namespace().unwrap_or_default(),
                service.name(),
                ports.join(", ")
            )
        })
        .collect();
    let message = format!(
        "Gateway {} listens at port {number}; {}",
        gateway.name(),
        names.join("; ")
    );
    Some(remark(
        scene,
        &catalogue::GATEWAY_PORT_NOT_SERVED,
        message,
        gateway,
    ))
}

/// Whether a server takes TLS off and is not for HTTP.
fn ends_tls(server: &Server) -> bool {
    let mode = server.tls.as_ref().map_or("", |tls| tls.mode.as_str());
    server.port.protocol.eq_ignore_ascii_case("TLS")
        && ["ISTIO_MUTUAL", "SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"].contains(&mode)
}

fn tls_routes(scene: &Scene<'_>, gateway: &Item<'_, GatewaySpec>, server: &Server) -> Option<Remark> {
    if !ends_tls(server) {
        return None;
    }
    let name = gateway.name();
    let hosts = server.hosts.iter().map(|host| host_part(host));
    let legs: BTreeMap<usize, &Leg> = hosts
        .flat_map(|host| scene.gateway_legs_for(&name, host))
        .filter(|(_, leg)| leg.port == 0 || leg.port == server.port.number)
        .collect();
    if legs.values().any(|leg| leg.layer != Layer::Tls) {
        return None;
    }
    let leg = legs.values().next()?;
    let route = &scene.virtual_services[leg.route];
    let message = format!(
        "Gateway {} ends TLS for {} (mode {}), and VirtualService {} has `tls` routes for it: none of them applies",
        gateway.name(),
        server.hosts.join(", "),
        server.tls.as_ref().map_or("", |tls| tls.mode.as_str()),
        route.name()
    );
    Some(remark(scene, &catalogue::TLS_ROUTES_UNUSED, message, gateway).about(route.object))
}

/// What a server speaks outside: TLS of any kind, HTTP, or TCP.
fn family(server: &Server) -> &'static str {
    let protocol = server.port.protocol.to_ascii_uppercase();
    match protocol.as_str() {
        "HTTP" | "HTTP2" | "GRPC" | "GRPC-WEB" => "HTTP",
        "HTTPS" | "TLS" => "TLS",
        _ if server.tls.is_some() => "TLS",
        _ => "TCP",
    }
}

/// Whether the second of two servers on one port is dropped: behind a plain one only HTTP beside HTTP is taken. A plain
/// one behind TLS is taken (Istio, `mergeGateways`).
fn is_dropped(first: &Server, second: &Server) -> bool {
    match (family(first), family(second)) {
        ("TLS", _) | ("HTTP", "HTTP") => false,
        _ => first.port.number == second.port.number,
    }
}

fn collisions(scene: &Scene<'_>, remarks: &mut Vec<Remark>) {
    for ((older, first), (newer, second)) in suspects(scene) {
        let (older, newer) = (&scene.gateways[older], &scene.gateways[newer]);
        if !same_pods(scene, older, newer) || binds(older) || binds(newer) {
            continue;
        }
        let (first, second) = (&older.spec.servers[first], &newer.spec.servers[second]);
        remarks.extend(taken_host(scene, (older, first), (newer, second)));
        if !is_dropped(first, second) {
            continue;
        }
        let (kept, dropped) = (family(first), family(second));
        let message = format!(
            "port {} is {kept} in Gateway {}; the {dropped} server of Gateway {} for the same pods and port is dropped",
            first.port.number,
            older.name(),
            newer.name()
        );
        let mut found = remark(scene, &catalogue::PROTOCOLS_COLLIDE, message, newer);
        if older.name() != newer.name() {
            found = found.about(older.object);
            found = users(scene, older).into_iter().fold(found, Remark::of);
        }
        remarks.push(found);
    }
}

/// A server: positions of its Gateway and in it.
type Place = (usize, usize);

/// Pairs of servers that may collide, the older one first: those with the same host at the same port, and at each port
/// those without TLS with all that they would drop.
fn suspects(scene: &Scene<'_>) -> BTreeSet<(Place, Place)> {
    let mut by_host: HashMap<(u16, &str), Vec<Place>> = HashMap::new();
    let mut by_port: HashMap<u16, Vec<(Place, &Server)>> = HashMap::new();
    for (position, gateway) in scene.gateways.iter().enumerate() {
        for (number, server) in gateway.spec.servers.iter().enumerate() {
            let (place, port) = ((position, number), server.port.number);
            for host in &server.hosts {
                by_host.entry((port, host)).or_default().push(place);
            }
            by_port.entry(port).or_default().push((place, server));
        }
    }
    let mut found = BTreeSet::new();
    for places in by_host.values() {
        for (index, first) in places.iter().enumerate() {
            let later = places[index + 1..].iter().filter(|second| *second != first);
            found.extend(later.map(|second| (*first, *second)));
        }
    }
    for servers in by_port.values() {
        // Where all speak the same, as where all is TLS or all is HTTP, there is nothing to compare.
        let others: Vec<&(Place, &Server)> = servers
            .iter()
            .filter(|(_, server)| family(server) != "HTTP")
            .collect();
        for (first, server) in servers.iter().filter(|(_, server)| family(server) != "TLS") {
            let behind = if family(server) == "HTTP" {
                others.clone()
            } else {
                servers.iter().collect()
            };
            let later = behind.into_iter().filter(|(second, _)| second > first);
            found.extend(later.map(|(second, _)| (*first, *second)));
        }
    }
    found
}

/// A server with TLS is dropped if an older one of its port has one of its hosts (Istio, `CheckDuplicates`). Where the
/// older one leads the host on all the same, requests do not notice.
fn taken_host(
    scene: &Scene<'_>,
    (older, first): (&Item<'_, GatewaySpec>, &Server),
    (newer, second): (&Item<'_, GatewaySpec>, &Server),
) -> Option<Remark> {
    let both_tls = family(first) == "TLS" && family(second) == "TLS";
    if !both_tls || first.port.number != second.port.number || older.name() == newer.name() {
        return None;
    }
    let host = first
        .hosts
        .iter()
        .find(|host| second.hosts.contains(host) && !host.starts_with("./"))?;
    let message = format!(
        "{} of Gateway {} at port {} is dropped with all its hosts: Gateway {} is older and has {host} there",
        second.hosts.join(", "),
        newer.name(),
        second.port.number,
        older.name()
    );
    let mut found = remark(scene, &catalogue::PROTOCOLS_COLLIDE, message, newer).about(older.object);
    let led_on = scene
        .gateway_legs_for(&older.name(), host_part(host))
        .next()
        .is_some();
    if led_on {
        found.finding.severity = Severity::Warning;
    }
    Some(found)
}

/// Whether a Gateway has servers at addresses of their own.
fn binds(gateway: &Item<'_, GatewaySpec>) -> bool {
    let mut servers = gateway.object.items("/spec/servers").iter();
    servers.any(|server| !server["bind"].is_null())
}

/// Whether two Gateways have pods in common; where none are known, whether their selectors are the same.
fn same_pods(scene: &Scene<'_>, left: &Item<'_, GatewaySpec>, right: &Item<'_, GatewaySpec>) -> bool {
    if left.spec.selector.is_empty() || right.spec.selector.is_empty() {
        return left.name() == right.name();
    }
    let pods = scene.pods_of(left);
    if pods.is_empty() {
        return left.spec.selector == right.spec.selector;
    }
    let others = scene.pods_of(right);
    pods.iter().any(|pod| others.iter().any(|other| other.0 == pod.0))
}
