//! `lockdown` against the sandbox: proven and confirmed, or everything is as before.

use super::support::{
    client, codes, differences, dump, plan, quick, set_up, settings, silent, verify_quickly,
};
use kubectl_egress::cluster::Cluster;
use kubectl_egress::engine::lockdown::{
    Decision, Lockdown, LockdownEnd, LockdownSettings, prepare, run, unlock,
};
use kubectl_egress::engine::probe;
use kubectl_egress::error::Result;
use kubectl_egress::plan::lock::LockSettings;
use kubectl_egress::sandbox::{Sandbox, SandboxSettings};
use kubectl_egress::vocabulary::{ClaimState, Verdict};
use std::time::Duration;

async fn lock(cluster: &Cluster) -> Result<Lockdown> {
    let source = probe::find_source(cluster, "demo", None, None).await?;
    let wanted = LockdownSettings {
        plan: plan(),
        namespace: "demo".to_owned(),
        lock: LockSettings::default(),
        confirm_within: Duration::from_mins(3),
        forbidden: vec!["www.google.com".parse().unwrap()],
        source,
        ca_certificate: None,
        max_time_seconds: 12,
        timeout: Duration::from_secs(10),
    };
    match prepare(cluster, wanted).await? {
        Decision::Lock(prepared) => run(cluster, &prepared, &silent(), std::future::pending()).await,
        Decision::Unchanged(prepared) => {
            let mut document = prepared.document();
            document.end = LockdownEnd::Unchanged;
            Ok(document)
        }
    }
}

#[tokio::test]
async fn a_lock_is_proven_and_stays() {
    let sandbox = Sandbox::new(quick());
    let cluster = client(&sandbox);
    set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
    let document = lock(&cluster).await.unwrap();
    assert_eq!(document.end, LockdownEnd::Locked, "{document:#?}");
    assert_eq!(
        (document.verdict, document.claims.enforced),
        (Verdict::Proven, ClaimState::Proven)
    );
    sandbox.pass_time(Duration::from_mins(10));
    let again = lock(&cluster).await.unwrap();
    assert_eq!(again.end, LockdownEnd::Unchanged);
}
