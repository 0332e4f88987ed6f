//! Taking a lock away: `unlock`.

use super::changes::Changes;
use crate::cluster::{Cluster, DeleteOptions, Deleted};
use crate::engine::event::Events;
use crate::engine::lease::Lease;
use crate::engine::prepare::DryRun;
use crate::engine::undo;
use crate::engine::verify::stored_plan;
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::journal::Entry;
use crate::plan::ownership::{is_ours, plan_of};
use crate::vocabulary::{Kind, Object, ObjectReference, PlanIdentity, names};
use futures::future::try_join_all;
use std::time::Duration;

/// How long what was deleted may take to be gone: a switch's pod ends with its grace period.
const GONE_WITHIN: Duration = Duration::from_secs(30);

/// Takes the plan's lock of a namespace away, with everything that a killed `lockdown` left; gives back what it took.
/// Whatever was reachable before the lock is reachable again.
///
/// # Errors
/// If there is no plan, another run is under way, or the cluster refuses.
pub async fn unlock(
    cluster: &Cluster,
    plan: &PlanIdentity,
    namespace: &str,
    dry_run: DryRun,
    events: &Events,
) -> Result<Vec<ObjectReference>> {
    let journal = stored_plan(cluster, plan).await?;
    if dry_run.is_dry() {
        return would_go(cluster, plan, namespace, dry_run).await;
    }
    let lease = Lease::acquire(cluster, plan).await?;
    let changes = Changes::new(cluster, journal, events);
    let result = take_away(cluster, plan, namespace, &changes).await;
    let released = lease.release().await;
    let gone = result?;
    released?;
    Ok(gone)
}

/// What would go; with [`DryRun::Server`] the API server goes through each deletion.
async fn would_go(
    cluster: &Cluster,
    plan: &PlanIdentity,
    namespace: &str,
    dry_run: DryRun,
) -> Result<Vec<ObjectReference>> {
    let work = found(cluster, plan, namespace)
        .await?
        .into_iter()
        .map(|(reference, object)| async move {
            let options = DeleteOptions {
                uid: Some(object.uid().to_owned()),
                ..DeleteOptions::default()
            };
            let deleted = undo::delete(cluster, &reference, options, dry_run).await?;
            Ok::<_, Error>(matches!(deleted, Deleted::Gone | Deleted::Deleting).then_some(reference))
        });
    Ok(try_join_all(work).await?.into_iter().flatten().collect())
}

/// The same within a run that holds the Lease.
pub(super) async fn take_away(
    cluster: &Cluster,
    plan: &PlanIdentity,
    namespace: &str,
    changes: &Changes<'_>,
) -> Result<Vec<ObjectReference>> {
    let found = found(cluster, plan, namespace).await?;
    let gone = delete_all(cluster, found, changes).await?;
    remove_probe_pods(cluster, plan, namespace).await?;
    changes
        .note(|journal| {
            journal.forget_lock(namespace);
            journal.entries.retain(|entry| !is_of_lock(entry, namespace));
        })
        .await?;
    Ok(gone)
}

/// The same but for the lock that stands: what a run left that died while it changed it.
pub(super) async fn take_away_but(
    cluster: &Cluster,
    plan: &PlanIdentity,
    namespace: &str,
    lock: &ObjectReference,
    changes: &Changes<'_>,
) -> Result<()> {
    let mut found = found(cluster, plan, namespace).await?;
    found.retain(|(reference, _)| reference != lock);
    delete_all(cluster, found, changes).await?;
    remove_probe_pods(cluster, plan, namespace).await?;
    changes
        .note(|journal| {
            let of_dead = |entry: &Entry| is_of_lock(entry, namespace) && entry.reference() != *lock;
            journal.entries.retain(|entry| !of_dead(entry));
        })
        .await
}

async fn delete_all(
    cluster: &Cluster,
    found: Vec<(ObjectReference, Object)>,
    changes: &Changes<'_>,
) -> Result<Vec<ObjectReference>> {
    // The lock first: what it held back waits for it. A switch that acts meanwhile finds nothing left to do.
    let (policies, others): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|(reference, _)| reference.kind == kinds::network_policy());
    let mut gone = Vec::new();
    for wave in [policies, others] {
        let work = wave.iter().map(|(reference, object)| async move {
            let deleted = changes.delete("unlock", reference, Some(object.uid())).await?;
            if deleted == Deleted::Deleting {
                // A switch goes with its pod; as long as that runs, it can still act.
                cluster.wait_gone(reference, object.uid(), GONE_WITHIN).await?;
            }
            Ok::<_, Error>(matches!(deleted, Deleted::Gone | Deleted::Deleting).then(|| reference.clone()))
        });
        gone.extend(try_join_all(work).await?.into_iter().flatten());
    }
    Ok(gone)
}

/// Everything of the plan's locks in the namespace, by label and owner, not by what the journal says.
async fn found(
    cluster: &Cluster,
    plan: &PlanIdentity,
    namespace: &str,
) -> Result<Vec<(ObjectReference, Object)>> {
    let kinds = lock_kinds();
    let lists = kinds.iter().map(|kind| async move {
        let objects = cluster
            .list(kind, Some(namespace), Some(names::LOCK_LABEL))
            .await?;
        let ours = objects
            .into_iter()
            .filter(|object| is_ours(object) && plan_of(object).as_ref() == Some(plan))
            .map(|object| (object.reference(kind), object));
        Ok::<_, Error>(ours.collect::<Vec<_>>())
    });
    Ok(try_join_all(lists).await?.into_iter().flatten().collect())
}

/// Kinds that a `lockdown` makes in the locked namespace.
fn lock_kinds() -> Vec<Kind> {
    vec![
        kinds::network_policy(),
        kinds::job(),
        kinds::role_binding(),
        kinds::role(),
        kinds::service_account(),
        kinds::config_map(),
        kinds::telemetry(),
    ]
}

fn is_of_lock(entry: &Entry, namespace: &str) -> bool {
    let reference = entry.reference();
    reference.namespace.as_deref() == Some(namespace)
        && reference.name.starts_with(names::LOCK_PREFIX)
        && lock_kinds().contains(&reference.kind)
}

async fn remove_probe_pods(cluster: &Cluster, plan: &PlanIdentity, namespace: &str) -> Result<()> {
    let selector = format!("{}={}", names::MANAGED_BY_LABEL, names::MANAGER);
    let pods = cluster
        .list(&kinds::pod(), Some(namespace), Some(&selector))
        .await?;
    let work = pods
        .iter()
        .filter(|pod| plan_of(pod).as_ref() == Some(plan))
        .map(|pod| async move {
            let options = DeleteOptions {
                uid: Some(pod.uid().to_owned()),
                grace_period_seconds: Some(0),
                ..DeleteOptions::default()
            };
            cluster.delete(&pod.reference(&kinds::pod()), &options).await
        });
    try_join_all(work).await.map(drop)
}
