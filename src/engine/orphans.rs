//! What of a plan is in the cluster, found by our labels and field managers, without a journal: what a killed run
//! left, and whether anything is left after a clean-up.

use super::facts::Facts;
use super::platform::{self, Listed};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::field_owner::owners_of;
use crate::plan::foreign_field::fields_of;
use crate::plan::journal::{Entry, Journal};
use crate::plan::ownership;
use crate::vocabulary::{ExitCode, Kind, Object, ObjectReference, PlanIdentity, names};
use futures::future::try_join_all;

/// A journal made of what is there; `None` if nothing is. What a value of ours replaced is read from the note on the
/// object.
///
/// # Errors
/// If the cluster refuses to list.
pub(super) async fn journal(cluster: &Cluster, plan: &PlanIdentity) -> Result<Option<Journal>> {
    let kinds: Vec<_> = searched_kinds()
        .into_iter()
        .filter(|kind| *kind != kinds::namespace() && *kind != kinds::pod())
        .collect();
    let lists = kinds.iter().map(|kind| async move {
        let objects = list_all(cluster, kind, plan).await?;
        let entries = objects.iter().flat_map(|object| entries_of(plan, kind, object));
        Ok::<_, Error>(entries.collect::<Vec<_>>())
    });
    let mut entries: Vec<Entry> = try_join_all(lists).await?.into_iter().flatten().collect();
    let reference = ObjectReference::cluster(kinds::namespace(), &plan.namespace);
    if let Some(namespace) = cluster.get(&reference).await? {
        entries.extend(fields(plan, &reference, &namespace));
        if ownership::plan_of(&namespace).as_ref() == Some(plan) {
            entries.push(Entry::Namespace {
                name: plan.namespace.clone(),
                uid: namespace.uid().to_owned(),
            });
        }
    }
    if entries.is_empty() {
        return Ok(None);
    }
    let mut journal = Journal::without_entries(plan);
    journal.entries = entries;
    Ok(Some(journal))
}

/// What of a plan is among facts that were gathered anyway: for a set-up whose journal is gone, which else would take
/// its own label for one that was there before.
pub(super) fn among(facts: &Facts, plan: &PlanIdentity) -> Vec<Entry> {
    let lists = facts.lists();
    let listed = lists
        .iter()
        .flat_map(|(kind, objects)| objects.iter().flat_map(|object| entries_of(plan, kind, object)));
    let reference = ObjectReference::cluster(kinds::namespace(), &plan.namespace);
    let namespace = facts.namespace.iter();
    let namespace = namespace.flat_map(|namespace| fields(plan, &reference, namespace));
    listed.chain(namespace).collect()
}

/// The kinds of objects that a plan makes, or sets a field of.
fn searched_kinds() -> Vec<Kind> {
    let mut kinds = ownership::touchable_kinds();
    kinds.extend([kinds::stateful_set(), kinds::daemon_set()]);
    kinds
}

/// What of a plan is on one object: all of it, our share of it, or single fields.
fn entries_of(plan: &PlanIdentity, kind: &Kind, object: &Object) -> Vec<Entry> {
    let shared_manager = plan.shared_manager();
    let shared = object.managers().any(|manager| manager == shared_manager);
    if !shared && ownership::plan_of(object).as_ref() != Some(plan) {
        return Vec::new();
    }
    let reference = object.reference(kind);
    if !ownership::is_ours(object) {
        let fields = fields(plan, &reference, object);
        if !fields.is_empty() {
            return fields;
        }
    }
    vec![Entry::Object {
        reference,
        manager: if shared {
            shared_manager
        } else {
            names::MANAGER.to_owned()
        },
        shared,
        uid: Some(object.uid().to_owned()),
    }]
}

/// Fields of somebody else's object that the plan owns, or whose note it owns.
fn fields(plan: &PlanIdentity, reference: &ObjectReference, live: &Object) -> Vec<Entry> {
    let manager = plan.shared_manager();
    let owns = |pointer: &str| {
        owners_of(live, pointer)
            .iter()
            .any(|owner| owner.manager == manager)
    };
    let fields = fields_of(reference, plan).iter().filter_map(|field| {
        let set = owns(field.pointer).then(|| live.at(field.pointer).clone());
        if set.is_none() && !owns(&field.note_pointer()) {
            return None;
        }
        let before = field.noted(live).unwrap_or_default();
        Some(Entry::of_field(
            field,
            reference.clone(),
            manager.clone(),
            before,
            set,
        ))
    });
    fields.collect()
}

async fn list_all(cluster: &Cluster, kind: &Kind, plan: &PlanIdentity) -> Result<Vec<Object>> {
    if *kind == kinds::secret() {
        return list_secrets(cluster, plan).await;
    }
    if *kind == kinds::api_rule() {
        // Most clusters have no such kind, and tell a user without permission so only by discovery.
        let served = cluster.api_groups().await?.has(&kind.group);
        return if served {
            cluster.list(kind, None, None).await
        } else {
            Ok(Vec::new())
        };
    }
    if [kinds::stateful_set(), kinds::daemon_set()].contains(kind) {
        // We make none; those of the plan's namespace may have a field of ours.
        return cluster.list(kind, Some(&plan.namespace), None).await;
    }
    if *kind != kinds::istio_module() {
        return cluster.list(kind, None, None).await;
    }
    match platform::list(cluster).await? {
        Listed::NotServed => Ok(Vec::new()),
        Listed::Resources(resources) => Ok(resources),
        Listed::Refused(error) => Err(error),
    }
}

/// Only ours, as nobody else's Secrets are our business. Who may not list them everywhere (the ClusterRole `view` does
/// not say so) gets those of the plan's namespace, or none.
async fn list_secrets(cluster: &Cluster, plan: &PlanIdentity) -> Result<Vec<Object>> {
    let selector = format!("{}={}", names::MANAGED_BY_LABEL, names::MANAGER);
    for namespace in [None, Some(plan.namespace.as_str())] {
        match cluster.list(&kinds::secret(), namespace, Some(&selector)).await {
            Err(error)
                if error.code() == ExitCode::Cluster
                    && !cluster.may("list", "", "secrets", namespace).await? => {}
            result => return result,
        }
    }
    Ok(Vec::new())
}

/// Looks for anything of a plan in the cluster: objects with our labels, fields with our managers.
///
/// # Errors
/// If the cluster refuses to list.
pub async fn leftovers(cluster: &Cluster, plan: &PlanIdentity) -> Result<Vec<String>> {
    let mut kinds = searched_kinds();
    kinds.push(kinds::lease());
    let manager = plan.shared_manager();
    let lists = kinds.iter().map(|kind| {
        let manager = &manager;
        async move {
            let objects = list_all(cluster, kind, plan).await?;
            Ok::<_, Error>(
                objects
                    .into_iter()
                    .filter(|object| {
                        ownership::plan_of(object).as_ref() == Some(plan)
                            || object.managers().any(|owner| owner == manager)
                    })
                    .filter(|object| object.at("/metadata/deletionTimestamp").is_null())
                    .map(|object| object.reference(kind).to_string())
                    .collect::<Vec<_>>(),
            )
        }
    });
    Ok(try_join_all(lists).await?.into_iter().flatten().collect())
}
