//! Services to EndpointSlices, and to the Endpoints of before them.

use super::is_ready;
use crate::sandbox::state::State;
use crate::sandbox::store::Key;
use serde_json::{Value, json};

pub(super) fn reconcile(state: &mut State) {
    let services: Vec<(Key, Value)> = state
        .store
        .list("", "services", None)
        .filter(|(_, service)| service["spec"]["selector"].is_object())
        .map(|(key, service)| (key.clone(), service.clone()))
        .collect();
    for (key, service) in services {
        let slice = slice(state, &key, &service);
        let slice_key = Key::new("discovery.k8s.io", "endpointslices", &key.namespace, &key.name);
        let before = state.store.revision();
        let slice = state.store.put(slice_key, slice);
        // The older form changes with it.
        if state.store.revision() != before {
            let endpoints = endpoints(state, &key, &slice);
            let endpoints_key = Key::new("", "endpoints", &key.namespace, &key.name);
            state.store.put(endpoints_key, endpoints);
        }
    }
}

/// The number of a pod's port behind a Service's port, which may be a name.
pub(in crate::sandbox) fn target_port(pod: &Value, target: &Value) -> Option<u64> {
    target.as_u64().or_else(|| {
        let name = target.as_str()?;
        pod["spec"]["containers"]
            .as_array()?
            .iter()
            .flat_map(|container| container["ports"].as_array().into_iter().flatten())
            .find(|port| port["name"] == name)?["containerPort"]
            .as_u64()
    })
}

fn slice(state: &mut State, key: &Key, service: &Value) -> Value {
    let selector = service["spec"]["selector"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let pods: Vec<Value> = state
        .store
        .list("", "pods", Some(&key.namespace))
        .map(|(_, pod)| pod)
        .filter(|pod| {
            let labels = &pod["metadata"]["labels"];
            pod["status"]["podIP"].is_string()
                && selector
                    .iter()
                    .all(|(name, value)| labels.get(name) == Some(value))
        })
        .cloned()
        .collect();
    let endpoints: Vec<Value> = pods
        .iter()
        .map(|pod| {
            let ready = is_ready(pod);
            let terminating = !pod["metadata"]["deletionTimestamp"].is_null();
            json!({
                "addresses": [pod["status"]["podIP"]], "nodeName": pod["spec"]["nodeName"],
                "conditions": {"ready": ready, "serving": ready, "terminating": terminating},
                "targetRef": {
                    "kind": "Pod", "namespace": key.namespace,
                    "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"],
                },
            })
        })
        .collect();
    let ports: Vec<Value> = service["spec"]["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|port| {
            let number = pods.first().map_or_else(
                || port["targetPort"].as_u64(),
                |pod| target_port(pod, &port["targetPort"]),
            )?;
            Some(json!({"name": port["name"], "port": number, "protocol": port["protocol"]}))
        })
        .collect();
    let uid = state
        .object("discovery.k8s.io", "endpointslices", &key.namespace, &key.name)
        .and_then(|slice| slice["metadata"]["uid"].as_str().map(str::to_owned));
    let uid = uid.unwrap_or_else(|| state.next_uid());
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": key.name, "namespace": key.namespace, "uid": uid,
            "creationTimestamp": service["metadata"]["creationTimestamp"],
            "labels": {"kubernetes.io/service-name": key.name},
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "Service", "name": key.name, "uid": service["metadata"]["uid"],
                "controller": true,
            }],
        },
        "endpoints": endpoints, "ports": ports,
    })
}

/// The older form of the same.
fn endpoints(state: &mut State, key: &Key, slice: &Value) -> Value {
    let of_readiness = |ready: bool| -> Vec<Value> {
        slice["endpoints"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|endpoint| endpoint["conditions"]["ready"] == ready)
            .map(|endpoint| {
                json!({
                    "ip": endpoint["addresses"][0], "nodeName": endpoint["nodeName"],
                    "targetRef": endpoint["targetRef"],
                })
            })
            .collect()
    };
    let known = state.object("", "endpoints", &key.namespace, &key.name);
    let uid = known.and_then(|known| known["metadata"]["uid"].as_str().map(str::to_owned));
    let uid = uid.unwrap_or_else(|| state.next_uid());
    let mut object = json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {
            "name": key.name, "namespace": key.namespace, "uid": uid,
            "creationTimestamp": slice["metadata"]["creationTimestamp"],
            "ownerReferences": slice["metadata"]["ownerReferences"],
        },
    });
    let mut subset = json!({"ports": slice["ports"]});
    for (field, ready) in [("addresses", true), ("notReadyAddresses", false)] {
        let addresses = of_readiness(ready);
        if !addresses.is_empty() {
            subset[field] = json!(addresses);
        }
    }
    if subset["addresses"].is_array() || subset["notReadyAddresses"].is_array() {
        object["subsets"] = json!([subset]);
    }
    object
}
