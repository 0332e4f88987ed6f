//! Nothing waits for ever, and no stream is cut by a deadline that is meant for answers.

use super::harness::{Act, PATIENCE, Reply, Server, ok};
use kubectl_egress::cluster::{ConnectionSettings, LogEvent, LogStart};
use kubectl_egress::istio::kinds;
use kubectl_egress::vocabulary::{ExitCode, ObjectReference, PodName};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::time::timeout;

const SHORT: Duration = Duration::from_millis(300);

fn reference() -> ObjectReference {
    ObjectReference::namespaced(kinds::config_map(), "demo", "a")
}

fn hasty() -> ConnectionSettings {
    ConnectionSettings {
        request_timeout: Some(SHORT),
        ..ConnectionSettings::default()
    }
}

#[tokio::test]
async fn an_answer_that_never_comes_is_a_timeout_that_names_server_and_context() {
    let server = Server::start(|_, _| Reply::Hang).await;
    let client = server.client_with(hasty()).await;
    let begun = Instant::now();
    let error = client.cluster.get(&reference()).await.unwrap_err();
    assert!(begun.elapsed() < PATIENCE);
    assert_eq!(error.code(), ExitCode::TimedOut);
    assert!(
        error.message().contains(&format!("127.0.0.1:{}", server.port)),
        "{error}"
    );
    assert!(error.message().contains("context"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_body_that_stops_coming_is_a_timeout() {
    let server = Server::start(|_, _| Reply::Stream(vec![Act::Send(b"{".to_vec()), Act::Hang])).await;
    let client = server.client_with(hasty()).await;
    let error = timeout(PATIENCE, client.cluster.get(&reference()))
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.code(), ExitCode::TimedOut);
}

#[tokio::test]
async fn a_slow_body_is_read_to_its_end() {
    let server = Server::start(|_, _| {
        let mut acts = Vec::new();
        for part in [
            "{\"kind\":\"ConfigMap\",",
            "\"metadata\":{\"name\":\"a\"",
            ",\"uid\"",
            ":\"1\"}",
            "}",
        ] {
            acts.push(Act::Send(part.into()));
            acts.push(Act::Pause(SHORT / 2));
        }
        Reply::Stream(acts)
    })
    .await;
    let client = server.client_with(hasty()).await;
    assert_eq!(
        client.cluster.get(&reference()).await.unwrap().unwrap().uid(),
        "1"
    );
}

#[tokio::test]
async fn a_log_is_not_cut_by_the_request_timeout() {
    let server = Server::start(|_, _| {
        Reply::Stream(vec![
            Act::Pause(SHORT * 4),
            Act::Send(b"2026-11-21T10:00:00Z still here\n".to_vec()),
            Act::Hang,
        ])
    })
    .await;
    let client = server.client_with(hasty()).await;
    let mut log = client
        .cluster
        .follow_log(&PodName::new("demo", "a"), "c", LogStart::Now);
    assert!(matches!(log.next().await, LogEvent::Opened));
    let line = timeout(PATIENCE, log.next()).await.unwrap();
    assert!(matches!(line, LogEvent::Line(text) if text == b"still here"));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn at_most_eight_requests_are_in_flight_and_streams_do_not_count() {
    let server = Server::start(|request, _| {
        if request.path.contains("/log?") {
            return Reply::Stream(vec![Act::Hang]);
        }
        Reply::Late(Duration::from_millis(50), Box::new(ok(&json!({}))))
    })
    .await;
    let client = server.client().await;
    let mut followers = Vec::new();
    for number in 0..12 {
        let pod = PodName::new("demo", format!("a{number}"));
        let mut log = client.cluster.follow_log(&pod, "c", LogStart::Now);
        assert!(matches!(log.next().await, LogEvent::Opened));
        followers.push(log);
    }
    let reference = reference();
    let all = (0..40).map(|_| client.cluster.get(&reference));
    timeout(PATIENCE, futures::future::join_all(all)).await.unwrap();
    let most = server.most_at_once();
    assert!((4..=8).contains(&most), "{most}");
    assert_eq!(client.cluster.request_count(), 40);
}

#[tokio::test]
async fn a_dropped_follower_closes_its_connection() {
    let server = Server::start(|_, _| Reply::Stream(vec![Act::Hang])).await;
    let client = server.client().await;
    let mut log = client
        .cluster
        .follow_log(&PodName::new("demo", "a"), "c", LogStart::Now);
    assert!(matches!(log.next().await, LogEvent::Opened));
    assert_eq!(server.open_connections(), 1);
    drop(log);
    let closed = async {
        while server.open_connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, closed).await.unwrap();
}
