//! What is derived, and what becomes of it.

mod deriving;
mod policies;
mod refusals;
mod switching;

use super::*;
use crate::plan::gateway_workload;
use crate::vocabulary::Object;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A cluster as the tutorials have it: CoreDNS behind kube-dns, one istiod, an egress gateway of two replicas beside
/// an ingress gateway, all of one address family.
fn tutorial() -> Observed {
    Observed {
        namespace: "test-egress".to_owned(),
        resolv_conf:
            "search test-egress.svc.cluster.local svc.cluster.local\nnameserver 198.19.0.10\noptions ndots:5\n"
                .to_owned(),
        services: vec![
            kube_dns(&["198.19.0.10"]),
            istiod("istiod", "default", "198.19.0.20"),
            gateway_service(&["198.19.0.30"]),
            service("default", "kubernetes", &["198.19.0.1"], &json!({}), &json!([{"name": "https", "port": 443, "targetPort": 6443}])),
        ],
        endpoint_slices: Vec::new(),
        pods: vec![
            pod("kube-system", "coredns-1", &json!({"k8s-app": "kube-dns"}), "198.18.0.2"),
            pod("istio-system", "istiod-1", &json!({"app": "istiod", "istio.io/rev": "default"}), "198.18.0.3"),
            gateway_pod("istio-egressgateway-1", "198.18.0.4"),
            gateway_pod("istio-egressgateway-2", "198.18.0.5"),
            pod("istio-system", "istio-ingressgateway-1", &json!({"istio": "ingressgateway"}), "198.18.0.6"),
            pod("test-egress", "sleep-1", &json!({"app": "sleep"}), "198.18.0.7"),
        ],
        daemon_sets: Vec::new(),
        gateway: crate::plan::GatewayTarget {
            http: None,
            ..gateway_workload::target("istio-system")
        },
        root_namespace: "istio-system".to_owned(),
        revisions: BTreeSet::new(),
        api_server: api_server(),
    }
}

fn api_server() -> Vec<Object> {
    vec![
        service(
            "default",
            "kubernetes",
            &["198.19.0.1"],
            &Value::Null,
            &json!([{"name": "https", "port": 443, "targetPort": 6443}]),
        ),
        slice(
            "default",
            "kubernetes",
            &["198.51.100.2"],
            &json!([{"name": "https", "port": 6443}]),
        ),
    ]
}

fn kube_dns(addresses: &[&str]) -> Object {
    let ports = json!([
        {"name": "dns", "port": 53, "targetPort": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "targetPort": 53, "protocol": "TCP"},
        {"name": "metrics", "port": 9153, "targetPort": 9153, "protocol": "TCP"},
    ]);
    service(
        "kube-system",
        "kube-dns",
        addresses,
        &json!({"k8s-app": "kube-dns"}),
        &ports,
    )
}

fn istiod(name: &str, revision: &str, address: &str) -> Object {
    let ports = json!([
        {"name": "grpc-xds", "port": 15010, "protocol": "TCP"},
        {"name": "https-dns", "port": 15012, "protocol": "TCP"},
        {"name": "https-webhook", "port": 443, "targetPort": 15017, "protocol": "TCP"},
        {"name": "http-monitoring", "port": 15014, "protocol": "TCP"},
    ]);
    let selector = json!({"app": "istiod", "istio.io/rev": revision});
    let mut service = service("istio-system", name, &[address], &selector, &ports);
    service.0["metadata"]["labels"] = json!({"app": "istiod", "istio.io/rev": revision});
    service
}

fn gateway_service(addresses: &[&str]) -> Object {
    let ports = json!([
        {"name": "http2", "port": 80, "targetPort": 8080, "protocol": "TCP"},
        {"name": "https", "port": 443, "targetPort": 8443, "protocol": "TCP"},
    ]);
    let selector = json!({"app": "istio-egressgateway", "istio": "egressgateway"});
    service(
        "istio-system",
        "istio-egressgateway",
        addresses,
        &selector,
        &ports,
    )
}

fn gateway_pod(name: &str, address: &str) -> Object {
    let labels = json!({"app": "istio-egressgateway", "istio": "egressgateway", "pod-template-hash": "x"});
    pod("istio-system", name, &labels, address)
}

fn service(namespace: &str, name: &str, addresses: &[&str], selector: &Value, ports: &Value) -> Object {
    Object(json!({
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"clusterIP": addresses.first(), "clusterIPs": addresses, "selector": selector, "ports": ports},
    }))
}

fn pod(namespace: &str, name: &str, labels: &Value, address: &str) -> Object {
    Object(json!({
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": {"containers": [{"name": "main"}]},
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
    }))
}

fn slice(namespace: &str, service: &str, addresses: &[&str], ports: &Value) -> Object {
    let endpoints: Vec<Value> = addresses
        .iter()
        .map(|address| json!({"addresses": [address]}))
        .collect();
    let family = if addresses[0].contains(':') {
        "IPv6"
    } else {
        "IPv4"
    };
    Object(json!({
        "metadata": {"namespace": namespace, "name": format!("{service}-x"), "labels": {"kubernetes.io/service-name": service}},
        "addressType": family, "endpoints": endpoints, "ports": ports,
    }))
}

/// The DaemonSet of NodeLocal DNSCache, as Kubernetes' manifest has it.
fn node_local_dns(addresses: &str) -> Object {
    Object(json!({
        "metadata": {"namespace": "kube-system", "name": "node-local-dns"},
        "spec": {
            "selector": {"matchLabels": {"k8s-app": "node-local-dns"}},
            "template": {"spec": {"hostNetwork": true, "containers": [
                {"name": "node-cache", "args": ["-localip", addresses, "-conf", "/etc/Corefile", "-upstreamsvc", "kube-dns-upstream"]},
            ]}},
        },
    }))
}

fn settings() -> LockSettings {
    LockSettings::default()
}

fn peers(observed: &Observed) -> Vec<Peer> {
    derive(observed, &settings()).unwrap()
}

/// What the user is told, line by line.
fn lines(observed: &Observed) -> Vec<String> {
    peers(observed).iter().map(Peer::explain).collect()
}

/// The lines that begin with what a purpose is called.
fn lines_about(observed: &Observed, purpose: &str) -> Vec<String> {
    lines(observed)
        .into_iter()
        .filter(|line| line.contains(purpose))
        .collect()
}

fn run() -> Run {
    Run {
        plan: crate::vocabulary::PlanIdentity::new("istio-plans", "default").unwrap(),
        namespace: "test-egress".to_owned(),
        id: "abcdefghij".to_owned(),
    }
}
