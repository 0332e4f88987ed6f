//! Who owns one field of an object, read from `metadata.managedFields`, and giving it back to them. Pure.
//!
//! Server-side apply takes a field away from its owners when we set another value with their consent. Writing the old
//! value back does not make them owners again; the entries have to say so too. The API server takes edited
//! `managedFields` as they are (kubectl migrates from client-side apply in the same way).

use crate::vocabulary::Object;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// An owner of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FieldOwner {
    /// Field manager.
    pub manager: String,
    /// How it came to own it: only `Apply` entries take a field away when they leave it out.
    pub operation: Operation,
}

/// The operation of an entry in `managedFields`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Server-side apply.
    Apply,
    /// Anything else.
    Update,
}

impl Operation {
    fn text(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }

    fn of(entry: &Value) -> Self {
        if entry["operation"] == "Apply" {
            Self::Apply
        } else {
            Self::Update
        }
    }
}

/// Names of the fields from the root to a JSON pointer, as `managedFields` writes them.
fn steps(pointer: &str) -> Vec<String> {
    let names = pointer.split('/').skip(1);
    names
        .map(|name| format!("f:{}", name.replace("~1", "/").replace("~0", "~")))
        .collect()
}

/// Owners of the field at a JSON pointer; what writes through a subresource does not count.
pub fn owners_of(object: &Object, pointer: &str) -> Vec<FieldOwner> {
    let steps = steps(pointer);
    let owns = |entry: &&Value| {
        entry["subresource"].as_str().is_none_or(str::is_empty)
            && steps
                .iter()
                .try_fold(&entry["fieldsV1"], |fields, step| fields.get(step))
                .is_some()
    };
    let entries = object.items("/metadata/managedFields").iter().filter(owns);
    entries
        .filter_map(|entry| {
            Some(FieldOwner {
                manager: entry["manager"].as_str()?.to_owned(),
                operation: Operation::of(entry),
            })
        })
        .collect()
}

/// The object's `managedFields` with the field at a JSON pointer taken from everybody whom `loses` names and given to
/// `owners`. Entries that own nothing any more go.
pub fn handed_over(
    object: &Object,
    pointer: &str,
    loses: impl Fn(&str) -> bool,
    owners: &[FieldOwner],
) -> Value {
    let steps = steps(pointer);
    let mut entries = object.items("/metadata/managedFields").to_vec();
    for entry in &mut entries {
        if entry["manager"].as_str().is_some_and(&loses) {
            remove(&mut entry["fieldsV1"], &steps);
        }
    }
    for owner in owners {
        let is_of = |entry: &Value| {
            entry["manager"] == owner.manager.as_str()
                && Operation::of(entry) == owner.operation
                && entry["subresource"].as_str().is_none_or(str::is_empty)
        };
        let at = entries.iter().position(is_of);
        let at = at.unwrap_or_else(|| {
            entries.push(new_entry(object, owner));
            entries.len() - 1
        });
        add(&mut entries[at]["fieldsV1"], &steps);
    }
    entries.retain(|entry| {
        entry["fieldsV1"]
            .as_object()
            .is_some_and(|fields| !fields.is_empty())
    });
    Value::Array(entries)
}

/// The part of an object that may be removed so that the field at a JSON pointer goes, if nobody but `manager` owns
/// that: the outermost map that holds nothing else, and that nobody else owns. As server-side apply does it.
pub fn removable(object: &Object, pointer: &str, manager: &str) -> Option<String> {
    let foreign = |pointer: &str| {
        owners_of(object, pointer)
            .iter()
            .any(|owner| owner.manager != manager)
    };
    if object.at(pointer).is_null() || foreign(pointer) {
        return None;
    }
    let mut found = pointer;
    while let Some((parent, _)) = found.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
        let alone = object.at(parent).as_object().is_some_and(|map| map.len() == 1);
        if !alone || foreign(parent) {
            break;
        }
        found = parent;
    }
    Some(found.to_owned())
}

/// An entry with the time of the newest one: the API server wants a time, and no clock of the client's decides anything.
fn new_entry(object: &Object, owner: &FieldOwner) -> Value {
    let times = object.items("/metadata/managedFields").iter();
    let newest = times.filter_map(|entry| entry["time"].as_str()).max();
    json!({
        "manager": owner.manager, "operation": owner.operation.text(), "apiVersion": object.text("/apiVersion"),
        "fieldsType": "FieldsV1", "time": newest, "fieldsV1": {},
    })
}

fn remove(fields: &mut Value, steps: &[String]) {
    let (Some((first, rest)), Some(map)) = (steps.split_first(), fields.as_object_mut()) else {
        return;
    };
    if let Some(child) = map.get_mut(first) {
        remove(child, rest);
        // `.` stands for the map itself, which nobody owns for its own sake.
        let hollow = child
            .as_object()
            .is_none_or(|map| map.keys().all(|key| key == "."));
        if rest.is_empty() || hollow {
            map.remove(first);
        }
    }
}

fn add(fields: &mut Value, steps: &[String]) {
    let mut at = fields;
    for step in steps {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at = &mut at[step.as_str()];
    }
    if at.is_null() {
        *at = json!({});
    }
}

/// An object with nothing but the field at a JSON pointer, as a merge patch wants it.
pub fn nested(pointer: &str, value: Value) -> Value {
    let names: Vec<String> = steps(pointer);
    let inner_first = names.iter().rev();
    inner_first.fold(value, |inner, name| {
        let name = name.trim_start_matches("f:").to_owned();
        Value::Object([(name, inner)].into_iter().collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWITCH: &str = "/spec/components/egressGateway/enabled";

    fn object(entries: &Value) -> Object {
        Object(
            json!({"apiVersion": "operator.kyma-project.io/v1alpha2", "metadata": {"managedFields": entries}}),
        )
    }

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "time": "2026-01-01T00:00:00Z", "fieldsV1": fields})
    }

    fn switch() -> Value {
        json!({"f:spec": {"f:components": {"f:egressGateway": {"f:enabled": {}}}}})
    }

    fn owner(manager: &str, operation: Operation) -> FieldOwner {
        FieldOwner {
            manager: manager.to_owned(),
            operation,
        }
    }

    #[test]
    fn names_the_owners_of_a_field_and_of_no_other() {
        let mut status = entry("manager", "Update", &switch());
        status["subresource"] = json!("status");
        let other = json!({"f:spec": {"f:components": {"f:proxy": {}}}});
        let object = object(&json!([
            entry("flux", "Apply", &switch()),
            entry("kubectl-edit", "Update", &switch()),
            entry("other", "Apply", &other),
            status,
        ]));
        let owners = owners_of(&object, SWITCH);
        let wanted = [
            owner("flux", Operation::Apply),
            owner("kubectl-edit", Operation::Update),
        ];
        assert_eq!(owners, wanted);
    }

    #[test]
    fn a_label_with_a_slash_is_one_field() {
        let labels = entry(
            "a",
            "Apply",
            &json!({"f:metadata": {"f:labels": {".": {}, "f:istio.io/rev": {}}}}),
        );
        let object = object(&json!([labels]));
        assert_eq!(owners_of(&object, "/metadata/labels/istio.io~1rev").len(), 1);
        assert_eq!(owners_of(&object, "/metadata/labels/istio-injection").len(), 0);
        assert_eq!(
            nested("/metadata/labels/istio.io~1rev", json!("x")),
            json!({"metadata": {"labels": {"istio.io/rev": "x"}}})
        );
    }

    #[test]
    fn a_field_goes_back_to_those_who_had_it() {
        let rest = json!({"f:spec": {"f:config": {"f:numTrustedProxies": {}}}});
        let before = object(&json!([
            entry("flux", "Apply", &rest),
            entry("kubectl-egress/demo/default", "Update", &switch())
        ]));
        let ours = |manager: &str| manager.starts_with("kubectl-egress");
        let wanted = [
            owner("flux", Operation::Apply),
            owner("kubectl-edit", Operation::Update),
        ];
        let after = object(&handed_over(&before, SWITCH, ours, &wanted));
        assert_eq!(owners_of(&after, SWITCH), wanted);
        assert_eq!(after.managers().collect::<Vec<_>>(), ["flux", "kubectl-edit"]);
        let kept = owners_of(&after, "/spec/config/numTrustedProxies");
        assert_eq!(kept, [owner("flux", Operation::Apply)]);
        assert_eq!(
            after.text("/metadata/managedFields/1/time"),
            "2026-01-01T00:00:00Z"
        );
    }

    #[test]
    fn what_somebody_owns_around_a_field_stays() {
        let object = |entries: &Value, spec: &Value| {
            let mut object = object(entries);
            object.0["spec"] = spec.clone();
            object
        };
        let ours = entry("ours", "Apply", &switch());
        let spec = json!({"components": {"egressGateway": {"enabled": true}}});
        let removable = |entries: &Value, spec: &Value| removable(&object(entries, spec), SWITCH, "ours");
        assert_eq!(removable(&json!([ours]), &spec).as_deref(), Some("/spec"));
        let empty = entry("theirs", "Apply", &json!({"f:spec": {"f:components": {}}}));
        let around = removable(&json!([ours, empty]), &spec);
        assert_eq!(around.as_deref(), Some("/spec/components/egressGateway"));
        let more = json!({"components": {"egressGateway": {"enabled": true, "k8s": {}}}});
        assert_eq!(removable(&json!([ours]), &more).as_deref(), Some(SWITCH));
        let theirs = entry("theirs", "Apply", &switch());
        assert_eq!(removable(&json!([ours, theirs]), &spec), None);
    }

    #[test]
    fn nobody_is_an_owner_too() {
        let before = object(&json!([entry("kubectl-egress", "Apply", &switch())]));
        assert_eq!(handed_over(&before, SWITCH, |_| true, &[]), json!([]));
    }
}
