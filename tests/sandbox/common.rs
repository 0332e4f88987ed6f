//! What every test of the sandbox needs.

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::client::Client;
use kubectl_egress::istio::kinds;
use kubectl_egress::sandbox::{Sandbox, SandboxSettings};
use kubectl_egress::vocabulary::Kind;
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) fn sandbox() -> (Sandbox, Client) {
    with(quick())
}

/// Settings with pods that start at once.
pub(crate) fn quick() -> SandboxSettings {
    SandboxSettings {
        pod_start: Duration::from_millis(10),
        pod_stop: Duration::from_millis(10),
        ..SandboxSettings::default()
    }
}

pub(crate) fn with(settings: SandboxSettings) -> (Sandbox, Client) {
    let sandbox = Sandbox::new(settings);
    let client = Client::new(sandbox.service(), "default");
    (sandbox, client)
}

pub(crate) fn api(client: &Client, kind: &Kind, namespace: &str) -> Api<DynamicObject> {
    let named = GroupVersionKind::gvk(&kind.group, &kind.version, &kind.kind);
    let resource = ApiResource::from_gvk_with_plural(&named, &kind.plural);
    if kind.namespaced {
        Api::namespaced_with(client.clone(), namespace, &resource)
    } else {
        Api::all_with(client.clone(), &resource)
    }
}

pub(crate) fn config_map(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "default"}, "data": data})
}

pub(crate) async fn apply(
    client: &Client,
    kind: &Kind,
    manager: &str,
    object: &Value,
) -> kube::Result<Value> {
    apply_as(client, kind, &PatchParams::apply(manager), object).await
}

pub(crate) async fn apply_as(
    client: &Client,
    kind: &Kind,
    parameters: &PatchParams,
    object: &Value,
) -> kube::Result<Value> {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let name = object["metadata"]["name"].as_str().unwrap();
    let written = api(client, kind, namespace)
        .patch(name, parameters, &Patch::Apply(object))
        .await?;
    Ok(serde_json::to_value(written).unwrap())
}

/// The Status of a refused request.
pub(crate) fn status(error: kube::Error) -> Box<kube::core::Status> {
    match error {
        kube::Error::Api(status) => status,
        other => panic!("not an answer of the API: {other}"),
    }
}

/// A namespace, labelled for injection or not.
pub(crate) async fn namespace(client: &Client, name: &str, injected: bool) {
    let mut object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    if injected {
        object["metadata"]["labels"] = json!({"istio-injection": "enabled"});
    }
    apply(client, &kinds::namespace(), "test", &object).await.unwrap();
}

/// A Deployment with a curl container.
pub(crate) fn curl_deployment(namespace: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "curl", "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": {"app": "curl"}},
            "template": {
                "metadata": {"labels": {"app": "curl"}},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{"name": "curl", "image": "docker.io/curlimages/curl:8.18.0"}],
                },
            },
        },
    })
}

/// Waits until the pods of `app=curl` are as many as said, and ready.
pub(crate) async fn ready_pods(client: &Client, namespace: &str, count: usize) -> Vec<Value> {
    let pods = api(client, &kinds::pod(), namespace);
    tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            let list = pods
                .list(&kube::api::ListParams::default().labels("app=curl"))
                .await
                .unwrap();
            let all: Vec<Value> = list
                .items
                .iter()
                .map(|pod| serde_json::to_value(pod).unwrap())
                .collect();
            let ready = |pod: &Value| {
                pod["status"]["conditions"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
            };
            if all.len() == count && all.iter().all(ready) {
                return all;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the pods become ready")
}
