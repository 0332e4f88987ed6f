//! An exec without a status is never a success, and never a hang.

use super::harness::{Act, Client, PATIENCE, Reply, Server, refusal};
use kubectl_egress::cluster::{ConnectionSettings, ExecEnd, ExecOutput};
use kubectl_egress::error::Result;
use kubectl_egress::vocabulary::{ExitCode, PodName};
use std::time::Duration;
use tokio::time::timeout;

const V5: &str = "v5.channel.k8s.io";
const SUCCESS: &[u8] = b"\x03{\"status\":\"Success\"}";

async fn run(client: &Client, deadline: Duration) -> Result<ExecOutput> {
    let command = ["curl".to_owned(), "https://a b/?x=1&y".to_owned()];
    let pod = PodName::new("demo", "source");
    let running = client.cluster.exec(&pod, Some("curl"), &command, deadline);
    timeout(PATIENCE, running).await.expect("exec must not hang")
}

async fn session(acts: fn() -> Vec<Act>) -> ExecOutput {
    let server = Server::start(move |_, _| Reply::Socket(V5, acts())).await;
    run(&server.client().await, Duration::from_secs(10))
        .await
        .unwrap()
}

fn frame(channel: u8, data: &[u8]) -> Act {
    let mut frame = vec![channel];
    frame.extend(data);
    Act::Send(frame)
}

#[tokio::test]
async fn output_error_and_exit_code_arrive_apart() {
    let server = Server::start(|_, _| {
        Reply::Socket(
            V5,
            vec![
                frame(1, b""),
                frame(1, b"out\xff"),
                frame(2, b"err"),
                frame(1, b"put"),
                frame(
                    3,
                    br#"{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"35"}]}}"#,
                ),
            ],
        )
    })
    .await;
    let output = run(&server.client().await, PATIENCE).await.unwrap();
    assert_eq!(output.stdout, b"out\xffput");
    assert_eq!(output.stderr, b"err");
    assert_eq!(output.end, ExecEnd::Exited(35));
    let request = &server.requests()[0];
    assert_eq!(
        request.path,
        "/api/v1/namespaces/demo/pods/source/exec?stdout=true&stderr=true&container=curl&command=curl&command=https%3A%2F%2Fa%20b%2F%3Fx%3D1%26y"
    );
}

#[tokio::test]
async fn a_clean_close_without_a_status_is_a_lost_session() {
    let output = session(|| vec![frame(1, b"200")]).await;
    assert_eq!(output.stdout, b"200");
    assert!(matches!(output.end, ExecEnd::Lost(_)), "{:?}", output.end);
}

#[tokio::test]
async fn a_cut_connection_is_a_lost_session_and_does_not_hang() {
    let output = session(|| vec![frame(1, b"200"), Act::Break]).await;
    assert_eq!(output.stdout, b"200");
    assert!(matches!(output.end, ExecEnd::Lost(_)), "{:?}", output.end);
}

#[tokio::test]
async fn a_silent_session_ends_at_the_deadline_with_what_was_said() {
    let server = Server::start(|_, _| Reply::Socket(V5, vec![frame(1, b"part"), Act::Hang])).await;
    let output = run(&server.client().await, Duration::from_millis(400))
        .await
        .unwrap();
    assert_eq!(output.stdout, b"part");
    assert!(matches!(output.end, ExecEnd::Lost(why) if why.contains("0.4 s")));
}

#[tokio::test]
async fn a_server_that_never_agrees_does_not_hang_it() {
    let server = Server::start(|_, _| Reply::Hang).await;
    let output = run(&server.client().await, Duration::from_millis(300))
        .await
        .unwrap();
    assert!(matches!(output.end, ExecEnd::Lost(_)));
    // With a longer deadline than the request timeout it is the server that is late.
    let hasty = ConnectionSettings {
        request_timeout: Some(Duration::from_millis(200)),
        ..ConnectionSettings::default()
    };
    let error = run(&server.client_with(hasty).await, PATIENCE).await.unwrap_err();
    assert_eq!(error.code(), ExitCode::TimedOut);
}

#[tokio::test]
async fn output_beyond_any_buffer_does_not_deadlock() {
    let output = session(|| {
        let mut acts: Vec<Act> = (0..256).map(|_| frame(1, &vec![b'x'; 32 * 1024])).collect();
        acts.push(Act::Send(SUCCESS.to_vec()));
        acts
    })
    .await;
    assert_eq!(output.stdout.len(), 256 * 32 * 1024);
    assert_eq!(output.end, ExecEnd::Exited(0));
}

#[tokio::test]
async fn the_older_protocol_is_spoken_too() {
    let server =
        Server::start(|_, _| Reply::Socket("v4.channel.k8s.io", vec![Act::Send(SUCCESS.to_vec())])).await;
    let output = run(&server.client().await, PATIENCE).await.unwrap();
    assert_eq!(output.end, ExecEnd::Exited(0));
}

#[tokio::test]
async fn a_refusal_is_typed_and_names_the_permission() {
    let server = Server::start(|_, _| {
        refusal(
            403,
            "Forbidden",
            "pods \"source\" is forbidden: User \"jane\" cannot create resource \"pods/exec\"",
            "source",
        )
    })
    .await;
    let error = run(&server.client().await, PATIENCE).await.unwrap_err();
    assert_eq!(error.code(), ExitCode::Cluster);
    assert!(error.to_string().contains("jane"), "{error}");
    assert!(
        error.hints()[0].contains("auth can-i create pods/exec -n demo"),
        "{:?}",
        error.hints()
    );
    assert!(!error.to_string().contains("Status {"), "{error}");
}

#[tokio::test]
async fn a_command_is_never_sent_twice() {
    for reply in [|| refusal(503, "", "away", ""), || Reply::Cut] {
        let server = Server::start(move |_, _| reply()).await;
        run(&server.client().await, PATIENCE).await.unwrap_err();
        assert_eq!(server.requests().len(), 1);
    }
}
