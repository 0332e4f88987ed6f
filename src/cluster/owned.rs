//! The part of an object that one field manager owns. Pure.
//!
//! `metadata.managedFields[].fieldsV1` is a trie of path elements: `f:NAME` is a field, `k:{...}` the list item with those
//! keys, `v:VALUE` an item of a set, `.` the place itself (structured-merge-diff, `fieldpath/serialize-pe.go`).

use crate::vocabulary::Object;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// A digest of the fields that a manager applied and of their values; `None` if it applied nothing to the object.
pub(super) fn digest(object: &Object, manager: &str) -> Option<[u8; 32]> {
    let entry = object
        .items("/metadata/managedFields")
        .iter()
        .find(|entry| entry["manager"] == manager && entry["operation"] == "Apply")?;
    let mut text = String::new();
    collect(&entry["fieldsV1"], &object.0, &mut text);
    Some(Sha256::digest(text).into())
}

/// Writes every path of the trie with the value at its end. Keys of JSON objects are sorted here, so equal parts give
/// equal texts.
fn collect(fields: &Value, value: &Value, text: &mut String) {
    let children = fields.as_object().filter(|children| !children.is_empty());
    let Some(children) = children else {
        text.push_str(&value.to_string());
        return;
    };
    for (element, below) in children {
        text.push_str(element);
        text.push('{');
        collect(below, step(element, value), text);
        text.push('}');
    }
}

/// Follows one path element.
fn step<'value>(element: &str, value: &'value Value) -> &'value Value {
    let found = match element.split_once(':') {
        Some(("f", name)) => value.get(name),
        Some(("k", keys)) => item(value, |item| has(item, keys)),
        Some(("v", wanted)) => match serde_json::from_str::<Value>(wanted) {
            Ok(wanted) => item(value, |item| *item == wanted),
            Err(_) => None,
        },
        Some(("i", index)) => index.parse::<usize>().ok().and_then(|index| value.get(index)),
        // `.` owns that the place exists, not what is in it.
        _ => None,
    };
    found.unwrap_or(&Value::Null)
}

fn item(value: &Value, matches: impl Fn(&Value) -> bool) -> Option<&Value> {
    value.as_array()?.iter().find(|item| matches(item))
}

fn has(item: &Value, keys: &str) -> bool {
    serde_json::from_str::<Map<String, Value>>(keys)
        .is_ok_and(|keys| keys.iter().all(|(name, value)| item.get(name) == Some(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(image: &str, revision: &str, replicas: u32) -> Object {
        Object(json!({
            "metadata": {"annotations": {"revision": revision}, "resourceVersion": revision,
                "finalizers": ["a", "b"],
                "managedFields": [
                    {"manager": "kube-controller-manager", "operation": "Update", "time": revision},
                    {"manager": "us", "operation": "Apply", "time": revision, "fieldsV1": {
                        "f:metadata": {"f:finalizers": {"v:\"a\"": {}}},
                        "f:spec": {"f:containers": {"k:{\"name\":\"curl\"}": {".": {}, "f:image": {}, "f:name": {}}}}}}]},
            "spec": {"replicas": replicas, "containers": [
                {"name": "istio-proxy", "image": revision},
                {"name": "curl", "image": image, "imagePullPolicy": revision}]},
        }))
    }

    #[test]
    fn only_what_we_applied_counts() {
        let before = digest(&deployment("curl:8", "1", 1), "us");
        assert!(before.is_some());
        assert_eq!(before, digest(&deployment("curl:8", "2", 5), "us"));
        assert_ne!(before, digest(&deployment("curl:9", "1", 1), "us"));
        assert_eq!(digest(&deployment("curl:8", "1", 1), "them"), None);
    }

    #[test]
    fn a_field_more_or_less_counts() {
        let object = deployment("curl:8", "1", 1);
        let mut more = object.clone();
        more.0["metadata"]["managedFields"][1]["fieldsV1"]["f:spec"]["f:replicas"] = json!({});
        assert_ne!(digest(&object, "us"), digest(&more, "us"));
    }
}
