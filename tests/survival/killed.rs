//! The program is killed, or told to end, while its n-th request waits for an answer: the same command then converges,
//! a lock that nothing proved is taken back by its switch, and `cleanup` leaves everything as it was.

#![cfg(target_os = "linux")]

use crate::dump::differences;
use crate::place::{foreign, plain};
use crate::sweep::with_room;
use futures::stream::{self, StreamExt};
use kubectl_egress::sandbox::{Fault, FaultKind, Sandbox, SandboxSettings};
use serde_json::json;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// What is planted in the kubeconfig: it never shows.
const TOKEN: &str = "a-token-that-nobody-may-see";

const SETUP: &str = "setup kyma-project.io -n demo";
const LOCK: &str = "lockdown -n demo";
const CLEANUP: &str = "cleanup -n demo --verify";

/// A command, what runs before it, and how it is ended: by one signal, or one after the other.
type Ending = (&'static [&'static str], &'static str, &'static [&'static str]);

/// How many cases are tried at once: they wait more than they work.
const AT_ONCE: usize = 4;

const SIGNALS: [&[&str]; 5] = [&["KILL"], &["TERM"], &["INT"], &["INT", "INT"], &["HUP"]];

const SCENARIOS: [(&[&str], &str); 9] = [
    (&[], SETUP),
    (&[], "setup kyma-project.io -n demo --atomic"),
    (&[SETUP], "setup istio.io -n demo"),
    (&[SETUP], LOCK),
    (&[SETUP, LOCK], "lockdown -n demo --in-cluster allow"),
    (&[SETUP, LOCK], "unlock -n demo"),
    (&[SETUP, LOCK], "verify -n demo --bypass"),
    (&[SETUP], "learn -n demo --for 1s"),
    (&[SETUP, LOCK], CLEANUP),
];

/// A sandbox that is served until this is dropped. Needs a runtime with more than one thread.
pub(crate) struct Served {
    pub(crate) sandbox: Sandbox,
    kubeconfig: tempfile::NamedTempFile,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Served {
    pub(crate) async fn new() -> Self {
        let sandbox = Sandbox::new(SandboxSettings {
            pod_start: Duration::from_millis(10),
            pod_stop: Duration::from_millis(5),
            ..SandboxSettings::default()
        });
        for object in foreign() {
            sandbox.put(&object).unwrap();
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let kubeconfig = tempfile::NamedTempFile::new().unwrap();
        let content = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "sandbox",
            "clusters": [{"name": "sandbox", "cluster": {"server": address}}],
            "users": [{"name": "sandbox", "user": {"token": TOKEN}}],
            "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": "sandbox"}}],
        });
        std::fs::write(kubeconfig.path(), content.to_string()).unwrap();
        let serving = sandbox.clone();
        let server = tokio::spawn(async move { serving.serve(listener).await.unwrap() });
        Self {
            sandbox,
            kubeconfig,
            server,
        }
    }

    /// What is typed, and how the sandbox is reached without a question.
    pub(crate) fn arguments(&self, typed: &str) -> Vec<String> {
        let (ours, theirs) = typed.split_once(" -- ").unwrap_or((typed, ""));
        let mut arguments: Vec<String> = ours.split_whitespace().map(str::to_owned).collect();
        arguments.extend(["--yes", "-vv", "--kubeconfig"].map(str::to_owned));
        arguments.push(self.kubeconfig.path().display().to_string());
        if !theirs.is_empty() {
            arguments.extend(["--", theirs].map(str::to_owned));
        }
        arguments
    }

    fn spawn(&self, typed: &str) -> Child {
        // Whoever runs the tests may have SIGHUP ignored (`nohup`), which is passed on.
        Command::new("env")
            .args(["--default-signal=HUP", env!("CARGO_BIN_EXE_kubectl-egress")])
            .args(self.arguments(typed))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs a command to its end: how it ended, and everything that it said.
    async fn run(&self, typed: &str) -> (ExitStatus, String) {
        told(self.spawn(typed)).await
    }

    /// Runs what comes before; each is to succeed.
    pub(crate) async fn prepare(&self, before: &[&str]) {
        for typed in before {
            let (status, text) = self.run(typed).await;
            assert!(status.success(), "{typed}: {text}");
        }
    }
}

async fn told(child: Child) -> (ExitStatus, String) {
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let output = ended.await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status, String::from_utf8(text).unwrap())
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(child.id().to_string())
        .status();
    assert!(sent.unwrap().success());
}

/// How a command goes that nothing disturbs.
struct Usual {
    requests: usize,
    /// Exit code of the first run, and of the second.
    codes: [Option<i32>; 2],
}

async fn usual((before, command): (&[&str], &str)) -> Usual {
    let served = Served::new().await;
    served.prepare(before).await;
    let from = served.sandbox.requests().len();
    let (first, text) = served.run(command).await;
    let requests = served.sandbox.requests().len() - from;
    // It may find out something, or that nothing can be; but it does not fail.
    assert!(
        matches!(first.code(), Some(0 | 1 | 3)),
        "{command}: {first}: {text}"
    );
    let (second, _) = served.run(command).await;
    Usual {
        requests,
        codes: [first.code(), second.code()],
    }
}

fn is_locked(sandbox: &Sandbox) -> bool {
    plain(sandbox).iter().any(|(name, policy)| {
        name.starts_with("NetworkPolicy demo/kubectl-egress-lock")
            && policy["spec"]["podSelector"] == json!({})
    })
}

/// Ends the command at its n-th request; everything that is wrong then.
async fn wrong((before, command, signals): Ending, usual: &Usual, nth: usize) -> Vec<String> {
    let served = Served::new().await;
    let clean = plain(&served.sandbox);
    served.prepare(before).await;
    let sandbox = &served.sandbox;
    let from = sandbox.requests().len();
    sandbox.inject(Fault::new("", FaultKind::Hang).nth(u32::try_from(nth).unwrap()));
    let mut child = served.spawn(command);
    while sandbox.requests().len() < from + nth && child.try_wait().unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for name in signals {
        // One that has ended already, by the first signal, cannot be told again.
        if child.try_wait().unwrap().is_none() {
            signal(&child, name);
        }
    }
    let (status, text) = told(child).await;
    let mut wrong = Vec::new();
    if text.contains(TOKEN) {
        wrong.push("the token is shown".to_owned());
    }
    let expected = match signals[0] {
        "KILL" => status.code().is_none() || status.code() == usual.codes[0],
        // A window that is ended early may have heard nothing.
        _ if command.starts_with("learn") => matches!(status.code(), Some(0 | 3 | 130)),
        _ => status.code() == Some(130) || status.code() == usual.codes[0],
    };
    if !expected {
        wrong.push(format!("it ended with {status}: {text}"));
    }
    sandbox.mend();
    // The switch goes when the lock is proven, so that one stays; who is told to end takes it back all the same.
    let is_proven = signals[0] == "KILL"
        && sandbox.requests()[from..]
            .iter()
            .any(|request| request.method == "DELETE" && request.path.contains("/jobs/"));
    let may_be_locked = status.success() || is_proven || before.contains(&LOCK);
    if nth % 2 == 1 && !may_be_locked {
        sandbox.pass_time(Duration::from_secs(600));
        if is_locked(sandbox) {
            wrong.push("a lock that nothing proved outlives its deadline".to_owned());
        }
    }
    for typed in [command, CLEANUP] {
        let (status, text) = served.run(typed).await;
        let expected = if typed == CLEANUP {
            // Where the signal came too late, there is nothing left to clean up.
            matches!(status.code(), Some(0 | 2))
        } else {
            usual.codes.contains(&status.code())
        };
        if !expected {
            wrong.push(format!("again: {typed}: {status}: {text}"));
        }
    }
    wrong.extend(differences(&clean, &plain(sandbox)));
    wrong
}

async fn sweep() {
    let all = std::env::var("SURVIVAL").is_ok_and(|wanted| wanted == "all");
    let mut cases = Vec::new();
    for (number, (before, command)) in SCENARIOS.into_iter().enumerate() {
        let usual = Arc::new(usual((before, command)).await);
        let requests = usual.requests;
        let points: Vec<usize> = if all {
            (1..=requests).collect()
        } else {
            vec![requests / 3 + number, requests * 3 / 4 + number]
        };
        // Not all signals at every point: each has its turn.
        cases.extend(points.into_iter().enumerate().map(|(turn, nth)| {
            let signals = SIGNALS[(number + turn) % SIGNALS.len()];
            ((before, command, signals), Arc::clone(&usual), nth.min(requests))
        }));
    }
    let tried = cases.len();
    let failed: Vec<bool> = stream::iter(cases)
        .map(|(ending, usual, nth)| async move {
            let wrong = wrong(ending, &usual, nth).await;
            if !wrong.is_empty() {
                let ((_, command, signals), requests) = (ending, usual.requests);
                eprintln!(
                    "FAILED {command}, {signals:?} at request {nth} of {requests}:\n  {}",
                    wrong.join("\n  ")
                );
            }
            !wrong.is_empty()
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    eprintln!("{tried} times killed or told to end");
    let failed = failed.into_iter().filter(|failed| *failed).count();
    assert_eq!(failed, 0, "of {tried}");
}

fn by_real_clock<Work: Future<Output = ()>>(work: fn() -> Work) {
    with_room(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_stack_size(16 * 1024 * 1024)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(work());
    });
}

#[test]
fn a_program_that_is_ended_anywhere_loses_nothing() {
    by_real_clock(sweep);
}

/// Its first Ctrl-C takes the lock back, which hangs with the API server; whoever insists is not kept.
async fn insists() {
    let served = Served::new().await;
    served.prepare(&[SETUP]).await;
    let sandbox = &served.sandbox;
    let deletions = |sandbox: &Sandbox| {
        let all = sandbox.requests();
        all.iter().filter(|request| request.method == "DELETE").count()
    };
    let child = served.spawn(LOCK);
    while !is_locked(sandbox) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    sandbox.inject(Fault::new("", FaultKind::Hang).times(u32::MAX));
    let before = deletions(sandbox);
    signal(&child, "INT");
    while deletions(sandbox) == before {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // A second signal at once would be the same wish.
    tokio::time::sleep(Duration::from_secs(1)).await;
    signal(&child, "INT");
    let (status, text) = told(child).await;
    assert_eq!(status.code(), Some(130), "{text}");
    assert!(text.contains("take it back: kubectl egress cleanup"), "{text}");
    sandbox.mend();
    sandbox.pass_time(Duration::from_secs(600));
    assert!(
        !is_locked(sandbox),
        "the switch takes back what the program did not"
    );
    let (status, text) = served.run(CLEANUP).await;
    assert!(status.success(), "{text}");
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_what_is_taken_back() {
    by_real_clock(insists);
}
