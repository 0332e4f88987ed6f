//! What is proven about a lock: the same probes before and after, from a pod without sidecar and a meshed one that
//! started under the lock; negative results twice.

use super::Prepared;
use crate::cluster::Cluster;
use crate::engine::event::{Event, Events};
use crate::engine::probe::{self, ProbeSource};
use crate::engine::probe_plan::{self, Planned, ProbePlan};
use crate::engine::verify::listened_round;
use crate::error::{Error, Result};
use crate::evidence::{CurlResult, Expected, ProbeRequest, ProbeResult, is_name_not_resolved};
use crate::finding::{Finding, catalogue};
use crate::plan::lock::ReachedBefore;
use crate::vocabulary::Outcome;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// curl's limit while waiting for that, and for the second look from the pod without sidecar: nothing is between curl
/// and the network there, so that a dropped connection shows at once.
const SHORT_SECONDS: u32 = 4;

/// The two pods that are probed from.
#[derive(Debug, Clone)]
pub(super) struct Sources {
    /// With sidecar.
    pub(super) meshed: ProbeSource,
    /// Without.
    pub(super) bare: ProbeSource,
}

/// What the probes show before the lock, and which hosts and ports answered anybody.
pub(super) async fn before(
    cluster: &Cluster,
    prepared: &Prepared,
    sources: &Sources,
    events: &Events,
) -> Result<(Vec<ProbeResult>, Vec<ReachedBefore>)> {
    let results = round(cluster, prepared, sources, &[], events).await;
    let at = cluster.server_time().unwrap_or(Timestamp::UNIX_EPOCH);
    let mut reached: BTreeSet<(String, u16)> = BTreeSet::new();
    for result in &results {
        if matches!(
            result.outcome,
            Outcome::Routed | Outcome::Direct | Outcome::Bypassed
        ) {
            reached.insert((result.host.clone(), result.port));
        }
    }
    let reached = reached
        .into_iter()
        .map(|(host, port)| ReachedBefore {
            host,
            port,
            at: at.to_string(),
        })
        .collect();
    Ok((results, reached))
}

/// The same after the lock, and then once more what must stay out of reach.
pub(super) async fn after(
    cluster: &Cluster,
    prepared: &Prepared,
    sources: &Sources,
    reached: &[ReachedBefore],
    events: &Events,
) -> Vec<ProbeResult> {
    let mut results = round(cluster, prepared, sources, reached, events).await;
    let mut again = plan(prepared, SHORT_SECONDS);
    again.forbidden.clear();
    let declared = probe_plan::of(&again, true);
    let bare = probe_plan::of(&again, false);
    results.extend(
        listened_round(
            cluster,
            &prepared.journal,
            (&sources.meshed, declared),
            Some((&sources.bare, bare)),
            reached,
            events,
        )
        .await
        .into_iter()
        .map(|(result, _)| result),
    );
    results
}

/// Waits until a pod without sidecar no longer reaches what it reached before. What it says at the deadline is for
/// [`after`] to judge.
pub(super) async fn wait_for_effect(
    cluster: &Cluster,
    prepared: &Prepared,
    bare: &ProbeSource,
    reached: &[ReachedBefore],
    events: &Events,
) {
    let mut short = plan(prepared, SHORT_SECONDS);
    short.forbidden.clear();
    let was_reached = |planned: &Planned| {
        reached
            .iter()
            .any(|before| before.host == planned.request.host && before.port == planned.request.port)
    };
    let Some(one) = probe_plan::of(&short, false).into_iter().find(was_reached) else {
        return;
    };
    let started = Instant::now();
    while started.elapsed() < prepared.settings.effect_within {
        let result = probe::send(cluster, bare, std::slice::from_ref(&one.request))
            .await
            .pop();
        let answered = matches!(&result, Some(CurlResult::Report(report)) if report.exit_code == 0);
        if !answered {
            return;
        }
        events(Event::StepWaiting {
            id: "lock".to_owned(),
            on: format!("the policy engine: {} is still reached", one.request.host),
        });
        // curl's answer comes within milliseconds as long as the lock does not hold; engines work in seconds.
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Why a new pod with sidecar does not become ready: without names its sidecar does not find istiod.
pub(super) async fn why_no_start(
    cluster: &Cluster,
    prepared: &Prepared,
    bare: &ProbeSource,
    error: &Error,
) -> Finding {
    let declared = probe_plan::of(&plan(prepared, SHORT_SECONDS), false);
    let requests: Vec<ProbeRequest> = declared
        .into_iter()
        .take(1)
        .map(|planned| planned.request)
        .collect();
    let unresolved =
        probe::send(cluster, bare, &requests)
            .await
            .into_iter()
            .find_map(|result| match result {
                CurlResult::Report(report) if is_name_not_resolved(&report) => Some(report.error),
                _ => None,
            });
    match unresolved {
        Some(said) => Finding::new(
            &catalogue::LOCK_BREAKS_DNS,
            format!("names do not resolve in a pod under the lock ({said}), so that no new sidecar starts"),
        ),
        None => Finding::new(
            &catalogue::LOCK_BREAKS_SIDECAR_START,
            format!("a new pod with sidecar does not become ready under the lock: {error}"),
        ),
    }
}

async fn round(
    cluster: &Cluster,
    prepared: &Prepared,
    sources: &Sources,
    reached: &[ReachedBefore],
    events: &Events,
) -> Vec<ProbeResult> {
    let all = plan(prepared, prepared.settings.max_time_seconds);
    listened_round(
        cluster,
        &prepared.journal,
        (&sources.meshed, probe_plan::of(&all, true)),
        Some((&sources.bare, probe_plan::of(&all, false))),
        reached,
        events,
    )
    .await
    .into_iter()
    .map(|(result, _)| result)
    .collect()
}

fn plan(prepared: &Prepared, max_time_seconds: u32) -> ProbePlan {
    ProbePlan {
        plan: prepared.journal.plan.clone(),
        gateway: prepared.journal.gateway.clone(),
        hosts: prepared.journal.plan.hosts.clone(),
        forbidden: prepared.settings.forbidden.clone(),
        ca_certificate: prepared.settings.ca_certificate.clone(),
        max_time_seconds,
        echo: None,
    }
}

/// Whether a declared host was seen not to go through the gateway, or not to be reached.
pub(super) fn goes_elsewhere(results: &[ProbeResult]) -> bool {
    let mut declared = results
        .iter()
        .filter(|result| result.expected == Expected::Routed);
    declared.any(|result| {
        !matches!(
            result.outcome,
            Outcome::Routed | Outcome::Direct | Outcome::Inconclusive
        )
    })
}

/// Whether every declared host went through the gateway: without that a lock would only cut off.
pub(super) fn is_routed(results: &[ProbeResult]) -> bool {
    let mut declared = results
        .iter()
        .filter(|result| result.expected == Expected::Routed)
        .peekable();
    declared.peek().is_some()
        && declared.all(|result| matches!(result.outcome, Outcome::Routed | Outcome::Direct))
}
