//! The live set of pods stays true through cuts and forgotten versions.

use super::harness::{Act, PATIENCE, Reply, Server, event, ok, refusal};
use kubectl_egress::cluster::PodChange;
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

fn pod(name: &str, version: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "demo", "uid": name, "resourceVersion": version}})
}

fn list(version: &str, pods: &[Value]) -> Reply {
    ok(&json!({"kind": "PodList", "metadata": {"resourceVersion": version}, "items": pods}))
}

async fn told(changes: &mut Receiver<PodChange>, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    while found.len() < count {
        let change = timeout(PATIENCE, changes.recv()).await.unwrap().unwrap();
        found.push(match change {
            PodChange::Present(pod) => format!("+{}", pod.name()),
            PodChange::Gone(pod) => format!("-{}", pod.name()),
            PodChange::Synced => "synced".to_owned(),
            PodChange::Failed(error) => format!("failed: {error}"),
        });
    }
    found
}

#[tokio::test]
async fn what_vanished_while_nobody_watched_is_gone() {
    let server = Server::start(|request, before| match before {
        0 => list("5", &[pod("a", "1"), pod("b", "2")]),
        1 => {
            assert!(request.path.contains("resourceVersion=5"));
            Reply::Stream(vec![
                event("ADDED", &pod("c", "6")),
                event("MODIFIED", &pod("a", "7")),
                Act::Break,
            ])
        }
        2 => {
            assert!(request.path.contains("resourceVersion=7"));
            Reply::Stream(vec![event("ERROR", &json!({"code": 410, "message": "too old"}))])
        }
        3 => list("9", &[pod("a", "7"), pod("d", "8")]),
        _ => Reply::Stream(vec![event("DELETED", &pod("a", "10")), Act::Hang]),
    })
    .await;
    let client = server.client().await;
    let mut changes = client.cluster.watch_pods("demo", "app=x");
    assert_eq!(told(&mut changes, 5).await, ["+a", "+b", "synced", "+c", "+a"]);
    let mut relisted = told(&mut changes, 5).await;
    relisted[..2].sort();
    assert_eq!(relisted, ["-b", "-c", "+d", "synced", "-a"]);
}

#[tokio::test]
async fn a_refusal_is_told_and_final() {
    let server = Server::start(|_, _| refusal(403, "Forbidden", "jane cannot list pods", "")).await;
    let client = server.client().await;
    let mut changes = client.cluster.watch_pods("demo", "app=x");
    assert!(told(&mut changes, 1).await[0].contains("jane cannot list pods"));
    assert!(changes.recv().await.is_none());
}
