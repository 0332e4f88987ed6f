//! The first objects: namespaces, a node, DNS, istiod and the egress gateway.

use super::api;
use super::controllers;
use super::ingress;
use super::network::reach::{API_SERVER_PORT, NODE_ADDRESS};
use super::settings::KymaSettings;
use super::state::Inner;
use crate::istio::{kinds, kyma};
use serde_json::{Value, json};

/// Plants them. Their pods are running at once.
pub(super) fn plant(inner: &Inner) {
    for object in objects(inner) {
        // The objects are ours: a refusal is a bug that every test would show.
        let planted = api::put_from_outside(inner, &object);
        debug_assert!(planted.is_ok(), "{planted:?}");
    }
    loop {
        let timers = std::mem::take(&mut inner.lock().timers);
        if timers.is_empty() {
            break;
        }
        for timer in &timers {
            controllers::fire(inner, timer);
        }
    }
}

fn objects(inner: &Inner) -> Vec<Value> {
    let settings = &inner.settings;
    let mut objects = vec![json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "sandbox", "labels": {"kubernetes.io/hostname": "sandbox", "kubernetes.io/os": "linux"}},
        "status": {"addresses": [
            {"type": "InternalIP", "address": NODE_ADDRESS}, {"type": "Hostname", "address": "sandbox"},
        ]},
    })];
    let mut namespaces = vec!["default", "kube-system", "kube-public"];
    if settings.istio {
        namespaces.push("istio-system");
    }
    if settings.kyma.is_some() {
        namespaces.push(kyma::NAMESPACE);
    }
    for name in namespaces {
        objects.push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
    }
    objects.push(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "kubernetes", "namespace": "default"},
        "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443, "targetPort": API_SERVER_PORT}]},
    }));
    objects.extend(api_server());
    let mut dns = workload(
        "kube-system",
        "coredns",
        "kube-dns",
        &json!({"k8s-app": "kube-dns"}),
        &json!({"containers": [{"name": "coredns", "image": "registry.k8s.io/coredns/coredns:v1.12.1"}]}),
        1,
        &json!([{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]),
    );
    // The kubelet writes this address into every pod's resolv.conf.
    dns[2]["spec"]["clusterIP"] = json!("10.96.0.10");
    objects.extend(dns);
    if settings.istio {
        objects.extend(istio(inner));
    }
    objects
}

/// Where the Service `kubernetes` leads: the API server writes these objects itself.
fn api_server() -> [Value; 2] {
    let metadata = json!({
        "name": "kubernetes", "namespace": "default",
        "labels": {"kubernetes.io/service-name": "kubernetes", "endpointslice.kubernetes.io/skip-mirror": "true"},
    });
    let ports = json!([{"name": "https", "port": API_SERVER_PORT, "protocol": "TCP"}]);
    [
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata,
            "addressType": "IPv4", "endpoints": [{"addresses": [NODE_ADDRESS], "conditions": {"ready": true}}],
            "ports": ports,
        }),
        json!({
            "apiVersion": "v1", "kind": "Endpoints", "metadata": metadata,
            "subsets": [{"addresses": [{"ip": NODE_ADDRESS}], "ports": ports}],
        }),
    ]
}

fn istio(inner: &Inner) -> Vec<Value> {
    let settings = &inner.settings;
    let mut mesh = String::from("defaultConfig:\n  discoveryAddress: istiod.istio-system.svc:15012\n");
    if settings.access_log {
        mesh += "accessLogFile: /dev/stdout\n";
    }
    if settings.access_log_json {
        mesh += "accessLogEncoding: JSON\n";
    }
    if settings.outbound_policy_registry_only {
        mesh += "outboundTrafficPolicy:\n  mode: REGISTRY_ONLY\n";
    }
    if settings.kyma.is_some() {
        mesh += KYMA_PROVIDERS;
    }
    mesh += "rootNamespace: istio-system\ntrustDomain: cluster.local\n";
    let mut objects = vec![json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "istio", "namespace": "istio-system", "labels": {"istio.io/rev": "default"}},
        "data": {"mesh": mesh},
    })];
    let version = &settings.istio_version;
    objects.extend(workload(
        "istio-system",
        "istiod",
        "istiod",
        &json!({"app": "istiod", "istio": "pilot", "istio.io/rev": "default", "sidecar.istio.io/inject": "false"}),
        &json!({"containers": [{"name": "discovery", "image": format!("docker.io/istio/pilot:{version}")}]}),
        1,
        &json!([
            {"name": "grpc-xds", "port": 15010}, {"name": "https-dns", "port": 15012},
            {"name": "https-webhook", "port": 443, "targetPort": 15017}, {"name": "http-monitoring", "port": 15014},
        ]),
    ));
    objects.push(json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {
            "name": "istio-sidecar-injector",
            "labels": {"app": "sidecar-injector", "istio.io/rev": "default"},
        },
        "webhooks": [
            {"name": "rev.namespace.sidecar-injector.istio.io"}, {"name": "rev.object.sidecar-injector.istio.io"},
            {"name": "namespace.sidecar-injector.istio.io"}, {"name": "object.sidecar-injector.istio.io"},
        ],
    }));
    for plural in [
        "gateways",
        "virtualservices",
        "destinationrules",
        "serviceentries",
        "sidecars",
    ] {
        let versions: Vec<_> = settings
            .istio_versions
            .iter()
            .map(|version| json!({"name": version, "served": true}))
            .collect();
        objects.push(json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.networking.istio.io")},
            "spec": {"group": "networking.istio.io", "names": {"plural": plural}, "versions": versions},
        }));
    }
    if settings.ingress_gateway {
        objects.extend(ingress_gateway(inner));
    }
    match &settings.kyma {
        Some(module) => objects.extend(of_kyma(module)),
        None if settings.egress_gateway => objects.extend(egress_gateway(inner)),
        None => {}
    }
    objects
}

/// Extension providers of Kyma's mesh configuration: empty labels mean Istio's own JSON.
const KYMA_PROVIDERS: &str = "extensionProviders:
- name: kyma-traces
  opentelemetry: {service: telemetry-otlp-traces.kyma-system.svc.cluster.local, port: 4317}
- name: envoy
  envoyFileAccessLog: {path: /dev/stdout, logFormat: {labels: {}}}
- name: stdout-json
  envoyFileAccessLog: {path: /dev/stdout, logFormat: {labels: {start_time: '%START_TIME%'}}}
- name: kyma-logs
  envoyOtelAls: {service: telemetry-otlp-logs.kyma-system.svc.cluster.local, port: 4317}
";

fn of_kyma(settings: &KymaSettings) -> Vec<Value> {
    let group = kinds::istio_module().group;
    let mut objects = vec![
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("istios.{group}")},
            "spec": {"group": group, "names": {"plural": "istios"}, "versions": [{"name": "v1alpha2", "served": true}]},
        }),
        json!({
            "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
            "metadata": {"name": "default", "namespace": "istio-system", "labels": {kyma::MODULE_LABEL: kyma::MODULE}},
            "spec": {"mtls": {"mode": "STRICT"}},
        }),
    ];
    if settings.custom_resource {
        objects.push(json!({
            "apiVersion": format!("{group}/v1alpha2"), "kind": "Istio",
            "metadata": {
                "name": kyma::DEFAULT_NAME, "namespace": kyma::NAMESPACE,
                "labels": {"app.kubernetes.io/name": kyma::DEFAULT_NAME},
            },
        }));
    }
    objects
}

/// The egress gateway, by istioctl or by Kyma's module.
pub(super) fn egress_gateway(inner: &Inner) -> Vec<Value> {
    let image = format!("docker.io/istio/proxyv2:{}", inner.settings.istio_version);
    let mut labels =
        json!({"app": "istio-egressgateway", "istio": "egressgateway", "sidecar.istio.io/inject": "false"});
    if inner.settings.kyma.is_some() {
        labels[kyma::MODULE_LABEL] = json!(kyma::MODULE);
    }
    workload(
        "istio-system",
        "istio-egressgateway",
        "istio-egressgateway",
        &labels,
        &json!({"containers": [{
            "name": "istio-proxy", "image": image, "args": ["proxy", "router"],
            "ports": [
                {"containerPort": 8080, "protocol": "TCP"}, {"containerPort": 8443, "protocol": "TCP"},
                {"containerPort": 15090, "name": "http-envoy-prom", "protocol": "TCP"},
            ],
        }]}),
        inner.settings.egress_gateway_replicas,
        &json!([{"name": "http2", "port": 80, "targetPort": 8080}, {"name": "https", "port": 443, "targetPort": 8443}]),
    )
    .into()
}

/// An ingress gateway with a load balancer, by istioctl.
fn ingress_gateway(inner: &Inner) -> Vec<Value> {
    let image = format!("docker.io/istio/proxyv2:{}", inner.settings.istio_version);
    let mut objects = workload(
        "istio-system",
        ingress::SERVICE,
        ingress::SERVICE,
        &json!({"app": "istio-ingressgateway", "istio": "ingressgateway", "sidecar.istio.io/inject": "false"}),
        &json!({"containers": [{
            "name": "istio-proxy", "image": image, "args": ["proxy", "router"],
            "ports": [
                {"containerPort": 8080, "protocol": "TCP"}, {"containerPort": 8443, "protocol": "TCP"},
            ],
        }]}),
        1,
        &json!([{"name": "http2", "port": 80, "targetPort": 8080}, {"name": "https", "port": 443, "targetPort": 8443}]),
    );
    objects[2]["spec"]["type"] = json!("LoadBalancer");
    objects.into()
}

/// A ServiceAccount, a Deployment and its Service.
fn workload(
    namespace: &str,
    name: &str,
    service: &str,
    labels: &Value,
    specification: &Value,
    replicas: u32,
    ports: &Value,
) -> [Value; 3] {
    let mut selector = labels.clone();
    if let Some(labels) = selector.as_object_mut() {
        labels.retain(|label, _| !label.contains("istio.io") && label != kyma::MODULE_LABEL);
    }
    [
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": format!("{name}-service-account"), "namespace": namespace, "labels": labels},
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": {
                "replicas": replicas, "selector": {"matchLabels": selector},
                "template": {"metadata": {"labels": labels}, "spec": specification},
            },
        }),
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": service, "namespace": namespace, "labels": labels},
            "spec": {"selector": selector, "ports": ports},
        }),
    ]
}
