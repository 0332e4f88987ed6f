//! Sets of field paths, and their form in `managedFields` (`fieldsV1`).

use super::schema::{ListType, is_atomic_map, list_type};
use crate::vocabulary::Kind;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Element {
    /// A field of a map.
    Field(String),
    /// An item of a list of maps, by the JSON text of its keys.
    Key(String),
    /// An item of a set, by its JSON text.
    Item(String),
}

/// A set of paths, as a tree. A path is in it where `member` is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FieldSet {
    member: bool,
    children: BTreeMap<Element, FieldSet>,
}

/// The keys of an item, with `protocol` as the API server defaults it.
pub(super) fn item_key(keys: &[&str], item: &Value) -> String {
    let mut found = Map::new();
    for key in keys {
        match item.get(key) {
            Some(value) => {
                found.insert((*key).to_owned(), value.clone());
            }
            None if *key == "protocol" => {
                found.insert("protocol".to_owned(), json!("TCP"));
            }
            None => {}
        }
    }
    Value::Object(found).to_string()
}

impl FieldSet {
    /// The fields of an object, without those that nobody owns (`apiVersion`, `kind`, identity in `metadata`).
    pub(super) fn of(kind: &Kind, object: &Value) -> Self {
        let mut object = object.clone();
        strip(&mut object);
        let mut set = Self::default();
        set.add_map(kind, &mut Vec::new(), &object);
        set
    }

    fn child(&mut self, element: Element) -> &mut Self {
        self.children.entry(element).or_default()
    }

    fn add<'value>(&mut self, kind: &Kind, path: &mut Vec<&'value str>, value: &'value Value) {
        match value {
            Value::Object(fields) if !fields.is_empty() && !is_atomic_map(kind, path) => {
                self.add_map(kind, path, value);
            }
            Value::Array(items) if !items.is_empty() => match list_type(kind, path) {
                ListType::Atomic => self.member = true,
                ListType::Set => {
                    for item in items {
                        self.child(Element::Item(item.to_string())).member = true;
                    }
                }
                ListType::Map(keys) => {
                    for item in items {
                        let child = self.child(Element::Key(item_key(keys, item)));
                        child.add_map(kind, path, item);
                        child.member = true;
                    }
                }
            },
            _ => self.member = true,
        }
    }

    fn add_map<'value>(&mut self, kind: &Kind, path: &mut Vec<&'value str>, value: &'value Value) {
        for (name, value) in value.as_object().into_iter().flatten() {
            path.push(name);
            self.child(Element::Field(name.clone())).add(kind, path, value);
            path.pop();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.values().all(Self::is_empty)
    }

    /// Paths in both.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        self.combine(other, |left, right| left && right)
    }

    /// Paths in either.
    pub(super) fn union(&self, other: &Self) -> Self {
        self.combine(other, |left, right| left || right)
    }

    /// Paths of this one that the other has not.
    pub(super) fn difference(&self, other: &Self) -> Self {
        self.combine(other, |left, right| left && !right)
    }

    fn combine(&self, other: &Self, keep: fn(bool, bool) -> bool) -> Self {
        let nothing = Self::default();
        let elements = self.children.keys().chain(other.children.keys());
        let children = elements
            .map(|element| {
                let left = self.children.get(element).unwrap_or(&nothing);
                let right = other.children.get(element).unwrap_or(&nothing);
                (element.clone(), left.combine(right, keep))
            })
            .filter(|(_, child)| !child.is_empty())
            .collect();
        Self {
            member: keep(self.member, other.member),
            children,
        }
    }

    /// Whether the path itself is in the set.
    pub(super) fn is_member(&self) -> bool {
        self.member
    }

    /// The paths below an element.
    pub(super) fn below(&self, element: &Element) -> Option<&Self> {
        self.children.get(element)
    }

    /// Every path, written as the API server writes it: `.spec.ports[port=443,protocol="TCP"].name`.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.collect_paths("", &mut found);
        found
    }

    fn collect_paths(&self, prefix: &str, found: &mut Vec<String>) {
        if self.member && !prefix.is_empty() {
            found.push(prefix.to_owned());
        }
        for (element, child) in &self.children {
            let mut path = prefix.to_owned();
            match element {
                Element::Field(name) => {
                    let _ = write!(path, ".{name}");
                }
                Element::Key(keys) => {
                    let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                    let pairs: Vec<_> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
                    let _ = write!(path, "[{}]", pairs.join(","));
                }
                Element::Item(value) => {
                    let _ = write!(path, "[={value}]");
                }
            }
            child.collect_paths(&path, found);
        }
    }

    /// As `fieldsV1`.
    pub(super) fn to_json(&self) -> Value {
        let mut fields = Map::new();
        if self.member && !self.children.is_empty() {
            fields.insert(".".into(), json!({}));
        }
        for (element, child) in &self.children {
            let name = match element {
                Element::Field(name) => format!("f:{name}"),
                Element::Key(keys) => format!("k:{keys}"),
                Element::Item(value) => format!("v:{value}"),
            };
            fields.insert(name, child.to_json());
        }
        Value::Object(fields)
    }

    /// From `fieldsV1`.
    pub(super) fn from_json(value: &Value) -> Self {
        let mut set = Self::default();
        let fields = value.as_object();
        set.member = fields.is_none_or(|fields| fields.is_empty() || fields.contains_key("."));
        for (name, value) in fields.into_iter().flatten() {
            let element = match name.split_once(':') {
                Some(("f", name)) => Element::Field(name.to_owned()),
                Some(("k", keys)) => Element::Key(keys.to_owned()),
                Some(("v", value)) => Element::Item(value.to_owned()),
                _ => continue,
            };
            set.children.insert(element, Self::from_json(value));
        }
        set
    }
}

/// Removes the fields that nobody owns.
fn strip(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    fields.remove("apiVersion");
    fields.remove("kind");
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        for name in [
            "name",
            "generateName",
            "namespace",
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "managedFields",
            "selfLink",
        ] {
            metadata.remove(name);
        }
        if metadata.is_empty() {
            fields.remove("metadata");
        }
    }
}
