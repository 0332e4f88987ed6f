//! A meshed source with its routing, and what is done with it.

use super::common::{apply, curl_deployment, namespace, quick, ready_pods, with};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, AttachParams, LogParams};
use kube::client::Client;
use kubectl_egress::istio::kinds;
use kubectl_egress::sandbox::{Sandbox, SandboxSettings};
use kubectl_egress::vocabulary::Kind;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::AsyncReadExt;

pub(crate) const GATEWAY_HOST: &str = "istio-egressgateway.istio-system.svc.cluster.local";

/// The tutorial's four routing objects, with the kind of each.
pub(crate) fn routing(namespace: &str) -> Vec<(Kind, Value)> {
    let object = |kind: Kind, spec: Value| {
        let metadata = json!({"name": "kyma-project", "namespace": namespace});
        let body =
            json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": metadata, "spec": spec});
        (kind, body)
    };
    vec![
        object(
            kinds::gateway(),
            json!({"selector": {"istio": "egressgateway"}, "servers": [{
                "port": {"number": 443, "name": "tls", "protocol": "TLS"},
                "hosts": ["kyma-project.io"], "tls": {"mode": "PASSTHROUGH"},
            }]}),
        ),
        object(
            kinds::destination_rule(),
            json!({"host": GATEWAY_HOST, "subsets": [{"name": "kyma-project"}]}),
        ),
        object(
            kinds::virtual_service(),
            json!({
                "hosts": ["kyma-project.io"], "gateways": ["kyma-project", "mesh"],
                "tls": [
                    {
                        "match": [{"gateways": ["mesh"], "port": 443, "sniHosts": ["kyma-project.io"]}],
                        "route": [{"destination": {"host": GATEWAY_HOST, "subset": "kyma-project", "port": {"number": 443}}}],
                    },
                    {
                        "match": [{"gateways": ["kyma-project"], "port": 443, "sniHosts": ["kyma-project.io"]}],
                        "route": [{"destination": {"host": "kyma-project.io", "port": {"number": 443}}}],
                    },
                ],
            }),
        ),
        object(
            kinds::service_entry(),
            json!({
                "hosts": ["kyma-project.io"], "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}],
                "resolution": "DNS", "location": "MESH_EXTERNAL",
            }),
        ),
    ]
}

/// A sandbox with a meshed source and the routing; the source's pod.
pub(crate) async fn routed(settings: SandboxSettings) -> (Sandbox, Client, String) {
    let (sandbox, client) = with(settings);
    namespace(&client, "demo", true).await;
    apply(&client, &kinds::deployment(), "test", &curl_deployment("demo"))
        .await
        .unwrap();
    for (kind, object) in routing("demo") {
        apply(&client, &kind, "test", &object).await.unwrap();
    }
    let pods = ready_pods(&client, "demo", 1).await;
    let name = pods[0]["metadata"]["name"].as_str().unwrap().to_owned();
    (sandbox, client, name)
}

pub(crate) fn logging() -> SandboxSettings {
    SandboxSettings {
        access_log: true,
        ..quick()
    }
}

pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Exit code; `None` where the status never came.
    pub(crate) exit: Option<i32>,
}

pub(crate) async fn exec(
    client: &Client,
    namespace: &str,
    pod: &str,
    container: &str,
    command: &[&str],
) -> Ran {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let parameters = AttachParams::default()
        .container(container)
        .stdout(true)
        .stderr(true)
        .stdin(false);
    let mut process = pods
        .exec(pod, command.iter().copied(), &parameters)
        .await
        .unwrap();
    let (mut stdout, mut stderr) = (process.stdout().unwrap(), process.stderr().unwrap());
    let status = process.take_status().unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    let status = tokio::time::timeout(Duration::from_secs(5), async {
        let (status, _, _) = tokio::join!(
            status,
            stdout.read_to_string(&mut out),
            stderr.read_to_string(&mut err)
        );
        status
    })
    .await
    .unwrap();
    let exit = status.map(|status| match status.status.as_deref() {
        Some("Success") => 0,
        _ => status
            .details
            .and_then(|details| {
                details
                    .causes?
                    .into_iter()
                    .find(|cause| cause.reason.as_deref() == Some("ExitCode"))
            })
            .and_then(|cause| cause.message?.parse().ok())
            .unwrap_or(-1),
    });
    Ran {
        stdout: out,
        stderr: err,
        exit,
    }
}

pub(crate) async fn curl(client: &Client, pod: &str, url: &str) -> Ran {
    let format = "%{exitcode} %{http_code} %{local_port}";
    let command = [
        "curl",
        "-s",
        "-S",
        "-o",
        "/dev/null",
        "-m",
        "15",
        "-w",
        format,
        url,
    ];
    exec(client, "demo", pod, "curl", &command).await
}

pub(crate) async fn log(client: &Client, namespace: &str, pod: &str, container: &str) -> Vec<String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let parameters = LogParams {
        container: Some(container.into()),
        ..LogParams::default()
    };
    let text = pods.logs(pod, &parameters).await.unwrap();
    text.lines().map(str::to_owned).collect()
}

pub(crate) async fn gateway_pod(client: &Client) -> String {
    let pods: Api<Pod> = Api::namespaced(client.clone(), "istio-system");
    let list = pods
        .list(&kube::api::ListParams::default().labels("istio=egressgateway"))
        .await
        .unwrap();
    list.items[0].metadata.name.clone().unwrap()
}

/// The fields of an access-log line in Istio's text format, quoted ones as one.
pub(crate) fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ' ' if !quoted => fields.push(String::new()),
            other => fields.last_mut().unwrap().push(other),
        }
    }
    fields
}
