//! Proves what holds: listens, probes from a meshed source and from one without sidecar, chains the receipts.

use super::bare_pod::{make_bare_pod, remove_bare_pod};
use super::event::{Event, Events};
use super::journal_store;
use super::probe::{self, ProbeSource};
use super::probe_plan;
pub use super::probe_plan::Planned;
use super::round::Round;
use super::sentinel;
use super::status::{self, StatusRow};
use super::witness::Witness;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::evidence::{CurlResult, LogState, ProbeRequest, ProbeResult, Verification, claims};
use crate::finding::{Finding, Severity};
use crate::istio::kinds;
use crate::plan::journal::Journal;
use crate::plan::{GatewayTarget, PlannedHost};
use crate::vocabulary::{ClaimState, HostName, ObjectReference, PlanIdentity, Scheme};
use std::time::{Duration, Instant};

/// How long the sidecar's own sentinel may take.
const SIDECAR_SENTINEL_DEADLINE: Duration = Duration::from_secs(4);

/// What is to be proven.
#[derive(Debug, Clone)]
pub struct VerifySettings {
    /// Of which plan.
    pub plan: PlanIdentity,
    /// Only these hosts; empty: all of the plan.
    pub hosts: Vec<PlannedHost>,
    /// Hosts that must not be reachable; none: only declared hosts are probed, for their route.
    pub forbidden: Vec<HostName>,
    /// Whether a pod without sidecar is made and probed from.
    pub without_sidecar: bool,
    /// The container that the probes leave from.
    pub source: ProbeSource,
    /// Path of a CA bundle in the source's container.
    pub ca_certificate: Option<String>,
    /// After how many seconds curl gives up.
    pub max_time_seconds: u32,
    /// Whether the claim `enforced` must hold.
    pub enforced_required: bool,
    /// How long to wait for the pod without sidecar.
    pub timeout: Duration,
}

/// Probes the plan and judges the claims.
///
/// # Errors
/// If there is no plan, no source, or the cluster refuses what is needed to begin. What goes wrong after that is
/// evidence, not an error.
pub async fn verify(cluster: &Cluster, settings: &VerifySettings, events: &Events) -> Result<Verification> {
    let journal = stored_plan(cluster, &settings.plan).await?;
    let hosts = chosen_hosts(&journal, settings)?;
    let meshed = settings.source.clone();
    let mut bare = None;
    let started = Instant::now();
    events(Event::StepStarted {
        id: "listen".to_owned(),
        title: format!(
            "listen at the gateway {} and the source's sidecar",
            journal.gateway
        ),
    });
    let sources: Vec<_> = if meshed.meshed {
        vec![(meshed.pod.clone(), meshed.addresses.clone())]
    } else {
        Vec::new()
    };
    let witness = Witness::start(cluster, &journal.gateway, &sources);
    let bare_name = format!("kubectl-egress-unmeshed-{}", &sentinel::nonce()[..6]);
    let make_bare = async {
        if settings.without_sidecar {
            make_bare_pod(cluster, &journal, &bare_name, settings.timeout, events)
                .await
                .map(Some)
        } else {
            Ok(None)
        }
    };
    let ((), (), made, rows) = tokio::join!(
        witness.ready(),
        sidecar_sentinel(cluster, &witness, &journal.gateway, &meshed),
        make_bare,
        status::of(cluster, &journal)
    );
    events(Event::StepFinished {
        id: "listen".to_owned(),
        detail: Some(listening(&witness)),
        elapsed: started.elapsed(),
    });
    match made {
        Ok(source) => bare = source,
        Err(error) => events(Event::Warning(format!(
            "no pod without sidecar could be made, so nothing is known of such pods: {error}"
        ))),
    }
    let work = async {
        let round = Round::new(cluster, &witness, &meshed, events).await;
        let meshed_probes = probe_plan::of(&hosts, settings, meshed.meshed);
        let bare_probes = if bare.is_some() {
            probe_plan::of(&hosts, settings, false)
        } else {
            Vec::new()
        };
        round
            .run(&meshed, meshed_probes, bare.as_ref(), bare_probes)
            .await
    };
    let results: Vec<ProbeResult> = work.await.into_iter().map(|(result, _)| result).collect();
    if settings.without_sidecar {
        remove_bare_pod(cluster, &settings.plan, &bare_name, events).await;
    }
    for result in &results {
        events(Event::Probed(Box::new(result.clone())));
    }
    let mut claims = claims(&results, settings.enforced_required);
    match rows {
        Ok(rows) => claims.findings.extend(object_findings(&rows, claims.routed)),
        Err(error) => events(Event::Warning(format!(
            "whether all objects of the plan are there is not known: {error}"
        ))),
    }
    Ok(Verification::new(
        settings.plan.name.clone(),
        settings.plan.namespace.clone(),
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

/// Sends some probes from one source, listened to and judged; nothing else is made or claimed.
pub async fn probe_from(
    cluster: &Cluster,
    gateway: &GatewayTarget,
    from: &ProbeSource,
    planned: Vec<Planned>,
    events: &Events,
) -> Vec<(ProbeResult, CurlResult)> {
    let sources: Vec<_> = if from.meshed {
        vec![(from.pod.clone(), from.addresses.clone())]
    } else {
        Vec::new()
    };
    let witness = Witness::start(cluster, gateway, &sources);
    tokio::join!(
        witness.ready(),
        sidecar_sentinel(cluster, &witness, gateway, from)
    );
    let round = Round::new(cluster, &witness, from, events).await;
    round.run(from, planned, None, Vec::new()).await
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
    for wanted in &settings.hosts {
        if !journal.plan.hosts.contains(wanted) {
            return Err(Error::usage(format!(
                "{} is not in the plan {}",
                wanted.host_port(),
                settings.plan
            ))
            .hint(format!(
                "add it: kubectl egress route {} -n {}",
                wanted.host_port(),
                settings.plan.namespace
            )));
        }
    }
    Ok(settings.hosts.clone())
}

fn listening(witness: &Witness) -> String {
    let facts = witness.gateway_facts();
    let delivering = facts
        .pods
        .iter()
        .filter(|pod| pod.log_state == LogState::Delivering)
        .count();
    format!(
        "{delivering} of {} gateway pods deliver their log",
        facts.pods.len()
    )
}

/// Shows that the sidecar's follower delivers, by a connection to the gateway's own Service with a server name that
/// nobody serves: it leaves a line in the sidecar and goes nowhere.
async fn sidecar_sentinel(cluster: &Cluster, witness: &Witness, gateway: &GatewayTarget, from: &ProbeSource) {
    if !from.meshed {
        return;
    }
    let reference = ObjectReference::namespaced(kinds::service(), &gateway.namespace, &gateway.service);
    let service = cluster.get(&reference).await.ok().flatten();
    let address = service
        .as_ref()
        .map(|service| service.text("/spec/clusterIP").to_owned())
        .unwrap_or_default();
    if address.is_empty() || address == "None" {
        return;
    }
    let name = sentinel::server_name();
    let request = ProbeRequest {
        id: 0,
        nonce: sentinel::nonce(),
        scheme: Scheme::Https,
        host: name.clone(),
        port: gateway.tls_port,
        path: "/".to_owned(),
        method: "GET".to_owned(),
        max_time_seconds: 3,
        ca_certificate: None,
        show_headers: false,
        show_body: false,
        resolve: Some(format!("{name}:{}:{address}", gateway.tls_port)),
    };
    let requests = [request];
    // That listener reads no server name, so the line is known by curl's own address.
    let local = match probe::send(cluster, from, &requests).await.pop() {
        Some(CurlResult::Report(report)) => report.local_address,
        _ => None,
    };
    witness
        .sidecar_delivers(&from.pod, local.as_deref(), SIDECAR_SENTINEL_DEADLINE)
        .await;
}
