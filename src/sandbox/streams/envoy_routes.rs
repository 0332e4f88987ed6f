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
    let asked = declared(state).into_iter();
    let found = asked.filter_map(|(host, port)| {
        let cluster = cluster(world, pod, object, &host, port)?;
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

/// Where the pod's proxy sends a request; `None` if its configuration has no route for it.
fn cluster(world: &World, pod: &PodName, object: &Value, host: &str, port: u16) -> Option<String> {
    let meshed = controllers::is_meshed(object);
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    let labels = labels.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    let request = mesh::Request {
        source: SourcePod {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            labels: labels.collect(),
            meshed,
        },
        scheme: Scheme::Http,
        // A wildcard's route takes any name below it.
        host: host.replacen('*', "any", 1),
        port,
        address: None,
        asks_dns: false,
    };
    let prediction = if meshed {
        mesh::predict(world, &request)
    } else {
        let listeners = mesh::configuration(world, pod)?.listeners;
        let at = |listener: mesh::Listener| {
            let request = mesh::Request {
                port: listener.port,
                ..request.clone()
            };
            mesh::predict_at_gateway(world, &request, pod)
        };
        let mut all = listeners.into_iter().map(at);
        all.find(|found| {
            found
                .hops
                .first()
                .is_some_and(|hop| hop.cluster.starts_with("outbound|"))
        })?
    };
    let cluster = prediction.hops.into_iter().next()?.cluster;
    cluster.starts_with("outbound|").then_some(cluster)
}
