//! kube's retry layer sends any request up to 15 times and obeys any `Retry-After`; ours does neither.

use super::harness::{Reply, Server, ok, refusal, status};
use kubectl_egress::cluster::{ApplyOptions, Cluster, DeleteOptions, Deleted, Notice};
use kubectl_egress::error::Result;
use kubectl_egress::istio::kinds;
use kubectl_egress::vocabulary::{Change, ExitCode, Object, ObjectReference};
use rstest::rstest;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn reference() -> ObjectReference {
    ObjectReference::namespaced(kinds::config_map(), "demo", "a")
}

fn object() -> Object {
    Object(json!({"kind": "ConfigMap", "metadata": {"name": "a", "uid": "1"}}))
}

fn unavailable() -> Reply {
    refusal(503, "ServiceUnavailable", "etcd is away", "")
}

#[tokio::test]
async fn a_question_is_asked_three_times_and_each_retry_is_told() {
    let server = Server::start(|_, before| {
        if before < 2 {
            unavailable()
        } else {
            ok(&object().0)
        }
    })
    .await;
    let client = server.client().await;
    assert!(client.cluster.get(&reference()).await.unwrap().is_some());
    assert_eq!(server.requests().len(), 3);
    assert_eq!(client.retries(), 2);
    assert_eq!(client.cluster.request_count(), 3);
}

#[tokio::test]
async fn a_fourth_time_it_is_not_asked() {
    let server = Server::start(|_, _| unavailable()).await;
    let client = server.client().await;
    let error = client.cluster.get(&reference()).await.unwrap_err();
    assert_eq!(server.requests().len(), 3);
    assert_eq!(error.code(), ExitCode::Cluster);
    assert!(error.to_string().contains("etcd is away"), "{error}");
}

#[tokio::test]
async fn an_hour_of_retry_after_is_not_waited_for() {
    let server =
        Server::start(|_, _| Reply::Whole(429, vec![("retry-after", "3600".into())], b"slow down".to_vec()))
            .await;
    let client = server.client().await;
    let begun = Instant::now();
    client.cluster.get(&reference()).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(client.retries() >= 1);
}

#[rstest]
#[case::refused(false)]
#[case::cut(true)]
#[tokio::test]
async fn what_must_not_happen_twice_is_sent_once(#[case] cut: bool) {
    let server = Server::start(move |_, _| if cut { Reply::Cut } else { unavailable() }).await;
    let client = server.client().await;
    let cluster = &client.cluster;
    let (reference, object) = (reference(), object());
    let unconditional = DeleteOptions::default();
    let results: [Result<()>; 5] = [
        cluster.create(&reference, &object, false).await.map(drop),
        cluster.replace(&reference, &object).await.map(drop),
        cluster
            .merge_patch(&reference, &json!({}), "m", false)
            .await
            .map(drop),
        cluster.json_patch(&reference, &json!([]), "m").await.map(drop),
        cluster.delete(&reference, &unconditional).await.map(drop),
    ];
    assert!(results.iter().all(Result::is_err));
    assert_eq!(server.requests().len(), 5);
    assert_eq!(client.retries(), 0);
}

#[tokio::test]
async fn a_connection_that_breaks_is_survived_where_that_is_safe() {
    let server = Server::start(|_, before| match before {
        0 => Reply::Cut,
        1 => Reply::Torn(b"{\"metadata\":".to_vec()),
        _ => ok(&object().0),
    })
    .await;
    let client = server.client().await;
    assert_eq!(
        client.cluster.get(&reference()).await.unwrap().unwrap().uid(),
        "1"
    );
    assert_eq!(client.retries(), 2);
}

#[tokio::test]
async fn a_deletion_of_one_uid_is_repeated() {
    let server = Server::start(|_, before| match before {
        0 => Reply::Cut,
        _ => ok(&json!({"kind": "Status", "status": "Success", "details": {"uid": "1"}})),
    })
    .await;
    let client = server.client().await;
    let options = DeleteOptions {
        uid: Some("1".into()),
        ..DeleteOptions::default()
    };
    assert_eq!(
        client.cluster.delete(&reference(), &options).await.unwrap(),
        Deleted::Gone
    );
    assert_eq!(server.requests()[1].json()["preconditions"]["uid"], "1");
}

#[tokio::test]
async fn an_apply_is_repeated_and_the_lost_creation_is_not_taken_for_a_change() {
    let time = "2026-11-21T10:00:00Z";
    let created = json!({"kind": "ConfigMap", "metadata": {"name": "a", "creationTimestamp": time,
        "managedFields": [{"manager": "kubectl-egress", "operation": "Apply", "time": time}]}});
    let server = Server::start(move |_, before| if before == 0 { Reply::Cut } else { ok(&created) }).await;
    let client = server.client().await;
    let options = ApplyOptions::new(&reference(), "kubectl-egress");
    let applied = client.cluster.apply(&object(), &options).await.unwrap();
    assert_eq!(applied.change, Change::Created);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn refusals_that_will_not_change_are_not_repeated() {
    for code in [400, 403, 404, 409, 410, 422, 500] {
        let server = Server::start(move |_, _| refusal(code, "", "no", "a")).await;
        let client = server.client().await;
        // 404 is an answer, the others are errors; neither is asked for again.
        let _ = client.cluster.get(&reference()).await;
        assert_eq!(server.requests().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn in_process_services_get_the_same_treatment() {
    let (observer, notices) = super::harness::observer();
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&asked);
    let service = tower::service_fn(move |_: http::Request<kube::client::Body>| {
        let before = counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move {
            let code = if before == 0 { 503 } else { 200 };
            let body = http_body_util::Full::new(bytes::Bytes::from(object().0.to_string()));
            http::Response::builder().status(code).body(body)
        }
    });
    let cluster = kubectl_egress::cluster::Cluster::over_service(service, "demo", "sandbox", observer);
    assert!(cluster.get(&reference()).await.unwrap().is_some());
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 2);
    let notices = notices.lock().unwrap();
    let retried = notices
        .iter()
        .filter(|notice| matches!(notice, Notice::Retrying { .. }));
    assert_eq!(retried.count(), 1);
    let answers: Vec<&str> = notices
        .iter()
        .filter_map(|notice| match notice {
            Notice::Requested { answer, .. } => Some(answer.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(answers, ["503", "200"]);
    assert_eq!(
        (cluster.context(), cluster.default_namespace()),
        ("sandbox", "demo")
    );
}

/// A client of a server that answers or not, by a clock that costs nothing while it waits.
fn server_that_comes_and_goes(is_there: Arc<AtomicBool>) -> (Cluster, Arc<std::sync::Mutex<Vec<Notice>>>) {
    let (observer, notices) = super::harness::observer();
    let service = tower::service_fn(move |_: http::Request<kube::client::Body>| {
        let is_there = is_there.load(Ordering::SeqCst);
        async move {
            if !is_there {
                return Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
            }
            let body = http_body_util::Full::new(bytes::Bytes::from(object().0.to_string()));
            Ok(http::Response::new(body))
        }
    });
    let cluster = Cluster::over_service(service, "demo", "sandbox", observer);
    (cluster, notices)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_answered_may_be_away_for_some_seconds() {
    let is_there = Arc::new(AtomicBool::new(true));
    let (cluster, notices) = server_that_comes_and_goes(Arc::clone(&is_there));
    cluster.get(&reference()).await.unwrap();
    is_there.store(false, Ordering::SeqCst);
    let back = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        is_there.store(true, Ordering::SeqCst);
    });
    let reference = reference();
    let (first, second) = tokio::join!(cluster.get(&reference), cluster.get(&reference));
    assert!(first.unwrap().is_some() && second.unwrap().is_some());
    back.await.unwrap();
    // Told once, not for each request.
    let notices = notices.lock().unwrap();
    let away = notices
        .iter()
        .filter(|notice| matches!(notice, Notice::Away { .. }));
    assert_eq!(away.count(), 1);
}

#[tokio::test]
async fn a_server_that_is_back_may_have_internal_errors_for_a_moment() {
    let full = || {
        refusal(
            500,
            "InternalError",
            "failed to allocate a serviceIP: range is full",
            "",
        )
    };
    let server = Server::start(move |_, before| match before {
        1 => Reply::Cut,
        2 | 3 => full(),
        _ => ok(&object().0),
    })
    .await;
    let cluster = server.client().await.cluster;
    cluster.get(&reference()).await.unwrap();
    cluster.get(&reference()).await.unwrap();
    assert_eq!(server.requests().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stays_away_is_given_up_once_and_not_for_each_request() {
    let is_there = Arc::new(AtomicBool::new(true));
    let (cluster, _) = server_that_comes_and_goes(Arc::clone(&is_there));
    cluster.get(&reference()).await.unwrap();
    is_there.store(false, Ordering::SeqCst);
    let begun = tokio::time::Instant::now();
    let error = cluster.get(&reference()).await.unwrap_err();
    assert_eq!(error.code(), ExitCode::Cluster);
    let long = begun.elapsed();
    assert!(
        long > Duration::from_secs(14) && long < Duration::from_secs(20),
        "{long:?}"
    );
    let begun = tokio::time::Instant::now();
    cluster.get(&reference()).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    // Back, and missed anew.
    is_there.store(true, Ordering::SeqCst);
    cluster.get(&reference()).await.unwrap();
    is_there.store(false, Ordering::SeqCst);
    let begun = tokio::time::Instant::now();
    cluster.get(&reference()).await.unwrap_err();
    assert!(begun.elapsed() > Duration::from_secs(14), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answered_is_not_waited_for() {
    let (cluster, notices) = server_that_comes_and_goes(Arc::default());
    let begun = tokio::time::Instant::now();
    cluster.get(&reference()).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let notices = notices.lock().unwrap();
    assert!(!notices.iter().any(|notice| matches!(notice, Notice::Away { .. })));
}

#[tokio::test]
async fn a_review_is_a_question_although_it_is_a_post() {
    let server = Server::start(|_, before| match before {
        0 => unavailable(),
        _ => status(201, &json!({"status": {"allowed": true}})),
    })
    .await;
    let client = server.client().await;
    assert!(
        client
            .cluster
            .may("create", "", "pods/exec", Some("demo"))
            .await
            .unwrap()
    );
    let asked = server.requests()[1].json()["spec"]["resourceAttributes"].clone();
    assert_eq!(
        (
            asked["resource"].as_str(),
            asked["subresource"].as_str(),
            asked["verb"].as_str()
        ),
        (Some("pods"), Some("exec"), Some("create"))
    );
}
