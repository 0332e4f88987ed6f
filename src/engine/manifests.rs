//! The manifests of a plan as whoever keeps them in git has them: without our ownership, in the versions that the cluster
//! takes.

use crate::cluster::Cluster;
use crate::istio::kinds;
use crate::plan::journal::{Entry, Journal};
use crate::plan::ownership::Manifest;
use crate::plan::{istio_module, routing};
use crate::vocabulary::{Kind, Object, names};
use serde_json::Value;

/// Everything that a plan which is set up consists of.
pub async fn of_journal(cluster: &Cluster, journal: &Journal) -> Vec<Value> {
    let module = module_of(journal);
    let routing = routing::objects(&journal.plan, &journal.gateway);
    shown(Some(cluster), module.iter().chain(&routing)).await
}

/// The field by which Kyma's Istio module makes the plan's gateway, if it does.
pub fn module_of(journal: &Journal) -> Option<Manifest> {
    let mut references = journal.entries.iter().map(Entry::reference);
    let module = references.find(|reference| reference.kind == kinds::istio_module())?;
    Some(istio_module::field(
        module,
        journal.plan.identity.shared_manager(),
    ))
}

/// Manifests as they are shown. A cluster says in which version it takes them.
pub async fn shown<'a>(
    cluster: Option<&Cluster>,
    manifests: impl IntoIterator<Item = &'a Manifest>,
) -> Vec<Value> {
    let mut objects = Vec::new();
    for manifest in manifests {
        let mut object = without_ownership(manifest);
        if let Some(cluster) = cluster {
            in_served_version(cluster, &manifest.reference.kind, &mut object).await;
        }
        objects.push(object);
    }
    objects
}

/// Manifests as `setup` applies them, with our ownership.
pub async fn as_applied<'a>(
    cluster: &Cluster,
    manifests: impl IntoIterator<Item = &'a Manifest>,
) -> Vec<Value> {
    let mut objects = Vec::new();
    for manifest in manifests {
        let Object(mut object) = manifest.object.clone();
        in_served_version(cluster, &manifest.reference.kind, &mut object).await;
        objects.push(object);
    }
    objects
}

async fn in_served_version(cluster: &Cluster, kind: &Kind, object: &mut Value) {
    object["apiVersion"] = cluster.served_kind(kind).await.api_version().into();
}

/// Ownership is for what `setup` applies; manifests in git belong to whoever applies them.
fn without_ownership(manifest: &Manifest) -> Value {
    let Object(mut object) = manifest.object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        let labels = metadata.get_mut("labels").and_then(Value::as_object_mut);
        let empty = labels.is_none_or(|labels| {
            for label in [
                names::MANAGED_BY_LABEL,
                names::PLAN_LABEL,
                names::PLAN_NAMESPACE_LABEL,
            ] {
                labels.remove(label);
            }
            labels.is_empty()
        });
        if empty {
            metadata.remove("labels");
        }
        // Notes for our own clean-up, which has no part in this.
        let notes = metadata.get_mut("annotations").and_then(Value::as_object_mut);
        let none = notes.is_none_or(|notes| {
            notes.retain(|name, _| !name.starts_with(names::BEFORE_ANNOTATION_PREFIX));
            notes.is_empty()
        });
        if none {
            metadata.remove("annotations");
        }
    }
    object
}
