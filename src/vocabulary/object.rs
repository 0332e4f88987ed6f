//! An object of the cluster as the API server gave it: JSON with accessors, no schema.

use super::{Kind, ObjectReference};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Any Kubernetes object. Reading a field that is not there gives an empty value, as most fields are optional.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Object(pub Value);

impl Object {
    /// The value at a JSON pointer (RFC 6901), or `Null`.
    pub fn at(&self, pointer: &str) -> &Value {
        at(&self.0, pointer).unwrap_or(&Value::Null)
    }

    /// The text at a JSON pointer, or the empty text.
    pub fn text(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_default()
    }

    /// The items at a JSON pointer, or none.
    pub fn items(&self, pointer: &str) -> &[Value] {
        self.at(pointer).as_array().map_or(&[], Vec::as_slice)
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// `metadata.namespace`, if it has one.
    pub fn namespace(&self) -> Option<&str> {
        self.at("/metadata/namespace").as_str()
    }

    /// `metadata.uid`.
    pub fn uid(&self) -> &str {
        self.text("/metadata/uid")
    }

    /// `metadata.resourceVersion`.
    pub fn resource_version(&self) -> &str {
        self.text("/metadata/resourceVersion")
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.at("/metadata/labels").get(name).and_then(Value::as_str)
    }

    /// The value of an annotation.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.at("/metadata/annotations").get(name).and_then(Value::as_str)
    }

    /// Whether every pair of `selector` (a JSON object of texts) is among the labels at `pointer`.
    pub fn labels_match(&self, pointer: &str, selector: &Value) -> bool {
        let labels = self.at(pointer);
        selector
            .as_object()
            .is_some_and(|pairs| pairs.iter().all(|(name, value)| labels.get(name) == Some(value)))
    }

    /// Names it, given its kind (objects inside lists carry none).
    pub fn reference(&self, kind: &Kind) -> ObjectReference {
        ObjectReference {
            kind: kind.clone(),
            namespace: self.namespace().map(str::to_owned),
            name: self.name().to_owned(),
        }
    }

    /// Field managers with an entry in `metadata.managedFields`.
    pub fn managers(&self) -> impl Iterator<Item = &str> {
        self.items("/metadata/managedFields")
            .iter()
            .filter_map(|entry| entry.get("manager")?.as_str())
    }

    /// Reads it as a typed struct.
    ///
    /// # Errors
    /// If its fields do not fit the type.
    pub fn parse<Type: serde::de::DeserializeOwned>(&self) -> Result<Type, serde_json::Error> {
        Type::deserialize(&self.0)
    }
}

/// What `Value::pointer` finds. That one copies every name twice, for its escapes; a large cluster is read by millions of
/// names that have none.
fn at<'value>(value: &'value Value, pointer: &str) -> Option<&'value Value> {
    let name = pointer
        .strip_prefix('/')
        .map(|rest| rest.split_once('/').map_or(rest, |(name, _)| name));
    match (value, name) {
        (Value::Object(fields), Some(name)) if !name.contains('~') => {
            at(fields.get(name)?, &pointer[1 + name.len()..])
        }
        _ => value.pointer(pointer),
    }
}

impl From<Value> for Object {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[rstest::rstest]
    #[case("")]
    #[case("/")]
    #[case("/a")]
    #[case("/a/b")]
    #[case("/a/b/1")]
    #[case("/a/b/01")]
    #[case("/a/b/1/c")]
    #[case("/a/b/1/c/")]
    #[case("/a/b/-")]
    #[case("/x~1y")]
    #[case("/x~1y/z~0")]
    #[case("/x/y")]
    #[case("a")]
    #[case("//b")]
    fn a_pointer_leads_where_the_library_says(#[case] pointer: &str) {
        let value = json!({"a": {"b": [0, {"c": {"": "end"}}]}, "x/y": {"z~": 1}, "": {"b": 2}});
        assert_eq!(at(&value, pointer), value.pointer(pointer), "{pointer}");
    }
}
