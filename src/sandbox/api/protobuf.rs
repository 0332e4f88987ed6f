//! The few bodies that kubectl sends only as Kubernetes' protobuf: `kubectl create namespace` and `kubectl auth can-i`.
//!
//! Envelope: the bytes `k8s\0`, then `runtime.Unknown` (1: type, 2: the object). Field numbers are those of the
//! `generated.proto` files of k8s.io/api.

use serde_json::{Map, Value, json};

/// Media type of such bodies.
pub(super) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What a field holds.
enum Field {
    Text(&'static str),
    Message(&'static str, &'static [(u64, Field)]),
    /// A map of texts: repeated pairs of key (1) and value (2).
    Texts(&'static str),
}

const METADATA: &[(u64, Field)] = &[
    (1, Field::Text("name")),
    (2, Field::Text("generateName")),
    (3, Field::Text("namespace")),
    (11, Field::Texts("labels")),
    (12, Field::Texts("annotations")),
];
const NAMESPACE: &[(u64, Field)] = &[(1, Field::Message("metadata", METADATA))];
const RESOURCE: &[(u64, Field)] = &[
    (1, Field::Text("namespace")),
    (2, Field::Text("verb")),
    (3, Field::Text("group")),
    (4, Field::Text("version")),
    (5, Field::Text("resource")),
    (6, Field::Text("subresource")),
    (7, Field::Text("name")),
];
const ACCESS_REVIEW: &[(u64, Field)] = &[(
    2,
    Field::Message("spec", &[(1, Field::Message("resourceAttributes", RESOURCE))]),
)];
const RULES_REVIEW: &[(u64, Field)] = &[(2, Field::Message("spec", &[(1, Field::Text("namespace"))]))];

/// Reads a body. `None` if it is broken or of a kind that is not known here.
pub(super) fn read(body: &[u8]) -> Option<Value> {
    let envelope = body.strip_prefix(b"k8s\0")?;
    let (mut kind, mut version, mut raw) = (String::new(), String::new(), &[][..]);
    for (number, bytes) in fields(envelope)? {
        match number {
            1 => {
                for (number, bytes) in fields(bytes)? {
                    let text = String::from_utf8(bytes.to_vec()).ok()?;
                    *(if number == 1 { &mut version } else { &mut kind }) = text;
                }
            }
            2 => raw = bytes,
            _ => {}
        }
    }
    let schema = match kind.as_str() {
        "Namespace" => NAMESPACE,
        "SelfSubjectAccessReview" => ACCESS_REVIEW,
        "SelfSubjectRulesReview" => RULES_REVIEW,
        _ => return None,
    };
    let mut object = message(raw, schema)?;
    object["apiVersion"] = json!(version);
    object["kind"] = json!(kind);
    Some(object)
}

fn message(bytes: &[u8], schema: &[(u64, Field)]) -> Option<Value> {
    let mut found = Map::new();
    for (number, bytes) in fields(bytes)? {
        let Some((_, field)) = schema.iter().find(|(known, _)| *known == number) else {
            continue;
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        match field {
            // proto2 writes empty texts too; JSON leaves them out.
            Field::Text(_) if bytes.is_empty() => {}
            Field::Text(name) => {
                found.insert((*name).to_owned(), json!(text(bytes)?));
            }
            Field::Message(name, schema) => {
                found.insert((*name).to_owned(), message(bytes, schema)?);
            }
            Field::Texts(name) => {
                let pair = message(bytes, &[(1, Field::Text("key")), (2, Field::Text("value"))])?;
                let entry = found.entry(*name).or_insert_with(|| json!({}));
                let value = pair.get("value").cloned().unwrap_or_else(|| json!(""));
                entry[pair["key"].as_str()?] = value;
            }
        }
    }
    Some(Value::Object(found))
}

/// The length-delimited fields of a message, in order; numbers are skipped.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        match tag & 7 {
            0 => {
                varint(&mut bytes)?;
            }
            1 => bytes = bytes.get(8..)?,
            5 => bytes = bytes.get(4..)?,
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (field, rest) = bytes.split_at_checked(length)?;
                found.push((tag >> 3, field));
                bytes = rest;
            }
            _ => return None,
        }
    }
    Some(found)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `kubectl create namespace demo` sends, and every beginning of it.
    #[test]
    fn reads_a_namespace_and_survives_cuts() {
        let mut body =
            b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09Namespace\x12\x0a\x0a\x06\x0a\x04demo\x12\x00".to_vec();
        let expected = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}});
        assert_eq!(read(&body), Some(expected));
        while body.pop().is_some() {
            let _ = read(&body);
        }
    }
}
