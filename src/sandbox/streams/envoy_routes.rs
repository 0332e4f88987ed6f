//! Route configurations of a proxy, as its admin port dumps them: for every host of plain HTTP that a ServiceEntry
//! declares, what the mesh model says of a request to it.

use crate::mesh::{self, SourcePod, World};
use crate::sandbox::controllers;
use crate::sandbox::state::State;
use crate::vocabulary::{PodName, Scheme};
use serde_json::{Value, json};

/// The dumped configurations of a pod's proxy.
pub(super) fn routes(state: &State, world: &World, pod: &PodName) -> Vec<Value> {
    let Some(object) = state.object("", "pods", &pod.namespace, &pod.name) else {
        return Vec::new();
    };
    let meshed = controllers::is_meshed(object);
    let listeners = if meshed {
        Vec::new()
    } else {
        mesh::configuration(world, pod).unwrap_or_default().listeners
    };
    let asked = declared(state).into_iter();
    let found = asked.filter_map(|(host, port)| {
        // A wildcard's route takes any name below it.
        let name = host.replacen('*', "any", 1);
        let cluster = if meshed {
            of_sidecar(world, pod, object, name, port)?
        } else {
            let mut ports = listeners.iter().map(|listener| listener.port);
            ports.find_map(|port| mesh::http_route(world, pod, port, &name))?
        };
        let domains = [host.clone(), format!("{host}:{port}")];
        Some(json!({
            "@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump.DynamicRouteConfig",
            "route_config": {"name": port.to_string(), "virtual_hosts": [{
                "name": format!("{host}:{port}"), "domains": domains,
                "routes": [{"match": {"prefix": "/"}, "route": {"cluster": cluster}}],
            }]},
        }))
    });
    found.collect()
}

/// Hosts and ports of plain HTTP in ServiceEntries.
fn declared(state: &State) -> Vec<(String, u16)> {
    let mut found = Vec::new();
    for (_, entry) in state.store.list("networking.istio.io", "serviceentries", None) {
        let list = |name: &str| entry["spec"][name].as_array().into_iter().flatten();
        let ports: Vec<u16> = list("ports")
            .filter(|port| matches!(port["protocol"].as_str(), Some("HTTP" | "HTTP2" | "GRPC")))
            .filter_map(|port| {
                port["number"]
                    .as_u64()
                    .and_then(|number| u16::try_from(number).ok())
            })
            .collect();
        for host in list("hosts").filter_map(Value::as_str) {
            found.extend(ports.iter().map(|port| (host.to_owned(), *port)));
        }
    }
    found
}

/// Where a sidecar sends a request; `None` if its configuration has no route for it.
fn of_sidecar(world: &World, pod: &PodName, object: &Value, host: String, port: u16) -> Option<String> {
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    let labels = labels.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    let request = mesh::Request {
        source: SourcePod {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            labels: labels.collect(),
            meshed: true,
        },
        scheme: Scheme::Http,
        host,
        port,
        address: None,
        asks_dns: false,
        tunnel: None,
    };
    let cluster = mesh::predict(world, &request).hops.into_iter().next()?.cluster;
    cluster.starts_with("outbound|").then_some(cluster)
}
