//! A sandbox, a client on it, and the settings of the usual set-up.

pub(crate) use crate::dump::{differences, dump};
use kubectl_egress::cluster::Cluster;
use kubectl_egress::engine::prepare::{DryRun, Parts, SetupSettings, prepare};
use kubectl_egress::engine::probe::{self, ProbeSource};
use kubectl_egress::engine::undo::{self, UndoSettings};
use kubectl_egress::engine::verify::{Enforced, VerifySettings, verify};
use kubectl_egress::engine::{Events, setup};
use kubectl_egress::error::Result;
use kubectl_egress::evidence::Verification;
use kubectl_egress::plan::gateway_workload::GatewaySettings;
use kubectl_egress::plan::{PlanSettings, PlannedHost};
use kubectl_egress::sandbox::{Sandbox, SandboxSettings};
use kubectl_egress::vocabulary::{PlanIdentity, names};
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn sandbox() -> Sandbox {
    Sandbox::new(quick())
}

/// The usual sandbox, whose pods start and stop at once.
pub(crate) fn quick() -> SandboxSettings {
    SandboxSettings {
        pod_start: Duration::from_millis(10),
        pod_stop: Duration::from_millis(5),
        ..SandboxSettings::default()
    }
}

pub(crate) fn client(sandbox: &Sandbox) -> Cluster {
    Cluster::over_service(sandbox.service(), "demo", "sandbox", Arc::new(|_| {}))
}

pub(crate) fn silent() -> Events {
    Arc::new(|_| {})
}

pub(crate) fn plan() -> PlanIdentity {
    PlanIdentity::new("demo", "default").unwrap()
}

pub(crate) fn settings(hosts: &[&str]) -> SetupSettings {
    SetupSettings {
        plan: plan(),
        hosts: hosts
            .iter()
            .map(|host| PlannedHost::passthrough(host.parse().unwrap(), 443))
            .collect(),
        whole: false,
        plan_settings: PlanSettings::default(),
        gateway_settings: GatewaySettings::default(),
        create_istio_cr: false,
        create_namespace: true,
        inject_pod_only: false,
        image: names::SOURCE_IMAGE.to_owned(),
        secret: None,
        from: None,
        exclude_ranges: Vec::new(),
        secrets: Vec::new(),
        parts: Parts::ALL,
        dry_run: DryRun::No,
        force_conflicts: false,
        timeout: Duration::from_secs(10),
    }
}

pub(crate) async fn set_up(cluster: &Cluster, settings: SetupSettings) -> Result<()> {
    let prepared = prepare(cluster, settings).await?;
    setup::run(cluster, prepared, &silent()).await.map(drop)
}

pub(crate) async fn clean_up(cluster: &Cluster) -> Result<Vec<String>> {
    clean_up_plan(cluster, &plan()).await
}

pub(crate) async fn clean_up_plan(cluster: &Cluster, plan: &PlanIdentity) -> Result<Vec<String>> {
    let how = UndoSettings {
        dry_run: DryRun::No,
        keep_namespace: false,
        timeout: Duration::from_secs(10),
    };
    let remains = undo::whole_plan(cluster, plan, how, &silent()).await?;
    Ok(remains.sentences())
}

/// What `verify` proves of the usual plan from its own source, with no pod made for it.
pub(crate) async fn verify_quickly(cluster: &Cluster) -> Verification {
    let source = probe::find_source(cluster, "demo", None, None).await.unwrap();
    verify_from(cluster, source).await
}

/// The same from another source.
pub(crate) async fn verify_from(cluster: &Cluster, source: ProbeSource) -> Verification {
    verify(cluster, &verification(source), &silent()).await.unwrap()
}

/// Settings for the usual plan, with no pod made for it.
pub(crate) fn verification(source: ProbeSource) -> VerifySettings {
    VerifySettings {
        bypass: None,
        echo: None,
        plan: plan(),
        namespace: "demo".to_owned(),
        hosts: Vec::new(),
        forbidden: Vec::new(),
        without_sidecar: false,
        source,
        ca_certificate: None,
        max_time_seconds: 5,
        enforced: Enforced::IfLocked,
        timeout: Duration::from_secs(10),
    }
}

/// Codes of all findings, those of the probes first.
pub(crate) fn codes(verification: &Verification) -> Vec<&str> {
    let of_probes = verification.probes.iter().flat_map(|probe| &probe.findings);
    of_probes
        .chain(&verification.findings)
        .map(|finding| finding.code.as_str())
        .collect()
}
