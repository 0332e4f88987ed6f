//! Verbs, watches, controllers and faults.

use super::common::{api, apply, curl_deployment, namespace, quick, ready_pods, sandbox, status, with};
use futures::StreamExt;
use kube::api::{
    DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, WatchEvent, WatchParams,
};
use kubectl_egress::istio::kinds;
use kubectl_egress::sandbox::{Denial, Fault, FaultKind, SandboxSettings};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn a_deployment_becomes_a_ready_pod_with_a_sidecar_and_goes_again() {
    let (_sandbox, client) = sandbox();
    namespace(&client, "demo", true).await;
    let kind = kinds::deployment();
    apply(&client, &kind, "test", &curl_deployment("demo"))
        .await
        .unwrap();
    let pods = ready_pods(&client, "demo", 1).await;
    let proxy = &pods[0]["spec"]["initContainers"][1];
    assert_eq!(proxy["name"], "istio-proxy");
    assert_eq!(proxy["restartPolicy"], "Always");
    assert!(
        pods[0]["status"]["podIP"]
            .as_str()
            .unwrap()
            .starts_with("198.18.")
    );
    let deployments = api(&client, &kind, "demo");
    let live = deployments.get("curl").await.unwrap();
    assert_eq!(live.data["status"]["observedGeneration"], 1);
    assert_eq!(live.data["status"]["availableReplicas"], 1);
    deployments
        .delete("curl", &DeleteParams::default())
        .await
        .unwrap();
    ready_pods(&client, "demo", 0).await;
    let sets = api(&client, &kinds::replica_set(), "demo")
        .list(&ListParams::default())
        .await
        .unwrap();
    assert!(sets.items.is_empty(), "the ReplicaSet goes with its Deployment");
}

#[tokio::test]
async fn without_the_label_there_is_no_sidecar() {
    let (_sandbox, client) = sandbox();
    apply(&client, &kinds::deployment(), "test", &curl_deployment("default"))
        .await
        .unwrap();
    let pods = ready_pods(&client, "default", 1).await;
    assert_eq!(pods[0]["spec"]["initContainers"], Value::Null);
}

#[tokio::test]
async fn a_changed_template_rolls_out() {
    let (_sandbox, client) = sandbox();
    let kind = kinds::deployment();
    let mut deployment = curl_deployment("default");
    apply(&client, &kind, "test", &deployment).await.unwrap();
    let before = ready_pods(&client, "default", 1).await;
    deployment["spec"]["template"]["metadata"]["annotations"] = json!({"restarted": "now"});
    let written = apply(&client, &kind, "test", &deployment).await.unwrap();
    assert_eq!(written["metadata"]["generation"], 2);
    let gone = before[0]["metadata"]["name"].as_str().unwrap();
    tokio::time::timeout(Duration::from_secs(5), async {
        while ready_pods(&client, "default", 1).await[0]["metadata"]["name"] == gone {}
    })
    .await
    .expect("the old pod is replaced");
}

#[tokio::test]
async fn a_missing_image_keeps_the_pod_waiting_with_the_reason() {
    let (_sandbox, client) = with(SandboxSettings {
        missing_images: vec!["docker.io/curlimages/curl:8.18.0".into()],
        ..quick()
    });
    apply(&client, &kinds::deployment(), "test", &curl_deployment("default"))
        .await
        .unwrap();
    let pods = api(&client, &kinds::pod(), "default");
    let waiting = tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            let all = pods.list(&ListParams::default()).await.unwrap();
            let reason =
                all.items[0].data["status"]["containerStatuses"][0]["state"]["waiting"]["reason"].clone();
            if reason != "ContainerCreating" {
                return reason;
            }
        }
    });
    assert_eq!(waiting.await.unwrap(), "ImagePullBackOff");
}

#[tokio::test]
async fn refusals_are_worded_as_by_the_real_server() {
    let (_sandbox, client) = sandbox();
    let config_maps = api(&client, &kinds::config_map(), "nowhere");
    let object = |name: &str| {
        serde_json::from_value(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}))
            .unwrap()
    };
    let refused = status(
        config_maps
            .create(&PostParams::default(), &object("x"))
            .await
            .unwrap_err(),
    );
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (404, "namespaces \"nowhere\" not found")
    );
    let config_maps = api(&client, &kinds::config_map(), "default");
    let refused = status(
        config_maps
            .create(&PostParams::default(), &object("X_"))
            .await
            .unwrap_err(),
    );
    assert_eq!((refused.code, refused.reason.as_str()), (422, "Invalid"));
    let hosts: Vec<String> = (0..257).map(|number| format!("h{number}.test")).collect();
    let entry = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": {"name": "many", "namespace": "default"}, "spec": {"hosts": hosts},
    });
    let refused = status(
        apply(&client, &kinds::service_entry(), "test", &entry)
            .await
            .unwrap_err(),
    );
    assert_eq!(
        refused.message,
        "ServiceEntry.networking.istio.io \"many\" is invalid: spec.hosts: Too many: 257: must have at most 256 items"
    );
    let refused = status(
        api(&client, &kinds::gateway(), "default")
            .get("x")
            .await
            .unwrap_err(),
    );
    assert_eq!(refused.message, "gateways.networking.istio.io \"x\" not found");
}

#[tokio::test]
async fn the_optimistic_lock_and_the_uid_precondition_hold() {
    let (_sandbox, client) = sandbox();
    let config_maps = api(&client, &kinds::config_map(), "default");
    let body =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "1"}});
    let first = config_maps
        .create(&PostParams::default(), &serde_json::from_value(body).unwrap())
        .await
        .unwrap();
    let mut second = first.clone();
    second.data["data"]["a"] = json!("2");
    config_maps
        .replace("x", &PostParams::default(), &second)
        .await
        .unwrap();
    let refused = status(
        config_maps
            .replace("x", &PostParams::default(), &second)
            .await
            .unwrap_err(),
    );
    assert_eq!(refused.code, 409);
    assert!(
        refused.message.contains("the object has been modified"),
        "{}",
        refused.message
    );
    let other_uid = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some("other".into()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    assert_eq!(
        status(config_maps.delete("x", &other_uid).await.unwrap_err()).code,
        409
    );
    let patched = config_maps
        .patch(
            "x",
            &PatchParams::default(),
            &Patch::<()>::Json(
                serde_json::from_value(json!([{"op": "replace", "path": "/data/a", "value": "3"}])).unwrap(),
            ),
        )
        .await
        .unwrap();
    assert_eq!(patched.data["data"]["a"], "3");
}

/// Seen with Kubernetes 1.34: only the UID says that an object must be there.
#[tokio::test]
async fn an_apply_with_a_version_makes_what_is_gone_and_with_a_uid_it_does_not() {
    let (_sandbox, client) = sandbox();
    let config_maps = api(&client, &kinds::config_map(), "default");
    let apply = |metadata: Value| {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
        let config_maps = config_maps.clone();
        async move {
            let parameters = PatchParams::apply("tests");
            config_maps
                .patch("gone", &parameters, &Patch::Apply(&object))
                .await
        }
    };
    let refused = status(
        apply(json!({"name": "gone", "uid": "1", "resourceVersion": "123"}))
            .await
            .unwrap_err(),
    );
    assert_eq!(refused.code, 409);
    assert!(refused.message.contains("uid mismatch"), "{}", refused.message);
    let made = apply(json!({"name": "gone", "resourceVersion": "123"}))
        .await
        .unwrap();
    assert_ne!(made.metadata.resource_version.as_deref(), Some("123"));
    let stale = apply(json!({"name": "gone", "resourceVersion": "123"})).await;
    assert_eq!(status(stale.unwrap_err()).code, 409);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let (sandbox, client) = sandbox();
    let before = sandbox.dump();
    let object = super::common::config_map(&json!({"a": "1"}));
    super::common::apply_as(
        &client,
        &kinds::config_map(),
        &PatchParams::apply("one").dry_run(),
        &object,
    )
    .await
    .unwrap();
    assert_eq!(sandbox.dump(), before);
}

#[tokio::test]
async fn a_list_comes_in_pages() {
    let (_sandbox, client) = sandbox();
    for number in 0..5 {
        let mut object = super::common::config_map(&json!({}));
        object["metadata"]["name"] = json!(format!("page-{number}"));
        apply(&client, &kinds::config_map(), "test", &object)
            .await
            .unwrap();
    }
    let config_maps = api(&client, &kinds::config_map(), "default");
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let page = config_maps
            .list(&ListParams::default().limit(2).continue_token(&token))
            .await
            .unwrap();
        assert!(page.items.len() <= 2);
        names.extend(page.items.into_iter().filter_map(|object| object.metadata.name));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(next) => token = next,
            None => break,
        }
    }
    assert_eq!(names, ["page-0", "page-1", "page-2", "page-3", "page-4"]);
}

#[tokio::test]
async fn a_watch_tells_what_is_there_what_changes_and_what_no_longer_fits() {
    let (_sandbox, client) = sandbox();
    let kind = kinds::config_map();
    let labelled = |value: &str| {
        let mut object = super::common::config_map(&json!({}));
        object["metadata"]["labels"] = json!({"role": value});
        object
    };
    apply(&client, &kind, "test", &labelled("a")).await.unwrap();
    let config_maps = api(&client, &kind, "default");
    let events = config_maps
        .watch(&WatchParams::default().labels("role=a"), "0")
        .await
        .unwrap();
    let mut events = Box::pin(events);
    assert!(matches!(events.next().await, Some(Ok(WatchEvent::Added(_)))));
    apply(&client, &kind, "test", &labelled("b")).await.unwrap();
    assert!(matches!(events.next().await, Some(Ok(WatchEvent::Deleted(_)))));
    apply(&client, &kind, "test", &labelled("a")).await.unwrap();
    assert!(matches!(events.next().await, Some(Ok(WatchEvent::Added(_)))));
}

#[tokio::test]
async fn a_watch_from_a_forgotten_version_ends_with_410() {
    let (sandbox, client) = sandbox();
    sandbox.compact();
    let config_maps = api(&client, &kinds::config_map(), "default");
    let events = config_maps.watch(&WatchParams::default(), "1").await.unwrap();
    match Box::pin(events).next().await {
        Some(Ok(WatchEvent::Error(status))) => assert_eq!(status.code, 410),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_namespace_takes_its_objects_with_it() {
    let (sandbox, client) = sandbox();
    namespace(&client, "demo", true).await;
    apply(&client, &kinds::deployment(), "test", &curl_deployment("demo"))
        .await
        .unwrap();
    ready_pods(&client, "demo", 1).await;
    let namespaces = api(&client, &kinds::namespace(), "");
    namespaces.delete("demo", &DeleteParams::default()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), async {
        while namespaces.get_opt("demo").await.unwrap().is_some() {}
    })
    .await
    .expect("the namespace goes");
    assert!(sandbox.dump().keys().all(|name| !name.contains(" demo/")));
}

#[tokio::test]
async fn a_namespace_that_somebody_holds_stays_empty_until_he_lets_go() {
    let (sandbox, client) = sandbox();
    let held = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "demo", "finalizers": ["theirs.test/hold"]}});
    let theirs = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "demo"}});
    apply(&client, &kinds::namespace(), "test", &held).await.unwrap();
    apply(&client, &kinds::config_map(), "test", &theirs("a"))
        .await
        .unwrap();
    let namespaces = api(&client, &kinds::namespace(), "");
    namespaces.delete("demo", &DeleteParams::default()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), async {
        while sandbox.dump().contains_key("ConfigMap demo/a") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("what is in it goes");
    assert!(namespaces.get_opt("demo").await.unwrap().is_some());
    let refused = apply(&client, &kinds::config_map(), "test", &theirs("b")).await;
    assert_eq!(status(refused.unwrap_err()).code, 403);
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    namespaces
        .patch("demo", &PatchParams::default(), &free)
        .await
        .unwrap();
    assert!(namespaces.get_opt("demo").await.unwrap().is_none());
}

#[tokio::test]
async fn faults_strike_the_request_that_they_name() {
    let (sandbox, client) = sandbox();
    let config_maps = api(&client, &kinds::config_map(), "default");
    sandbox.inject(
        Fault::new("/configmaps", FaultKind::Status(500, None))
            .method("GET")
            .nth(2),
    );
    assert!(config_maps.list(&ListParams::default()).await.is_ok());
    assert_eq!(
        status(config_maps.list(&ListParams::default()).await.unwrap_err()).code,
        500
    );
    assert!(config_maps.list(&ListParams::default()).await.is_ok());
    for kind in [FaultKind::Cut, FaultKind::CutAfterBytes(20)] {
        sandbox.inject(Fault::new("/configmaps", kind.clone()));
        let failed = config_maps.list(&ListParams::default()).await.unwrap_err();
        assert!(
            !matches!(failed, kube::Error::Api(_)),
            "{kind:?} is no answer: {failed}"
        );
    }
    sandbox.inject(Fault::new("/configmaps", FaultKind::Hang));
    let everything = ListParams::default();
    let hanging = tokio::time::timeout(Duration::from_millis(50), config_maps.list(&everything));
    assert!(hanging.await.is_err());
}

#[tokio::test]
async fn a_denied_verb_is_forbidden_and_the_reviews_know_it() {
    let (_sandbox, client) = with(SandboxSettings {
        denials: vec![Denial::new("list", "", "pods").in_namespace("default")],
        ..quick()
    });
    let refused = status(
        api(&client, &kinds::pod(), "default")
            .list(&ListParams::default())
            .await
            .unwrap_err(),
    );
    assert_eq!(
        refused.message,
        "pods is forbidden: User \"sandbox-admin\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""
    );
    for (verb, allowed) in [("list", false), ("get", true)] {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": verb, "resource": "pods", "namespace": "default"}},
        });
        let request = http::Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
            .body(serde_json::to_vec(&review).unwrap())
            .unwrap();
        let answer: Value = client.request(request).await.unwrap();
        assert_eq!(answer["status"]["allowed"], allowed, "{verb}");
    }
}

#[tokio::test]
async fn discovery_says_which_versions_are_served() {
    let (sandbox, client) = sandbox();
    let group: Value = client
        .request(
            http::Request::get("/apis/networking.istio.io")
                .body(Vec::new())
                .unwrap(),
        )
        .await
        .unwrap();
    assert_eq!(group["preferredVersion"]["version"], "v1");
    assert_eq!(client.apiserver_version().await.unwrap().minor, "34");
    assert_eq!(sandbox.requests().len(), 2);
    let (_sandbox, client) = with(SandboxSettings {
        istio: false,
        ..quick()
    });
    let request = http::Request::get("/apis/networking.istio.io")
        .body(Vec::new())
        .unwrap();
    assert_eq!(
        status(client.request::<Value>(request).await.unwrap_err()).code,
        404
    );
}
