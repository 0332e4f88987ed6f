//! Waiting survives what ends kube's `await_condition`, and never takes silence for an answer.

use super::harness::{Act, Client, PATIENCE, Reply, Server, event, ok, refusal};
use kubectl_egress::cluster::Waited;
use kubectl_egress::error::Result;
use kubectl_egress::istio::kinds;
use kubectl_egress::vocabulary::{ExitCode, Object, ObjectReference};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::timeout;

fn reference() -> ObjectReference {
    ObjectReference::namespaced(kinds::config_map(), "demo", "a")
}

fn object(uid: &str, state: &str) -> Value {
    json!({"kind": "ConfigMap", "metadata": {"name": "a", "uid": uid}, "data": {"state": state}})
}

fn state(object: Option<&Object>) -> Waited {
    match object.map(|object| object.text("/data/state")) {
        Some("done") => Waited::Done,
        Some("broken") => Waited::Failed("it is broken".into()),
        Some(other) => Waited::Not(format!("it is {other}")),
        None => Waited::Not("it is absent".into()),
    }
}

/// Waits, and gives the reasons that were told.
async fn wait(client: &Client, deadline: Duration) -> (Result<Object>, Vec<String>) {
    let told = Mutex::new(Vec::new());
    let reference = reference();
    let hear = |why: &str| told.lock().unwrap().push(why.to_owned());
    let waiting = client.cluster.wait(&reference, deadline, &state, &hear);
    let result = timeout(PATIENCE, waiting).await.expect("waiting must not hang");
    (result, told.into_inner().unwrap())
}

#[tokio::test]
async fn errors_and_cuts_do_not_end_it_and_reasons_are_told_once() {
    let server = Server::start(|_, before| match before {
        0 => refusal(500, "InternalError", "etcd leader changed", ""),
        1 => Reply::Stream(vec![
            event("ADDED", &object("1", "young")),
            event("MODIFIED", &object("1", "young")),
            Act::Break,
        ]),
        2 => Reply::Stream(vec![event("ERROR", &json!({"code": 410, "message": "too old"}))]),
        3 => Reply::Cut,
        _ => Reply::Stream(vec![event("ADDED", &object("1", "done")), Act::Hang]),
    })
    .await;
    let client = server.client().await;
    let (result, told) = wait(&client, PATIENCE).await;
    assert_eq!(result.unwrap().text("/data/state"), "done");
    assert_eq!(
        told.iter().filter(|why| *why == "it is young").count(),
        1,
        "{told:?}"
    );
    assert!(told[0].contains("etcd leader changed"), "{told:?}");
    // Watches are not plain requests.
    assert_eq!(client.cluster.request_count(), 0);
    assert!(
        server.requests()[0]
            .path
            .contains("fieldSelector=metadata.name%3Da")
    );
}

#[tokio::test]
async fn an_absent_object_is_asked_for_and_then_awaited() {
    let server = Server::start(|request, _| {
        if request.is_watch() {
            Reply::Stream(vec![
                Act::Pause(Duration::from_millis(600)),
                event("ADDED", &object("1", "done")),
                Act::Hang,
            ])
        } else {
            refusal(404, "NotFound", "not found", "a")
        }
    })
    .await;
    let (result, told) = wait(&server.client().await, PATIENCE).await;
    assert!(result.is_ok());
    assert_eq!(told, ["it is absent"]);
}

#[tokio::test]
async fn the_deadline_holds_and_says_why() {
    let server =
        Server::start(|_, _| Reply::Stream(vec![event("ADDED", &object("1", "young")), Act::Hang])).await;
    let (result, _) = wait(&server.client().await, Duration::from_millis(500)).await;
    let error = result.unwrap_err();
    assert_eq!(error.code(), ExitCode::TimedOut);
    assert!(error.to_string().contains("it is young"), "{error}");
    assert!(error.hints()[0].contains("kubectl describe configmaps a -n demo"));
}

#[tokio::test]
async fn what_will_never_be_ends_it_at_once() {
    let server =
        Server::start(|_, _| Reply::Stream(vec![event("ADDED", &object("1", "broken")), Act::Hang])).await;
    let (result, _) = wait(&server.client().await, PATIENCE).await;
    assert!(result.unwrap_err().to_string().contains("it is broken"));
    let server = Server::start(|_, _| refusal(403, "Forbidden", "cannot watch", "")).await;
    let (result, _) = wait(&server.client().await, PATIENCE).await;
    assert_eq!(result.unwrap_err().code(), ExitCode::Cluster);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn gone_means_this_object_and_not_its_name() {
    let server = Server::start(|request, _| {
        if request.is_watch() {
            Reply::Stream(vec![
                event("ADDED", &object("1", "")),
                event("DELETED", &object("1", "")),
                event("ADDED", &object("2", "")),
                Act::Hang,
            ])
        } else {
            ok(&object("1", ""))
        }
    })
    .await;
    let client = server.client().await;
    let reference = reference();
    let gone = client.cluster.wait_gone(&reference, "1", PATIENCE);
    timeout(PATIENCE, gone).await.unwrap().unwrap();
    // Another one of that name was there from the beginning.
    client.cluster.wait_gone(&reference, "0", PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_deletion_that_nobody_saw_is_noticed() {
    let server = Server::start(|request, before| match (request.is_watch(), before) {
        (false, 0) => ok(&object("1", "")),
        // The watch begins after the deletion: it says nothing at all.
        (true, _) => Reply::Stream(vec![Act::Hang]),
        (false, _) => refusal(404, "NotFound", "not found", "a"),
    })
    .await;
    let client = server.client().await;
    let reference = reference();
    let gone = client.cluster.wait_gone(&reference, "1", PATIENCE);
    timeout(PATIENCE, gone).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_holds_a_deletion_up_is_named() {
    let held = json!({"kind": "ConfigMap", "metadata": {"name": "a", "uid": "1", "deletionTimestamp": "2026-11-21T10:00:00Z",
        "finalizers": ["example.com/hold"]}});
    let server = Server::start(move |request, _| {
        if request.is_watch() {
            // The deletion of an earlier one of that name is not this one's.
            Reply::Stream(vec![
                event("DELETED", &object("0", "")),
                event("ADDED", &held),
                Act::Hang,
            ])
        } else {
            ok(&held)
        }
    })
    .await;
    let client = server.client().await;
    let error = client
        .cluster
        .wait_gone(&reference(), "1", Duration::from_millis(300))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("example.com/hold"), "{error}");
}
