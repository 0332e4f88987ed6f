//! Labels and field managers: what makes an object, or a field, ours.

use crate::istio::kinds;
use crate::vocabulary::{Kind, Object, ObjectReference, PlanIdentity, names};
use serde_json::{Value, json};

/// An object to apply, with who will own its fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// What is applied.
    pub object: Object,
    /// Its name with kind.
    pub reference: ObjectReference,
    /// Field manager.
    pub manager: String,
    /// Whether several plans may apply it; then the manager names the plan, and co-ownership counts them.
    pub shared: bool,
}

/// Labels of an object that belongs to one plan.
pub fn plan_labels(plan: &PlanIdentity) -> Value {
    json!({
        names::MANAGED_BY_LABEL: names::MANAGER,
        names::PLAN_LABEL: plan.name,
        names::PLAN_NAMESPACE_LABEL: plan.namespace,
    })
}

/// Label of an object that several plans share. It names no plan: the field managers do.
pub fn shared_labels() -> Value {
    json!({ names::MANAGED_BY_LABEL: names::MANAGER })
}

/// An object of one plan.
pub fn owned(plan: &PlanIdentity, kind: &Kind, namespace: &str, name: &str, body: Value) -> Manifest {
    manifest(
        kind,
        namespace,
        name,
        &plan_labels(plan),
        body,
        names::MANAGER.to_owned(),
        false,
    )
}

/// An object that several plans share.
pub fn shared(plan: &PlanIdentity, kind: &Kind, namespace: &str, name: &str, body: Value) -> Manifest {
    manifest(
        kind,
        namespace,
        name,
        &shared_labels(),
        body,
        plan.shared_manager(),
        true,
    )
}

fn manifest(
    kind: &Kind,
    namespace: &str,
    name: &str,
    labels: &Value,
    body: Value,
    manager: String,
    shared: bool,
) -> Manifest {
    let mut object = json!({
        "apiVersion": kind.api_version(),
        "kind": kind.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
    });
    if let (Value::Object(target), Value::Object(fields)) = (&mut object, body) {
        for (field, value) in fields {
            if field == "metadata" {
                merge(&mut target["metadata"], value);
            } else {
                target.insert(field, value);
            }
        }
    }
    Manifest {
        object: Object(object),
        reference: ObjectReference::namespaced(kind.clone(), namespace, name),
        manager,
        shared,
    }
}

fn merge(target: &mut Value, more: Value) {
    match (target, more) {
        (Value::Object(target), Value::Object(more)) => {
            for (key, value) in more {
                merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
        (target, more) => *target = more,
    }
}

/// Whether an object carries our label and an entry of ours in managedFields: only such objects are ever deleted.
pub fn is_ours(object: &Object) -> bool {
    object.label(names::MANAGED_BY_LABEL) == Some(names::MANAGER) && object.managers().any(is_our_manager)
}

/// Whether a field manager is one of ours.
pub fn is_our_manager(manager: &str) -> bool {
    manager == names::MANAGER
        || manager
            .strip_prefix(names::MANAGER)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// The plan that an object's labels name, if it is ours.
pub fn plan_of(object: &Object) -> Option<PlanIdentity> {
    if !is_ours(object) {
        return None;
    }
    PlanIdentity::new(
        object.label(names::PLAN_NAMESPACE_LABEL)?,
        object.label(names::PLAN_LABEL)?,
    )
    .ok()
}

/// The kinds that we ever create or patch, in the order in which `cleanup` removes them. The journal can be
/// edited by anybody in the namespace, so that undo touches nothing outside this list.
pub fn touchable_kinds() -> Vec<Kind> {
    vec![
        kinds::service_entry(),
        kinds::api_rule(),
        kinds::virtual_service(),
        kinds::destination_rule(),
        kinds::gateway(),
        kinds::secret(),
        kinds::authorization_policy(),
        kinds::sidecar(),
        kinds::network_policy(),
        kinds::job(),
        kinds::role_binding(),
        kinds::role(),
        kinds::telemetry(),
        kinds::pod(),
        kinds::deployment(),
        kinds::endpoint_slice(),
        kinds::service(),
        kinds::service_account(),
        kinds::config_map(),
        kinds::istio_module(),
        kinds::namespace(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_alone_does_not_make_an_object_ours() {
        let labelled = Object(json!({"metadata": {"labels": {names::MANAGED_BY_LABEL: names::MANAGER}}}));
        assert!(!is_ours(&labelled));
        let managed = Object(json!({"metadata": {
            "labels": {names::MANAGED_BY_LABEL: names::MANAGER},
            "managedFields": [{"manager": "kubectl-egress/demo/default"}]}}));
        assert!(is_ours(&managed));
        assert!(!is_our_manager("kubectl-egressor"));
    }
}
