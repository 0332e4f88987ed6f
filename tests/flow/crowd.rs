//! A cluster full of other people's pods: what is asked for does not grow with them.

use crate::support::{client, sandbox, set_up, settings, verify_quickly};
use kubectl_egress::vocabulary::Verdict;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const PODS: usize = 2_000;

#[tokio::test]
async fn a_set_up_and_its_proof_ask_for_nothing_of_others() {
    let alone = asked(0).await;
    let among_others = asked(PODS).await;
    assert_eq!(alone, among_others);
    let lists_all_pods = |request: &&String| request.starts_with("GET /api/v1/pods");
    assert_eq!(among_others.iter().find(lists_all_pods), None);
}

/// What a set-up and a `verify` ask for that is no stream, each once.
async fn asked(pods: usize) -> BTreeSet<String> {
    let sandbox = sandbox();
    sandbox.populate((0..pods).map(pod)).unwrap();
    let cluster = client(&sandbox);
    set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
    let verification = verify_quickly(&cluster).await;
    assert_eq!(verification.verdict, Verdict::Proven);
    let requests = sandbox.requests().into_iter();
    let plain = requests.filter(|request| request.stream.is_none());
    plain
        .map(|request| format!("{} {}", request.method, request.path))
        .collect()
}

fn pod(number: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("pod-{number}"), "namespace": format!("team-{}", number % 20)},
        "spec": {"containers": [{"name": "application", "image": "registry.example.com/application:1"}]},
        "status": {
            "phase": "Running", "podIP": format!("10.128.{}.{}", number / 250, number % 250 + 1),
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}
