//! Undoes a journal: deletes what is ours alone, gives back what is shared, restores what was replaced.

use super::event::{Event, Events};
use super::give_back::{Lent, give_back};
use super::lease::Lease;
use super::prepare::DryRun;
use super::{ephemeral_container, journal_store, module_users, namespace, orphans};
use crate::cluster::{ApplyOptions, Cluster, DeleteOptions, Deleted};
use crate::error::Result;
use crate::istio::kinds;
use crate::plan::journal::{Entry, Journal};
use crate::plan::ownership;
use crate::vocabulary::{Change, ExitCode, Object, ObjectReference, PlanIdentity, names};
use futures::future::try_join_all;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Name of the step in events.
pub const STEP: &str = "undo";

/// How undoing is done.
#[derive(Debug, Clone, Copy)]
pub struct UndoSettings {
    /// Whether anything is changed.
    pub dry_run: DryRun,
    /// Leave a namespace that we created.
    pub keep_namespace: bool,
    /// How long to wait for pods to be gone.
    pub timeout: Duration,
}

pub use super::orphans::leftovers;

/// What undoing left, and why; empty when all is as it was.
pub type Remains = Vec<String>;

/// Undoes all entries, wave by wave, then deletes the journal, then the namespace if it is ours and empty.
///
/// # Errors
/// If the cluster refuses. What was undone by then stays undone; running it again goes on.
pub async fn undo(
    cluster: &Cluster,
    journal: &Journal,
    settings: UndoSettings,
    events: &Events,
) -> Result<Remains> {
    let plan = &journal.plan.identity;
    let mut remains = Remains::new();
    for wave in journal.undo() {
        remains.extend(remove(cluster, plan, &wave, settings, events).await?);
    }
    remove_probe_pods(cluster, journal, settings, events).await?;
    let at = Journal::reference_of(plan);
    if remains.is_empty() {
        let deleted = delete(cluster, &at, DeleteOptions::default(), settings.dry_run).await?;
        if deleted != Deleted::NotThere {
            say(events, &at, Change::Deleted, settings.dry_run);
        }
    }
    Ok(remains)
}

/// Undoes some entries side by side: a wave, or objects that a smaller plan no longer needs.
///
/// # Errors
/// If the cluster refuses.
pub async fn remove(
    cluster: &Cluster,
    plan: &PlanIdentity,
    entries: &[Entry],
    settings: UndoSettings,
    events: &Events,
) -> Result<Remains> {
    let work = entries
        .iter()
        .map(|entry| undo_entry(cluster, plan, entry, settings, events));
    Ok(try_join_all(work).await?.into_iter().flatten().collect())
}

async fn undo_entry(
    cluster: &Cluster,
    plan: &PlanIdentity,
    entry: &Entry,
    settings: UndoSettings,
    events: &Events,
) -> Result<Option<String>> {
    match entry {
        Entry::Object {
            reference,
            manager,
            shared,
            uid,
        } => {
            undo_object(
                cluster,
                plan,
                &Ours {
                    reference,
                    manager,
                    shared: *shared,
                    uid: uid.as_deref(),
                },
                settings,
                events,
            )
            .await
        }
        Entry::Field {
            reference,
            manager,
            pointer,
            before,
            owners,
        } => {
            let lent = Lent {
                reference,
                manager,
                pointer,
                before: before.as_ref(),
                owners,
            };
            give_back(cluster, &lent, settings, events).await.map(|()| None)
        }
        // After everything else, by `remove_namespace`.
        Entry::Namespace { .. } => Ok(None),
    }
}

struct Ours<'entry> {
    reference: &'entry ObjectReference,
    manager: &'entry str,
    shared: bool,
    uid: Option<&'entry str>,
}

async fn undo_object(
    cluster: &Cluster,
    plan: &PlanIdentity,
    ours: &Ours<'_>,
    settings: UndoSettings,
    events: &Events,
) -> Result<Option<String>> {
    let reference = ours.reference;
    let Some(live) = cluster.get(reference).await? else {
        return Ok(None);
    };
    if !ownership::is_ours(&live) {
        return Ok(Some(format!(
            "{reference} carries no label or field of ours any more, so it is left as it is"
        )));
    }
    if let Some(uid) = ours.uid
        && uid != live.uid()
    {
        return Ok(Some(format!(
            "{reference} was deleted and made again by somebody else, so it is left as it is"
        )));
    }
    if ours.shared {
        if !live.managers().any(|manager| manager == ours.manager) {
            return Ok(None);
        }
        let others = live
            .managers()
            .any(|manager| ownership::is_our_manager(manager) && manager != ours.manager);
        if others {
            release(cluster, reference, ours.manager, settings.dry_run).await?;
            say(events, reference, Change::Configured, settings.dry_run);
            return Ok(None);
        }
    } else if ownership::plan_of(&live).as_ref() != Some(plan) {
        return Ok(Some(format!(
            "{reference} says that it belongs to another plan, so it is left as it is"
        )));
    }
    if reference.kind == kinds::istio_module()
        && let Some(user) = module_users::used_by_others(cluster, &plan.namespace).await?
    {
        release(cluster, reference, ours.manager, settings.dry_run).await?;
        return Ok(Some(format!(
            "{reference}, which we made, is kept without our fields, as deleting it would uninstall Istio for {user}"
        )));
    }
    // A Job's pods would stay behind otherwise: `batch/v1` orphans them unless told not to.
    let with_pods = [kinds::deployment(), kinds::job()].contains(&reference.kind);
    let waited_for = with_pods || reference.kind == kinds::istio_module();
    let options = DeleteOptions {
        uid: Some(live.uid().to_owned()),
        propagation_foreground: with_pods,
        ..DeleteOptions::default()
    };
    match delete(cluster, reference, options, settings.dry_run).await? {
        Deleted::NotThere => {}
        Deleted::OtherUid => {
            return Ok(Some(format!(
                "{reference} was replaced meanwhile, so it is left as it is"
            )));
        }
        Deleted::Gone | Deleted::Deleting => {
            say(events, reference, Change::Deleted, settings.dry_run);
            if !settings.dry_run.is_dry() && waited_for {
                let what = if with_pods {
                    format!("the pods of {reference} to be gone")
                } else {
                    format!("{reference} to be gone, and Istio with it")
                };
                events(Event::StepWaiting {
                    id: STEP.to_owned(),
                    on: what,
                });
                cluster.wait_gone(reference, live.uid(), settings.timeout).await?;
            }
        }
    }
    Ok(None)
}

/// Deletes, or asks the server whether it would, or only looks whether there is anything to delete.
pub(super) async fn delete(
    cluster: &Cluster,
    reference: &ObjectReference,
    options: DeleteOptions,
    dry_run: DryRun,
) -> Result<Deleted> {
    if dry_run == DryRun::Client {
        return Ok(match cluster.get(reference).await? {
            None => Deleted::NotThere,
            Some(live) if options.uid.as_deref().is_some_and(|uid| uid != live.uid()) => Deleted::OtherUid,
            Some(_) => Deleted::Gone,
        });
    }
    let options = DeleteOptions {
        dry_run: dry_run.is_dry(),
        ..options
    };
    cluster.delete(reference, &options).await
}

/// Applies nothing as this manager: the fields that it owns alone go away, the others lose one owner.
/// Gives the object as it is after that; with [`DryRun::Client`] as it is now.
pub(super) async fn release(
    cluster: &Cluster,
    reference: &ObjectReference,
    manager: &str,
    dry_run: DryRun,
) -> Result<Object> {
    if dry_run == DryRun::Client {
        return Ok(cluster.get(reference).await?.unwrap_or(Object(Value::Null)));
    }
    let bare = json!({
        "apiVersion": reference.kind.api_version(), "kind": reference.kind.kind,
        "metadata": {"name": reference.name, "namespace": reference.namespace},
    });
    let options = ApplyOptions {
        dry_run: dry_run.is_dry(),
        ..ApplyOptions::new(reference, manager)
    };
    Ok(cluster.apply(&Object(bare), &options).await?.object)
}

/// Pods of a `verify` or `lockdown` that was killed: they end by themselves, but cleaning up does not wait for that. A
/// namespace that uses another's plan has them too, and no journal names it. Where not all namespaces may be listed,
/// the plan's own and the locked ones are looked at.
async fn remove_probe_pods(
    cluster: &Cluster,
    journal: &Journal,
    settings: UndoSettings,
    events: &Events,
) -> Result<()> {
    let plan = &journal.plan.identity;
    let selector = format!(
        "{}={},{}={}",
        names::MANAGED_BY_LABEL,
        names::MANAGER,
        names::PLAN_LABEL,
        plan.name,
    );
    let kind = kinds::pod();
    let found: Vec<Object> = match cluster.list(&kind, None, Some(&selector)).await {
        Err(error) if error.code() == ExitCode::Cluster => {
            let locked = journal.locks.iter().map(|lock| lock.namespace.as_str());
            let known: BTreeSet<&str> = locked.chain([plan.namespace.as_str()]).collect();
            let lists = known
                .into_iter()
                .map(|namespace| cluster.list(&kind, Some(namespace), Some(&selector)));
            try_join_all(lists).await?.into_iter().flatten().collect()
        }
        found => found?,
    };
    // What has an owner goes with it.
    let alone = |pod: &&Object| pod.items("/metadata/ownerReferences").is_empty();
    let ours = |pod: &&Object| ownership::plan_of(pod).as_ref() == Some(plan);
    for pod in found.iter().filter(alone).filter(ours) {
        let reference = pod.reference(&kind);
        let options = DeleteOptions {
            uid: Some(pod.uid().to_owned()),
            grace_period_seconds: Some(0),
            ..DeleteOptions::default()
        };
        if delete(cluster, &reference, options, settings.dry_run).await? != Deleted::NotThere {
            say(events, &reference, Change::Deleted, settings.dry_run);
        }
    }
    Ok(())
}

pub(super) fn say(events: &Events, object: &ObjectReference, change: Change, dry_run: DryRun) {
    events(Event::ObjectChanged {
        id: STEP.to_owned(),
        object: object.clone(),
        change,
        dry_run: dry_run.is_dry(),
    });
}

/// Undoes a whole plan under its Lease: the journal's entries, or without a journal what carries the plan's labels
/// and managers; last the namespace, if we created it.
///
/// # Errors
/// If another run works on the plan (exit 5), or the cluster refuses.
pub async fn whole_plan(
    cluster: &Cluster,
    plan: &PlanIdentity,
    settings: UndoSettings,
    events: &Events,
) -> Result<Remains> {
    let namespace = ObjectReference::cluster(kinds::namespace(), &plan.namespace);
    let Some(live) = cluster.get(&namespace).await? else {
        events(Event::Note(format!(
            "namespace {} does not exist, so there is nothing to undo in it",
            plan.namespace
        )));
        return Ok(Remains::new());
    };
    if !live.at("/metadata/deletionTimestamp").is_null() {
        events(Event::Note(format!("{namespace} is on its way out already")));
        cluster
            .wait_gone(&namespace, live.uid(), settings.timeout)
            .await?;
        return Ok(Remains::new());
    }
    let started = std::time::Instant::now();
    events(Event::StepStarted {
        id: STEP.to_owned(),
        title: format!("undo the plan {plan}"),
    });
    let lease = if settings.dry_run.is_dry() {
        None
    } else {
        Some(Lease::acquire(cluster, plan).await?)
    };
    let result = undo_locked(cluster, plan, settings, events).await;
    if let Some(lease) = lease {
        let released = lease.release().await;
        if result.is_ok() {
            released?;
        }
    }
    let (journal, mut remains) = result?;
    if let Some(journal) = journal {
        remains.extend(namespace::remove_namespace(cluster, &journal, settings, events).await?);
    }
    events(Event::StepFinished {
        id: STEP.to_owned(),
        detail: None,
        elapsed: started.elapsed(),
    });
    Ok(remains)
}

async fn undo_locked(
    cluster: &Cluster,
    plan: &PlanIdentity,
    settings: UndoSettings,
    events: &Events,
) -> Result<(Option<Journal>, Remains)> {
    let journal = match journal_store::read(cluster, plan).await? {
        Some(journal) => Some(journal),
        None => orphans::journal(cluster, plan).await?,
    };
    let Some(journal) = journal else {
        events(Event::Note(format!(
            "there is no plan {plan}, and nothing carries its labels"
        )));
        return Ok((None, Remains::new()));
    };
    let remains = undo(cluster, &journal, settings, events).await?;
    for pod in ephemeral_container::left_in(cluster, &plan.namespace).await? {
        events(Event::Warning(format!(
            "pod {pod} carries our ephemeral container, which only goes with the pod"
        )));
    }
    Ok((Some(journal), remains))
}
