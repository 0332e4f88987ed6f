//! Merging a configuration into an object, removing paths, and comparing two objects.

use super::field_set::{Element, FieldSet, item_key};
use super::schema::{ListType, is_atomic_map, list_type};
use crate::vocabulary::Kind;
use serde_json::{Map, Value};

/// The live object with the configuration put over it. `null` removes.
pub(super) fn merge(kind: &Kind, live: &Value, configuration: &Value) -> Value {
    merge_value(kind, &mut Vec::new(), Some(live), configuration)
}

fn merge_value<'value>(
    kind: &Kind,
    path: &mut Vec<&'value str>,
    live: Option<&Value>,
    wanted: &'value Value,
) -> Value {
    match wanted {
        Value::Object(wanted_fields) if !is_atomic_map(kind, path) => {
            let mut fields = live.and_then(Value::as_object).cloned().unwrap_or_default();
            for (name, value) in wanted_fields {
                if value.is_null() {
                    fields.remove(name);
                    continue;
                }
                path.push(name);
                let merged = merge_value(kind, path, fields.get(name), value);
                path.pop();
                fields.insert(name.clone(), merged);
            }
            Value::Object(fields)
        }
        Value::Array(wanted_items) => match list_type(kind, path) {
            ListType::Atomic => wanted.clone(),
            ListType::Set => {
                let mut items = live.and_then(Value::as_array).cloned().unwrap_or_default();
                let new = wanted_items.iter().filter(|item| !items.contains(item));
                let new: Vec<_> = new.cloned().collect();
                items.extend(new);
                Value::Array(items)
            }
            ListType::Map(keys) => {
                let mut items = live.and_then(Value::as_array).cloned().unwrap_or_default();
                for wanted_item in wanted_items {
                    let key = item_key(keys, wanted_item);
                    let position = items.iter().position(|item| item_key(keys, item) == key);
                    let found = position.map(|position| items[position].clone());
                    let merged = merge_value(kind, path, found.as_ref(), wanted_item);
                    match position {
                        Some(position) => items[position] = merged,
                        None => items.push(merged),
                    }
                }
                Value::Array(items)
            }
        },
        other => other.clone(),
    }
}

/// Removes the paths of `doomed` from an object. Maps and items that become empty go with them, unless
/// somebody in `kept` owns them.
pub(super) fn remove(kind: &Kind, object: &mut Value, doomed: &FieldSet, kept: &FieldSet) {
    remove_in(kind, &mut Vec::new(), object, doomed, kept);
}

fn remove_in(kind: &Kind, path: &mut Vec<String>, value: &mut Value, doomed: &FieldSet, kept: &FieldSet) {
    let nothing = FieldSet::default();
    match value {
        Value::Object(fields) => {
            let names: Vec<String> = fields.keys().cloned().collect();
            for name in names {
                let element = Element::Field(name.clone());
                let Some(doomed_child) = doomed.below(&element) else {
                    continue;
                };
                let kept_child = kept.below(&element).unwrap_or(&nothing);
                let Some(child) = fields.get_mut(&name) else {
                    continue;
                };
                path.push(name.clone());
                let had_content = !is_hollow(child);
                remove_in(kind, path, child, doomed_child, kept_child);
                path.pop();
                let emptied = had_content && is_hollow(child);
                if kept_child.is_empty() && (doomed_child.is_member() || emptied) {
                    fields.remove(&name);
                }
            }
        }
        Value::Array(items) => {
            let names: Vec<&str> = path.iter().map(String::as_str).collect();
            let list_type = list_type(kind, &names);
            items.retain_mut(|item| {
                let element = match list_type {
                    ListType::Atomic => return true,
                    ListType::Set => Element::Item(item.to_string()),
                    ListType::Map(keys) => Element::Key(item_key(keys, item)),
                };
                let Some(doomed_child) = doomed.below(&element) else {
                    return true;
                };
                let kept_child = kept.below(&element).unwrap_or(&nothing);
                if doomed_child.is_member() && kept_child.is_empty() {
                    return false;
                }
                remove_in(kind, path, item, doomed_child, kept_child);
                true
            });
        }
        _ => {}
    }
}

fn is_hollow(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// How two objects differ, as sets of paths.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// New paths, and paths whose value changed.
    pub(super) written: FieldSet,
    /// Paths that are gone.
    pub(super) removed: FieldSet,
}

/// Compares two objects.
pub(super) fn compare(kind: &Kind, before: &Value, after: &Value) -> Comparison {
    let old = FieldSet::of(kind, before);
    let new = FieldSet::of(kind, after);
    let removed = old.difference(&new);
    let both = old.intersection(&new);
    let changed = changed(kind, &mut Vec::new(), before, after, &both);
    Comparison {
        written: new.difference(&old).union(&changed),
        removed,
    }
}

/// Of the paths that both have, those whose value differs.
fn changed(kind: &Kind, path: &mut Vec<String>, before: &Value, after: &Value, both: &FieldSet) -> FieldSet {
    let mut json = Map::new();
    let mut add = |name: String, child: &FieldSet| {
        if !child.is_empty() {
            json.insert(name, child.to_json());
        }
    };
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for (name, new) in new {
                let Some((old, below)) = old.get(name).zip(both.below(&Element::Field(name.clone()))) else {
                    continue;
                };
                path.push(name.clone());
                let names: Vec<&str> = path.iter().map(String::as_str).collect();
                let granular = match new {
                    Value::Object(fields) => !fields.is_empty() && !is_atomic_map(kind, &names),
                    Value::Array(_) => list_type(kind, &names) != ListType::Atomic,
                    _ => false,
                };
                let child = if granular {
                    changed(kind, path, old, new, below)
                } else if old == new {
                    FieldSet::default()
                } else {
                    below.clone()
                };
                path.pop();
                add(format!("f:{name}"), &child);
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            let names: Vec<&str> = path.iter().map(String::as_str).collect();
            if let ListType::Map(keys) = list_type(kind, &names) {
                for item in new {
                    let key = item_key(keys, item);
                    let previous = old.iter().find(|old| item_key(keys, old) == key);
                    let Some((old, below)) = previous.zip(both.below(&Element::Key(key.clone()))) else {
                        continue;
                    };
                    add(format!("k:{key}"), &changed(kind, path, old, item, below));
                }
            }
        }
        _ => {}
    }
    if json.is_empty() {
        return FieldSet::default();
    }
    FieldSet::from_json(&Value::Object(json))
}
