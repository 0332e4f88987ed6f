//! A Telemetry that we made and somebody else wrote into: theirs stays, ours goes.

use super::undo::UndoSettings;
use crate::cluster::Cluster;
use crate::error::Result;
use crate::plan::field_owner::owners_of;
use crate::plan::ownership::is_our_manager;
use crate::vocabulary::{Object, ObjectReference, names};
use serde_json::{Value, json};

/// The field that we set; the other one, the selector, has to stay with what is theirs, or that would hold everywhere.
const OURS: &str = "/spec/accessLogging";

/// Takes what is ours off a Telemetry in which somebody else owns fields, and says what is left; `None` if it is ours
/// alone and may go whole.
///
/// # Errors
/// If the cluster refuses.
pub(super) async fn leave_to_others(
    cluster: &Cluster,
    reference: &ObjectReference,
    live: &Object,
    settings: UndoSettings,
) -> Result<Option<String>> {
    let Some(left) = left(reference, live) else {
        return Ok(None);
    };
    if !settings.dry_run.is_dry() {
        cluster
            .json_patch(reference, &without_ours(live), names::MANAGER)
            .await?;
    }
    Ok(Some(left))
}

/// Fields of its spec that somebody else owns, with who.
fn theirs(live: &Object) -> Vec<(String, Vec<String>)> {
    let fields = live.at("/spec").as_object().into_iter().flatten();
    let owned = fields.filter_map(|(name, _)| {
        let owners = owners_of(live, &format!("/spec/{name}"));
        let others: Vec<String> = owners
            .into_iter()
            .map(|owner| owner.manager)
            .filter(|manager| !is_our_manager(manager))
            .collect();
        (!others.is_empty()).then(|| (name.clone(), others))
    });
    owned.collect()
}

fn is_changed(live: &Object) -> bool {
    let owners = owners_of(live, OURS);
    !owners.is_empty() && !owners.iter().any(|owner| is_our_manager(&owner.manager))
}

fn left(reference: &ObjectReference, live: &Object) -> Option<String> {
    let theirs = theirs(live);
    if theirs.is_empty() {
        return None;
    }
    let parts: Vec<String> = theirs
        .iter()
        .map(|(field, owners)| {
            format!(
                "spec.{field} is {} by {}",
                live.at(&format!("/spec/{field}")),
                owners.join(", ")
            )
        })
        .collect();
    let ours = if is_changed(live) {
        "; this plan had set spec.accessLogging to its log's provider alone"
    } else {
        "; this plan's spec.accessLogging is taken out"
    };
    Some(format!(
        "{reference}, which was not there before the plan, was changed meanwhile: {}{ours}. It is left with that, and is ours no more; if nobody needs it: kubectl delete telemetries.telemetry.istio.io {} -n {}",
        parts.join(", "),
        reference.name,
        reference.namespace.as_deref().unwrap_or_default()
    ))
}

/// Takes out our field, unless it was changed, our labels and our entries in managedFields.
fn without_ours(live: &Object) -> Value {
    let mut entries = live.items("/metadata/managedFields").to_vec();
    entries.retain(|entry| !entry["manager"].as_str().is_some_and(is_our_manager));
    let nobody = json!([{}]);
    let entries = if entries.is_empty() {
        nobody
    } else {
        json!(entries)
    };
    let mut operations = vec![
        json!({"op": "replace", "path": "/metadata/resourceVersion", "value": live.resource_version()}),
        json!({"op": "replace", "path": "/metadata/managedFields", "value": entries}),
    ];
    let label = format!("/metadata/labels/{}", names::MANAGED_BY_LABEL.replace('/', "~1"));
    let gone = [(label.as_str(), true), (OURS, !is_changed(live))];
    for (pointer, _) in gone
        .iter()
        .filter(|(pointer, goes)| *goes && !live.at(pointer).is_null())
    {
        operations.push(json!({"op": "remove", "path": pointer}));
    }
    json!(operations)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::istio::kinds;

    fn telemetry(spec: &Value, theirs: &Value, ours: &Value) -> Object {
        Object(json!({
            "metadata": {"name": "t", "namespace": "n", "resourceVersion": "7",
                "labels": {names::MANAGED_BY_LABEL: names::MANAGER}, "managedFields": [
                {"manager": "kubectl-egress/demo/default", "operation": "Apply", "fieldsV1": {"f:spec": ours}},
                {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": theirs}}]},
            "spec": spec,
        }))
    }

    fn reference() -> ObjectReference {
        ObjectReference::namespaced(kinds::telemetry(), "n", "t")
    }

    #[test]
    fn what_somebody_added_stays_under_the_selector_and_ours_goes() {
        let spec = json!({"selector": {}, "accessLogging": [], "tracing": [{"randomSamplingPercentage": 5}]});
        let ours = json!({"f:selector": {}, "f:accessLogging": {}});
        let live = telemetry(&spec, &json!({"f:tracing": {}}), &ours);
        let said = left(&reference(), &live).unwrap();
        assert!(
            said.contains("spec.tracing is [{\"randomSamplingPercentage\":5}] by kubectl-edit"),
            "{said}"
        );
        let paths: Vec<Value> = without_ours(&live)
            .as_array()
            .unwrap()
            .iter()
            .map(|operation| operation["path"].clone())
            .collect();
        assert!(paths.contains(&json!(OURS)), "{paths:?}");
        assert!(!paths.iter().any(|path| path == "/spec/selector"), "{paths:?}");
        let alone = telemetry(&json!({"selector": {}, "accessLogging": []}), &json!({}), &ours);
        assert_eq!(left(&reference(), &alone), None);
    }

    #[test]
    fn an_access_log_that_somebody_changed_is_theirs() {
        let spec = json!({"selector": {}, "accessLogging": [{"disabled": true}]});
        let live = telemetry(&spec, &json!({"f:accessLogging": {}}), &json!({"f:selector": {}}));
        let said = left(&reference(), &live).unwrap();
        assert!(
            said.contains("[{\"disabled\":true}] by kubectl-edit; this plan had set"),
            "{said}"
        );
        assert!(!without_ours(&live).to_string().contains(OURS));
    }
}
