//! exec and logs; and that packets go the way that was measured (truth.md).

use super::common::{api, apply, quick, status};
use super::source::{curl, exec, fields, gateway_pod, log, logging, routed};
use futures::AsyncBufReadExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, AttachParams, DeleteParams, LogParams};
use kubectl_egress::istio::kinds;
use kubectl_egress::sandbox::{Denial, Fault, FaultKind, SandboxSettings};
use serde_json::json;
use std::time::Duration;

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
