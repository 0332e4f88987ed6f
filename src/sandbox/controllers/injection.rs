//! Istio's injection webhook: which pods get a proxy, and what it adds.
//!
//! Rules: Istio's documentation of sidecar injection; the gateway template as measured in truth.md 11.

use crate::sandbox::settings::SandboxSettings;
use crate::sandbox::state::State;
use crate::vocabulary::names::PROXY_CONTAINER;
use serde_json::{Value, json};

/// Whether the webhook takes a pod of this namespace, and as which template.
fn wanted(state: &State, namespace: &str, pod: &Value) -> bool {
    let metadata = &pod["metadata"];
    let own = metadata["labels"]["sidecar.istio.io/inject"]
        .as_str()
        .or_else(|| metadata["annotations"]["sidecar.istio.io/inject"].as_str());
    if own == Some("false") || pod["spec"]["hostNetwork"] == true {
        return false;
    }
    let labels = state
        .object("", "namespaces", "", namespace)
        .map_or(Value::Null, |namespace| namespace["metadata"]["labels"].clone());
    match labels["istio-injection"].as_str() {
        Some("enabled") => true,
        Some(_) => false,
        None if labels["istio.io/rev"].is_string() => true,
        None => own == Some("true") || metadata["labels"]["istio.io/rev"].is_string(),
    }
}

/// Adds the proxy, if it is wanted.
pub(super) fn inject(settings: &SandboxSettings, state: &State, namespace: &str, pod: &mut Value) {
    let ignored = matches!(namespace, "kube-system" | "kube-public");
    if !settings.istio || ignored || !wanted(state, namespace, pod) {
        return;
    }
    let image = format!("docker.io/istio/proxyv2:{}", settings.istio_version);
    let gateway = pod["metadata"]["annotations"]["inject.istio.io/templates"] == "gateway";
    if gateway {
        make_router(pod, &image);
    } else {
        add_sidecar(pod, &image);
        pod["metadata"]["labels"]["security.istio.io/tlsMode"] = json!("istio");
    }
    let name = pod["metadata"]["labels"]["app"].clone();
    pod["metadata"]["labels"]["service.istio.io/canonical-name"] =
        if name.is_null() { json!("unknown") } else { name };
    pod["metadata"]["labels"]["service.istio.io/canonical-revision"] = json!("latest");
    let (first, beside) = if gateway {
        (Value::Null, json!([PROXY_CONTAINER]))
    } else {
        (json!(["istio-init", PROXY_CONTAINER]), Value::Null)
    };
    let status = json!({"initContainers": first, "containers": beside, "revision": "default"});
    pod["metadata"]["annotations"]["sidecar.istio.io/status"] = json!(status.to_string());
    pod["metadata"]["annotations"]["istio.io/rev"] = json!("default");
}

/// What the template `gateway` makes of a container that is called as the proxy is.
fn make_router(pod: &mut Value, image: &str) {
    for container in pod["spec"]["containers"].as_array_mut().into_iter().flatten() {
        if container["name"] == PROXY_CONTAINER {
            container["image"] = json!(image);
            container["args"] = json!(["proxy", "router"]);
            container["ports"] =
                json!([{"containerPort": 15090, "name": "http-envoy-prom", "protocol": "TCP"}]);
        }
    }
}

/// A native sidecar: an init container that stays (truth.md, limits of the lab, 5).
fn add_sidecar(pod: &mut Value, image: &str) {
    let mut containers = vec![
        json!({"name": "istio-init", "image": image, "args": ["istio-iptables"]}),
        json!({
            "name": PROXY_CONTAINER, "image": image, "restartPolicy": "Always", "args": ["proxy", "sidecar"],
            "ports": [{"containerPort": 15090, "name": "http-envoy-prom", "protocol": "TCP"}],
        }),
    ];
    containers.extend(
        pod["spec"]["initContainers"]
            .as_array()
            .cloned()
            .unwrap_or_default(),
    );
    pod["spec"]["initContainers"] = Value::Array(containers);
}
