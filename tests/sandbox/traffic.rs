//! exec, logs and port-forward; and that packets go the way that was measured (truth.md).

use super::common::{api, apply, curl_deployment, namespace, quick, ready_pods, sandbox, status, with};
use futures::AsyncBufReadExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, AttachParams, DeleteParams, LogParams};
use kube::client::Client;
use kubectl_egress::istio::kinds;
use kubectl_egress::sandbox::{Denial, Fault, FaultKind, Sandbox, SandboxSettings};
use kubectl_egress::vocabulary::Kind;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const GATEWAY_HOST: &str = "istio-egressgateway.istio-system.svc.cluster.local";

/// The tutorial's four routing objects, with the kind of each.
fn routing(namespace: &str) -> Vec<(Kind, Value)> {
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
async fn routed(settings: SandboxSettings) -> (Sandbox, Client, String) {
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

fn logging() -> SandboxSettings {
    SandboxSettings {
        access_log: true,
        ..quick()
    }
}

struct Ran {
    stdout: String,
    stderr: String,
    /// Exit code; `None` where the status never came.
    exit: Option<i32>,
}

async fn exec(client: &Client, namespace: &str, pod: &str, container: &str, command: &[&str]) -> Ran {
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

async fn curl(client: &Client, pod: &str, url: &str) -> Ran {
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

async fn log(client: &Client, namespace: &str, pod: &str, container: &str) -> Vec<String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let parameters = LogParams {
        container: Some(container.into()),
        ..LogParams::default()
    };
    let text = pods.logs(pod, &parameters).await.unwrap();
    text.lines().map(str::to_owned).collect()
}

async fn gateway_pod(client: &Client) -> String {
    let pods: Api<Pod> = Api::namespaced(client.clone(), "istio-system");
    let list = pods
        .list(&kube::api::ListParams::default().labels("istio=egressgateway"))
        .await
        .unwrap();
    list.items[0].metadata.name.clone().unwrap()
}

/// The fields of an access-log line in Istio's text format, quoted ones as one.
fn fields(line: &str) -> Vec<String> {
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

#[tokio::test]
async fn a_routed_request_leaves_a_pair_of_lines_that_join_by_address() {
    let (sandbox, client, pod) = routed(logging()).await;
    let ran = curl(&client, &pod, "https://kyma-project.io/").await;
    assert_eq!((ran.exit, ran.stderr.as_str()), (Some(0), ""));
    let mut report = ran.stdout.split(' ');
    assert_eq!((report.next(), report.next()), (Some("0"), Some("200")));
    let local_port = report.next().unwrap().to_owned();
    let sidecar = log(&client, "demo", &pod, "istio-proxy").await;
    let sidecar = fields(sidecar.last().unwrap());
    let gateway = gateway_pod(&client).await;
    let gateway_line = log(&client, "istio-system", &gateway, "istio-proxy").await;
    let gateway_line = fields(gateway_line.last().unwrap());
    assert_eq!((sidecar.len(), gateway_line.len()), (22, 22));
    assert!(
        sidecar[19].ends_with(&format!(":{local_port}")),
        "curl's port: {sidecar:?}"
    );
    assert_eq!(
        sidecar[17], gateway_line[19],
        "the sidecar's upstream local is the gateway's downstream remote"
    );
    assert_eq!(gateway_line[16], "outbound|443||kyma-project.io");
    let outside = sandbox.outside_log();
    assert_eq!(outside.len(), 1);
    assert_eq!(outside[0].peer_pod, format!("istio-system/{gateway}"));
}

#[tokio::test]
async fn without_the_access_log_there_are_no_lines_until_a_telemetry_turns_it_on() {
    let (_sandbox, client, pod) = routed(quick()).await;
    curl(&client, &pod, "https://kyma-project.io/").await;
    let access = |lines: Vec<String>| lines.into_iter().filter(|line| line.starts_with('[')).count();
    assert_eq!(access(log(&client, "demo", &pod, "istio-proxy").await), 0);
    let telemetry = json!({
        "apiVersion": "telemetry.istio.io/v1", "kind": "Telemetry",
        "metadata": {"name": "source", "namespace": "demo"},
        "spec": {
            "selector": {"matchLabels": {"app": "curl"}}, "accessLogging": [{"providers": [{"name": "envoy"}]}],
        },
    });
    apply(&client, &kinds::telemetry(), "test", &telemetry)
        .await
        .unwrap();
    curl(&client, &pod, "https://kyma-project.io/").await;
    assert_eq!(access(log(&client, "demo", &pod, "istio-proxy").await), 1);
    let gateway = gateway_pod(&client).await;
    assert_eq!(
        access(log(&client, "istio-system", &gateway, "istio-proxy").await),
        0
    );
}

#[tokio::test]
async fn ends_are_as_measured() {
    for (registry_only, url, exit, code, sidecar) in [
        (false, "http://kyma-project.io/get", 0, "200", "allow_any"),
        (false, "https://edition.cnn.com/", 0, "200", "PassthroughCluster"),
        (false, "https://edition.cnn.com:444/", 35, "000", "UF,URX"),
        (false, "http://unreachable.test/", 0, "503", "connection_timeout"),
        (false, "https://unreachable.test/", 35, "000", "UF,URX"),
        (true, "http://kyma-project.io/get", 0, "502", "block_all"),
        (true, "https://edition.cnn.com/", 35, "000", "UH"),
    ] {
        let (_sandbox, client, pod) = routed(SandboxSettings {
            outbound_policy_registry_only: registry_only,
            ..logging()
        })
        .await;
        let ran = curl(&client, &pod, url).await;
        assert_eq!(ran.exit, Some(exit), "{url}: {}", ran.stderr);
        assert_eq!(ran.stdout.split(' ').nth(1), Some(code), "{url}");
        let line = log(&client, "demo", &pod, "istio-proxy").await.pop().unwrap();
        assert!(line.contains(sidecar), "{url}: {line}");
    }
    let (_sandbox, client, pod) = routed(logging()).await;
    let ran = curl(&client, &pod, "https://nxdomain.test/").await;
    assert_eq!(ran.exit, Some(6));
    assert_eq!(ran.stderr, "curl: (6) Could not resolve host: nxdomain.test\n");
}

#[tokio::test]
async fn exec_ends_as_the_fault_says() {
    let (sandbox, client, pod) = routed(quick()).await;
    sandbox.inject(Fault::new("/exec", FaultKind::NoStatus));
    let ran = curl(&client, &pod, "https://kyma-project.io/").await;
    assert_eq!(ran.exit, None, "no status is no success");
    assert!(ran.stdout.starts_with("0 200"));
    let ran = exec(&client, "demo", &pod, "curl", &["curl", "--nonsense"]).await;
    assert_eq!(ran.exit, Some(2));
    let ran = exec(&client, "demo", &pod, "curl", &["bash"]).await;
    assert_eq!(ran.exit, Some(-1), "a program that is not there has no exit code");
    sandbox.inject(Fault::new("/exec", FaultKind::Status(403, None)));
    let pods: Api<Pod> = Api::namespaced(client.clone(), "demo");
    let refused = pods
        .exec(&pod, ["true"], &AttachParams::default().container("curl"))
        .await;
    assert_eq!(status(refused.err().unwrap()).code, 403);
}

#[tokio::test]
async fn a_followed_log_delivers_from_now_and_ends_with_the_pod() {
    let (_sandbox, client, pod) = routed(logging()).await;
    curl(&client, &pod, "https://kyma-project.io/").await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "demo");
    let parameters = LogParams {
        container: Some("istio-proxy".into()),
        follow: true,
        tail_lines: Some(0),
        timestamps: true,
        ..LogParams::default()
    };
    let mut lines = pods.log_stream(&pod, &parameters).await.unwrap();
    curl(&client, &pod, "https://edition.cnn.com/").await;
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line).await.unwrap();
    let line = String::from_utf8(line).unwrap();
    assert!(line.contains("PassthroughCluster"), "only what is new: {line}");
    assert!(
        line[..30].ends_with('Z') && &line[30..31] == " ",
        "a timestamp in front: {line}"
    );
    api(&client, &kinds::deployment(), "demo")
        .delete("curl", &DeleteParams::default())
        .await
        .unwrap();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), lines.read_until(b'\n', &mut rest));
    assert_eq!(read.await.unwrap().unwrap(), 0, "the stream ends");
}

#[tokio::test]
async fn a_log_stream_is_cut_on_request() {
    let (sandbox, client, pod) = routed(logging()).await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "demo");
    let parameters = LogParams {
        container: Some("istio-proxy".into()),
        follow: true,
        tail_lines: Some(0),
        ..LogParams::default()
    };
    let mut lines = pods.log_stream(&pod, &parameters).await.unwrap();
    let reading = tokio::spawn(async move { lines.read_until(b'\n', &mut Vec::new()).await });
    tokio::task::yield_now().await;
    sandbox.cut_streams();
    let read = tokio::time::timeout(Duration::from_secs(5), reading)
        .await
        .unwrap()
        .unwrap();
    assert!(read.is_err(), "a cut is no end: {read:?}");
}

#[tokio::test]
async fn logs_may_be_forbidden() {
    let (_sandbox, client, pod) = routed(SandboxSettings {
        denials: vec![Denial::new("get", "", "pods/log")],
        ..logging()
    })
    .await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "demo");
    let refused = status(pods.logs(&pod, &LogParams::default()).await.unwrap_err());
    assert_eq!(
        refused.message,
        format!(
            "pods \"{pod}\" is forbidden: User \"sandbox-admin\" cannot get resource \"pods/log\" in API group \"\" in the namespace \"demo\""
        )
    );
}

/// A TLS hello that asks for a name.
fn hello(name: &str) -> Vec<u8> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = name.to_owned().try_into().unwrap();
    let mut connection = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_sentinel_through_a_port_forward_leaves_the_refused_line() {
    let (_sandbox, client, _pod) = routed(logging()).await;
    let gateway = gateway_pod(&client).await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "istio-system");
    let mut forward = pods.portforward(&gateway, &[8443]).await.unwrap();
    let mut stream = forward.take_stream(8443).unwrap();
    stream.write_all(&hello("nonce.sentinel.invalid")).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer));
    assert_eq!(read.await.unwrap().unwrap(), 0, "the gateway closes");
    let line = log(&client, "istio-system", &gateway, "istio-proxy")
        .await
        .pop()
        .unwrap();
    assert!(line.contains("0 NR filter_chain_not_found"), "{line}");
    assert!(
        line.contains(" nonce.sentinel.invalid ") && line.contains(" 127.0.0.1:"),
        "{line}"
    );
}

#[tokio::test]
async fn a_port_that_nothing_listens_on_is_refused() {
    let (_sandbox, client) = sandbox();
    let gateway = gateway_pod(&client).await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "istio-system");
    let mut forward = pods.portforward(&gateway, &[8443]).await.unwrap();
    let error = forward.take_error(8443).unwrap();
    let message = tokio::time::timeout(Duration::from_secs(5), error)
        .await
        .unwrap()
        .unwrap();
    assert!(
        message.contains("connection refused"),
        "no Gateway yet: {message}"
    );
}

async fn admin(client: &Client, namespace: &str, pod: &str, path: &str) -> Value {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut forward = pods.portforward(pod, &[15000]).await.unwrap();
    let mut stream = forward.take_stream(15000).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn the_admin_port_shows_chains_clusters_and_counters() {
    let (_sandbox, client, pod) = routed(logging()).await;
    let gateway = gateway_pod(&client).await;
    let path = "/config_dump?resource=dynamic_listeners";
    for (namespace, name, listener, cluster) in [
        (
            "demo",
            &pod,
            "0.0.0.0_443",
            format!("outbound|443|kyma-project|{GATEWAY_HOST}"),
        ),
        (
            "istio-system",
            &gateway,
            "0.0.0.0_8443",
            "outbound|443||kyma-project.io".to_owned(),
        ),
    ] {
        let dump = admin(&client, namespace, name, path).await;
        let active = &dump["configs"][0]["active_state"]["listener"];
        assert_eq!(active["name"], listener);
        let chain = &active["filter_chains"][0];
        assert_eq!(
            chain["filter_chain_match"]["server_names"],
            json!(["kyma-project.io"])
        );
        assert_eq!(chain["filters"][0]["typed_config"]["cluster"], cluster);
    }
    curl(&client, &pod, "https://kyma-project.io/").await;
    let clusters = admin(&client, "istio-system", &gateway, "/clusters?format=json").await;
    let external = clusters["cluster_statuses"]
        .as_array()
        .unwrap()
        .iter()
        .find(|status| status["name"] == "outbound|443||kyma-project.io")
        .unwrap();
    let statistics = external["host_statuses"][0]["stats"].as_array().unwrap();
    let counter = |name: &str| statistics.iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(counter("rq_total")["value"], "1");
    assert!(
        counter("cx_connect_fail").get("value").is_none(),
        "zero has no value"
    );
}

#[tokio::test]
async fn the_server_serves_a_socket_too() {
    let (sandbox, _client) = sandbox();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { sandbox.serve(listener).await });
    let mut config = kube::Config::new(format!("http://{address}").parse().unwrap());
    config.default_namespace = "default".into();
    let client = Client::try_from(config).unwrap();
    assert_eq!(client.apiserver_version().await.unwrap().major, "1");
    serving.abort();
}
