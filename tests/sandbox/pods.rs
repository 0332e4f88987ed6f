//! Injection, scaling, ephemeral containers, and what keeps pods from starting.

use super::common::{api, apply, curl_deployment, quick, ready_pods, sandbox, with};
use kube::api::{ListParams, Patch, PatchParams};
use kubectl_egress::istio::kinds;
use kubectl_egress::sandbox::SandboxSettings;
use serde_json::{Value, json};
use std::time::Duration;

/// Istio's rules: the pod's own word wins, except where the namespace is disabled.
#[rstest::rstest]
#[case(json!({"istio-injection": "enabled"}), json!({}), true)]
#[case(json!({"istio-injection": "enabled"}), json!({"sidecar.istio.io/inject": "false"}), false)]
#[case(json!({"istio.io/rev": "default"}), json!({}), true)]
#[case(json!({}), json!({"sidecar.istio.io/inject": "true"}), true)]
#[case(json!({"istio-injection": "disabled"}), json!({"sidecar.istio.io/inject": "true"}), false)]
#[case(json!({}), json!({}), false)]
#[tokio::test]
async fn injection(#[case] of_namespace: Value, #[case] of_pod: Value, #[case] expected: bool) {
    let (_sandbox, client) = sandbox();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo", "labels": of_namespace}});
    apply(&client, &kinds::namespace(), "test", &namespace)
        .await
        .unwrap();
    let mut deployment = curl_deployment("demo");
    let labels = &mut deployment["spec"]["template"]["metadata"]["labels"];
    for (name, value) in of_pod.as_object().unwrap() {
        labels[name] = value.clone();
    }
    apply(&client, &kinds::deployment(), "test", &deployment)
        .await
        .unwrap();
    let pods = ready_pods(&client, "demo", 1).await;
    assert_eq!(pods[0]["spec"]["initContainers"].is_array(), expected);
}

/// An injected gateway, as in truth.md 11: `image: auto` is replaced, or never pulled.
#[rstest::rstest]
#[case(true, "Running")]
#[case(false, "Pending")]
#[tokio::test]
async fn a_gateway_by_injection(#[case] labelled: bool, #[case] phase: &str) {
    let (_sandbox, client) = sandbox();
    let mut deployment = curl_deployment("default");
    deployment["spec"]["template"]["spec"]["containers"] = json!([{"name": "istio-proxy", "image": "auto"}]);
    let metadata = &mut deployment["spec"]["template"]["metadata"];
    metadata["annotations"] = json!({"inject.istio.io/templates": "gateway"});
    if labelled {
        metadata["labels"]["sidecar.istio.io/inject"] = json!("true");
    }
    apply(&client, &kinds::deployment(), "test", &deployment)
        .await
        .unwrap();
    let pods = api(&client, &kinds::pod(), "default");
    let started = tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            let all = pods
                .list(&ListParams::default().labels("app=curl"))
                .await
                .unwrap();
            let pod = all.items[0].data.clone();
            if pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] != "ContainerCreating" {
                return pod;
            }
        }
    });
    let pod = started.await.unwrap();
    assert_eq!(pod["status"]["phase"], phase);
    let image = pod["spec"]["containers"][0]["image"].as_str().unwrap();
    assert_eq!(image.contains("proxyv2"), labelled, "{image}");
}

#[tokio::test]
async fn a_restricted_namespace_refuses_the_pod_but_not_the_deployment() {
    let (_sandbox, client) = sandbox();
    let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo", "labels": labels}});
    apply(&client, &kinds::namespace(), "test", &namespace)
        .await
        .unwrap();
    apply(&client, &kinds::deployment(), "test", &curl_deployment("demo"))
        .await
        .unwrap();
    let live = api(&client, &kinds::deployment(), "demo")
        .get("curl")
        .await
        .unwrap();
    let failure = live.data["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|condition| condition["type"] == "ReplicaFailure")
        .unwrap();
    assert_eq!(failure["reason"], "FailedCreate");
    let message = failure["message"].as_str().unwrap();
    assert!(
        message.contains("violates PodSecurity \"restricted:latest\""),
        "{message}"
    );
}

#[tokio::test]
async fn a_pod_that_fits_no_node_says_so() {
    let (_sandbox, client) = sandbox();
    let mut deployment = curl_deployment("default");
    deployment["spec"]["template"]["spec"]["nodeSelector"] = json!({"pool": "egress"});
    apply(&client, &kinds::deployment(), "test", &deployment)
        .await
        .unwrap();
    let pods = api(&client, &kinds::pod(), "default");
    let all = pods.list(&ListParams::default()).await.unwrap();
    assert_eq!(
        all.items[0].data["status"]["conditions"][0]["reason"],
        "Unschedulable"
    );
}

#[tokio::test]
async fn scaling_and_ephemeral_containers_work() {
    let (_sandbox, client) = with(SandboxSettings {
        egress_gateway: false,
        ..quick()
    });
    apply(&client, &kinds::deployment(), "test", &curl_deployment("default"))
        .await
        .unwrap();
    let pods = ready_pods(&client, "default", 1).await;
    let name = pods[0]["metadata"]["name"].as_str().unwrap();
    let container =
        json!({"spec": {"ephemeralContainers": [{"name": "probe", "image": "curlimages/curl:8.18.0"}]}});
    let api_of_pods = api(&client, &kinds::pod(), "default");
    api_of_pods
        .patch_subresource(
            "ephemeralcontainers",
            name,
            &PatchParams::default(),
            &Patch::Strategic(container),
        )
        .await
        .unwrap();
    let running = tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            let pod = api_of_pods.get(name).await.unwrap();
            if !pod.data["status"]["ephemeralContainerStatuses"][0]["state"]["running"].is_null() {
                return;
            }
        }
    });
    running.await.expect("the ephemeral container runs");
    let deployments = api(&client, &kinds::deployment(), "default");
    for replicas in [3, 0] {
        let scale = json!({"spec": {"replicas": replicas}});
        deployments
            .patch_scale("curl", &PatchParams::default(), &Patch::Merge(scale))
            .await
            .unwrap();
        ready_pods(&client, "default", replicas).await;
    }
}
