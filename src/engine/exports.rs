//! Namespaces that use another's plan: they must be there, and take a DestinationRule of ours.

use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::{Plan, routing};
use crate::vocabulary::ObjectReference;
use futures::future::try_join_all;

/// Looks at every namespace that the plan is exported to.
///
/// # Errors
/// If one does not exist, or we may not write there: named, before anything is changed.
pub(super) async fn check(cluster: &Cluster, plan: &Plan) -> Result<()> {
    let namespaces = routing::further_namespaces(plan);
    let looks = namespaces
        .iter()
        .map(|namespace| check_one(cluster, plan, namespace));
    try_join_all(looks).await.map(drop)
}

async fn check_one(cluster: &Cluster, plan: &Plan, namespace: &str) -> Result<()> {
    let reference = ObjectReference::cluster(kinds::namespace(), namespace);
    if cluster.get(&reference).await?.is_none() {
        return Err(Error::usage(format!(
            "namespace {namespace}, to which the plan {} is exported, does not exist",
            plan.identity
        ))
        .hint(format!("make it: kubectl create namespace {namespace}")));
    }
    let kind = kinds::destination_rule();
    for verb in ["create", "patch", "delete"] {
        if !cluster
            .may(verb, &kind.group, &kind.plural, Some(namespace))
            .await?
        {
            return Err(Error::cluster(format!(
                "you may not {verb} {}.{} in namespace {namespace}",
                kind.plural, kind.group
            ))
            .because(format!(
                "the plan {} is exported there, and its sidecars look for the gateway's DestinationRule in their own namespace",
                plan.identity
            ))
            .hint(format!(
                "ask the cluster's administrator; check with: kubectl auth can-i --list -n {namespace}"
            )));
        }
    }
    Ok(())
}
