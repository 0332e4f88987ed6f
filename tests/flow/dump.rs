//! The embedded cluster before and after, compared. Used by `tests/flow` and `tests/survival`.

use kubectl_egress::sandbox::Sandbox;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// All objects without what changes by itself.
pub(crate) fn dump(sandbox: &Sandbox) -> BTreeMap<String, Value> {
    let mut objects = sandbox.dump();
    objects.retain(|name, _| !name.starts_with("Event ") && !name.starts_with("Lease "));
    for object in objects.values_mut() {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            for field in ["managedFields", "resourceVersion", "generation"] {
                metadata.remove(field);
            }
            if metadata.get("labels") == Some(&json!({})) {
                metadata.remove("labels");
            }
        }
    }
    objects
}

/// Names of the objects that differ, with both forms: the whole dumps are too long to read.
pub(crate) fn differences(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) -> Vec<String> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changed = names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name));
    changed
        .map(|name| format!("{name}: {:?} became {:?}", before.get(name), after.get(name)))
        .collect()
}
