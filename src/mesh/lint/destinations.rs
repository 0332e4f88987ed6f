//! Where routes end: hosts that a proxy does not know or cannot resolve, and TLS that the other end does not speak.
//!
//! Source: truth.md surprises 3, 11, 18 and sections 3, 4; domain.md problems 1, 3, 19, 21, 26.

use super::Remark;
use super::legs::{At, Layer, Leg};
use super::rules::{named, tls_at, tls_of, viewers};
use super::scene::{Scene, Used, in_cluster_namespace};
use super::two_hops::{host_part, servers_for};
use crate::finding::catalogue;
use crate::istio::{ClientTls, Server};

pub(super) fn check(scene: &Scene<'_>, remarks: &mut Vec<Remark>) {
    for leg in &scene.legs {
        for viewer in viewers(scene, leg) {
            remarks.extend(unknown(scene, leg, &viewer));
            remarks.extend(mismatch(scene, leg, &viewer));
            remarks.extend(credential_at_sidecar(scene, leg, &viewer));
        }
        remarks.extend(unresolved(scene, leg));
    }
    credential_without_route(scene, remarks);
}

fn unknown(scene: &Scene<'_>, leg: &Leg, viewer: &str) -> Option<Remark> {
    let (host, port) = (&leg.destination, leg.destination_port);
    let why = if in_cluster_namespace(host).is_some() && scene.entries_of(host).next().is_none() {
        if !scene.knows("Service") {
            return None;
        }
        let Some(service) = scene.services.get(host) else {
            // Clusters of one mesh know each other's Services; what goes out of the mesh has its gateway here.
            let external = leg
                .hosts
                .iter()
                .any(|host| scene.entries_of(host).next().is_some());
            if leg.at != At::Mesh || !external {
                return None;
            }
            return Some(told(scene, leg, viewer, &format!("there is no Service {host}")));
        };
        let has = service
            .items("/spec/ports")
            .iter()
            .any(|known| known["port"] == port);
        if port == 0 || has || service.text("/spec/type") == "ExternalName" {
            return None;
        }
        format!("Service {host} has no port {port}")
    } else {
        // The full name of a Service in a cluster with a domain of its own is not known to be one.
        if !scene.tells("ServiceEntry") || !host.contains('.') || host.contains(".svc.") {
            return None;
        }
        let all: Vec<_> = scene.entries_of(host).collect();
        let seen: Vec<_> = all
            .iter()
            .filter(|entry| scene.sees_entry(viewer, entry))
            .collect();
        let has = |number| {
            seen.iter()
                .any(|entry| entry.spec.ports.iter().any(|known| known.number == number))
        };
        match (all.first(), seen.first()) {
            (None, _) => format!("no ServiceEntry declares {host}"),
            (Some(hidden), None) => format!(
                "ServiceEntry {} is not exported to namespace {viewer}",
                hidden.name()
            ),
            (_, Some(entry)) if port != 0 && !has(port) => {
                format!("ServiceEntry {} declares no port {port} for {host}", entry.name())
            }
            _ => return None,
        }
    };
    Some(told(scene, leg, viewer, &why))
}

fn told(scene: &Scene<'_>, leg: &Leg, viewer: &str, why: &str) -> Remark {
    let route = &scene.virtual_services[leg.route];
    let proxies = match &leg.at {
        At::Mesh => format!("sidecars of namespace {viewer}"),
        At::Gateway(name) => format!("the proxies of Gateway {name}"),
    };
    let message = format!(
        "VirtualService {} leads {proxies} to {}: {why}",
        route.name(),
        leg.destination
    );
    let remark = Remark::new(&catalogue::DESTINATION_UNKNOWN, message)
        .about(route.object)
        .of(viewer);
    remark.unless_elsewhere(scene)
}

/// truth.md section 6, b2 and c.
fn unresolved(scene: &Scene<'_>, leg: &Leg) -> Option<Remark> {
    let At::Gateway(gateway) = &leg.at else {
        return None;
    };
    let homes = scene
        .gateway(gateway)
        .map(|gateway| scene.homes_of(gateway))
        .unwrap_or_default();
    let entries: Vec<_> = scene
        .entries_of(&leg.destination)
        .filter(|entry| homes.is_empty() || homes.iter().any(|home| scene.sees_entry(home, entry)))
        .collect();
    let fails = |resolution: &str| match resolution {
        "" | "NONE" => true,
        "DYNAMIC_DNS" => leg.layer != Layer::Http,
        _ => false,
    };
    let first = entries.first()?;
    if !entries.iter().all(|entry| fails(&entry.spec.resolution)) {
        return None;
    }
    let resolution = match first.spec.resolution.as_str() {
        "" => "NONE",
        known => known,
    };
    let route = &scene.virtual_services[leg.route];
    let message = format!(
        "ServiceEntry {} has resolution {resolution} for {}, to which VirtualService {} leads Gateway {gateway}",
        first.name(),
        leg.destination,
        route.name()
    );
    let remark = Remark::new(&catalogue::RESOLUTION_AT_GATEWAY, message);
    Some(remark.about(first.object).about(route.object))
}

/// truth.md sections 3 (c, d, e) and 4 (b2, b3).
fn mismatch(scene: &Scene<'_>, leg: &Leg, viewer: &str) -> Option<Remark> {
    if leg.at != At::Mesh || !scene.tells("DestinationRule") || !scene.tells("Gateway") {
        return None;
    }
    let gateways = scene.gateways_behind(&leg.destination)?;
    let rules = scene.used_rules(viewer, &leg.destination);
    if rules.for_workloads {
        return None;
    }
    // A subset that is nowhere has a finding of its own.
    if leg.subset.as_ref().is_some_and(|wanted| !rules.defines(wanted)) {
        return None;
    }
    let tls = tls_of(scene, viewer, leg);
    let route = &scene.virtual_services[leg.route];
    for host in &leg.hosts {
        let servers = servers_for(scene, &gateways, leg, host);
        // Two servers for one host: which of them answers is the proxies' affair.
        let [(gateway, server)] = servers.as_slice() else {
            continue;
        };
        let automatic = scene
            .pods_of(gateway)
            .iter()
            .any(|pod| pod.label("security.istio.io/tlsMode") == Some("istio"));
        let Some(why) = disagreement(tls.as_ref(), server, automatic) else {
            continue;
        };
        let by = if rules.is_empty() {
            "no DestinationRule sets TLS".to_owned()
        } else {
            named(scene, &rules)
        };
        let message = format!(
            "VirtualService {} sends {host} to Gateway {}: {why} ({by})",
            route.name(),
            gateway.name()
        );
        let remark = Remark::new(&catalogue::MESH_LEG_MISMATCH, message)
            .about(route.object)
            .about(gateway.object)
            .of(viewer);
        return Some(remark.unless_elsewhere(scene));
    }
    None
}

fn disagreement(tls: Option<&ClientTls>, server: &Server, automatic: bool) -> Option<String> {
    let client = tls.map_or("", |tls| tls.mode.as_str());
    let mode = server.tls.as_ref().map_or("", |tls| tls.mode.as_str());
    let port = server.port.number;
    match (client, mode) {
        ("ISTIO_MUTUAL", "ISTIO_MUTUAL") => {
            let sni = tls.and_then(|tls| tls.sni.as_deref()).unwrap_or_default();
            let mut patterns = server.hosts.iter().map(|host| host_part(host));
            let fits = patterns.any(|pattern| pattern == "*" || super::super::names::covers(pattern, sni));
            (!fits).then(|| match sni {
                "" => format!(
                    "the sidecar's mutual TLS names no server (sni), and port {port} listens for {}",
                    server.hosts.join(", ")
                ),
                _ => format!(
                    "the sidecar's mutual TLS asks for {sni}, and port {port} listens for {}",
                    server.hosts.join(", ")
                ),
            })
        }
        ("ISTIO_MUTUAL", "PASSTHROUGH") => Some(format!(
            "the sidecar makes mutual TLS of the mesh, and port {port} passes it through to the host"
        )),
        ("ISTIO_MUTUAL", "") if plain(server) => Some(format!(
            "the sidecar makes mutual TLS of the mesh, and port {port} takes plain HTTP"
        )),
        ("" | "DISABLE", "ISTIO_MUTUAL") if !automatic => Some(format!(
            "port {port} asks for mutual TLS of the mesh, and the sidecar makes none"
        )),
        _ => None,
    }
}

fn plain(server: &Server) -> bool {
    ["HTTP", "HTTP2", "GRPC"].contains(&server.port.protocol.to_ascii_uppercase().as_str())
}

/// truth.md surprise 3: a sidecar that leads plain HTTP to a port with such TLS sends it in plaintext.
fn credential_at_sidecar(scene: &Scene<'_>, leg: &Leg, viewer: &str) -> Option<Remark> {
    if leg.at != At::Mesh || leg.layer != Layer::Http || leg.destination_port == 0 {
        return None;
    }
    scene.entries_of(&leg.destination).next()?;
    let rules = scene.used_rules(viewer, &leg.destination);
    let tls = tls_of(scene, viewer, leg)?;
    let dropped = tls
        .credential_name
        .as_deref()
        .filter(|_| ["SIMPLE", "MUTUAL"].contains(&tls.mode.as_str()))?;
    plaintext(scene, &rules, dropped, &leg.destination, viewer)
}

fn plaintext(scene: &Scene<'_>, rules: &Used, credential: &str, host: &str, viewer: &str) -> Option<Remark> {
    let rule = scene.rules_in(rules).next()?;
    if rules.for_workloads {
        return None;
    }
    let message = format!(
        "sidecars of namespace {viewer} use DestinationRule {} for {host}; they drop its TLS (credentialName {credential}) and send plaintext",
        rule.name()
    );
    let remark = Remark::new(&catalogue::CREDENTIAL_AT_SIDECAR, message)
        .about(rule.object)
        .of(viewer);
    Some(remark.unless_elsewhere(scene))
}

/// The same without any VirtualService: an HTTP port whose endpoints have another port.
fn credential_without_route(scene: &Scene<'_>, remarks: &mut Vec<Remark>) {
    for entry in &scene.entries {
        let viewer = entry.namespace;
        for port in &entry.spec.ports {
            let is_http = ["HTTP", "HTTP2", "GRPC"].contains(&port.protocol.to_ascii_uppercase().as_str());
            if !is_http || port.target_port.is_none() {
                continue;
            }
            for host in &entry.spec.hosts {
                let routed = scene.mesh_legs_for(host).next().is_some();
                if routed || !scene.tells("VirtualService") || !scene.sees_entry(viewer, entry) {
                    continue;
                }
                let rules = scene.used_rules(viewer, host);
                let policies = scene.policies_in(&rules);
                let tls = policies.fold(None, |before, policy| tls_at(before, policy, port.number));
                let Some(credential) = tls.and_then(|tls| tls.credential_name) else {
                    continue;
                };
                remarks.extend(plaintext(scene, &rules, &credential, host, viewer));
            }
        }
    }
}
