//! Undoes a plan: what its journal says and the objects confirm; without a journal what bears its marks.

use super::event::{Event, Events};
use super::give_back::give_back;
use super::lease::Lease;
use super::prepare::DryRun;
use super::remains::Remains;
use super::undo_object::{remove_probe_pods, say, undo_object};
use super::{ephemeral_container, journal_store, namespace, orphans, stuck};
use crate::cluster::{Cluster, DeleteOptions, Deleted};
use crate::error::Result;
use crate::istio::kinds;
use crate::plan::foreign_field::{Claim, fields_of};
use crate::plan::journal::{Entry, Journal};
use crate::vocabulary::{Change, ExitCode, Object, ObjectReference, PlanIdentity};
use futures::future::try_join_all;
use std::collections::BTreeMap;
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
    /// How long to wait for what was deleted to be gone.
    pub timeout: Duration,
}

pub use super::orphans::leftovers;
pub(super) use super::undo_object::delete;

/// Undoes all entries, wave by wave. A `ServiceEntry` that does not go stops it: what is after it in the order would let
/// its host be reached directly.
async fn undo_entries(
    cluster: &Cluster,
    journal: &Journal,
    settings: UndoSettings,
    events: &Events,
) -> Result<Remains> {
    let plan = &journal.plan.identity;
    let mut remains = Remains::default();
    for wave in journal.undo() {
        remains.add(remove(cluster, plan, &wave, settings, events).await?);
        let entry = |stuck: &super::remains::Stuck| stuck.object.kind == kinds::service_entry();
        if remains.stuck.iter().any(entry) {
            break;
        }
    }
    tell_missing_kinds(cluster, &remains.missing, events).await?;
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
    let mut remains = Remains::default();
    for one in try_join_all(work).await? {
        remains.add(one);
    }
    Ok(remains)
}

async fn undo_entry(
    cluster: &Cluster,
    plan: &PlanIdentity,
    entry: &Entry,
    settings: UndoSettings,
    events: &Events,
) -> Result<Remains> {
    match entry {
        Entry::Object { .. } => undo_object(cluster, plan, entry, settings, events).await,
        Entry::Field {
            reference,
            manager,
            pointer,
            before,
            set,
            ..
        } => {
            let fields = fields_of(reference, plan);
            let Some(field) = fields.iter().find(|field| field.pointer == pointer) else {
                return Ok(Remains::refused(format!(
                    "{pointer} of {reference} is no field of a plan"
                )));
            };
            let claim = Claim {
                field,
                reference,
                manager,
                before: before.as_ref(),
                set: set.as_ref(),
            };
            give_back(cluster, &claim, settings, events).await
        }
        // After everything else, by `remove_namespace`.
        Entry::Namespace { .. } => Ok(Remains::default()),
    }
}

/// Says which kinds the cluster no longer has: what is not there of them went with them.
async fn tell_missing_kinds(cluster: &Cluster, missing: &[ObjectReference], events: &Events) -> Result<()> {
    let mut by_kind = BTreeMap::new();
    // Only what a custom resource definition brought can go.
    for reference in missing.iter().filter(|reference| {
        reference.kind.group.contains(".istio.io") || reference.kind == kinds::istio_module()
    }) {
        by_kind
            .entry(reference.kind.clone())
            .or_insert_with(Vec::new)
            .push(reference.to_string());
    }
    let asked = by_kind.iter().map(|(kind, objects)| async move {
        let served = cluster.serves(&cluster.served_kind(kind).await).await?;
        Ok::<_, crate::error::Error>((!served).then(|| {
            format!(
                "this cluster no longer has the kind {}.{}, so nothing is left to undo of {}",
                kind.plural,
                kind.group,
                objects.join(", ")
            )
        }))
    });
    for said in try_join_all(asked).await?.into_iter().flatten() {
        events(Event::Warning(said));
    }
    Ok(())
}

/// Undoes a whole plan under its Lease: the journal's entries as far as the objects confirm them; without a journal, or
/// with one that somebody tampered with, what carries the plan's labels and managers; last the namespace, if we created
/// it. What of it could not be done is in what is given back; see [`Remains::error`].
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
    let live = cluster.get(&namespace).await?;
    let started = tokio::time::Instant::now();
    events(Event::StepStarted {
        id: STEP.to_owned(),
        title: format!("undo the plan {plan}"),
    });
    let remains = match live {
        None => without_namespace(cluster, plan, settings, events).await?,
        Some(live) if !live.at("/metadata/deletionTimestamp").is_null() => {
            with_namespace_going(cluster, plan, &live, settings, events).await?
        }
        Some(_) => under_lease(cluster, plan, settings, events).await?,
    };
    events(Event::StepFinished {
        id: STEP.to_owned(),
        detail: None,
        elapsed: started.elapsed(),
    });
    Ok(remains)
}

/// Undoes it, then looks whether anything of it is left. What the journal did not know of, or what was said not to be
/// there, is found by its labels then, and undone as well.
///
/// # Errors
/// As [`whole_plan`].
pub async fn whole_plan_and_look(
    cluster: &Cluster,
    plan: &PlanIdentity,
    settings: UndoSettings,
    events: &Events,
) -> Result<(Remains, Vec<String>)> {
    let mut remains = whole_plan(cluster, plan, settings, events).await?;
    let left = leftovers(cluster, plan).await?;
    if left.is_empty() || !remains.is_settled() {
        return Ok((remains, left));
    }
    match whole_plan(cluster, plan, settings, events).await {
        Ok(more) => remains.add(more),
        // By now it is gone, or it does not say what it belongs to.
        Err(error) if error.code() == ExitCode::Usage => {}
        Err(error) => return Err(error),
    }
    let left = leftovers(cluster, plan).await?;
    Ok((remains, left))
}

async fn under_lease(
    cluster: &Cluster,
    plan: &PlanIdentity,
    settings: UndoSettings,
    events: &Events,
) -> Result<Remains> {
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
        if remains.is_settled() {
            remains.add(namespace::remove_namespace(cluster, &journal, settings, events).await?);
        } else if journal
            .entries
            .iter()
            .any(|entry| matches!(entry, Entry::Namespace { .. }))
        {
            remains.kept.push(format!(
                "Namespace {} is kept, as the plan's journal is",
                plan.namespace
            ));
        }
    }
    Ok(remains)
}

/// The namespace is gone, and the journal with it; what the plan had elsewhere is not.
async fn without_namespace(
    cluster: &Cluster,
    plan: &PlanIdentity,
    settings: UndoSettings,
    events: &Events,
) -> Result<Remains> {
    let found = match orphans::journal(cluster, plan).await {
        // Who may not list it has no more to lose.
        Err(error) if error.code() == ExitCode::Cluster => {
            events(Event::Warning(format!(
                "namespace {} does not exist, and what its plan had elsewhere could not be looked for: {error}",
                plan.namespace
            )));
            None
        }
        found => found?,
    };
    let Some(journal) = found else {
        events(Event::Note(format!(
            "namespace {} does not exist, so there is nothing to undo in it",
            plan.namespace
        )));
        return Ok(Remains::default());
    };
    events(Event::Note(format!(
        "namespace {} does not exist; what its plan {} left elsewhere is found by its marks",
        plan.namespace, plan.name
    )));
    let remains = undo_entries(cluster, &journal, settings, events).await?;
    remove_probe_pods(cluster, plan, &[], settings, events).await?;
    Ok(remains)
}

/// The namespace is on its way out: nothing can be made in it, a Lease neither. What is outside is undone by the
/// journal as long as that is there.
async fn with_namespace_going(
    cluster: &Cluster,
    plan: &PlanIdentity,
    live: &Object,
    settings: UndoSettings,
    events: &Events,
) -> Result<Remains> {
    let namespace = live.reference(&kinds::namespace());
    events(Event::Note(format!("{namespace} is on its way out already")));
    let (journal, refused) = known(cluster, plan, events).await?;
    let mut remains = Remains {
        refused,
        ..Remains::default()
    };
    if let Some(mut journal) = journal {
        journal.entries.retain(|entry| entry.reference() != namespace);
        remains.add(undo_entries(cluster, &journal, settings, events).await?);
    }
    if !settings.dry_run.is_dry() {
        events(Event::StepWaiting {
            id: STEP.to_owned(),
            on: format!("{namespace} to be gone"),
        });
        let gone = stuck::wait_gone(cluster, &namespace, live.uid(), settings.timeout).await?;
        for stuck in gone.stuck {
            if !remains.stuck.contains(&stuck) {
                remains.stuck.push(stuck);
            }
        }
    }
    Ok(remains)
}

/// What is known of a plan: its journal, or what bears its marks, or of a journal that says what may not be both. And
/// what is refused of it.
async fn known(
    cluster: &Cluster,
    plan: &PlanIdentity,
    events: &Events,
) -> Result<(Option<Journal>, Vec<String>)> {
    let Some(salvaged) = journal_store::salvage(cluster, plan).await? else {
        return Ok((orphans::journal(cluster, plan).await?, Vec::new()));
    };
    if salvaged.refused.is_empty() {
        return Ok((Some(salvaged.journal), Vec::new()));
    }
    let at = Journal::reference_of(plan);
    for why in &salvaged.refused {
        events(Event::Warning(format!("refused of the journal {at}: {why}")));
    }
    let mut journal = salvaged.journal;
    // Somebody who writes into it can also have taken something out.
    let found = orphans::journal(cluster, plan).await?;
    for entry in found.into_iter().flat_map(|found| found.entries) {
        if entry.reference() != at {
            journal.record(entry);
        }
    }
    Ok((Some(journal), salvaged.refused))
}

async fn undo_locked(
    cluster: &Cluster,
    plan: &PlanIdentity,
    settings: UndoSettings,
    events: &Events,
) -> Result<(Option<Journal>, Remains)> {
    let (journal, refused) = known(cluster, plan, events).await?;
    let Some(journal) = journal else {
        events(Event::Note(format!(
            "there is no plan {plan}, and nothing carries its labels"
        )));
        return Ok((None, Remains::default()));
    };
    let mut remains = undo_entries(cluster, &journal, settings, events).await?;
    remains.refused.extend(refused);
    let locked: Vec<&str> = journal.locks.iter().map(|lock| lock.namespace.as_str()).collect();
    remove_probe_pods(cluster, plan, &locked, settings, events).await?;
    let at = Journal::reference_of(plan);
    if remains.is_settled() {
        let deleted = delete(cluster, &at, DeleteOptions::default(), settings.dry_run).await?;
        if deleted != Deleted::NotThere {
            say(events, &at, Change::Deleted, settings.dry_run);
        }
    }
    for pod in ephemeral_container::left_in(cluster, &plan.namespace).await? {
        events(Event::Warning(format!(
            "pod {pod} carries our ephemeral container, which only goes with the pod"
        )));
    }
    Ok((Some(journal), remains))
}
