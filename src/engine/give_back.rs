//! Gives back a field of somebody else's object: our ownership goes, and where the plan replaced a value that one
//! returns, to those who owned it. What somebody changed meanwhile is theirs.

use super::event::{Event, Events};
use super::module::{self, Follower};
use super::prepare::DryRun;
use super::remains::Remains;
use super::undo::{STEP, UndoSettings};
use super::undo_object::{ATTEMPTS, release, say};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::field_owner::{handed_over, nested, removable};
use crate::plan::foreign_field::{Before, Claim, GivingBack};
use crate::vocabulary::{Change, ExitCode, Object};
use serde_json::json;

/// Gives it back; with other plans on it only our share goes. Of the Kyma module's switch it also waits until the
/// module did what that means.
///
/// # Errors
/// If the cluster refuses, or the module fails or takes too long.
pub(super) async fn give_back(
    cluster: &Cluster,
    claim: &Claim<'_>,
    settings: UndoSettings,
    events: &Events,
) -> Result<Remains> {
    let mut remains = Remains::default();
    let of_module = claim.reference.kind == kinds::istio_module() && !settings.dry_run.is_dry();
    let changes = if of_module && cluster.get(claim.reference).await?.is_some() {
        Some(module::watched(cluster).await)
    } else {
        None
    };
    let mut attempt = 0;
    let (live, after) = loop {
        attempt += 1;
        let Some(live) = cluster.get(claim.reference).await? else {
            remains.missing.push(claim.reference.clone());
            return Ok(remains);
        };
        let decision = claim.decide(&live);
        let done = match &decision.what {
            GivingBack::Refuse(why) => {
                remains.refused.push(why.clone());
                return Ok(remains);
            }
            GivingBack::LetGo => let_go(cluster, claim, &live, settings).await,
            GivingBack::Write(before) => write_back(cluster, claim, before, &live, settings).await,
        };
        let after = match done {
            // Somebody was faster: what they wrote decides anew.
            Err(error) if error.code() == ExitCode::Consent && attempt < ATTEMPTS => continue,
            done => done?,
        };
        for said in decision.contradicted.iter().chain(&decision.left) {
            events(Event::Warning(said.clone()));
        }
        remains.left.extend(decision.left);
        break (live, after);
    };
    if after.is_some() {
        say(events, claim.reference, Change::Configured, settings.dry_run);
    }
    let after = after.unwrap_or_else(|| live.clone());
    let Some(changes) = changes.filter(|_| !module::wants_gateway(&after)) else {
        return Ok(remains);
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
        .await?;
    Ok(remains)
}

/// Takes our ownership off, of the field and of its note; gives the object as it is then, if there was any.
async fn let_go(
    cluster: &Cluster,
    claim: &Claim<'_>,
    live: &Object,
    settings: UndoSettings,
) -> Result<Option<Object>> {
    if !live.managers().any(|manager| manager == claim.manager) {
        return Ok(None);
    }
    let released = release(cluster, live, claim.reference, claim.manager, settings.dry_run).await;
    let released = match released {
        // That somebody was faster is for the caller, who decides anew; the rest may be what the server cannot do.
        Err(error) if !settings.dry_run.is_dry() && error.code() != ExitCode::Consent => {
            match removable(live, claim.field.pointer, claim.manager) {
                Some(pointer) => remove(cluster, claim, &pointer, error).await,
                None => Err(error),
            }
        }
        released => released,
    };
    released.map(Some)
}

/// Writes the value of before while we still own the field and the note is still there, so that a run that ends in
/// between is found and continued by the next; then hands it over. Gives the object as the write of the value left it.
async fn write_back(
    cluster: &Cluster,
    claim: &Claim<'_>,
    before: &Before,
    live: &Object,
    settings: UndoSettings,
) -> Result<Option<Object>> {
    let value = before.value.clone().unwrap_or_default();
    let restored = if *live.at(claim.field.pointer) == value || settings.dry_run == DryRun::Client {
        live.clone()
    } else {
        let mut fields = nested(claim.field.pointer, value);
        // Nobody may have changed it since we looked.
        fields["metadata"]["resourceVersion"] = json!(live.resource_version());
        cluster
            .merge_patch(claim.reference, &fields, claim.manager, settings.dry_run.is_dry())
            .await?
    };
    if !settings.dry_run.is_dry() {
        hand_over(cluster, claim, before, restored.clone()).await?;
    }
    Ok(Some(restored))
}

/// Takes a field away that server-side apply cannot: where somebody owns an empty map around it, the server makes `null`
/// of that map, and then refuses it (seen with Kubernetes 1.34, custom resources).
async fn remove(cluster: &Cluster, claim: &Claim<'_>, pointer: &str, refused: Error) -> Result<Object> {
    let mut refused = refused;
    for _ in 0..ATTEMPTS {
        let Some(live) = cluster.get(claim.reference).await? else {
            break;
        };
        let operations = json!([
            {"op": "replace", "path": "/metadata/resourceVersion", "value": live.resource_version()},
            {"op": "remove", "path": pointer},
        ]);
        match cluster
            .json_patch(claim.reference, &operations, claim.manager)
            .await
        {
            Ok(object) => return Ok(object),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// Writes who owns the field, and takes the note away. It changes no other value, so nobody is bothered.
async fn hand_over(cluster: &Cluster, claim: &Claim<'_>, before: &Before, mut live: Object) -> Result<()> {
    let note = claim.field.note_pointer();
    let ours = |owner: &str| owner == claim.manager;
    let mut attempt = 0;
    loop {
        let still = Some(live.at(claim.field.pointer)) == before.value.as_ref();
        let owners = if still { before.owners.as_slice() } else { &[] };
        let mut handed = live.clone();
        handed.0["metadata"]["managedFields"] = handed_over(&live, claim.field.pointer, ours, owners);
        let mut entries = handed_over(&handed, &note, ours, &[]);
        if entries == json!([]) {
            // An empty list means "leave them"; one empty entry means "nobody".
            entries = json!([{}]);
        }
        let mut operations = vec![
            // Not `test`: a resourceVersion that differs must be a conflict, which tells us to read again.
            json!({"op": "replace", "path": "/metadata/resourceVersion", "value": live.resource_version()}),
            json!({"op": "replace", "path": "/metadata/managedFields", "value": entries}),
        ];
        if !live.at(&note).is_null() {
            // An empty map would stay behind, and be ours.
            let annotations = live.at("/metadata/annotations").as_object();
            let only = annotations.is_some_and(|all| all.len() == 1);
            let gone = if only { "/metadata/annotations" } else { &note };
            operations.push(json!({"op": "remove", "path": gone}));
        }
        attempt += 1;
        match cluster
            .json_patch(claim.reference, &json!(operations), claim.manager)
            .await
        {
            Ok(_) => return Ok(()),
            Err(error) if attempt == ATTEMPTS => {
                return Err(error
                    .while_doing(format!(
                        "{} of {} has its value of before, but not its owners",
                        claim.field.name, claim.reference
                    ))
                    .hint("run cleanup again"));
            }
            Err(_) => {
                live = cluster
                    .get(claim.reference)
                    .await?
                    .ok_or_else(|| Error::cluster(format!("{} was deleted meanwhile", claim.reference)))?;
            }
        }
    }
}
