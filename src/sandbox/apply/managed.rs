//! `metadata.managedFields`: who owns what after an apply or an update, and the conflicts.

use super::field_set::FieldSet;
use super::merge::{compare, merge, remove};
use crate::sandbox::api::Refusal;
use crate::vocabulary::Kind;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Who writes.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Manager {
    pub(in crate::sandbox) name: String,
    pub(in crate::sandbox) api_version: String,
    pub(in crate::sandbox) subresource: String,
    /// Time of the write, as in `managedFields`.
    pub(in crate::sandbox) time: String,
}

/// One entry of `managedFields`.
#[derive(Debug, Clone)]
struct Entry {
    manager: String,
    operation: &'static str,
    api_version: String,
    subresource: String,
    time: String,
    fields: FieldSet,
}

impl Entry {
    fn is_of(&self, manager: &Manager, operation: &str) -> bool {
        // For an apply the version does not matter: the same applier stays the same through versions.
        self.manager == manager.name
            && self.operation == operation
            && self.subresource == manager.subresource
            && (operation == "Apply" || self.api_version == manager.api_version)
    }

    /// As the API server names a manager in a conflict.
    fn title(&self) -> String {
        let mut title = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            title = format!("{title} with subresource {:?}", self.subresource);
        }
        if self.operation == "Update" {
            title = format!("{title} using {}", self.api_version);
        }
        title
    }
}

fn entries(object: &Value) -> Vec<Entry> {
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| Entry {
            manager: text(entry, "manager"),
            operation: if entry["operation"] == "Apply" {
                "Apply"
            } else {
                "Update"
            },
            api_version: text(entry, "apiVersion"),
            subresource: text(entry, "subresource"),
            time: text(entry, "time"),
            fields: FieldSet::from_json(&entry["fieldsV1"]),
        })
        .collect()
}

fn write_entries(object: &mut Value, entries: &[Entry]) {
    let list: Vec<Value> = entries
        .iter()
        .filter(|entry| !entry.fields.is_empty())
        .map(|entry| {
            let mut written = json!({
                "manager": entry.manager, "operation": entry.operation, "apiVersion": entry.api_version,
                "time": entry.time, "fieldsType": "FieldsV1", "fieldsV1": entry.fields.to_json(),
            });
            if !entry.subresource.is_empty() {
                written["subresource"] = json!(entry.subresource);
            }
            written
        })
        .collect();
    if list.is_empty() {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
    } else {
        object["metadata"]["managedFields"] = Value::Array(list);
    }
}

/// Sets the fields of a manager's entry. An entry that does not change keeps its time.
fn set_entry(entries: &mut Vec<Entry>, manager: &Manager, operation: &'static str, fields: FieldSet) {
    let found = entries.iter_mut().find(|entry| entry.is_of(manager, operation));
    match found {
        Some(entry) if entry.fields == fields && entry.api_version == manager.api_version => {}
        Some(entry) => {
            entry.fields = fields;
            manager.time.clone_into(&mut entry.time);
            manager.api_version.clone_into(&mut entry.api_version);
        }
        None => entries.push(Entry {
            manager: manager.name.clone(),
            operation,
            api_version: manager.api_version.clone(),
            subresource: manager.subresource.clone(),
            time: manager.time.clone(),
            fields,
        }),
    }
}

/// Server-side apply: the object as it becomes, with `managedFields`.
///
/// # Errors
/// A 409 that names each field which somebody else owns with another value, unless `force`.
pub(in crate::sandbox) fn apply(
    kind: &Kind,
    live: Option<&Value>,
    configuration: &Value,
    manager: &Manager,
    force: bool,
) -> Result<Value, Refusal> {
    let mut configuration = configuration.clone();
    for container in ["resourceVersion", "uid", "generation", "creationTimestamp"] {
        if let Some(metadata) = configuration["metadata"].as_object_mut() {
            metadata.remove(container);
        }
    }
    let empty = json!({});
    let before = live.unwrap_or(&empty);
    let mut entries = entries(before);
    let own = FieldSet::of(kind, &configuration);
    let mut object = merge(kind, before, &configuration);
    let previous = entries
        .iter()
        .find(|entry| entry.is_of(manager, "Apply"))
        .map(|entry| entry.fields.clone())
        .unwrap_or_default();
    let others = entries
        .iter()
        .filter(|entry| !entry.is_of(manager, "Apply"))
        .fold(own.clone(), |all, entry| all.union(&entry.fields));
    remove(kind, &mut object, &previous.difference(&others), &others);
    let difference = compare(kind, before, &object);
    let conflicts = conflicts(&entries, manager, &difference.written);
    if !conflicts.is_empty() && !force {
        return Err(conflict(&conflicts));
    }
    for entry in &mut entries {
        if !entry.is_of(manager, "Apply") {
            entry.fields = entry
                .fields
                .difference(&difference.written)
                .difference(&difference.removed);
        }
    }
    set_entry(&mut entries, manager, "Apply", own);
    write_entries(&mut object, &entries);
    Ok(object)
}

/// Fields that are to be written and that others own: by the manager's title.
fn conflicts(entries: &[Entry], manager: &Manager, written: &FieldSet) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for entry in entries.iter().filter(|entry| !entry.is_of(manager, "Apply")) {
        let paths = entry.fields.intersection(written).paths();
        if !paths.is_empty() {
            found.entry(entry.title()).or_insert_with(Vec::new).extend(paths);
        }
    }
    found
}

fn conflict(conflicts: &BTreeMap<String, Vec<String>>) -> Refusal {
    let causes: Vec<Value> = conflicts
        .iter()
        .flat_map(|(title, paths)| {
            paths.iter().map(move |path| {
                json!({"reason": "FieldManagerConflict", "message": format!("conflict with {title}"), "field": path})
            })
        })
        .collect();
    let message = if causes.len() == 1 {
        let cause = &causes[0];
        let text = |name: &str| cause[name].as_str().unwrap_or_default();
        format!(
            "Apply failed with 1 conflict: {}: {}",
            text("message"),
            text("field")
        )
    } else {
        let groups: Vec<String> = conflicts
            .iter()
            .map(|(title, paths)| format!("conflicts with {title}:\n- {}", paths.join("\n- ")))
            .collect();
        format!(
            "Apply failed with {} conflicts: {}",
            causes.len(),
            groups.join("\n")
        )
    };
    Refusal::apply_conflict(message, &Value::Array(causes))
}

/// After a create, replace or patch: what changed belongs to the writer, and to nobody else.
pub(in crate::sandbox) fn track_update(
    live: Option<&Value>,
    object: &mut Value,
    manager: &Manager,
    kind: &Kind,
) {
    let empty = json!({});
    let before = live.unwrap_or(&empty);
    // A writer may say itself who owns what; one empty entry says "nobody", an empty list nothing at all.
    let said = object["metadata"]["managedFields"]
        .as_array()
        .is_some_and(|entries| !entries.is_empty());
    let mut entries = entries(if said { object } else { before });
    let difference = compare(kind, before, object);
    for entry in &mut entries {
        let lost = if entry.is_of(manager, "Update") {
            difference.removed.clone()
        } else {
            difference.removed.union(&difference.written)
        };
        entry.fields = entry.fields.difference(&lost);
    }
    if !difference.written.is_empty() {
        let own = entries
            .iter()
            .find(|entry| entry.is_of(manager, "Update"))
            .map(|entry| entry.fields.clone())
            .unwrap_or_default();
        set_entry(&mut entries, manager, "Update", own.union(&difference.written));
    }
    write_entries(object, &entries);
}
