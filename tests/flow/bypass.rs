//! `verify --bypass` against the sandbox, whose packets are moved by our own model of the mesh: this shows that every row
//! is there and every pod goes, and that what the sandbox has no program for is not called blocked.

use crate::support::{client, quick, set_up, settings, silent, verification};
use kubectl_egress::engine::bypass::BypassSettings;
use kubectl_egress::engine::probe;
use kubectl_egress::engine::verify::{VerifySettings, verify, verify_until};
use kubectl_egress::istio::kinds;
use kubectl_egress::sandbox::Sandbox;
use kubectl_egress::vocabulary::{ATTEMPTS, AttemptOutcome, ExitCode};
use std::collections::BTreeMap;

async fn wanted(cluster: &kubectl_egress::cluster::Cluster) -> VerifySettings {
    let source = probe::find_source(cluster, "demo", None, None).await.unwrap();
    VerifySettings {
        without_sidecar: true,
        forbidden: vec!["www.google.com".parse().unwrap()],
        bypass: Some(BypassSettings {
            all: false,
            resolver: "8.8.8.8".parse().unwrap(),
            into_workload: None,
            image: "curlimages/curl".to_owned(),
        }),
        ..verification(source)
    }
}

async fn pods(cluster: &kubectl_egress::cluster::Cluster) -> usize {
    let ours = "app.kubernetes.io/managed-by=kubectl-egress,kubectl-egress.dev/plan";
    cluster.list(&kinds::pod(), None, Some(ours)).await.unwrap().len()
}

#[tokio::test]
async fn every_attempt_has_its_row_and_what_cannot_be_tried_is_not_blocked() {
    let sandbox = Sandbox::new(quick());
    let cluster = client(&sandbox);
    set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
    let verified = verify(&cluster, &wanted(&cluster).await, &silent())
        .await
        .unwrap();
    let rows = verified.bypass.unwrap();
    let ids: Vec<&str> = rows.iter().map(|row| row.attempt.as_str()).collect();
    let listed: Vec<&str> = ATTEMPTS.iter().map(|attempt| attempt.id).collect();
    assert_eq!(ids, listed);
    let outcomes: BTreeMap<&str, AttemptOutcome> = rows
        .iter()
        .map(|row| (row.attempt.as_str(), row.outcome))
        .collect();
    assert_eq!(outcomes["no-sidecar"], AttemptOutcome::Out);
    // The sandbox has neither nslookup nor ping.
    for id in ["udp-53", "icmp", "direct-ip"] {
        assert_eq!(outcomes[id], AttemptOutcome::NotTried, "{id}: {rows:#?}");
    }
    assert_eq!(outcomes["dns-tunnel"], AttemptOutcome::OpenByDesign);
    assert_eq!(pods(&cluster).await, 0);
}

#[tokio::test]
async fn an_interrupted_run_takes_its_pods_away() {
    let sandbox = Sandbox::new(quick());
    let cluster = client(&sandbox);
    set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
    let interrupted = async {
        while pods(&cluster).await == 0 {
            tokio::task::yield_now().await;
        }
    };
    let error = verify_until(&cluster, &wanted(&cluster).await, &silent(), interrupted)
        .await
        .unwrap_err();
    assert_eq!(error.code(), ExitCode::Interrupted);
    assert_eq!(pods(&cluster).await, 0);
}
