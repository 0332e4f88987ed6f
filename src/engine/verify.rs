//! Proves what holds: listens, probes from a meshed source and from one without sidecar, chains the receipts.

use super::admission;
use super::bypass::{self, BypassSettings};
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
use crate::evidence::{
    AttemptResult, CurlResult, ProbeResult, Shown, Verification, bypass_findings, claims, enforced_with,
    verdict_with,
};
use crate::finding::{Finding, Severity};
use crate::plan::PlannedHost;
use crate::plan::journal::Journal;
use crate::plan::lock::ReachedBefore;
use crate::vocabulary::{ClaimState, HostName, Outcome, PlanIdentity, names};
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
    pub enforced: Enforced,
    /// How long to wait for the pod without sidecar.
    pub timeout: Duration,
    /// Whether, and how, to try to get out without the gateway; needs `without_sidecar`.
    pub bypass: Option<BypassSettings>,
}

/// When the claim `enforced` must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforced {
    /// It was not asked for, nor is anything sent that could prove it.
    Unasked,
    /// If the namespace is locked.
    IfLocked,
    /// In any case.
    Required,
}

/// Probes the plan and judges the claims. A lock of the plan must still be the one that was proven.
///
/// # Errors
/// If there is no plan, no source, or the cluster refuses what is needed to begin. What goes wrong after that is
/// evidence, not an error.
pub async fn verify(cluster: &Cluster, settings: &VerifySettings, events: &Events) -> Result<Verification> {
    verify_until(cluster, settings, events, std::future::pending()).await
}

/// The same until it is interrupted; the pods that were made go in any case.
///
/// # Errors
/// As [`verify`], and if it was interrupted.
pub async fn verify_until(
    cluster: &Cluster,
    settings: &VerifySettings,
    events: &Events,
    interrupted: impl Future<Output = ()> + Send,
) -> Result<Verification> {
    let journal = stored_plan(cluster, &settings.plan).await?;
    judge(cluster, (journal, true), settings, events, interrupted).await
}

/// The same at the end of the run that set the plan up: what it has just read and written is not asked for again.
///
/// # Errors
/// As [`verify`].
pub async fn verify_fresh(
    cluster: &Cluster,
    journal: Journal,
    settings: &VerifySettings,
    events: &Events,
) -> Result<Verification> {
    judge(
        cluster,
        (journal, false),
        settings,
        events,
        std::future::pending(),
    )
    .await
}

async fn judge(
    cluster: &Cluster,
    (journal, reads_objects): (Journal, bool),
    settings: &VerifySettings,
    events: &Events,
    interrupted: impl Future<Output = ()> + Send,
) -> Result<Verification> {
    // Kept to the end: whoever interrupts the run waits until its pods are gone.
    let mut interrupted = std::pin::pin!(interrupted);
    let hosts = chosen_hosts(&journal, settings)?;
    let standing = tokio::select! {
        standing = lockdown::standing(cluster, &journal, &settings.namespace) => standing?,
        () = &mut interrupted => return Err(Error::interrupted()),
    };
    let labels = labels_of_lock(&standing);
    let work = Work {
        cluster,
        settings,
        events,
        plan: ProbePlan {
            plan: journal.plan.clone(),
            gateway: journal.gateway.clone(),
            hosts,
            forbidden: settings.forbidden.clone(),
            ca_certificate: settings.ca_certificate.clone(),
            max_time_seconds: settings.max_time_seconds,
            echo: settings.echo.clone(),
        },
        bare: ProbePod::unmeshed(labels.clone()),
        evading: settings
            .bypass
            .as_ref()
            .map(|bypass| bypass::Pods::new(bypass, &settings.namespace, &labels, &settings.source)),
        journal,
        reads_objects,
        standing,
    };
    let result = tokio::select! {
        result = work.run() => result,
        () = &mut interrupted => Err(Error::interrupted()),
    };
    work.remove_pods().await;
    result
}

/// One run, with the pods that it makes.
struct Work<'run> {
    cluster: &'run Cluster,
    settings: &'run VerifySettings,
    events: &'run Events,
    journal: Journal,
    /// Whether the plan's objects are read, to say which are missing or changed.
    reads_objects: bool,
    standing: lockdown::Standing,
    plan: ProbePlan,
    bare: ProbePod,
    evading: Option<bypass::Pods>,
}

impl Work<'_> {
    async fn run(&self) -> Result<Verification> {
        let (cluster, settings, events) = (self.cluster, self.settings, self.events);
        let (journal, standing) = (&self.journal, &self.standing);
        let listener = Listener::start(
            cluster,
            (&journal.plan, &journal.gateway),
            &settings.source,
            events,
        )
        .await;
        let ((), bare, evading, targets, rows, refused) = tokio::join!(
            listener.ready(),
            self.make_bare(),
            self.make_evading(),
            self.targets(),
            self.rows(),
            admission::refusal(cluster, &journal.gateway, &settings.source)
        );
        let mut meshed_probes = self.meshed_probes();
        let number = meshed_probes.len();
        let extra = targets
            .as_ref()
            .map(|targets| bypass::Extra::new(targets, journal, number, settings.max_time_seconds));
        meshed_probes.extend(extra.iter().flat_map(bypass::Extra::probes));
        let extra_number = meshed_probes.len() - number;
        let bare_probes = bare
            .as_ref()
            .ok()
            .map(|bare| (bare, probe_plan::of(&self.plan, false)));
        let mut results = listener
            .round(meshed_probes, bare_probes, standing.reached_before())
            .await;
        let heard = results
            .drain(number..number + extra_number)
            .map(|(result, _)| result);
        let extra = extra.map(|extra| extra.heard(heard.collect::<Vec<_>>()));
        let results: Vec<ProbeResult> = results.into_iter().map(|heard| self.with_echo(heard)).collect();
        for result in &results {
            events(Event::Probed(Box::new(result.clone())));
        }
        let matrix = match (&targets, extra) {
            (Some(targets), Some(extra)) => {
                let known = bypass::Known {
                    targets,
                    results: &results,
                    extra,
                    standing,
                    record: journal.bypass_of(&settings.namespace),
                };
                let bare = bare.as_ref().map_err(Clone::clone);
                Some(bypass::attempt_all(cluster, bare, &evading, &known, events).await)
            }
            _ => None,
        };
        if let (Some(matrix), None) = (&matrix, &standing.record) {
            bypass::record::note(cluster, &settings.plan, &settings.namespace, matrix, events).await;
        }
        Ok(self.conclude(results, matrix, refused, rows))
    }

    fn conclude(
        &self,
        results: Vec<ProbeResult>,
        matrix: Option<Vec<AttemptResult>>,
        refused: Option<Finding>,
        rows: Result<Vec<StatusRow>>,
    ) -> Verification {
        let (settings, standing) = (self.settings, &self.standing);
        let required = match settings.enforced {
            Enforced::Unasked => false,
            Enforced::IfLocked => standing.record.is_some(),
            Enforced::Required => true,
        };
        let mut against = standing.findings.clone();
        against.extend(bypass_findings(matrix.as_deref().unwrap_or_default(), required));
        let mut claims = claims(&results, required, &against);
        claims.enforced = enforced_with(matrix.as_deref().unwrap_or_default(), claims.enforced);
        claims.verdict = verdict_with(claims.enforced, claims.verdict);
        claims.findings.extend(refused);
        match rows {
            Ok(rows) => claims.findings.extend(object_findings(&rows, claims.routed)),
            Err(error) => (self.events)(Event::Warning(format!(
                "whether all objects of the plan are there is not known: {error}"
            ))),
        }
        Verification::new(
            settings.plan.seen_from(&settings.namespace),
            settings.namespace.clone(),
            &claims,
            results,
        )
        .with_bypass(matrix)
    }

    async fn rows(&self) -> Result<Vec<StatusRow>> {
        if !self.reads_objects {
            return Ok(Vec::new());
        }
        status::of(self.cluster, &self.journal).await
    }

    async fn make_bare(&self) -> std::result::Result<ProbeSource, Shown> {
        let settings = self.settings;
        if !settings.without_sidecar {
            return Err(Shown::not_tried("no pod without sidecar was wanted"));
        }
        let (namespace, timeout) = (&settings.namespace, settings.timeout);
        let made = make_probe_pod(
            self.cluster,
            &self.journal,
            namespace,
            &self.bare,
            timeout,
            self.events,
        )
        .await;
        made.map_err(|error| {
            (self.events)(Event::Warning(format!(
                "no pod without sidecar could be made, so nothing is known of such pods: {error}"
            )));
            Shown::not_tried(format!("its pod could not be made: {error}"))
        })
    }

    async fn make_evading(&self) -> bypass::Made {
        match &self.evading {
            Some(pods) => {
                let timeout = self.settings.timeout;
                pods.make(self.cluster, &self.journal, timeout, self.events).await
            }
            None => bypass::Made::new(),
        }
    }

    async fn targets(&self) -> Option<bypass::Targets> {
        let bypass = self.settings.bypass.as_ref()?;
        let forbidden = match self.plan.forbidden.first() {
            Some(host) => host.clone(),
            None => names::DEFAULT_FORBIDDEN_HOST.parse().ok()?,
        };
        Some(
            bypass::Targets::find(
                self.cluster,
                &self.journal,
                &self.settings.source,
                forbidden,
                bypass,
            )
            .await,
        )
    }

    fn meshed_probes(&self) -> Vec<Planned> {
        let source = &self.settings.source;
        if self.standing.holds(&source.labels) {
            return probe_plan::of(&self.plan, true);
        }
        // What a source reaches that the lock's selector leaves out says nothing about the lock.
        let routed_only = ProbePlan {
            forbidden: Vec::new(),
            ..self.plan.clone()
        };
        probe_plan::of(&routed_only, true)
    }

    fn with_echo(&self, (mut result, curl): (ProbeResult, CurlResult)) -> ProbeResult {
        if self.settings.echo.is_some() {
            echo::add(&mut result, &curl, &self.journal.plan);
        }
        result
    }

    async fn remove_pods(&self) {
        if self.settings.without_sidecar {
            remove_probe_pod(self.cluster, &self.settings.namespace, &self.bare, self.events).await;
        }
        if let Some(pods) = &self.evading {
            pods.remove(self.cluster, self.events).await;
        }
    }
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
