//! Commands as they are typed, against the sandbox on a socket.

use crate::served::served;
use kubectl_egress::sandbox::{Fault, FaultKind};
use std::process::Stdio;
use std::time::{Duration, Instant};

const SET_UP: &str = "setup kyma-project.io -n demo --create-namespace";

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_is_a_document_like_any_other() {
    let cluster = served().await;
    cluster.run(SET_UP).await.exits(0);
    let difference = cluster.run("diff edition.cnn.com -o json").await.exits(1).json();
    assert_eq!(difference["apiVersion"], "kubectl-egress.dev/v1alpha1");
    assert_eq!(difference["kind"], "Diff");
    assert_eq!(
        (&difference["plan"], &difference["namespace"]),
        (&"default".into(), &"demo".into())
    );
    assert!(
        difference["differences"][0]
            .as_str()
            .unwrap()
            .contains("edition.cnn.com"),
        "{difference}"
    );
    let none = cluster.run("diff -o json").await.exits(0).json();
    assert_eq!(none["differences"], serde_json::json!([]));
}

/// The Lease of a run on this machine that was killed is not waited for; without knowing that it is gone it takes 15 s.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_is_taken_over_at_once() {
    let cluster = served().await;
    cluster
        .sandbox
        .inject(Fault::new("gateways", FaultKind::Hang).method("PATCH"));
    let mut first = cluster
        .command(SET_UP)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !cluster
        .sandbox
        .dump()
        .contains_key("Lease demo/kubectl-egress-default")
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // As long as it lives, nobody takes its place.
    let refused = cluster.run(SET_UP).await.exits(5);
    assert!(
        refused.stderr.contains(&format!("process {}", first.id())),
        "{refused:?}"
    );
    first.kill().unwrap();
    first.wait().unwrap();
    let started = Instant::now();
    cluster.run(SET_UP).await.exits(0);
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
}
