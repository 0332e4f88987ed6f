//! Jobs: their pod, their end, what is left when they are deleted, and what keeps them from starting.

use super::common::{api, apply, namespace, sandbox, status};
use super::lock::{eventually, find, list};
use kube::api::{DeleteParams, PropagationPolicy};
use kube::client::Client;
use kubectl_egress::istio::kinds;
use kubectl_egress::sandbox::Sandbox;
use kubectl_egress::vocabulary::Object;
use serde_json::{Value, json};
use std::time::Duration;

fn job(command: &Value, more: &Value) -> Value {
    let container = json!({"name": "main", "image": "curlimages/curl:8.18.0", "command": command});
    let mut job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "work", "namespace": "demo"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    });
    for (field, value) in more.as_object().unwrap() {
        job["spec"][field] = value.clone();
    }
    job
}

async fn started(command: &Value, more: &Value) -> (Sandbox, Client) {
    let (sandbox, client) = sandbox();
    namespace(&client, "demo", false).await;
    apply(&client, &kinds::job(), "test", &job(command, more))
        .await
        .unwrap();
    (sandbox, client)
}

async fn pods(client: &Client) -> Vec<Object> {
    let mut pods = list(client, &kinds::pod()).await;
    pods.retain(|pod| pod.namespace() == Some("demo"));
    pods
}

/// The Job, once it has a condition of this type.
async fn with_condition(client: &Client, name: &str) -> Object {
    eventually(name, async || {
        let job = Object(find(client, &kinds::job(), "work").await?);
        let conditions = job.items("/status/conditions").to_vec();
        conditions
            .iter()
            .any(|one| one["type"] == name && one["status"] == "True")
            .then_some(job)
    })
    .await
}

#[tokio::test]
async fn a_job_runs_a_pod_to_its_end() {
    let (_sandbox, client) = started(&json!(["true"]), &json!({})).await;
    let job = with_condition(&client, "Complete").await;
    assert_eq!(
        (job.at("/status/succeeded"), job.at("/status/active")),
        (&json!(1), &json!(0))
    );
    let pods = pods(&client).await;
    assert_eq!(pods.len(), 1);
    assert_eq!(pods[0].text("/status/phase"), "Succeeded");
    assert_eq!(pods[0].label("batch.kubernetes.io/job-name"), Some("work"));
    assert_eq!(pods[0].text("/metadata/ownerReferences/0/kind"), "Job");
    assert_eq!(
        job.at("/spec/selector/matchLabels/batch.kubernetes.io~1controller-uid"),
        job.uid()
    );
}

#[tokio::test]
async fn pods_that_fail_are_replaced_up_to_the_limit() {
    let (_sandbox, client) = started(&json!(["false"]), &json!({"backoffLimit": 2})).await;
    let job = with_condition(&client, "Failed").await;
    assert_eq!(job.at("/status/failed"), &json!(3));
    assert_eq!(pods(&client).await.len(), 3);
}

#[tokio::test]
async fn a_pod_that_somebody_deletes_is_replaced() {
    let (_sandbox, client) = started(&json!(["sleep", "inf"]), &json!({})).await;
    let first = eventually("the pod runs", async || {
        let pods = pods(&client).await;
        pods.into_iter()
            .find(|pod| pod.text("/status/phase") == "Running")
    })
    .await;
    api(&client, &kinds::pod(), "demo")
        .delete(first.name(), &DeleteParams::default())
        .await
        .unwrap();
    let second = eventually("another pod runs", async || {
        let pods = pods(&client).await;
        pods.into_iter()
            .find(|pod| pod.text("/status/phase") == "Running" && pod.uid() != first.uid())
    })
    .await;
    assert_eq!(second.text("/metadata/ownerReferences/0/name"), "work");
}

#[tokio::test]
async fn without_a_word_about_them_a_deleted_jobs_pods_stay() {
    let (_sandbox, client) = started(&json!(["sleep", "inf"]), &json!({})).await;
    let jobs = api(&client, &kinds::job(), "demo");
    eventually("a pod", async || (pods(&client).await.len() == 1).then_some(())).await;
    jobs.delete("work", &DeleteParams::default()).await.unwrap();
    assert!(find(&client, &kinds::job(), "work").await.is_none());
    let orphans = pods(&client).await;
    assert_eq!(orphans.len(), 1, "batch/v1 orphans them by default");
    assert!(orphans[0].at("/metadata/ownerReferences").is_null());

    apply(
        &client,
        &kinds::job(),
        "test",
        &job(&json!(["sleep", "inf"]), &json!({})),
    )
    .await
    .unwrap();
    eventually("a second pod", async || {
        (pods(&client).await.len() == 2).then_some(())
    })
    .await;
    let background = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        ..DeleteParams::default()
    };
    jobs.delete("work", &background).await.unwrap();
    let left = eventually("one pod is left", async || {
        let pods = pods(&client).await;
        (pods.len() == 1).then_some(pods)
    });
    assert_eq!(left.await[0].uid(), orphans[0].uid());
}

#[tokio::test]
async fn a_finished_job_goes_after_its_time() {
    let (sandbox, client) = started(&json!(["true"]), &json!({"ttlSecondsAfterFinished": 600})).await;
    with_condition(&client, "Complete").await;
    sandbox.pass_time(Duration::from_secs(500));
    assert!(find(&client, &kinds::job(), "work").await.is_some());
    sandbox.pass_time(Duration::from_secs(200));
    assert!(find(&client, &kinds::job(), "work").await.is_none());
    eventually("its pod goes too", async || {
        pods(&client).await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_keeps_a_pod_from_being_made_is_an_event() {
    for (obstacle, why) in [
        (
            "security",
            "violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false",
        ),
        (
            "quota",
            "exceeded quota: few, requested: pods=1, used: pods=0, limited: pods=0",
        ),
        (
            "account",
            "error looking up service account demo/nobody: serviceaccount \"nobody\" not found",
        ),
    ] {
        let (_sandbox, client) = sandbox();
        namespace(&client, "demo", false).await;
        let mut wanted = job(&json!(["true"]), &json!({}));
        match obstacle {
            "security" => {
                let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
                let restricted = json!({
                    "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo", "labels": labels},
                });
                apply(&client, &kinds::namespace(), "test", &restricted)
                    .await
                    .unwrap();
            }
            "quota" => put_quota(&client, &json!({"pods": "0"})).await,
            _ => wanted["spec"]["template"]["spec"]["serviceAccountName"] = json!("nobody"),
        }
        apply(&client, &kinds::job(), "test", &wanted).await.unwrap();
        let events = list(&client, &kinds::event()).await;
        assert_eq!(events.len(), 1, "{obstacle}");
        assert_eq!(events[0].text("/reason"), "FailedCreate");
        assert!(
            events[0].text("/message").contains(why),
            "{obstacle}: {}",
            events[0].text("/message")
        );
        assert!(pods(&client).await.is_empty());
        if obstacle == "account" {
            let account = json!({
                "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "nobody", "namespace": "demo"},
            });
            apply(&client, &kinds::service_account(), "test", &account)
                .await
                .unwrap();
            with_condition(&client, "Complete").await;
        }
    }
}

async fn put_quota(client: &Client, hard: &Value) {
    let kind = kubectl_egress::vocabulary::Kind::new("", "v1", "ResourceQuota", "resourcequotas", true);
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few", "namespace": "demo"},
        "spec": {"hard": hard},
    });
    apply(client, &kind, "test", &quota).await.unwrap();
}

#[tokio::test]
async fn jobs_that_the_api_server_refuses() {
    let (_sandbox, client) = sandbox();
    namespace(&client, "demo", false).await;
    let mut always = job(&json!(["true"]), &json!({}));
    always["spec"]["template"]["spec"]["restartPolicy"] = json!("Always");
    let refused = status(apply(&client, &kinds::job(), "test", &always).await.unwrap_err());
    assert_eq!(
        refused.message,
        "Job.batch \"work\" is invalid: spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""
    );
    put_quota(&client, &json!({"count/jobs.batch": "1"})).await;
    let wanted = job(&json!(["sleep", "inf"]), &json!({}));
    apply(&client, &kinds::job(), "test", &wanted).await.unwrap();
    let mut changed = wanted.clone();
    changed["spec"]["template"]["spec"]["containers"][0]["command"] = json!(["true"]);
    let refused = status(apply(&client, &kinds::job(), "test", &changed).await.unwrap_err());
    assert!(refused.message.contains("spec.template"), "{}", refused.message);
    assert!(
        refused.message.ends_with("field is immutable"),
        "{}",
        refused.message
    );
    changed["metadata"]["name"] = json!("more");
    let refused = status(apply(&client, &kinds::job(), "test", &changed).await.unwrap_err());
    assert_eq!(
        (refused.code, &*refused.message),
        (
            403,
            "jobs.batch \"more\" is forbidden: exceeded quota: few, requested: count/jobs.batch=1, used: count/jobs.batch=1, limited: count/jobs.batch=1"
        )
    );
}
