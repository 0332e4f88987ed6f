//! Gives back a field of somebody else's object: our ownership goes, and where the plan replaced a value that one
//! returns, to those who owned it.

use super::event::{Event, Events};
use super::module::{self, Follower};
use super::prepare::DryRun;
use super::undo::{STEP, UndoSettings, release, say};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::field_owner::{FieldOwner, handed_over, nested, owners_of, removable};
use crate::plan::ownership;
use crate::vocabulary::{Change, Object, ObjectReference};
use serde_json::{Value, json};

/// Attempts to write who owns a field: others write to the object too, and each write makes ours begin anew.
const ATTEMPTS: usize = 5;

/// A field that the plan set.
pub(super) struct Lent<'entry> {
    pub(super) reference: &'entry ObjectReference,
    pub(super) manager: &'entry str,
    pub(super) pointer: &'entry str,
    pub(super) before: Option<&'entry Value>,
    pub(super) owners: &'entry [FieldOwner],
}

/// Gives it back; with other plans on it only our share goes. Of the Kyma module's switch it also waits until the
/// module did what that means.
///
/// # Errors
/// If the cluster refuses, or the module fails or takes too long.
pub(super) async fn give_back(
    cluster: &Cluster,
    lent: &Lent<'_>,
    settings: UndoSettings,
    events: &Events,
) -> Result<()> {
    let Some(live) = cluster.get(lent.reference).await? else {
        return Ok(());
    };
    let of_module = lent.reference.kind == kinds::istio_module() && !settings.dry_run.is_dry();
    let changes = if of_module {
        Some(module::watched(cluster).await)
    } else {
        None
    };
    let ours = live.managers().any(|owner| owner == lent.manager);
    let after = if ours {
        let after = take_off(cluster, lent, &live, settings).await?;
        say(events, lent.reference, Change::Configured, settings.dry_run);
        after
    } else {
        live.clone()
    };
    let Some(changes) = changes.filter(|_| !module::wants_gateway(&after)) else {
        return Ok(());
    };
    let progress = |on: &str| {
        events(Event::StepWaiting {
            id: STEP.to_owned(),
            on: on.to_owned(),
        });
    };
    Follower::of(cluster, Some(&live), &after, settings.timeout, &progress)
        .with_watch(changes)
        .gateway_removed()
        .await
}

/// Takes our ownership off; gives the object as the write that changed the value left it. The value of before is written while we still own the field, so that a run that ends in
/// between is found and continued by the next.
async fn take_off(
    cluster: &Cluster,
    lent: &Lent<'_>,
    live: &Object,
    settings: UndoSettings,
) -> Result<Object> {
    let other_plan = owners_of(live, lent.pointer)
        .iter()
        .any(|owner| ownership::is_our_manager(&owner.manager) && owner.manager != lent.manager);
    let Some(before) = lent.before.filter(|_| !other_plan) else {
        let released = release(cluster, lent.reference, lent.manager, settings.dry_run).await;
        return match released {
            Err(error) if !settings.dry_run.is_dry() => match removable(live, lent.pointer, lent.manager) {
                Some(pointer) => remove(cluster, lent, &pointer, error).await,
                None => Err(error),
            },
            released => released,
        };
    };
    let restored = if live.at(lent.pointer) == before || settings.dry_run == DryRun::Client {
        live.clone()
    } else {
        let fields = nested(lent.pointer, before.clone());
        cluster
            .merge_patch(lent.reference, &fields, lent.manager, settings.dry_run.is_dry())
            .await?
    };
    if settings.dry_run.is_dry() {
        return Ok(restored);
    }
    hand_over(cluster, lent, restored.clone()).await?;
    Ok(restored)
}

/// Takes a field away that server-side apply cannot: where somebody owns an empty map around it, the server makes `null`
/// of that map, and then refuses it (seen with Kubernetes 1.34, custom resources).
async fn remove(cluster: &Cluster, lent: &Lent<'_>, pointer: &str, refused: Error) -> Result<Object> {
    let mut refused = refused;
    for _ in 0..ATTEMPTS {
        let Some(live) = cluster.get(lent.reference).await? else {
            break;
        };
        let operations = json!([
            {"op": "replace", "path": "/metadata/resourceVersion", "value": live.resource_version()},
            {"op": "remove", "path": pointer},
        ]);
        match cluster
            .json_patch(lent.reference, &operations, lent.manager)
            .await
        {
            Ok(object) => return Ok(object),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// Writes who owns the field. It changes no value, so nobody is bothered.
async fn hand_over(cluster: &Cluster, lent: &Lent<'_>, mut live: Object) -> Result<()> {
    let mut attempt = 0;
    loop {
        let mut entries = handed_over(&live, lent.pointer, |owner| owner == lent.manager, lent.owners);
        if entries == json!([]) {
            // An empty list means "leave them"; one empty entry means "nobody".
            entries = json!([{}]);
        }
        let operations = json!([
            // Not `test`: a resourceVersion that differs must be a conflict, which tells us to read again.
            {"op": "replace", "path": "/metadata/resourceVersion", "value": live.resource_version()},
            {"op": "replace", "path": "/metadata/managedFields", "value": entries},
        ]);
        attempt += 1;
        match cluster
            .json_patch(lent.reference, &operations, lent.manager)
            .await
        {
            Ok(_) => return Ok(()),
            Err(error) if attempt == ATTEMPTS => {
                return Err(error
                    .while_doing(format!(
                        "{} of {} has its value of before, but not its owners",
                        lent.pointer, lent.reference
                    ))
                    .hint("run cleanup again"));
            }
            Err(_) => {
                live = cluster
                    .get(lent.reference)
                    .await?
                    .ok_or_else(|| Error::cluster(format!("{} was deleted meanwhile", lent.reference)))?;
            }
        }
    }
}
