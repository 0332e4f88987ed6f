//! A followed log loses nothing, repeats nothing, and says when it cannot be sure.

use super::harness::{Act, Client, PATIENCE, Reply, Seen, Server, ok, refusal};
use kubectl_egress::cluster::{LogEvent, LogFollower, LogStart, Notice};
use kubectl_egress::vocabulary::PodName;
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

fn line(seconds: &str, text: &str) -> Vec<u8> {
    format!("2026-11-21T10:00:{seconds}Z {text}\n").into_bytes()
}

fn send(seconds: &str, text: &str) -> Act {
    Act::Send(line(seconds, text))
}

fn follow(client: &Client, from: LogStart) -> LogFollower {
    client.cluster.follow_log(&PodName::new("demo", "a"), "c", from)
}

async fn next(log: &mut LogFollower) -> LogEvent {
    timeout(PATIENCE, log.next())
        .await
        .expect("the follower must not hang")
}

async fn lines(log: &mut LogFollower, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    while found.len() < count {
        match next(log).await {
            LogEvent::Line(text) => found.push(String::from_utf8_lossy(&text).into_owned()),
            LogEvent::Opened => {}
            other => panic!("{other:?} after {found:?}"),
        }
    }
    found
}

/// A running pod, for the question that follows a clean end.
fn running(request: &Seen) -> Option<Reply> {
    (!request.path.contains("/log?")).then(|| ok(&json!({"status": {"phase": "Running"}})))
}

#[tokio::test]
async fn a_cut_in_the_middle_of_a_line_loses_and_repeats_nothing() {
    let server = Server::start(|_, before| {
        Reply::Stream(match before {
            0 => vec![
                send("10.6", "one"),
                send("10.6", "one"),
                Act::Send(b"2026-11-21T10:00:11.2Z tw".to_vec()),
                Act::Break,
            ],
            _ => vec![
                send("09.9", "before us"),
                send("10.6", "one"),
                send("10.6", "one"),
                send("11.2", "two"),
                send("11.3", "three"),
                Act::Hang,
            ],
        })
    })
    .await;
    let client = server.client().await;
    let mut log = follow(&client, LogStart::Now);
    assert_eq!(lines(&mut log, 4).await, ["one", "one", "two", "three"]);
    let requests = server.requests();
    assert!(requests[0].path.contains("tailLines=0") && !requests[0].path.contains("sinceTime"));
    // kube would send 11: it rounds to the nearest second, into the future.
    assert!(
        requests[1].path.contains("sinceTime=2026-11-21T10%3A00%3A09Z"),
        "{}",
        requests[1].path
    );
    assert!(!requests[1].path.contains("tailLines"));
    assert!(client.notices().contains(&Notice::Reconnected {
        what: "log of demo/a".into()
    }));
}

#[tokio::test]
async fn a_clean_end_is_reopened_because_it_is_normal() {
    let server = Server::start(|request, before| {
        running(request).unwrap_or_else(|| {
            Reply::Stream(match before {
                0 => vec![send("10", "one"), Act::Send(b"2026-11-21T10:00:11Z tw".to_vec())],
                _ => vec![send("10", "one"), send("11", "two"), Act::Hang],
            })
        })
    })
    .await;
    let client = server.client().await;
    let mut log = follow(&client, LogStart::Tail(5));
    assert_eq!(lines(&mut log, 2).await, ["one", "two"]);
    assert!(server.requests()[0].path.contains("tailLines=5"));
}

#[tokio::test]
async fn a_log_may_begin_at_an_age() {
    let server = Server::start(|request, _| {
        running(request).unwrap_or_else(|| Reply::Stream(vec![send("10", "one"), Act::Hang]))
    })
    .await;
    let client = server.client().await;
    let mut log = follow(&client, LogStart::Since(Duration::from_secs(90), 7));
    assert_eq!(lines(&mut log, 1).await, ["one"]);
    let path = server.requests()[0].path.clone();
    assert!(
        path.contains("sinceSeconds=90") && path.contains("tailLines=7"),
        "{path}"
    );
}

#[tokio::test]
async fn a_rotated_log_is_a_gap() {
    let server = Server::start(|_, before| {
        Reply::Stream(match before {
            0 => vec![send("10", "one"), Act::Break],
            _ => vec![send("20", "five"), Act::Hang],
        })
    })
    .await;
    let client = server.client().await;
    let mut log = follow(&client, LogStart::Now);
    assert_eq!(lines(&mut log, 1).await, ["one"]);
    assert!(matches!(next(&mut log).await, LogEvent::Gap(why) if why.contains("rotated")));
    assert_eq!(lines(&mut log, 1).await, ["five"]);
}

#[tokio::test]
async fn a_log_that_broke_before_its_first_line_begins_again_at_the_servers_time() {
    let server = Server::start(|_, before| {
        Reply::Stream(match before {
            0 => vec![Act::Send(b"2026-11-21T10:0".to_vec()), Act::Break],
            _ => vec![send("01", "one"), Act::Hang],
        })
    })
    .await;
    let client = server.client().await;
    let mut log = follow(&client, LogStart::Now);
    assert!(matches!(next(&mut log).await, LogEvent::Opened));
    assert!(matches!(next(&mut log).await, LogEvent::Gap(_)));
    assert_eq!(lines(&mut log, 1).await, ["one"]);
    // The Date header of the first answer says 10:00:00; this machine's clock says something else.
    assert!(
        server.requests()[1]
            .path
            .contains("sinceTime=2026-11-21T09%3A59%3A59Z")
    );
}

#[tokio::test]
async fn bytes_that_are_no_text_do_not_end_it_and_long_lines_are_cut() {
    let server = Server::start(|_, _| {
        let mut long = b"2026-11-21T10:00:10Z ".to_vec();
        long.extend(vec![b'x'; 1024 * 1024]);
        long.push(b'\n');
        Reply::Stream(vec![
            Act::Send(b"2026-11-21T10:00:09Z caf\xe9\n".to_vec()),
            Act::Send(long),
            send("11", "after"),
            Act::Hang,
        ])
    })
    .await;
    let client = server.client().await;
    let mut log = follow(&client, LogStart::Now);
    assert!(matches!(next(&mut log).await, LogEvent::Opened));
    assert!(matches!(next(&mut log).await, LogEvent::Line(text) if text == b"caf\xe9"));
    let LogEvent::Line(cut) = next(&mut log).await else {
        panic!("a line")
    };
    assert!(cut.len() <= 256 * 1024 && cut.len() > 200 * 1024, "{}", cut.len());
    assert_eq!(lines(&mut log, 1).await, ["after"]);
}

#[tokio::test]
async fn a_refusal_is_final_and_typed() {
    let server = Server::start(|_, _| {
        refusal(
            403,
            "Forbidden",
            "User \"jane\" cannot get resource \"pods/log\"",
            "a",
        )
    })
    .await;
    let client = server.client().await;
    let mut log = follow(&client, LogStart::Now);
    let LogEvent::Forbidden(error) = next(&mut log).await else {
        panic!("it must fail")
    };
    assert!(error.to_string().contains("jane"), "{error}");
    assert!(error.hints()[0].contains("can-i get pods/log -n demo"));
    assert!(matches!(next(&mut log).await, LogEvent::Ended));
    assert_eq!(server.requests().len(), 1);
}

/// Expired credentials are no missing permission: another fix helps.
#[tokio::test]
async fn only_a_403_is_forbidden() {
    let server = Server::start(|_, _| refusal(401, "Unauthorized", "Unauthorized", "a")).await;
    let client = server.client().await;
    let mut log = follow(&client, LogStart::Now);
    let LogEvent::Failed(error) = next(&mut log).await else {
        panic!("it must fail, and not as forbidden")
    };
    assert!(
        error.to_string().contains("does not accept the credentials"),
        "{error}"
    );
}

#[tokio::test]
async fn it_ends_with_the_pod() {
    let gone = |request: &Seen, before: usize| {
        if before == 0 {
            let rest = b"2026-11-21T10:00:11Z last words".to_vec();
            return Reply::Stream(vec![send("10", "one"), Act::Send(rest)]);
        }
        assert!(!request.path.contains("/log?"));
        refusal(404, "NotFound", "pods \"a\" not found", "a")
    };
    let server = Server::start(gone).await;
    let client = server.client().await;
    let mut log = follow(&client, LogStart::Now);
    assert_eq!(lines(&mut log, 2).await, ["one", "last words"]);
    assert!(matches!(next(&mut log).await, LogEvent::Ended));
}

#[tokio::test]
async fn a_container_that_does_not_run_yet_and_a_server_that_stumbles_are_waited_for() {
    let server = Server::start(|_, before| match before {
        0 => refusal(
            400,
            "BadRequest",
            "container \"c\" in pod \"a\" is waiting to start: ContainerCreating",
            "",
        ),
        1 => refusal(500, "InternalError", "dial tcp: i/o timeout", ""),
        2 => Reply::Cut,
        _ => Reply::Stream(vec![send("10", "one"), Act::Hang]),
    })
    .await;
    let client = server.client().await;
    let mut log = follow(&client, LogStart::Now);
    assert!(matches!(next(&mut log).await, LogEvent::Opened));
    assert_eq!(lines(&mut log, 1).await, ["one"]);
    // Nothing was read before, so nothing may begin in the past.
    assert!(server.requests()[3].path.contains("tailLines=0"));
}

#[tokio::test]
async fn what_the_node_says_instead_of_the_log_is_no_line() {
    let server = Server::start(|_, _| {
        let message = "unable to retrieve container logs for containerd://1\n";
        Reply::Stream(vec![Act::Send(message.into()), Act::Hang])
    })
    .await;
    let client = server.client().await;
    let mut log = follow(&client, LogStart::Now);
    assert!(matches!(next(&mut log).await, LogEvent::Opened));
    assert!(matches!(next(&mut log).await, LogEvent::Gap(why) if why.contains("unable to retrieve")));
}
