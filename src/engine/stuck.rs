//! What was deleted and does not go: waited for with an end, then named with what holds it.

use super::remains::{Remains, Stuck};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::vocabulary::{ExitCode, Kind, LabelSelector, Object, ObjectReference};
use futures::future::try_join_all;
use serde_json::Value;
use std::time::Duration;

/// Finalizer by which Kubernetes itself waits for dependents.
const FOREGROUND: &str = "foregroundDeletion";

/// Waits until an object is gone; one that is still there after the time is named, not waited for.
///
/// # Errors
/// If the cluster refuses.
pub(super) async fn wait_gone(
    cluster: &Cluster,
    reference: &ObjectReference,
    uid: &str,
    within: Duration,
) -> Result<Remains> {
    match cluster.wait_gone(reference, uid, within).await {
        Ok(()) => Ok(Remains::default()),
        Err(error) if error.code() == ExitCode::TimedOut => held(cluster, reference, uid, &error).await,
        Err(error) => Err(error),
    }
}

async fn held(cluster: &Cluster, reference: &ObjectReference, uid: &str, late: &Error) -> Result<Remains> {
    let live = cluster.get(reference).await?;
    let Some(live) = live.filter(|live| live.uid() == uid) else {
        return Ok(Remains::default());
    };
    let holders = if reference.kind == kinds::namespace() {
        inside(cluster, reference).await?
    } else {
        pods_of(cluster, &live).await?
    };
    let mut remains = Remains::default();
    remains.stuck.extend(holders);
    let finalizers = finalizers(&live);
    if remains.stuck.is_empty() || !finalizers.is_empty() {
        remains.stuck.push(Stuck {
            object: reference.clone(),
            finalizers,
            why: late.causes().join("; "),
        });
    }
    Ok(remains)
}

/// Finalizers of somebody's; those of Kubernetes' own collector only say that something else holds.
fn finalizers(object: &Object) -> Vec<String> {
    object
        .items("/metadata/finalizers")
        .iter()
        .filter_map(Value::as_str)
        .filter(|finalizer| *finalizer != FOREGROUND)
        .map(str::to_owned)
        .collect()
}

/// Pods of a workload that are held.
async fn pods_of(cluster: &Cluster, workload: &Object) -> Result<Vec<Stuck>> {
    if !workload.at("/spec/selector/matchLabels").is_object() {
        return Ok(Vec::new());
    }
    let selector = LabelSelector::from_object(workload.at("/spec/selector")).to_string();
    let pods = cluster
        .list(&kinds::pod(), workload.namespace(), Some(&selector))
        .await?;
    Ok(held_of(&kinds::pod(), &pods))
}

/// What holds a namespace, by name. It says in its conditions only how many, and of which kinds.
async fn inside(cluster: &Cluster, namespace: &ObjectReference) -> Result<Vec<Stuck>> {
    let kinds = super::namespace::content_kinds();
    let lists = kinds.iter().map(|kind| async move {
        // Of a kind that we may not list the namespace's own conditions tell.
        let objects = cluster.list(kind, Some(&namespace.name), None).await;
        Ok::<_, Error>(held_of(kind, &objects.unwrap_or_default()))
    });
    Ok(try_join_all(lists).await?.into_iter().flatten().collect())
}

fn held_of(kind: &Kind, objects: &[Object]) -> Vec<Stuck> {
    let held = objects.iter().filter_map(|object| {
        let finalizers = finalizers(object);
        let held = !object.at("/metadata/deletionTimestamp").is_null() && !finalizers.is_empty();
        held.then(|| Stuck {
            object: object.reference(kind),
            finalizers,
            why: String::new(),
        })
    });
    held.collect()
}
