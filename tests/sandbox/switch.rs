//! The dead-man's switch, with the plan's own objects: what a rehearsal says, and what happens at the deadline.

use super::common::{apply, quick};
use super::lock::{
    IMAGE, Seen, arm, delete, deletion, eventually, find, in_seconds, is_switch, list, observe, peers,
    policy, put, put_lock, rehearse, run, switch_pod,
};
use super::source::{exec, log, routed};
use kube::api::{DeleteParams, PropagationPolicy};
use kube::client::Client;
use kubectl_egress::istio::kinds;
use kubectl_egress::plan::lock::switch::CONTAINER;
use kubectl_egress::plan::lock::{SwitchUndo, switch_job};
use kubectl_egress::sandbox::{Sandbox, SandboxSettings};
use kubectl_egress::vocabulary::Kind;
use serde_json::{Value, json};
use std::time::Duration;

const DEADLINE: u64 = 180;

async fn source() -> (Sandbox, Client, Seen) {
    let (sandbox, client, pod) = routed(quick()).await;
    let seen = observe(&client, &pod).await;
    (sandbox, client, seen)
}

async fn lock_is_there(client: &Client) -> bool {
    find(client, &kinds::network_policy(), &run().lock())
        .await
        .is_some()
}

async fn said(client: &Client, pod: &str) -> String {
    log(client, "demo", pod, CONTAINER)
        .await
        .last()
        .cloned()
        .unwrap_or_default()
}

#[tokio::test]
async fn a_rehearsal_succeeds_under_canary_and_guard_and_deletes_nothing() {
    let (_sandbox, client, seen) = source().await;
    let pod = arm(&client, &seen, &deletion(), DEADLINE).await;
    put_lock(&client, &peers(&seen)).await;
    let ran = rehearse(&client, &pod).await;
    assert_eq!((&*ran.stdout, ran.exit), ("200\n", Some(0)));
    assert!(
        find(&client, &kinds::network_policy(), &run().canary())
            .await
            .is_some()
    );
    let environment = list(&client, &kinds::pod()).await;
    let pod = environment.iter().find(|pod| is_switch(pod)).unwrap();
    assert!(pod.items("/spec/initContainers").is_empty(), "it is not injected");
}

#[tokio::test]
async fn a_rehearsal_fails_for_what_would_keep_the_switch_from_acting() {
    let switch = run().switch();
    let canary = run().canary();
    #[rustfmt::skip]
    let obstacles: [(&str, Kind, &str, &str); 4] = [
        ("the guard is missing", kinds::network_policy(), &switch, "000\n"),
        ("the Role is missing", kinds::role(), &switch, "403\n"),
        ("the RoleBinding is missing", kinds::role_binding(), &switch, "403\n"),
        ("the canary is missing", kinds::network_policy(), &canary, "404\n"),
    ];
    for (title, kind, name, expected) in obstacles {
        let (_sandbox, client, seen) = source().await;
        let pod = arm(&client, &seen, &deletion(), DEADLINE).await;
        delete(&client, &kind, name, &DeleteParams::default()).await;
        let ran = rehearse(&client, &pod).await;
        assert_eq!((&*ran.stdout, ran.exit), (expected, Some(1)), "{title}");
    }
    let (_sandbox, client, seen) = source().await;
    let pod = arm(&client, &seen, &deletion(), DEADLINE).await;
    delete(&client, &kinds::config_map(), &switch, &DeleteParams::default()).await;
    let ran = rehearse(&client, &pod).await;
    assert_eq!((&*ran.stdout, ran.exit), ("", Some(2)), "{}", ran.stderr);
}

#[tokio::test]
async fn without_a_policy_engine_the_canary_does_not_hold_its_pod() {
    let (_sandbox, client, pod) = routed(SandboxSettings {
        enforces_network_policies: false,
        ..quick()
    })
    .await;
    let seen = observe(&client, &pod).await;
    let pod = arm(&client, &seen, &deletion(), DEADLINE).await;
    let probe = [
        "curl",
        "-sS",
        "-m",
        "5",
        "-o",
        "/dev/null",
        "https://edition.cnn.com/",
    ];
    assert_eq!(exec(&client, "demo", &pod, CONTAINER, &probe).await.exit, Some(0));
    let (_sandbox, client, seen) = source().await;
    let pod = arm(&client, &seen, &deletion(), DEADLINE).await;
    assert_eq!(
        exec(&client, "demo", &pod, CONTAINER, &probe).await.exit,
        Some(28)
    );
}

#[tokio::test]
async fn at_the_deadline_the_lock_goes_whatever_has_become_of_the_client() {
    let (sandbox, client, seen) = source().await;
    let pod = arm(&client, &seen, &deletion(), DEADLINE).await;
    put_lock(&client, &peers(&seen)).await;
    sandbox.pass_time(Duration::from_secs(DEADLINE - 20));
    assert!(lock_is_there(&client).await);
    sandbox.pass_time(Duration::from_secs(30));
    assert!(!lock_is_there(&client).await);
    let lock = run().lock();
    assert_eq!(
        said(&client, &pod).await,
        format!("NetworkPolicy demo/{lock} was deleted: no proof came before the deadline")
    );
    let job = find(&client, &kinds::job(), &run().switch()).await.unwrap();
    assert_eq!(job["status"]["succeeded"], 1);
}

#[tokio::test]
async fn a_deadline_in_the_past_acts_at_once_by_the_clock_alone() {
    let (_sandbox, client, seen) = source().await;
    put_lock(&client, &peers(&seen)).await;
    for manifest in kubectl_egress::plan::lock::switch_foundation(&run(), &deletion(), &seen.api_server) {
        put(&client, &manifest).await;
    }
    put(
        &client,
        &switch_job(&run(), &deletion(), &seen.api_server, IMAGE, in_seconds(0)),
    )
    .await;
    eventually("the lock goes", async || {
        (!lock_is_there(&client).await).then_some(())
    })
    .await;
}

#[tokio::test]
async fn disarmed_is_a_job_that_is_gone_with_its_pod() {
    let background = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        ..DeleteParams::default()
    };
    for (parameters, lock_stays) in [(background, true), (DeleteParams::default(), false)] {
        let (sandbox, client, seen) = source().await;
        arm(&client, &seen, &deletion(), DEADLINE).await;
        put_lock(&client, &peers(&seen)).await;
        delete(&client, &kinds::job(), &run().switch(), &parameters).await;
        if lock_stays {
            eventually("the pod goes", async || {
                (!list(&client, &kinds::pod()).await.iter().any(is_switch)).then_some(())
            })
            .await;
        }
        sandbox.pass_time(Duration::from_secs(2 * DEADLINE));
        assert_eq!(
            lock_is_there(&client).await,
            lock_stays,
            "a pod that the Job left behind goes on"
        );
    }
}

#[tokio::test]
async fn it_tries_again_until_it_may_and_can() {
    let (sandbox, client, seen) = source().await;
    let pod = arm(&client, &seen, &deletion(), DEADLINE).await;
    put_lock(&client, &peers(&seen)).await;
    let guard = find(&client, &kinds::network_policy(), &run().switch())
        .await
        .unwrap();
    delete(
        &client,
        &kinds::network_policy(),
        &run().switch(),
        &DeleteParams::default(),
    )
    .await;
    sandbox.pass_time(Duration::from_secs(DEADLINE + 5));
    assert!(lock_is_there(&client).await);
    assert!(
        said(&client, &pod)
            .await
            .starts_with("the API server answered 000 about")
    );
    let again = policy(&run().switch(), &guard["spec"]);
    apply(&client, &kinds::network_policy(), "test", &again)
        .await
        .unwrap();
    sandbox.pass_time(Duration::from_secs(1));
    assert!(!lock_is_there(&client).await);
}

#[tokio::test]
async fn a_pod_that_is_replaced_takes_over() {
    let (sandbox, client, seen) = source().await;
    let first = arm(&client, &seen, &deletion(), DEADLINE).await;
    put_lock(&client, &peers(&seen)).await;
    delete(
        &client,
        &kinds::pod(),
        &first,
        &DeleteParams::default().grace_period(0),
    )
    .await;
    let second = switch_pod(&client).await;
    assert_ne!(first, second);
    sandbox.pass_time(Duration::from_secs(DEADLINE + 5));
    assert!(!lock_is_there(&client).await);
}

#[tokio::test]
async fn a_changed_lock_is_put_back_unless_it_is_another_object() {
    for replaced in [false, true] {
        let (sandbox, client, seen) = source().await;
        let before = put_lock(&client, &[]).await;
        let undo = SwitchUndo::Restore {
            lock: run().lock(),
            uid: before["metadata"]["uid"].as_str().unwrap().to_owned(),
            spec: before["spec"].clone(),
        };
        let pod = arm(&client, &seen, &undo, DEADLINE).await;
        let ran = rehearse(&client, &pod).await;
        assert_eq!((&*ran.stdout, ran.exit), ("200\n", Some(0)));
        if replaced {
            delete(
                &client,
                &kinds::network_policy(),
                &run().lock(),
                &DeleteParams::default(),
            )
            .await;
        }
        let changed = put_lock(&client, &peers(&seen)).await;
        assert_ne!(changed["spec"], before["spec"]);
        sandbox.pass_time(Duration::from_secs(DEADLINE + 5));
        let now = find(&client, &kinds::network_policy(), &run().lock())
            .await
            .unwrap();
        let expected: &Value = if replaced {
            &changed["spec"]
        } else {
            &before["spec"]
        };
        assert_eq!(&now["spec"], expected);
        let end = if replaced {
            "left alone"
        } else {
            "put back as it was: no proof came before the deadline"
        };
        assert!(said(&client, &pod).await.ends_with(end));
    }
}

#[tokio::test]
async fn its_account_may_do_nothing_else() {
    let (sandbox, client, seen) = source().await;
    arm(&client, &seen, &deletion(), DEADLINE).await;
    let account = format!("system:serviceaccount:demo:{}", run().switch());
    let mut asked = Vec::new();
    for (verb, group, resource, name) in [
        ("delete", "networking.k8s.io", "networkpolicies", run().lock()),
        ("get", "networking.k8s.io", "networkpolicies", run().canary()),
        ("delete", "networking.k8s.io", "networkpolicies", run().switch()),
        ("list", "networking.k8s.io", "networkpolicies", String::new()),
        ("get", "", "secrets", "any".to_owned()),
    ] {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "namespace": "demo", "verb": verb, "group": group, "resource": resource, "name": name,
            }},
        });
        let request = http::Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
            .header("content-type", "application/json")
            .header("impersonate-user", &account)
            .body(review.to_string().into_bytes())
            .unwrap();
        let answer: Value = client.request(request).await.unwrap();
        asked.push(answer["status"]["allowed"].as_bool().unwrap());
    }
    assert_eq!(asked, [true, true, false, false, false]);
    drop(sandbox);
}
