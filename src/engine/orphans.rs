//! What of a plan is in the cluster, found by our labels and field managers, without a journal: what a killed run
//! left, and whether anything is left after a clean-up.

use super::platform::{self, Listed};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::istio::{kinds, kyma};
use crate::plan::journal::{Entry, Journal, RESTORABLE_FIELDS};
use crate::plan::{Plan, PlanSettings, gateway_workload, ownership};
use crate::vocabulary::{ExitCode, Kind, Object, ObjectReference, PlanIdentity, names};
use futures::future::try_join_all;

/// A journal made of what is there; `None` if nothing is.
///
/// # Errors
/// If the cluster refuses to list.
pub(super) async fn journal(cluster: &Cluster, plan: &PlanIdentity) -> Result<Option<Journal>> {
    let kinds: Vec<_> = ownership::touchable_kinds()
        .into_iter()
        .filter(|kind| *kind != kinds::namespace() && *kind != kinds::pod())
        .collect();
    let shared_manager = plan.shared_manager();
    let lists = kinds.iter().map(|kind| {
        let shared_manager = &shared_manager;
        async move {
            let objects = list_all(cluster, kind, plan).await?;
            let ours = objects.into_iter().filter_map(|object| {
                let shared = object.managers().any(|manager| manager == shared_manager);
                let owned = ownership::plan_of(&object).as_ref() == Some(plan);
                if shared && *kind == kinds::istio_module() && !ownership::is_ours(&object) {
                    return Some(switch(object.reference(kind), shared_manager));
                }
                (shared || owned).then(|| Entry::Object {
                    reference: object.reference(kind),
                    manager: if shared {
                        shared_manager.clone()
                    } else {
                        names::MANAGER.to_owned()
                    },
                    shared,
                    uid: Some(object.uid().to_owned()),
                })
            });
            Ok::<_, Error>(ours.collect::<Vec<_>>())
        }
    });
    let mut entries: Vec<Entry> = try_join_all(lists).await?.into_iter().flatten().collect();
    let reference = ObjectReference::cluster(kinds::namespace(), &plan.namespace);
    if let Some(namespace) = cluster.get(&reference).await? {
        if namespace.managers().any(|manager| manager == shared_manager) {
            entries.extend(RESTORABLE_FIELDS.iter().take(1).map(|pointer| Entry::Field {
                reference: reference.clone(),
                manager: shared_manager.clone(),
                pointer: (*pointer).to_owned(),
                before: None,
                owners: Vec::new(),
            }));
        }
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
    let empty = Plan::without_hosts(plan.clone(), PlanSettings::default());
    let mut journal = Journal::new(
        empty,
        gateway_workload::target(names::ISTIO_NAMESPACE),
        names::SOURCE_IMAGE.to_owned(),
    );
    journal.entries = entries;
    Ok(Some(journal))
}

/// The module's switch in a resource of somebody else's.
fn switch(reference: ObjectReference, manager: &str) -> Entry {
    Entry::Field {
        reference,
        manager: manager.to_owned(),
        pointer: kyma::GATEWAY_SWITCH.to_owned(),
        before: None,
        owners: Vec::new(),
    }
}

async fn list_all(cluster: &Cluster, kind: &Kind, plan: &PlanIdentity) -> Result<Vec<Object>> {
    if *kind == kinds::secret() {
        return list_secrets(cluster, plan).await;
    }
    if *kind != kinds::istio_module() {
        return cluster.list(kind, None, None).await;
    }
    // Most clusters have no such kind, and tell a user without permission so only by discovery.
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
    let mut kinds = ownership::touchable_kinds();
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
