//! `lockdown` against the sandbox: proven and confirmed, or everything is as before; also when the client dies.

use crate::support::{client, dump, plan, quick, set_up, settings, silent, verify_quickly};
use futures::stream::{self, StreamExt};
use kubectl_egress::cluster::Cluster;
use kubectl_egress::engine::lockdown::{
    Decision, Lockdown, LockdownEnd, LockdownSettings, prepare, run, unlock,
};
use kubectl_egress::engine::probe;
use kubectl_egress::error::Result;
use kubectl_egress::plan::lock::LockSettings;
use kubectl_egress::sandbox::Sandbox;
use kubectl_egress::vocabulary::{ClaimState, Verdict};
use serde_json::{Value, json};
use std::time::Duration;

const CONFIRM_WITHIN: Duration = Duration::from_secs(180);

async fn decide(cluster: &Cluster) -> Result<Decision> {
    let source = probe::find_source(cluster, "demo", None, None).await?;
    let wanted = LockdownSettings {
        plan: plan(),
        namespace: "demo".to_owned(),
        lock: LockSettings::default(),
        confirm_within: CONFIRM_WITHIN,
        forbidden: vec!["www.google.com".parse().unwrap()],
        source,
        ca_certificate: None,
        max_time_seconds: 12,
        timeout: Duration::from_secs(10),
    };
    prepare(cluster, wanted).await
}

async fn lock(cluster: &Cluster) -> Result<Lockdown> {
    match decide(cluster).await? {
        Decision::Lock(prepared) => run(cluster, &prepared, &silent(), std::future::pending()).await,
        Decision::Unchanged(prepared) => {
            let mut document = prepared.document();
            document.end = LockdownEnd::Unchanged;
            Ok(document)
        }
    }
}

async fn routed() -> (Sandbox, Cluster) {
    let sandbox = Sandbox::new(quick());
    let cluster = client(&sandbox);
    set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
    (sandbox, cluster)
}

/// Names of the NetworkPolicies of the namespace, with whether each selects all of its pods.
fn policies(sandbox: &Sandbox) -> Vec<(String, bool)> {
    let of_kind = |(name, object): (&String, &Value)| {
        let name = name.strip_prefix("NetworkPolicy demo/")?.to_owned();
        Some((name, object["spec"]["podSelector"] == json!({})))
    };
    dump(sandbox).iter().filter_map(of_kind).collect()
}

#[tokio::test]
async fn a_lock_is_proven_outlives_its_deadline_and_is_taken_away() {
    let (sandbox, cluster) = routed().await;
    let document = lock(&cluster).await.unwrap();
    assert_eq!(document.end, LockdownEnd::Locked, "{document:#?}");
    assert_eq!(
        (document.verdict, document.claims.enforced),
        (Verdict::Proven, ClaimState::Proven)
    );
    sandbox.pass_time(2 * CONFIRM_WITHIN);
    assert_eq!(
        policies(&sandbox).len(),
        1,
        "the switch is disarmed and its guard is gone"
    );
    assert_eq!(lock(&cluster).await.unwrap().end, LockdownEnd::Unchanged);
    let verified = verify_quickly(&cluster).await;
    assert_eq!(verified.claims.routed, ClaimState::Proven);
    unlock(&cluster, &plan(), "demo", false, &silent()).await.unwrap();
    assert_eq!(policies(&sandbox), []);
}

#[tokio::test]
async fn another_policy_that_opens_a_way_out_is_named_and_nothing_is_changed() {
    let (sandbox, cluster) = routed().await;
    let open = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "open", "namespace": "demo"},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
    });
    sandbox.put(&open).unwrap();
    let before = policies(&sandbox);
    let Decision::Lock(prepared) = decide(&cluster).await.unwrap() else {
        panic!("there is no lock yet")
    };
    assert!(prepared.is_refused());
    let said: Vec<&str> = prepared
        .findings
        .iter()
        .map(|finding| &*finding.message)
        .collect();
    assert!(
        said.iter().any(|said| said.contains("any address, any port")),
        "{said:?}"
    );
    assert_eq!(policies(&sandbox), before);
}

/// Lets the client die as soon as it has sent so many requests; gives whether it came to its end before.
async fn dies_after(sandbox: &Sandbox, cluster: &Cluster, requests: usize) -> bool {
    let limit = sandbox.requests().len() + requests;
    let dying = async {
        while sandbox.requests().len() < limit {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        done = lock(cluster) => done.is_ok(),
        () = dying => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_the_client_dies_no_unproven_lock_outlives_its_deadline() {
    let whole = {
        let (sandbox, cluster) = routed().await;
        let before = sandbox.requests().len();
        lock(&cluster).await.unwrap();
        sandbox.requests().len() - before
    };
    let moments = (0..12).map(|part| whole * part / 12);
    let locked: Vec<bool> = stream::iter(moments)
        .map(|requests| async move {
            let (sandbox, cluster) = routed().await;
            if dies_after(&sandbox, &cluster, requests).await {
                return true;
            }
            let was_locked = policies(&sandbox).iter().any(|(_, whole)| *whole);
            // What is on its way to the sandbox still arrives there.
            tokio::time::sleep(Duration::from_millis(50)).await;
            // Only a complete proof takes the switch away.
            let mut sent = sandbox.requests().into_iter();
            let disarmed = sent.any(|sent| sent.method == "DELETE" && sent.path.contains("/jobs/"));
            sandbox.pass_time(CONFIRM_WITHIN + Duration::from_secs(5));
            let left = policies(&sandbox).iter().any(|(_, whole)| *whole);
            assert!(
                disarmed || !left,
                "a lock is left after {requests} of {whole} requests"
            );
            was_locked
        })
        .buffer_unordered(2)
        .collect()
        .await;
    assert!(
        locked.contains(&true),
        "some died while the lock was there: {locked:?}"
    );
}
