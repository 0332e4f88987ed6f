//! Undoes an object that the plan applied whole: deletes it if the live object says that it is the plan's alone, else
//! takes our share off.

use super::event::{Event, Events};
use super::prepare::DryRun;
use super::remains::Remains;
use super::undo::{STEP, UndoSettings};
use super::{module_users, stuck, telemetry_share};
use crate::cluster::{ApplyOptions, Cluster, DeleteOptions, Deleted};
use crate::error::Result;
use crate::istio::kinds;
use crate::plan::journal::{Entry, Standing, standing};
use crate::plan::ownership;
use crate::vocabulary::{Change, ExitCode, Object, ObjectReference, PlanIdentity, names};
use futures::future::try_join_all;
use serde_json::json;
use std::collections::BTreeSet;

/// Attempts to undo an object that others write to meanwhile.
pub(super) const ATTEMPTS: usize = 5;

/// Undoes one entry that names an object.
pub(super) async fn undo_object(
    cluster: &Cluster,
    plan: &PlanIdentity,
    entry: &Entry,
    settings: UndoSettings,
    events: &Events,
) -> Result<Remains> {
    let Entry::Object {
        reference, manager, ..
    } = entry
    else {
        return Ok(Remains::default());
    };
    for _ in 0..ATTEMPTS {
        let Some(live) = cluster.get(reference).await? else {
            return Ok(Remains {
                missing: vec![reference.clone()],
                ..Remains::default()
            });
        };
        let undone = match standing(plan, entry, &live) {
            Standing::Alone => undo_own(cluster, plan, reference, manager, &live, settings, events).await,
            Standing::Released => return Ok(Remains::default()),
            Standing::NotOurs(why) => return Ok(Remains::refused(why)),
            Standing::Shared => {
                let released = release(cluster, &live, reference, manager, settings.dry_run).await;
                released.map(|_| {
                    say(events, reference, Change::Configured, settings.dry_run);
                    Some(Remains::default())
                })
            }
        };
        match undone {
            Ok(Some(remains)) => return Ok(remains),
            // Somebody wrote to it since: perhaps another plan, which shares it now or does so no more.
            Ok(None) => {}
            Err(error) if error.code() == ExitCode::Consent => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Remains::kept(format!(
        "{reference} was written to at each of {ATTEMPTS} attempts to undo it, so it is left as it is; run cleanup again"
    )))
}

/// Undoes an object that no other plan shares; `None` if that was changed meanwhile.
async fn undo_own(
    cluster: &Cluster,
    plan: &PlanIdentity,
    reference: &ObjectReference,
    manager: &str,
    live: &Object,
    settings: UndoSettings,
    events: &Events,
) -> Result<Option<Remains>> {
    if reference.kind == kinds::istio_module()
        && let Some(user) = module_users::used_by_others(cluster, &plan.namespace).await?
    {
        release(cluster, live, reference, manager, settings.dry_run).await?;
        return Ok(Some(Remains::kept(format!(
            "{reference}, which we made, is kept without our fields, as deleting it would uninstall Istio for {user}"
        ))));
    }
    if reference.kind == kinds::telemetry()
        && let Some(left) = telemetry_share::leave_to_others(cluster, reference, live, settings).await?
    {
        say(events, reference, Change::Configured, settings.dry_run);
        events(Event::Warning(left.clone()));
        return Ok(Some(Remains {
            left: vec![left],
            ..Remains::default()
        }));
    }
    delete_whole(cluster, reference, live, settings, events).await
}

async fn delete_whole(
    cluster: &Cluster,
    reference: &ObjectReference,
    live: &Object,
    settings: UndoSettings,
    events: &Events,
) -> Result<Option<Remains>> {
    // A Job's pods would stay behind otherwise: `batch/v1` orphans them unless told not to.
    let with_pods = [kinds::deployment(), kinds::job()].contains(&reference.kind);
    let options = DeleteOptions {
        uid: Some(live.uid().to_owned()),
        // One that is of one plan alone changes by its status only; to a shared one another plan may have come since.
        resource_version: live
            .label(names::PLAN_LABEL)
            .is_none()
            .then(|| live.resource_version().to_owned()),
        propagation_foreground: with_pods,
        ..DeleteOptions::default()
    };
    let deleted = delete(cluster, reference, options, settings.dry_run).await?;
    match deleted {
        Deleted::NotThere => return Ok(Some(Remains::default())),
        Deleted::OtherUid => {
            return Ok(Some(Remains::kept(format!(
                "{reference} was replaced meanwhile, so it is left as it is"
            ))));
        }
        Deleted::OtherVersion => return Ok(None),
        Deleted::Gone | Deleted::Deleting => {}
    }
    say(events, reference, Change::Deleted, settings.dry_run);
    let module = reference.kind == kinds::istio_module();
    if settings.dry_run.is_dry() || !(with_pods || module || deleted == Deleted::Deleting) {
        return Ok(Some(Remains::default()));
    }
    let what = if with_pods {
        format!("the pods of {reference} to be gone")
    } else if module {
        format!("{reference} to be gone, and Istio with it")
    } else {
        format!("{reference} to be gone")
    };
    events(Event::StepWaiting {
        id: STEP.to_owned(),
        on: what,
    });
    stuck::wait_gone(cluster, reference, live.uid(), settings.timeout)
        .await
        .map(Some)
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
///
/// # Errors
/// If the cluster refuses; also if somebody wrote to the object after `live` was read (exit 5): of two plans that leave it
/// at once each would think that the other holds it still, and it would stay behind empty.
pub(super) async fn release(
    cluster: &Cluster,
    live: &Object,
    reference: &ObjectReference,
    manager: &str,
    dry_run: DryRun,
) -> Result<Object> {
    if dry_run == DryRun::Client {
        return Ok(live.clone());
    }
    let bare = json!({
        "apiVersion": reference.kind.api_version(), "kind": reference.kind.kind,
        "metadata": {
            "name": reference.name, "namespace": reference.namespace,
            // With the version alone the server would make an object anew that is gone (seen with Kubernetes 1.34).
            "uid": live.uid(), "resourceVersion": live.resource_version(),
        },
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
pub(super) async fn remove_probe_pods(
    cluster: &Cluster,
    plan: &PlanIdentity,
    locked: &[&str],
    settings: UndoSettings,
    events: &Events,
) -> Result<()> {
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
            let known: BTreeSet<&str> = locked.iter().copied().chain([plan.namespace.as_str()]).collect();
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
