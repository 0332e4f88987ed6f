//! Istio's objects, as the cases need them.

use super::case::Place;
use serde_json::{Value, json};

/// Label of every object of a case, by which those in the root namespace are found when all is over.
pub(super) const MARK: &str = "differential-case";

pub(super) fn istio(kind: &str, namespace: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace, "labels": {MARK: "true"}}, "spec": spec})
}

/// Label of a ServiceEntry that istiod is to give no address.
pub(super) const WITHOUT_ADDRESS: &str = "networking.istio.io/enable-autoallocate-ip";

/// A port of a ServiceEntry or Gateway.
pub(super) fn port(number: u16, protocol: &str) -> Value {
    json!({"number": number, "name": format!("{}-{number}", protocol.to_lowercase()), "protocol": protocol})
}

pub(super) fn service_entry(place: &Place, name: &str, host: &str, ports: &[Value]) -> Value {
    istio(
        "ServiceEntry",
        &place.namespace,
        name,
        &json!({"hosts": [host], "location": "MESH_EXTERNAL", "resolution": "DNS", "ports": ports}),
    )
}

/// A Gateway with one server.
pub(super) fn gateway(place: &Place, name: &str, host: &str, port: &Value, tls: Option<&str>) -> Value {
    let mut server = json!({"port": port, "hosts": [host]});
    if let Some(mode) = tls {
        server["tls"] = json!({"mode": mode});
    }
    istio(
        "Gateway",
        &place.namespace,
        name,
        &json!({"selector": {"istio": place.gateway_label}, "servers": [server]}),
    )
}

/// A DestinationRule of the gateway with one subset.
pub(super) fn to_gateway(place: &Place, name: &str, tls: Option<Value>) -> Value {
    let mut subset = json!({"name": name});
    if let Some(tls) = tls {
        subset["trafficPolicy"] = json!({"tls": tls});
    }
    istio(
        "DestinationRule",
        &place.namespace,
        name,
        &json!({"host": place.gateway_host(), "subsets": [subset]}),
    )
}

/// Where the mesh leg goes.
pub(super) fn via_gateway(place: &Place, name: &str, port: u16) -> Value {
    json!([{"destination": {"host": place.gateway_host(), "subset": name, "port": {"number": port}}}])
}

/// Where the external leg goes.
pub(super) fn to_host(host: &str, port: u16) -> Value {
    json!([{"destination": {"host": host, "port": {"number": port}}}])
}

/// Whether istiod gives a ServiceEntry's host an address, for sidecars that answer DNS.
pub(super) fn is_allocated(object: &Value) -> bool {
    let spec = &object["spec"];
    let wildcard = spec["hosts"][0]
        .as_str()
        .is_some_and(|host| host.starts_with('*'));
    object["kind"] == "ServiceEntry"
        && spec["resolution"] != "NONE"
        && spec["addresses"].is_null()
        && (!wildcard || spec["resolution"] == "DYNAMIC_DNS")
        && object["metadata"]["labels"][WITHOUT_ADDRESS].is_null()
}

/// A running source's pod.
pub(super) fn source_pod(namespace: &str, captures_dns: bool) -> Value {
    let environment = if captures_dns {
        json!([{"name": "ISTIO_META_DNS_CAPTURE", "value": "true"}])
    } else {
        json!([])
    };
    let mut pod = pod(namespace, "source", &json!({"app": "source"}));
    pod["spec"] = json!({"containers": [{"name": "main"}], "initContainers": [{"name": "istio-proxy", "env": environment}]});
    pod
}

/// A ready gateway's pod.
pub(super) fn pod(namespace: &str, name: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"name": "istio-proxy"}]},
        "status": {"podIP": "198.18.0.9", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}
