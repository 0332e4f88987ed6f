//! Where a line's cluster comes from: the objects of a cluster that made it, or that none is there, which explains NC
//! and NR. Says what it finds and never that something is missing whose kind could not be read.

use super::super::{AccessLogLine, UpstreamCluster};
use super::cluster_name::service_of;
use super::speaker::{Speaker, ip, without_port};
use super::verdict::Verdict;
use crate::vocabulary::Object;
use serde_json::Value;
use std::net::IpAddr;

/// Objects of a cluster; `None` where a kind could not be read.
#[derive(Debug, Clone, Default)]
pub struct LiveObjects {
    /// ServiceEntries of all namespaces.
    pub service_entries: Option<Vec<Object>>,
    /// VirtualServices of all namespaces.
    pub virtual_services: Option<Vec<Object>>,
    /// DestinationRules of all namespaces.
    pub destination_rules: Option<Vec<Object>>,
    /// Gateways of all namespaces.
    pub gateways: Option<Vec<Object>>,
    /// Services of all namespaces.
    pub services: Option<Vec<Object>>,
    /// Pods of all namespaces.
    pub pods: Option<Vec<Object>>,
}

/// What the objects tell about a line, one sentence each.
pub fn origins(line: &AccessLogLine, objects: &LiveObjects) -> Vec<String> {
    let speaker = Speaker::of(line);
    let mut said = pods(line, objects);
    let viewer = namespace_of(line, speaker, objects);
    if let Some(UpstreamCluster::Outbound { port, subset, host }) = &line.upstream_cluster {
        said.extend(of_cluster(*port, subset, host, viewer, objects));
    }
    let authority = line.authority.as_deref().map(without_port);
    let asked = authority.or(line.requested_server_name.as_deref());
    let Some(asked) = asked.filter(|asked| !asked.starts_with("outbound_.")) else {
        return said;
    };
    match Verdict::of(line, speaker) {
        Verdict::NoRouteAtGateway
        | Verdict::MeshLegMismatch
        | Verdict::GatewayUnreachable
        | Verdict::EndedByGateway
        | Verdict::NothingCameBack => said.extend(servers(asked, objects)),
        Verdict::NoCluster => said.extend(routes_without_subset(asked, viewer, objects)),
        Verdict::LeftUnknown | Verdict::RegistryOnly | Verdict::NoRoute => {
            said.extend(declared(asked, objects));
        }
        Verdict::NoEndpoint => said.extend(resolutions(asked, objects)),
        _ => {}
    }
    said
}

fn of_cluster(
    port: u16,
    subset: &str,
    host: &str,
    viewer: Option<&str>,
    objects: &LiveObjects,
) -> Vec<String> {
    let mut said = Vec::new();
    match service_of(host) {
        Some((name, namespace)) => said.extend(service(name, namespace, objects)),
        None => said.extend(entry(host, port, objects)),
    }
    if !subset.is_empty() {
        said.extend(subset_of(host, subset, viewer, objects));
    }
    if let Some(all) = &objects.virtual_services {
        let leads = all
            .iter()
            .filter(|service| destinations(service).any(|to| to == (host, subset)));
        said.extend(first_few(leads, |service| {
            format!("VirtualService {} leads to it", named(service))
        }));
    }
    said
}

fn service(name: &str, namespace: &str, objects: &LiveObjects) -> Option<String> {
    let all = objects.services.as_ref()?;
    let found = all
        .iter()
        .any(|service| service.name() == name && service.namespace() == Some(namespace));
    Some(if found {
        format!("the cluster is that of Service {namespace}/{name}")
    } else {
        format!("there is no Service {namespace}/{name}")
    })
}

fn entry(host: &str, port: u16, objects: &LiveObjects) -> Vec<String> {
    let Some(all) = &objects.service_entries else {
        return Vec::new();
    };
    let declaring: Vec<&Object> = all
        .iter()
        .filter(|entry| names(entry.items("/spec/hosts")).any(|name| name == host))
        .collect();
    if declaring.is_empty() {
        return vec![format!("no ServiceEntry declares {host} now")];
    }
    let has_port = |entry: &&Object| {
        entry
            .items("/spec/ports")
            .iter()
            .any(|given| given["number"].as_u64() == Some(u64::from(port)))
    };
    let with_port: Vec<&Object> = declaring.iter().copied().filter(has_port).collect();
    if with_port.is_empty() {
        return first_few(declaring.into_iter(), |entry| {
            format!(
                "ServiceEntry {} declares {host}, without port {port}",
                named(entry)
            )
        });
    }
    first_few(with_port.into_iter(), |entry| {
        format!("ServiceEntry {} declares {host} with port {port}", named(entry))
    })
}

fn subset_of(host: &str, subset: &str, viewer: Option<&str>, objects: &LiveObjects) -> Vec<String> {
    let Some(all) = &objects.destination_rules else {
        return Vec::new();
    };
    let defining = all.iter().filter(|rule| {
        is_named(rule.text("/spec/host"), rule, host)
            && rule
                .items("/spec/subsets")
                .iter()
                .any(|given| given["name"] == subset)
    });
    let (seen, hidden): (Vec<&Object>, Vec<&Object>) = defining.partition(|rule| sees(viewer, rule));
    if !seen.is_empty() {
        return first_few(seen.into_iter(), |rule| {
            format!("DestinationRule {} defines subset {subset}", named(rule))
        });
    }
    let mut said = vec![format!(
        "no DestinationRule for {host} that this proxy sees defines subset {subset}, which explains NC"
    )];
    said.extend(first_few(hidden.into_iter(), |rule| {
        format!(
            "DestinationRule {} defines it, and is not exported to this proxy's namespace",
            named(rule)
        )
    }));
    said
}

/// Whether an object is exported to a namespace (Istio's `exportTo`; nothing said: to all). Who is not known sees all.
fn sees(viewer: Option<&str>, object: &Object) -> bool {
    let exported = object.items("/spec/exportTo");
    let Some(viewer) = viewer.filter(|_| !exported.is_empty()) else {
        return true;
    };
    names(exported).any(|to| match to {
        "*" => true,
        "." => object.namespace() == Some(viewer),
        namespace => namespace == viewer,
    })
}

/// The namespace of the pod whose proxy wrote the line.
fn namespace_of<'a>(line: &AccessLogLine, speaker: Speaker, objects: &'a LiveObjects) -> Option<&'a str> {
    let own = match speaker {
        Speaker::Sidecar => &line.downstream_remote_address,
        Speaker::Gateway | Speaker::Inbound => &line.downstream_local_address,
        Speaker::Proxy => return None,
    };
    let address = ip(own.as_deref())?;
    let pods = objects.pods.as_ref()?;
    pods.iter().find(|pod| has_address(pod, address))?.namespace()
}

/// Servers of Gateways that offer a host.
fn servers(host: &str, objects: &LiveObjects) -> Vec<String> {
    let Some(all) = &objects.gateways else {
        return Vec::new();
    };
    let mut said = Vec::new();
    for gateway in all {
        for server in gateway.items("/spec/servers") {
            let hosts = server["hosts"].as_array().map_or(&[][..], Vec::as_slice);
            // NAMESPACE/HOST
            let offered = |name: &str| covers(name.rsplit('/').next().unwrap_or(name), host);
            if names(hosts).any(offered) {
                let mode = server["tls"]["mode"]
                    .as_str()
                    .map(|mode| format!(", TLS {mode}"))
                    .unwrap_or_default();
                said.push(format!(
                    "Gateway {} offers {host} at port {} ({}{mode})",
                    named(gateway),
                    server["port"]["number"],
                    server["port"]["protocol"].as_str().unwrap_or("?")
                ));
            }
        }
    }
    said.truncate(FEW);
    if said.is_empty() {
        return vec![format!("no Gateway offers {host}, which explains it")];
    }
    said
}

/// VirtualServices of a host, and which of their subsets nobody defines.
fn routes_without_subset(host: &str, viewer: Option<&str>, objects: &LiveObjects) -> Vec<String> {
    let Some(all) = &objects.virtual_services else {
        return Vec::new();
    };
    let of_host = all
        .iter()
        .filter(|service| names(service.items("/spec/hosts")).any(|name| covers(name, host)));
    let mut said = Vec::new();
    for service in of_host {
        for (to, subset) in destinations(service).filter(|(_, subset)| !subset.is_empty()) {
            said.push(format!(
                "VirtualService {} leads {host} to subset {subset} of {to}",
                named(service)
            ));
            said.extend(subset_of(to, subset, viewer, objects));
        }
    }
    said.dedup();
    said.truncate(2 * FEW);
    said
}

/// How the ServiceEntries of a host say that its addresses are found.
fn resolutions(host: &str, objects: &LiveObjects) -> Vec<String> {
    let all = objects.service_entries.iter().flatten();
    let declaring = all.filter(|entry| names(entry.items("/spec/hosts")).any(|name| covers(name, host)));
    first_few(declaring, |entry| {
        // Istio's own default.
        let resolution = Some(entry.text("/spec/resolution")).filter(|text| !text.is_empty());
        format!(
            "ServiceEntry {} has resolution {}",
            named(entry),
            resolution.unwrap_or("NONE")
        )
    })
}

/// Whether anybody declares a host that a sidecar did not know.
fn declared(host: &str, objects: &LiveObjects) -> Vec<String> {
    let Some(all) = &objects.service_entries else {
        return Vec::new();
    };
    let declaring = all
        .iter()
        .filter(|entry| names(entry.items("/spec/hosts")).any(|name| covers(name, host)));
    let found = first_few(declaring, |entry| {
        format!(
            "ServiceEntry {} declares {host}: then its port, its exportTo, or a Sidecar object keeps it from this proxy",
            named(entry)
        )
    });
    if found.is_empty() {
        return vec![format!("no ServiceEntry declares {host}")];
    }
    found
}

fn pods(line: &AccessLogLine, objects: &LiveObjects) -> Vec<String> {
    let Some(all) = &objects.pods else {
        return Vec::new();
    };
    let mut said = Vec::new();
    for (socket, what) in [
        (&line.downstream_remote_address, "the request came from"),
        (&line.upstream_host, "it was sent to"),
    ] {
        let Some(address) = ip(socket.as_deref()) else {
            continue;
        };
        if let Some(pod) = all.iter().find(|pod| has_address(pod, address)) {
            said.push(format!("{what} pod {}", named(pod)));
        }
    }
    let own = ip(line.downstream_local_address.as_deref());
    let is_known = own.is_some_and(|address| all.iter().any(|pod| has_address(pod, address)));
    if said.is_empty() && !is_known {
        said.push(
            "no pod here has an address of this line: the pods are gone, or it is another cluster's"
                .to_owned(),
        );
    }
    said
}

/// Pods on the host's network share the node's address.
fn has_address(pod: &Object, address: IpAddr) -> bool {
    pod.at("/spec/hostNetwork") != &Value::Bool(true)
        && pod
            .items("/status/podIPs")
            .iter()
            .any(|given| given["ip"].as_str().and_then(|text| text.parse::<IpAddr>().ok()) == Some(address))
}

/// Host and subset of every route.
fn destinations(service: &Object) -> impl Iterator<Item = (&str, &str)> {
    ["/spec/http", "/spec/tls", "/spec/tcp"]
        .into_iter()
        .flat_map(|kind| service.items(kind))
        .flat_map(|route| route["route"].as_array().into_iter().flatten())
        .map(|route| &route["destination"])
        .map(|to| {
            (
                to["host"].as_str().unwrap_or_default(),
                to["subset"].as_str().unwrap_or_default(),
            )
        })
}

/// A host as an object writes it: whole, or short for a Service of its own namespace.
fn is_named(given: &str, object: &Object, host: &str) -> bool {
    given == host
        || service_of(host).is_some_and(|(name, namespace)| {
            given == name && object.namespace() == Some(namespace) || given == format!("{name}.{namespace}")
        })
}

fn covers(pattern: &str, host: &str) -> bool {
    pattern == "*"
        || pattern.eq_ignore_ascii_case(host)
        || pattern
            .strip_prefix('*')
            .is_some_and(|suffix| suffix.len() > 1 && host.ends_with(suffix))
}

fn names(values: &[Value]) -> impl Iterator<Item = &str> {
    values.iter().filter_map(Value::as_str)
}

fn named(object: &Object) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name())
}

/// How many objects of a kind are named.
const FEW: usize = 3;

fn first_few<'a>(
    objects: impl Iterator<Item = &'a Object>,
    sentence: impl Fn(&Object) -> String,
) -> Vec<String> {
    objects.take(FEW).map(sentence).collect()
}
