//! A change of one object.

use crate::vocabulary::Object;
use serde_json::{Value, json};

/// A change that is tried.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    /// Index among the objects.
    pub(super) object: usize,
    /// JSON patch (RFC 6902).
    operations: Vec<Value>,
    /// What it does, in words.
    says: String,
}

/// A change after which the model carries the request through the gateway.
#[derive(Debug, Clone, PartialEq)]
pub struct Repair {
    /// The object, as `Kind namespace/name`.
    pub object: String,
    /// API group and version, as in the object.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// What the change does, in words.
    pub says: String,
    /// JSON patch (RFC 6902).
    pub patch: Vec<Value>,
}

impl Edit {
    /// No change yet.
    pub(super) fn of(object: usize, says: impl Into<String>) -> Self {
        Self {
            object,
            operations: Vec::new(),
            says: says.into(),
        }
    }

    /// Sets a field, or appends to a list by a path that ends in `/-`.
    pub(super) fn set(mut self, path: &str, value: &Value) -> Self {
        self.operations
            .push(json!({"op": "add", "path": path, "value": value}));
        self
    }

    /// Gives what is there another value.
    pub(super) fn replace(mut self, path: &str, value: &Value) -> Self {
        self.operations
            .push(json!({"op": "replace", "path": path, "value": value}));
        self
    }

    /// Takes away what is there.
    pub(super) fn remove(mut self, path: &str) -> Self {
        self.operations.push(json!({"op": "remove", "path": path}));
        self
    }

    /// The object with the change; `None` if it changes nothing or cannot be made.
    pub(super) fn on(&self, objects: &[&Object]) -> Option<Object> {
        let before = objects[self.object];
        let mut after = before.0.clone();
        let patch: json_patch::Patch = serde_json::from_value(json!(self.operations)).ok()?;
        json_patch::patch(&mut after, &patch).ok()?;
        (after != before.0).then_some(Object(after))
    }

    /// The object's kind and name.
    pub(super) fn title(&self, objects: &[&Object]) -> String {
        let object = objects[self.object];
        format!(
            "{} {}/{}",
            object.text("/kind"),
            object.namespace().unwrap_or_default(),
            object.name()
        )
    }

    /// As it is proposed.
    pub(super) fn repair(self, objects: &[&Object]) -> Repair {
        let object = objects[self.object];
        Repair {
            object: self.title(objects),
            api_version: object.text("/apiVersion").to_owned(),
            kind: object.text("/kind").to_owned(),
            namespace: object.namespace().unwrap_or_default().to_owned(),
            name: object.name().to_owned(),
            says: self.says,
            patch: self.operations,
        }
    }
}
