//! A lock and its switch, derived from the sandbox's own objects by the plan, and put into it.

use super::common::{api, apply};
use super::source::{Ran, exec};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams};
use kube::client::Client;
use kubectl_egress::istio::kinds;
use kubectl_egress::plan::lock::switch::{CONTAINER, pod_labels};
use kubectl_egress::plan::lock::{
    ApiServer, LockSettings, Observed, Peer, Run, SwitchUndo, canary, derive, lock, switch_foundation,
    switch_job,
};
use kubectl_egress::plan::ownership::Manifest;
use kubectl_egress::plan::{GatewayPort, GatewayTarget};
use kubectl_egress::vocabulary::{Kind, Object, PlanIdentity};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) const IMAGE: &str = "docker.io/curlimages/curl:8.18.0";

pub(crate) fn run() -> Run {
    Run {
        plan: PlanIdentity::new("demo", "default").unwrap(),
        namespace: "demo".into(),
        id: "abcdefghij".into(),
    }
}

/// What `lockdown` observes, of a sandbox whose source is `pod`.
pub(crate) struct Seen {
    pub(crate) observed: Observed,
    pub(crate) api_server: ApiServer,
}

/// Objects of all namespaces.
pub(crate) async fn list(client: &Client, kind: &Kind) -> Vec<Object> {
    let named = GroupVersionKind::gvk(&kind.group, &kind.version, &kind.kind);
    let resource = ApiResource::from_gvk_with_plural(&named, &kind.plural);
    let all: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let listed = all.list(&ListParams::default()).await.unwrap();
    let json = |object: &DynamicObject| Object(serde_json::to_value(object).unwrap());
    listed.items.iter().map(json).collect()
}

pub(crate) async fn observe(client: &Client, pod: &str) -> Seen {
    let resolv_conf = exec(client, "demo", pod, "curl", &["cat", "/etc/resolv.conf"])
        .await
        .stdout;
    let services = list(client, &kinds::service()).await;
    let endpoint_slices = list(client, &kinds::endpoint_slice()).await;
    let kubernetes =
        |object: &&Object| object.namespace() == Some("default") && object.name() == "kubernetes";
    let api_server: Vec<Object> = services
        .iter()
        .chain(&endpoint_slices)
        .filter(kubernetes)
        .cloned()
        .collect();
    Seen {
        api_server: ApiServer::from_objects(&api_server).unwrap(),
        observed: Observed {
            namespace: "demo".into(),
            resolv_conf,
            services,
            endpoint_slices,
            pods: list(client, &kinds::pod()).await,
            daemon_sets: Vec::new(),
            gateway: GatewayTarget {
                namespace: "istio-system".into(),
                service: "istio-egressgateway".into(),
                selector: BTreeMap::from([
                    ("app".to_owned(), "istio-egressgateway".to_owned()),
                    ("istio".to_owned(), "egressgateway".to_owned()),
                ]),
                tls_port: 443,
                tls_target_port: 8443,
                http: Some(GatewayPort::CUSTOMARY_HTTP),
                created: false,
            },
            root_namespace: "istio-system".into(),
            revisions: std::collections::BTreeSet::new(),
            api_server,
        },
    }
}

pub(crate) fn peers(seen: &Seen) -> Vec<Peer> {
    derive(&seen.observed, &LockSettings::default()).unwrap()
}

pub(crate) async fn put(client: &Client, manifest: &Manifest) -> Value {
    apply(
        client,
        &manifest.reference.kind,
        &manifest.manager,
        &manifest.object.0,
    )
    .await
    .unwrap()
}

/// Locks namespace `demo`; the lock as it is in the cluster.
pub(crate) async fn put_lock(client: &Client, peers: &[Peer]) -> Value {
    put(client, &lock(&run(), &LockSettings::default(), peers)).await
}

/// Seconds since 1970, so much from now.
pub(crate) fn in_seconds(seconds: u64) -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + seconds
}

pub(crate) fn deletion() -> SwitchUndo {
    SwitchUndo::Delete { lock: run().lock() }
}

/// The switch with its canary, armed for so many seconds from now; its pod, which runs.
pub(crate) async fn arm(client: &Client, seen: &Seen, undo: &SwitchUndo, seconds: u64) -> String {
    for manifest in switch_foundation(&run(), undo, &seen.api_server) {
        put(client, &manifest).await;
    }
    put(client, &canary(&run(), &peers(seen))).await;
    let job = switch_job(&run(), undo, &seen.api_server, IMAGE, in_seconds(seconds));
    put(client, &job).await;
    switch_pod(client).await
}

/// The switch's pod, once it runs.
pub(crate) async fn switch_pod(client: &Client) -> String {
    let pod = eventually("the switch's pod runs", async || {
        let pods = list(client, &kinds::pod()).await;
        pods.into_iter()
            .find(|pod| is_switch(pod) && pod.text("/status/phase") == "Running")
    });
    pod.await.name().to_owned()
}

pub(crate) fn is_switch(pod: &Object) -> bool {
    pod.labels_match("/metadata/labels", &pod_labels(&run()))
}

pub(crate) async fn rehearse(client: &Client, pod: &str) -> Ran {
    exec(
        client,
        "demo",
        pod,
        CONTAINER,
        &["sh", "/switch/switch.sh", "rehearse"],
    )
    .await
}

pub(crate) async fn find(client: &Client, kind: &Kind, name: &str) -> Option<Value> {
    let found = api(client, kind, "demo").get_opt(name).await.unwrap();
    found.map(|object| serde_json::to_value(object).unwrap())
}

pub(crate) async fn delete(client: &Client, kind: &Kind, name: &str, parameters: &DeleteParams) {
    api(client, kind, "demo").delete(name, parameters).await.unwrap();
}

/// Asks until there is an answer, for five seconds at most.
pub(crate) async fn eventually<Answer>(what: &str, mut ask: impl AsyncFnMut() -> Option<Answer>) -> Answer {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    let answered = tokio::time::timeout(Duration::from_secs(5), asking).await;
    answered.unwrap_or_else(|_| panic!("never: {what}"))
}

/// A NetworkPolicy of namespace `demo`.
pub(crate) fn policy(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": "demo"}, "spec": spec,
    })
}
