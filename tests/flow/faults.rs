//! A failure of every single API request in turn: a clean error or success; a second run converges; cleaning up leaves
//! nothing behind.

use crate::support::{clean_up, client, differences, dump, sandbox, set_up, settings};
use futures::stream::{self, StreamExt};
use kubectl_egress::cluster::{ApplyOptions, DeleteOptions};
use kubectl_egress::istio::kinds;
use kubectl_egress::sandbox::{Fault, FaultKind};
use kubectl_egress::vocabulary::{ExitCode, Object, ObjectReference};
use serde_json::json;

async fn requests_of_a_set_up() -> usize {
    let sandbox = sandbox();
    set_up(&client(&sandbox), settings(&["kyma-project.io"]))
        .await
        .unwrap();
    sandbox.requests().len()
}

fn fault(kind: &FaultKind, nth: usize) -> Fault {
    Fault::new("", kind.clone()).nth(u32::try_from(nth).unwrap())
}

/// Checks that an error says something to a user: a known exit code, no dump.
fn is_clean(error: &kubectl_egress::error::Error) {
    assert!(
        matches!(
            error.code(),
            ExitCode::Cluster | ExitCode::TimedOut | ExitCode::Consent
        ),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        !text.contains("Some(") && !text.contains("Error {") && !text.contains("Status {"),
        "{text}"
    );
}

async fn survives(kind: FaultKind, nth: usize) {
    let sandbox = sandbox();
    let before = dump(&sandbox);
    let cluster = client(&sandbox);
    sandbox.inject(fault(&kind, nth));
    if let Err(error) = set_up(&cluster, settings(&["kyma-project.io"])).await {
        is_clean(&error);
    }
    // How often is asked depends on what has happened by then: a fault that was not met is not meant for the second run.
    sandbox.mend();
    set_up(&cluster, settings(&["kyma-project.io"]))
        .await
        .unwrap_or_else(|error| panic!("{kind:?} at request {nth}: the second run: {error}"));
    let kept = clean_up(&cluster)
        .await
        .unwrap_or_else(|error| panic!("{kind:?} at request {nth}: cleaning up: {error}"));
    assert_eq!(kept, Vec::<String>::new(), "{kind:?} at request {nth}");
    assert_eq!(
        differences(&before, &dump(&sandbox)),
        Vec::<String>::new(),
        "{kind:?} at request {nth}"
    );
}

async fn survives_at_every_request(kind: FaultKind) {
    let requests = requests_of_a_set_up().await;
    assert!(requests > 20, "{requests}");
    stream::iter(1..=requests)
        .for_each_concurrent(8, |nth| survives(kind.clone(), nth))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_up_survives_500_at_every_request() {
    survives_at_every_request(FaultKind::Status(500, None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_up_survives_429_at_every_request() {
    survives_at_every_request(FaultKind::Status(429, Some(0))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_up_survives_a_cut_at_every_request() {
    survives_at_every_request(FaultKind::Cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_up_survives_a_lost_answer_at_every_request() {
    survives_at_every_request(FaultKind::CutAfterWork).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cleaning_up_survives_a_failure_of_every_request() {
    let requests = {
        let sandbox = sandbox();
        let cluster = client(&sandbox);
        set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
        let before = sandbox.requests().len();
        clean_up(&cluster).await.unwrap();
        sandbox.requests().len() - before
    };
    for kind in [FaultKind::Status(500, None), FaultKind::CutAfterWork] {
        stream::iter(1..=requests)
            .for_each_concurrent(8, |nth| {
                let kind = kind.clone();
                async move {
                    let sandbox = sandbox();
                    let before = dump(&sandbox);
                    let cluster = client(&sandbox);
                    set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
                    sandbox.inject(fault(&kind, nth));
                    if let Err(error) = clean_up(&cluster).await {
                        is_clean(&error);
                        sandbox.mend();
                        clean_up(&cluster)
                            .await
                            .unwrap_or_else(|error| panic!("{kind:?} at request {nth}: again: {error}"));
                    }
                    assert_eq!(
                        differences(&before, &dump(&sandbox)),
                        Vec::<String>::new(),
                        "{kind:?} at request {nth}"
                    );
                }
            })
            .await;
    }
}

/// A captive portal, or a proxy that is not meant for the API, answers with 200 whatever it is asked.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_about_something_else_is_no_success() {
    let sandbox = sandbox();
    let cluster = client(&sandbox);
    let reference = ObjectReference::namespaced(kinds::config_map(), "istio-system", "ours");
    let object = Object(json!({"data": {"a": "b"}}));
    for body in [
        "[{\"kind\": 7}]",
        "{}",
        "{\"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"another\"}}",
    ] {
        let answer = || Fault::new("", FaultKind::Reply(200, body.to_owned())).method("PATCH");
        sandbox.inject(answer());
        let applied = cluster
            .apply(&object, &ApplyOptions::new(&reference, "kubectl-egress"))
            .await;
        is_clean(&applied.unwrap_err());
        sandbox.inject(answer().method("GET"));
        is_clean(&cluster.get(&reference).await.unwrap_err());
        sandbox.inject(answer().method("GET"));
        is_clean(&cluster.list(&kinds::config_map(), None, None).await.unwrap_err());
    }
    sandbox.inject(Fault::new("", FaultKind::Reply(200, "[]".to_owned())).method("DELETE"));
    is_clean(
        &cluster
            .delete(&reference, &DeleteOptions::default())
            .await
            .unwrap_err(),
    );
}
