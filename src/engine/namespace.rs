//! A namespace that we created: taken away if nothing else is in it, else handed over to the user.

use super::event::{Event, Events};
use super::prepare::DryRun;
use super::remains::Remains;
use super::stuck;
use super::undo::{STEP, UndoSettings};
use super::undo_object::{ATTEMPTS, delete, release, say};
use crate::cluster::{Cluster, DeleteOptions};
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::journal::{Entry, Journal};
use crate::plan::ownership::{self, Manifest};
use crate::vocabulary::{Change, ExitCode, Kind, Object, ObjectReference, PlanIdentity, names};
use futures::future::try_join_all;
use serde_json::json;
use std::collections::BTreeSet;

/// Kinds whose objects keep a namespace from being called empty.
pub(super) fn content_kinds() -> Vec<Kind> {
    vec![
        kinds::pod(),
        kinds::service(),
        kinds::config_map(),
        kinds::secret(),
        kinds::service_account(),
        kinds::deployment(),
        kinds::stateful_set(),
        kinds::daemon_set(),
        kinds::replica_set(),
        kinds::job(),
        kinds::cron_job(),
        kinds::persistent_volume_claim(),
        kinds::ingress(),
        kinds::network_policy(),
        kinds::role(),
        kinds::role_binding(),
        kinds::gateway(),
        kinds::virtual_service(),
        kinds::destination_rule(),
        kinds::service_entry(),
        kinds::sidecar(),
        kinds::telemetry(),
        kinds::authorization_policy(),
        kinds::peer_authentication(),
    ]
}

/// The namespace of a plan, should it be made.
pub(super) fn manifest(plan: &PlanIdentity) -> Manifest {
    let object = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": plan.namespace, "labels": ownership::plan_labels(plan)},
    });
    Manifest {
        object: Object(object),
        reference: ObjectReference::cluster(kinds::namespace(), &plan.namespace),
        manager: names::MANAGER.to_owned(),
        shared: false,
    }
}

/// Deletes the namespace of a plan if we created it and nothing but what Kubernetes and Istio put there is in it.
/// The caller has released the Lease before.
///
/// # Errors
/// If the cluster refuses.
pub(super) async fn remove_namespace(
    cluster: &Cluster,
    journal: &Journal,
    settings: UndoSettings,
    events: &Events,
) -> Result<Remains> {
    let created = journal.entries.iter().find_map(|entry| match entry {
        Entry::Namespace { name, uid } => Some((name.clone(), uid.clone())),
        _ => None,
    });
    let Some((name, uid)) = created else {
        return Ok(Remains::default());
    };
    let reference = ObjectReference::cluster(kinds::namespace(), &name);
    let Some(live) = cluster.get(&reference).await? else {
        return Ok(Remains::default());
    };
    if live.uid() != uid || ownership::plan_of(&live).as_ref() != Some(&journal.plan.identity) {
        return Ok(Remains::kept(format!(
            "{reference} was made again or taken over by somebody else, so it is left as it is"
        )));
    }
    if settings.keep_namespace {
        let_go(cluster, &reference, settings.dry_run).await?;
        return Ok(Remains::kept(format!(
            "{reference} is kept, as asked for, without our labels"
        )));
    }
    let kinds = content_kinds();
    let lists = kinds.iter().map(|kind| async move {
        let objects = cluster
            .list(kind, Some(&journal.plan.identity.namespace), None)
            .await?;
        let objects = objects.into_iter().filter(|object| !comes_by_itself(object));
        Ok::<_, Error>(
            objects
                .map(|object| (object.reference(kind), object))
                .collect::<Vec<_>>(),
        )
    });
    let mut content: Vec<(ObjectReference, Object)> =
        try_join_all(lists).await?.into_iter().flatten().collect();
    leave_out_what_goes(&mut content, &journal.plan.identity);
    if let Some((first, _)) = content.first() {
        let more = if content.len() > 1 {
            format!(" and {} more", content.len() - 1)
        } else {
            String::new()
        };
        // It is the user's from now on.
        let_go(cluster, &reference, settings.dry_run).await?;
        return Ok(Remains::kept(format!(
            "{reference} is kept, without our labels, for what is in it and not ours: {first}{more}"
        )));
    }
    let options = DeleteOptions {
        uid: Some(uid.clone()),
        ..DeleteOptions::default()
    };
    delete(cluster, &reference, options, settings.dry_run).await?;
    say(events, &reference, Change::Deleted, settings.dry_run);
    if !settings.dry_run.is_dry() {
        events(Event::StepWaiting {
            id: STEP.to_owned(),
            on: format!("{reference} to be gone"),
        });
        return stuck::wait_gone(cluster, &reference, &uid, settings.timeout).await;
    }
    Ok(Remains::default())
}

/// Takes our labels off a namespace, whoever else writes to it meanwhile: no other plan has a share in it.
async fn let_go(cluster: &Cluster, reference: &ObjectReference, dry_run: DryRun) -> Result<()> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let Some(live) = cluster.get(reference).await? else {
            return Ok(());
        };
        match release(cluster, &live, reference, names::MANAGER, dry_run).await {
            Err(error) if error.code() == ExitCode::Consent && attempt < ATTEMPTS => {}
            released => return released.map(|_| ()),
        }
    }
}

/// What the plan alone owns goes, and what belongs to that: after a dry run all of it is still there; else what an answer
/// denied when it was to be deleted, or what the journal does not know of, and that goes with the namespace.
fn leave_out_what_goes(content: &mut Vec<(ObjectReference, Object)>, plan: &PlanIdentity) {
    let shared_manager = plan.shared_manager();
    let is_the_plans = |object: &Object| {
        let mut managers = object
            .managers()
            .filter(|manager| ownership::is_our_manager(manager));
        ownership::plan_of(object).as_ref() == Some(plan)
            || ownership::is_ours(object) && managers.all(|manager| manager == shared_manager)
    };
    let mut gone = BTreeSet::new();
    loop {
        let known = gone.len();
        content.retain(|(_, object)| {
            let goes = is_the_plans(object)
                || object
                    .items("/metadata/ownerReferences")
                    .iter()
                    .any(|owner| owner["uid"].as_str().is_some_and(|uid| gone.contains(uid)));
            if goes {
                gone.insert(object.uid().to_owned());
            }
            !goes
        });
        if gone.len() == known {
            return;
        }
    }
}

/// What every namespace of a cluster with Istio has without anybody's doing, and what is on its way out.
fn comes_by_itself(object: &Object) -> bool {
    matches!(
        object.name(),
        "kube-root-ca.crt" | "istio-ca-root-cert" | "istio-ca-crl" | "default"
    ) || !object.at("/metadata/deletionTimestamp").is_null()
}
