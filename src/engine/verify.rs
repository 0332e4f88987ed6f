//! Proves what holds: listens, probes from a meshed source and from one without sidecar, chains the receipts.

use super::admission;
use super::event::{Event, Events};
use super::listener::Listener;
use super::probe::ProbeSource;
use super::probe_plan::{self, ProbePlan};
pub use super::probe_plan::{Planned, as_applications_call, declared, planned_way};
use super::probe_pod::{ProbePod, make_probe_pod, remove_probe_pod};
use super::status::{self, StatusRow};
use super::{echo, journal_store, lockdown};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::evidence::{CurlResult, ProbeResult, Verification, claims};
use crate::finding::{Finding, Severity};
use crate::plan::PlannedHost;
use crate::plan::journal::Journal;
use crate::plan::lock::ReachedBefore;
use crate::vocabulary::{ClaimState, HostName, Outcome, PlanIdentity};
use std::collections::BTreeMap;
use std::time::Duration;

/// What is to be proven.
#[derive(Debug, Clone)]
pub struct VerifySettings {
    /// Of which plan.
    pub plan: PlanIdentity,
    /// Where the pods are that are probed from; need not be the plan's namespace.
    pub namespace: String,
    /// Only these hosts, without a port all its ports; empty: all of the plan.
    pub hosts: Vec<(HostName, Option<u16>)>,
    /// Hosts that must not be reachable; none: only declared hosts are probed, for their route.
    pub forbidden: Vec<HostName>,
    /// Whether a pod without sidecar is made and probed from.
    pub without_sidecar: bool,
    /// The container that the probes leave from.
    pub source: ProbeSource,
    /// Path of a CA bundle in the source's container.
    pub ca_certificate: Option<String>,
    /// Path at which declared hosts echo the headers that they saw.
    pub echo: Option<String>,
    /// After how many seconds curl gives up.
    pub max_time_seconds: u32,
    /// Whether the claim `enforced` must hold.
    pub enforced_required: bool,
    /// How long to wait for the pod without sidecar.
    pub timeout: Duration,
}

/// Probes the plan and judges the claims. A lock of the plan makes the claim `enforced` required, and must still be the
/// one that was proven.
///
/// # Errors
/// If there is no plan, no source, or the cluster refuses what is needed to begin. What goes wrong after that is
/// evidence, not an error.
pub async fn verify(cluster: &Cluster, settings: &VerifySettings, events: &Events) -> Result<Verification> {
    let journal = stored_plan(cluster, &settings.plan).await?;
    let hosts = chosen_hosts(&journal, settings)?;
    let standing = lockdown::standing(cluster, &journal, &settings.namespace).await?;
    let plan = ProbePlan {
        plan: journal.plan.clone(),
        gateway: journal.gateway.clone(),
        hosts,
        forbidden: settings.forbidden.clone(),
        ca_certificate: settings.ca_certificate.clone(),
        max_time_seconds: settings.max_time_seconds,
        echo: settings.echo.clone(),
    };
    let bare_pod = ProbePod::unmeshed(labels_of_lock(&standing));
    let listener = Listener::start(
        cluster,
        (&journal.plan, &journal.gateway),
        &settings.source,
        events,
    )
    .await;
    let make_bare = async {
        if settings.without_sidecar {
            let (namespace, timeout) = (&settings.namespace, settings.timeout);
            make_probe_pod(cluster, &journal, namespace, &bare_pod, timeout, events)
                .await
                .map(Some)
        } else {
            Ok(None)
        }
    };
    let ((), made, rows, refused) = tokio::join!(
        listener.ready(),
        make_bare,
        status::of(cluster, &journal),
        admission::refusal(cluster, &journal.gateway, &settings.source)
    );
    let bare = made.unwrap_or_else(|error| {
        events(Event::Warning(format!(
            "no pod without sidecar could be made, so nothing is known of such pods: {error}"
        )));
        None
    });
    let meshed_probes = if standing.holds(&settings.source.labels) {
        probe_plan::of(&plan, settings.source.meshed)
    } else {
        // What a source reaches that the lock's selector leaves out says nothing about the lock.
        let forbidden = Vec::new();
        probe_plan::of(
            &ProbePlan {
                forbidden,
                ..plan.clone()
            },
            settings.source.meshed,
        )
    };
    let bare_probes = bare.as_ref().map(|bare| (bare, probe_plan::of(&plan, false)));
    let results = listener
        .round(meshed_probes, bare_probes, standing.reached_before())
        .await;
    if settings.without_sidecar {
        remove_probe_pod(cluster, &settings.namespace, &bare_pod, events).await;
    }
    let heard = |(mut result, curl): (ProbeResult, CurlResult)| {
        if settings.echo.is_some() {
            echo::add(&mut result, &curl, &journal.plan);
        }
        result
    };
    let results: Vec<ProbeResult> = results.into_iter().map(heard).collect();
    for result in &results {
        events(Event::Probed(Box::new(result.clone())));
    }
    let required = settings.enforced_required || standing.record.is_some();
    let mut claims = claims(&results, required, &standing.findings);
    claims.findings.extend(refused);
    match rows {
        Ok(rows) => claims.findings.extend(object_findings(&rows, claims.routed)),
        Err(error) => events(Event::Warning(format!(
            "whether all objects of the plan are there is not known: {error}"
        ))),
    }
    Ok(Verification::new(
        settings.plan.seen_from(&settings.namespace),
        settings.namespace.clone(),
        &claims,
        results,
    ))
}

/// Objects that are missing or changed. Where every probe went its way without them, that is only a warning.
fn object_findings(rows: &[StatusRow], routed: ClaimState) -> Vec<Finding> {
    let mut findings = status::findings(rows);
    if routed == ClaimState::Proven {
        for finding in &mut findings {
            finding.severity = finding.severity.max(Severity::Warning);
        }
    }
    findings
}

/// What a pod of ours needs to be selected by the lock.
fn labels_of_lock(standing: &lockdown::Standing) -> BTreeMap<String, String> {
    let record = standing.record.as_ref();
    record
        .and_then(|record| record.settings.selector.satisfying_labels())
        .unwrap_or_default()
}

/// Sends some probes from one source, listened to and judged; nothing else is made or claimed.
pub async fn probe_from(
    cluster: &Cluster,
    journal: &Journal,
    from: &ProbeSource,
    planned: Vec<Planned>,
    events: &Events,
) -> Vec<(ProbeResult, CurlResult)> {
    let mut results = listened_round(cluster, journal, (from, planned), None, &[], events).await;
    let routed =
        |(result, _): &(ProbeResult, CurlResult)| matches!(result.outcome, Outcome::Routed | Outcome::Direct);
    if from.meshed && !results.iter().all(routed) {
        let refused = admission::refusal(cluster, &journal.gateway, from).await;
        for (result, _) in results.iter_mut().filter(|result| !routed(result)) {
            result.findings.extend(refused.clone());
        }
    }
    results
}

/// The same from a source and a pod without sidecar, with what is known to have answered before a lock.
pub(super) async fn listened_round(
    cluster: &Cluster,
    journal: &Journal,
    (meshed, meshed_probes): (&ProbeSource, Vec<Planned>),
    bare: Option<(&ProbeSource, Vec<Planned>)>,
    reached_before: &[ReachedBefore],
    events: &Events,
) -> Vec<(ProbeResult, CurlResult)> {
    let listener = Listener::start(cluster, (&journal.plan, &journal.gateway), meshed, events).await;
    listener.ready().await;
    listener.round(meshed_probes, bare, reached_before).await
}

/// The plan as it was set up.
///
/// # Errors
/// If there is none.
pub async fn stored_plan(cluster: &Cluster, plan: &PlanIdentity) -> Result<Journal> {
    journal_store::read(cluster, plan).await?.ok_or_else(|| {
        Error::usage(format!("there is no plan {plan}")).hint(format!(
            "set one up: kubectl egress setup HOST -n {}",
            plan.namespace
        ))
    })
}

fn chosen_hosts(journal: &Journal, settings: &VerifySettings) -> Result<Vec<PlannedHost>> {
    if settings.hosts.is_empty() {
        if journal.plan.hosts.is_empty() {
            return Err(Error::usage(format!("the plan {} has no hosts", settings.plan))
                .hint("add one: kubectl egress route HOST"));
        }
        return Ok(journal.plan.hosts.clone());
    }
    let mut chosen: Vec<PlannedHost> = Vec::new();
    for (host, port) in &settings.hosts {
        let matching = journal
            .plan
            .hosts
            .iter()
            .filter(|planned| planned.host == *host && port.is_none_or(|port| port == planned.port()));
        let before = chosen.len();
        chosen.extend(matching.cloned());
        if chosen.len() == before {
            let wanted = port.map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
            return Err(
                Error::usage(format!("{wanted} is not in the plan {}", settings.plan)).hint(format!(
                    "add it: kubectl egress route {wanted} -n {}",
                    settings.plan.namespace
                )),
            );
        }
    }
    chosen.dedup();
    Ok(chosen)
}
