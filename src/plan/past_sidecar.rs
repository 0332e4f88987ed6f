//! Ranges of addresses that a workload of the user's reaches past its sidecar: one annotation on its pods' template.

use super::field_owner::{FieldOwner, owners_of};
use super::foreign_field::{Before, EXCLUDED_RANGES as FIELD};
use super::journal::Entry;
use super::ownership::{Manifest, is_our_manager};
use crate::vocabulary::{AddressRange, Object, ObjectReference, PlanIdentity};
use serde_json::{Value, json};

/// Annotation of a pod by which Istio's injector leaves ranges out of what it redirects to the sidecar (Istio's
/// reference of resource annotations).
pub const EXCLUDED_RANGES: &str = "traffic.sidecar.istio.io/excludeOutboundIPRanges";
/// Where it stands in a workload, as JSON pointer.
pub const EXCLUDED_RANGES_FIELD: &str =
    "/spec/template/metadata/annotations/traffic.sidecar.istio.io~1excludeOutboundIPRanges";

/// The annotation as it is to be set on a workload.
#[derive(Debug, Clone, PartialEq)]
pub struct RangesChange {
    /// What is applied.
    pub manifest: Manifest,
    /// What the journal keeps.
    pub entry: Entry,
    /// The annotation's new value.
    pub value: String,
    /// Whether the workload has it already.
    pub is_there: bool,
}

/// Adds ranges to those that the workload's owner left out. `ours`: the entry of an earlier run of this plan.
pub fn change(
    plan: &PlanIdentity,
    reference: &ObjectReference,
    live: &Object,
    ours: Option<&Entry>,
    ranges: &[AddressRange],
) -> RangesChange {
    let found = live.at(EXCLUDED_RANGES_FIELD);
    let owners: Vec<FieldOwner> = owners_of(live, EXCLUDED_RANGES_FIELD);
    let set_by_us = owners.iter().any(|owner| owner.manager == plan.shared_manager());
    let set_by_plans = owners.iter().any(|owner| is_our_manager(&owner.manager));
    let before = match (FIELD.noted(live), ours) {
        (Some(noted), _) if set_by_plans => noted,
        // There was none, or there would be a note.
        (_, Some(_)) if set_by_us => Before::default(),
        _ => Before {
            value: found.is_string().then(|| found.clone()),
            owners: owners
                .into_iter()
                .filter(|owner| owner.manager != plan.shared_manager())
                .collect(),
        },
    };
    let mut all: Vec<String> = before
        .value
        .iter()
        .filter_map(Value::as_str)
        .flat_map(|text| text.split(','))
        .map(|range| range.trim().to_owned())
        .filter(|range| !range.is_empty())
        .collect();
    for range in ranges.iter().map(ToString::to_string) {
        if !all.contains(&range) {
            all.push(range);
        }
    }
    let value = all.join(",");
    let object = json!({
        "apiVersion": reference.kind.api_version(), "kind": reference.kind.kind,
        "metadata": {"name": reference.name, "namespace": reference.namespace},
        "spec": {"template": {"metadata": {"annotations": {EXCLUDED_RANGES: value}}}},
    });
    let mut object = Object(object);
    FIELD.add_note(&mut object, &before);
    RangesChange {
        is_there: found.as_str() == Some(&value),
        manifest: Manifest {
            object,
            reference: reference.clone(),
            manager: plan.shared_manager(),
            shared: true,
        },
        entry: Entry::of_field(
            &FIELD,
            reference.clone(),
            plan.shared_manager(),
            before,
            Some(json!(value)),
        ),
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::istio::kinds;

    fn changed(annotation: Option<&str>, first: Option<&RangesChange>, manager: &str) -> RangesChange {
        let plan = PlanIdentity::new("demo", "default").unwrap();
        let reference = ObjectReference::namespaced(kinds::deployment(), "demo", "shop");
        let mut live = json!({"metadata": {"name": "shop", "namespace": "demo"}, "spec": {"template": {}}});
        if let Some(annotation) = annotation {
            live["spec"]["template"] = json!({"metadata": {"annotations": {EXCLUDED_RANGES: annotation}}});
            let field = format!("f:{EXCLUDED_RANGES}");
            live["metadata"]["managedFields"] = json!([{"manager": manager, "operation": "Apply", "fieldsV1":
                {"f:spec": {"f:template": {"f:metadata": {"f:annotations": {field: {}}}}}}}]);
        }
        if let Some(first) = first {
            live["metadata"]["annotations"] = first.manifest.object.at("/metadata/annotations").clone();
        }
        let ours = first.map(|first| &first.entry);
        let ranges = ["203.0.113.0/24".parse().unwrap()];
        change(&plan, &reference, &Object(live), ours, &ranges)
    }

    fn before(entry: &Entry) -> Option<Value> {
        match entry {
            Entry::Field { before, .. } => before.clone(),
            _ => panic!("not a field"),
        }
    }

    #[test]
    fn ranges_of_the_owner_stay_and_come_back() {
        let first = changed(Some("10.0.0.0/8"), None, "helm");
        assert_eq!(first.value, "10.0.0.0/8,203.0.113.0/24");
        assert_eq!(before(&first.entry), Some(json!("10.0.0.0/8")));
        let again = changed(Some(&first.value), Some(&first), "kubectl-egress/demo/default");
        assert!(again.is_there);
        assert_eq!(before(&again.entry), Some(json!("10.0.0.0/8")));
        assert_eq!(before(&changed(None, None, "").entry), None);
    }
}
