//! What is asked and decided, and refused, before a lock changes anything.

use super::holes::{self, Policies};
use super::observe::{Known, observe, read_resolv_conf, with_used_ports};
use super::prepared::Prepared;
use crate::cluster::{ApplyOptions, Cluster};
use crate::engine::facts::Facts;
use crate::engine::probe::ProbeSource;
use crate::engine::sentinel;
use crate::engine::verify::stored_plan;
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::access_log;
use crate::plan::journal::Journal;
use crate::plan::lock::{self, ApiServer, LockRecord, LockSettings, Run, SwitchUndo};
use crate::plan::ownership::plan_of;
use crate::vocabulary::{HostName, Object, ObjectReference, PlanIdentity, names};
use std::time::Duration;

/// How long a policy engine may take until a new policy holds, unless somebody says otherwise. Engines that are slower
/// exist, but nobody would wait.
pub const EFFECT_WITHIN: Duration = Duration::from_secs(30);

/// What the user wants.
#[derive(Debug, Clone)]
pub struct LockdownSettings {
    /// Whose gateway stays reachable.
    pub plan: PlanIdentity,
    /// The namespace to lock.
    pub namespace: String,
    /// What the lock is to be like.
    pub lock: LockSettings,
    /// After how long the switch takes an unproven lock back.
    pub confirm_within: Duration,
    /// How long a policy engine may take until the canary holds, and after it the lock.
    pub effect_within: Duration,
    /// Hosts that must not be reachable, besides what is not declared.
    pub forbidden: Vec<HostName>,
    /// A container of the namespace that probes leave from.
    pub source: ProbeSource,
    /// Path of a CA bundle in the source's container.
    pub ca_certificate: Option<String>,
    /// After how many seconds curl gives up.
    pub max_time_seconds: u32,
    /// How long to wait for each pod.
    pub timeout: Duration,
}

/// What there is to do.
#[derive(Debug)]
pub enum Decision {
    /// It is locked so already.
    Unchanged(Box<Prepared>),
    /// A lock is to be made, or changed.
    Lock(Box<Prepared>),
}

/// Asks the cluster and decides; changes nothing.
///
/// # Errors
/// No plan, a plan without hosts, a missing permission, a selector that no pod fits, a lock that cannot be derived, a
/// switch whose pod the namespace would refuse: each named.
pub async fn prepare(cluster: &Cluster, settings: LockdownSettings) -> Result<Decision> {
    let journal = stored_plan(cluster, &settings.plan).await?;
    if journal.plan.hosts.is_empty() {
        return Err(Error::usage(format!(
            "the plan {} has no hosts, so a lock would only cut off",
            settings.plan
        ))
        .hint(format!(
            "add one: kubectl egress route HOST -n {}",
            settings.plan.namespace
        )));
    }
    refuse_hosts_without_gateway(&journal, &settings)?;
    let probe_labels = settings.lock.selector.satisfying_labels().ok_or_else(|| {
        Error::usage(format!(
            "no pod can fit the selector `{}`",
            settings.lock.selector
        ))
    })?;
    let in_locked = PlanIdentity {
        namespace: settings.namespace.clone(),
        name: settings.plan.name.clone(),
    };
    let facts = Facts::gather(cluster, &in_locked).await?;
    let used = with_used_ports(&journal);
    let known = Known {
        namespace: &settings.namespace,
        object: facts.namespace.as_ref(),
        resolv_conf: read_resolv_conf(cluster, &settings.source).await?,
        services: facts.services.clone(),
        gateway: &used,
        root_namespace: facts.root_namespace(),
    };
    let (observed, mut policies) =
        futures::future::try_join(observe(cluster, known), holes::read(cluster, &settings.namespace)).await?;
    check_selector(&settings, &policies)?;
    let peers = lock::derive(&observed, &settings.lock)?;
    let api_server = ApiServer::from_objects(&observed.api_server)?;
    let spec = lock::policy_spec(&settings.lock, &peers);
    let run = Run {
        plan: settings.plan.clone(),
        namespace: settings.namespace.clone(),
        id: sentinel::nonce()[..10].to_owned(),
    };
    let current = current_lock(cluster, &journal, &settings.namespace).await?;
    let leftovers = leftovers(&policies, &settings.plan, current.as_ref());
    // They are taken away before anything else, so that they open and close nothing.
    policies
        .policies
        .retain(|policy| !leftovers.contains(&policy.reference(&kinds::network_policy())));
    let undo = match &current {
        Some((record, live)) => SwitchUndo::Restore {
            lock: record.name.clone(),
            uid: live.uid().to_owned(),
            // What a run that died made of the lock was never proven.
            spec: if leftovers.is_empty() {
                live.at("/spec").clone()
            } else {
                record.spec.clone()
            },
        },
        None => SwitchUndo::Delete { lock: run.lock() },
    };
    let mut prepared = Prepared {
        is_stale: journal
            .lock_of(&settings.namespace)
            .is_some_and(|record| !record.confirmed)
            || !leftovers.is_empty(),
        findings: Vec::new(),
        simulation: None,
        settings,
        journal,
        run,
        peers,
        spec,
        policies,
        undo,
        api_server,
        observed,
        probe_labels,
        log_provider: access_log::provider(&facts.mesh).unwrap_or_default().to_owned(),
    };
    prepared.findings = prepared.ways_out(&prepared.policies);
    let not_held = holes::not_held(&prepared.policies, &prepared.settings.lock.selector);
    prepared.findings.extend(not_held);
    if leftovers.is_empty() && current.is_some_and(|(_, live)| *live.at("/spec") == prepared.spec) {
        return Ok(Decision::Unchanged(Box::new(prepared)));
    }
    prepared.check_switch_pod(cluster).await?;
    Ok(Decision::Lock(Box::new(prepared)))
}

/// Asks the server what it would do with the lock.
///
/// # Errors
/// What the server refuses.
pub async fn dry_run(cluster: &Cluster, prepared: &Prepared) -> Result<()> {
    let lock = prepared.lock_manifest();
    let options = ApplyOptions {
        dry_run: true,
        force: prepared.changes_a_lock(),
        ..ApplyOptions::new(&lock.reference, &lock.manager)
    };
    cluster.apply(&lock.object, &options).await.map(drop)
}

/// The confirmed lock of the namespace, if it is there as recorded or changed; one of a run that died does not count:
/// it has to be taken away first.
async fn current_lock(
    cluster: &Cluster,
    journal: &Journal,
    namespace: &str,
) -> Result<Option<(LockRecord, Object)>> {
    let Some(record) = journal.lock_of(namespace) else {
        return Ok(None);
    };
    if !record.confirmed {
        return Ok(None);
    }
    let live = cluster.get(&record.reference()).await?;
    Ok(live
        .filter(|live| live.uid() == record.uid)
        .map(|live| (record.clone(), live)))
}

/// Policies of runs that died: all of the plan's locks but the one that stands.
fn leftovers(
    policies: &Policies,
    plan: &PlanIdentity,
    current: Option<&(LockRecord, Object)>,
) -> Vec<ObjectReference> {
    let standing = current.map(|(record, _)| record.reference());
    let of_locks = policies
        .policies
        .iter()
        .filter(|policy| policy.label(names::LOCK_LABEL).is_some() && plan_of(policy).as_ref() == Some(plan));
    of_locks
        .map(|policy| policy.reference(&kinds::network_policy()))
        .filter(|reference| Some(reference) != standing.as_ref())
        .collect()
}

fn check_selector(settings: &LockdownSettings, policies: &Policies) -> Result<()> {
    let selector = &settings.lock.selector;
    let fits = |pod: &&Object| selector.matches(pod.at("/metadata/labels"));
    if selector.requirements.is_empty() || policies.pods.iter().any(|pod| fits(&pod)) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "no pod of namespace {} fits the selector `{selector}`",
        settings.namespace
    ))
    .hint(format!(
        "kubectl get pods -n {} --show-labels",
        settings.namespace
    )))
}

/// A lock leaves the gateway as the only way out, so that what the plan leads past it would be cut off.
fn refuse_hosts_without_gateway(journal: &Journal, settings: &LockdownSettings) -> Result<()> {
    let past: Vec<String> = journal
        .plan
        .hosts
        .iter()
        .filter(|planned| !planned.how.through_gateway())
        .map(ToString::to_string)
        .collect();
    if past.is_empty() {
        return Ok(());
    }
    Err(Error::usage(format!(
        "a lock would cut off hosts that the plan {} leads past the gateway: {}",
        settings.plan,
        past.join(", ")
    ))
    .because("a lock lets out only DNS, istiod and the gateway's pods")
    .hint(format!(
        "lead them through the gateway: kubectl egress route HOST --mode passthrough -n {0} (or http, tls-origination); or take them out: kubectl egress route --remove HOST -n {0}",
        settings.plan.namespace
    )))
}
