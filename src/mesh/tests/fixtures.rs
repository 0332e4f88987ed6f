//! The lab's objects, and how a prediction is written down.

use super::super::*;
use crate::vocabulary::{Object, Scheme};
use serde_json::{Value, json};

pub(super) const GATEWAY_HOST: &str = "istio-egressgateway.istio-system.svc.cluster.local";
pub(super) const MESH_LEG: &str =
    "outbound|443|kyma-project|istio-egressgateway.istio-system.svc.cluster.local";

pub(super) fn object(version: &str, kind: &str, namespace: &str, name: &str, spec: &Value) -> Value {
    let metadata = json!({"name": name, "namespace": namespace, "creationTimestamp": "2026-11-21T00:00:00Z"});
    json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})
}

pub(super) fn istio(kind: &str, name: &str, spec: &Value) -> Value {
    object("networking.istio.io/v1", kind, "lab", name, spec)
}

/// The stock gateway: Service ports 80 and 443, target ports 8080 and 8443.
pub(super) fn installation() -> Vec<Value> {
    let mut service = object(
        "v1",
        "Service",
        "istio-system",
        "istio-egressgateway",
        &json!({
            "selector": {"istio": "egressgateway"},
            "ports": [
                {"name": "http2", "port": 80, "targetPort": 8080}, {"name": "https", "port": 443, "targetPort": 8443},
            ],
        }),
    );
    service["metadata"]["labels"] = json!({});
    let mut pod = object(
        "v1",
        "Pod",
        "istio-system",
        "egress-1",
        &json!({"containers": [{"name": "istio-proxy"}]}),
    );
    pod["metadata"]["labels"] = json!({"istio": "egressgateway"});
    pod["spec"]["containers"][0]["ports"] = json!([{"name": "tls", "containerPort": 8443}]);
    pod["status"] = json!({"podIP": "198.18.0.19", "conditions": [{"type": "Ready", "status": "True"}]});
    vec![service, pod]
}

pub(super) fn gateway(name: &str, hosts: &Value) -> Value {
    istio(
        "Gateway",
        name,
        &json!({"selector": {"istio": "egressgateway"}, "servers": [{
            "port": {"number": 443, "name": "tls", "protocol": "TLS"}, "hosts": hosts, "tls": {"mode": "PASSTHROUGH"},
        }]}),
    )
}

pub(super) fn destination_rule() -> Value {
    istio(
        "DestinationRule",
        "kyma",
        &json!({"host": GATEWAY_HOST, "subsets": [{"name": "kyma-project"}]}),
    )
}

pub(super) fn virtual_service() -> Value {
    istio(
        "VirtualService",
        "kyma",
        &json!({
            "hosts": ["kyma-project.io"], "gateways": ["kyma", "mesh"],
            "tls": [
                {
                    "match": [{"gateways": ["mesh"], "port": 443, "sniHosts": ["kyma-project.io"]}],
                    "route": [{"destination": {"host": GATEWAY_HOST, "subset": "kyma-project", "port": {"number": 443}}}],
                },
                {
                    "match": [{"gateways": ["kyma"], "port": 443, "sniHosts": ["kyma-project.io"]}],
                    "route": [{"destination": {"host": "kyma-project.io", "port": {"number": 443}}}],
                },
            ],
        }),
    )
}

pub(super) fn service_entry() -> Value {
    istio(
        "ServiceEntry",
        "kyma",
        &json!({
            "hosts": ["kyma-project.io"], "resolution": "DNS",
            "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}],
        }),
    )
}

/// The tutorial's objects, and a Gateway of somebody else on the same port, as on the lab.
pub(super) fn tutorial() -> Vec<Value> {
    let mut objects = installation();
    objects.extend([
        gateway("kyma", &json!(["kyma-project.io"])),
        gateway("other", &json!(["other.test"])),
        destination_rule(),
        virtual_service(),
        service_entry(),
    ]);
    objects
}

pub(super) fn registry_only() -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "istio-system"},
        "data": {"mesh": "outboundTrafficPolicy:\n  mode: REGISTRY_ONLY\n"},
    })
}

pub(super) fn without(kind: &str, name: &str) -> Vec<Value> {
    let mut objects = tutorial();
    let before = objects.len();
    objects.retain(|object| !(object["kind"] == kind && object["metadata"]["name"] == name));
    assert_eq!(objects.len(), before - 1);
    objects
}

pub(super) fn world(objects: Vec<Value>) -> World<'static> {
    let objects: Vec<Object> = objects.into_iter().map(Object).collect();
    World::owned(objects)
}

pub(super) fn ask(world: &World, meshed: bool, url: &str) -> Prediction {
    let (scheme, rest) = url.split_once("://").unwrap();
    let scheme = if scheme == "http" {
        Scheme::Http
    } else {
        Scheme::Https
    };
    let (host, port) = rest.split_once(':').map_or_else(
        || (rest, if scheme == Scheme::Http { 80 } else { 443 }),
        |(host, port)| (host, port.parse().unwrap()),
    );
    let source = SourcePod {
        namespace: "lab".into(),
        name: "curl".into(),
        labels: std::iter::once(("app".to_owned(), "curl".to_owned())).collect(),
        meshed,
    };
    let known = match host {
        "kyma-project.io" | "www.kyma-project.io" => Some([203, 0, 113, 10].into()),
        "edition.cnn.com" => Some([203, 0, 113, 11].into()),
        _ => None,
    };
    predict(
        world,
        &Request {
            source,
            scheme,
            host: host.into(),
            port,
            address: known,
            asks_dns: true,
            tunnel: None,
        },
    )
}

/// Cluster and flags (or the proxy's own answer) of each hop.
pub(super) fn ways(prediction: &Prediction) -> Vec<String> {
    let end = |hop: &PredictedHop| match (&hop.flags, hop.response_code) {
        (Some(flags), None) => flags.clone(),
        (Some(flags), Some(code)) => format!("{flags} {code}"),
        (None, Some(code)) => code.to_string(),
        (None, None) => "-".to_owned(),
    };
    prediction
        .hops
        .iter()
        .map(|hop| format!("{} {}", hop.cluster, end(hop)))
        .collect()
}
