//! Takes out of objects what may hold a secret, by where it stands.

use super::text::{REMOVED, scrubbed};
use crate::istio::mesh_configuration;
use crate::vocabulary::{Object, names};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// One thing that was taken out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Removal {
    /// From which file.
    pub file: String,
    /// JSON pointer, or `text`.
    pub place: String,
    /// What it was.
    pub what: String,
}

/// Takes out, and remembers.
#[derive(Debug, Default)]
pub(super) struct Redactor {
    removed: Vec<Removal>,
}

/// Annotations that say how the mesh and we treat an object. All others may hold anything.
const KNOWN_ANNOTATIONS: &[&str] = &[
    "traffic.sidecar.istio.io/",
    "sidecar.istio.io/",
    "istio.io/",
    "networking.istio.io/",
    "deployment.kubernetes.io/",
    names::PREFIX,
];

/// Beginnings of annotations among them whose values are others' configuration.
const FOREIGN_ANNOTATIONS: &[&str] = &[names::BEFORE_ANNOTATION_PREFIX, "sidecar.istio.io/user"];

/// Containers whose arguments are Istio's.
const KNOWN_CONTAINERS: &[&str] = &[
    names::PROXY_CONTAINER,
    "istio-init",
    "istio-validation",
    "discovery",
];

/// Keys under which every text goes: headers and their kin, patches, literals, bodies.
const CLOSED: &[&str] = &[
    "headers",
    "withoutheaders",
    "httpheaders",
    "queryparams",
    "cookies",
    "literal",
    "pluginconfig",
    "volumeattributes",
    "initialmetadata",
    "directresponse",
];

/// Words in a key whose text is a secret, unless the key names an object that holds one.
const SECRET_WORDS: &[&str] = &[
    "authorization",
    "cookie",
    "password",
    "passwd",
    "token",
    "secret",
    "apikey",
    "api_key",
    "api-key",
    "privatekey",
    "private_key",
    "private-key",
    "accesskey",
    "credential",
    "signature",
];

impl Redactor {
    /// Everything that was taken out.
    pub(super) fn removed(&self) -> &[Removal] {
        &self.removed
    }

    /// A text without what looks like a credential.
    pub(super) fn text(&mut self, file: &str, text: &str) -> String {
        self.scrub(file, "text", text)
    }

    /// Notes something that was left out before it came here.
    pub(super) fn note(&mut self, file: &str, place: &str, what: &str) {
        let removal = Removal {
            file: file.to_owned(),
            place: place.to_owned(),
            what: what.to_owned(),
        };
        if !self.removed.contains(&removal) {
            self.removed.push(removal);
        }
    }

    /// An object, or a document, without what may hold a secret.
    pub(super) fn value(&mut self, file: &str, mut value: Value) -> Value {
        let kind = value["kind"].as_str().unwrap_or_default().to_owned();
        match kind.as_str() {
            "Secret" => self.close_data(file, &mut value, "data of a Secret"),
            "ConfigMap" => self.config_map(file, &mut value),
            "EnvoyFilter" => self.patches(file, &mut value),
            _ => {}
        }
        let metadata = value.get_mut("metadata").and_then(Value::as_object_mut);
        metadata.and_then(|metadata| metadata.remove("managedFields"));
        self.walk(file, "", &mut value);
        value
    }

    /// Of a ConfigMap only Istio's mesh configuration is kept, read as what it is.
    fn config_map(&mut self, file: &str, value: &mut Value) {
        let object = Object(value.clone());
        let is_mesh = object.name() == "istio" && object.namespace() == Some(names::ISTIO_NAMESPACE);
        let mesh = mesh_configuration(&object).filter(|_| is_mesh);
        self.close_data(file, value, "data of a ConfigMap");
        if let Some(mesh) = mesh {
            value["data"] = json!({ "mesh": mesh });
        }
    }

    fn close_data(&mut self, file: &str, value: &mut Value, what: &str) {
        for field in ["data", "stringData", "binaryData"] {
            if let Some(pairs) = value[field].as_object_mut() {
                for (name, content) in pairs {
                    *content = json!(REMOVED);
                    self.note(file, &format!("/{field}/{name}"), what);
                }
            }
        }
        // Indexing a value that is not there puts null there.
        if let Some(object) = value.as_object_mut() {
            object.retain(|_, content| !content.is_null());
        }
    }

    fn patches(&mut self, file: &str, value: &mut Value) {
        let patches = value
            .pointer_mut("/spec/configPatches")
            .and_then(Value::as_array_mut);
        for (index, patch) in patches.into_iter().flatten().enumerate() {
            if let Some(inner) = patch.pointer_mut("/patch/value") {
                *inner = json!(REMOVED);
                self.note(
                    file,
                    &format!("/spec/configPatches/{index}/patch/value"),
                    "patch of an EnvoyFilter",
                );
            }
        }
    }

    fn walk(&mut self, file: &str, at: &str, value: &mut Value) {
        match value {
            Value::String(text) => {
                let clean = self.scrub(file, at, text);
                *text = clean;
            }
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.walk(file, &format!("{at}/{index}"), item);
                }
            }
            Value::Object(fields) => self.fields(file, at, fields),
            _ => {}
        }
    }

    fn fields(&mut self, file: &str, at: &str, fields: &mut Map<String, Value>) {
        let container = fields
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        for (key, value) in fields {
            let place = format!("{at}/{key}");
            let lower = key.to_ascii_lowercase();
            if key == "annotations" {
                self.annotations(file, &place, value);
            } else if key == "env" && value.is_array() {
                self.environment(file, &place, value);
            } else if matches!(key.as_str(), "args" | "command") && value.is_array() {
                if KNOWN_CONTAINERS.contains(&container.as_str()) {
                    self.walk(file, &place, value);
                } else {
                    self.close(file, &place, value, "arguments of a container");
                }
            } else if CLOSED.contains(&lower.as_str()) {
                self.close(file, &place, value, "values of headers or literals");
            } else if at.contains("/when/") && matches!(key.as_str(), "values" | "notValues") {
                self.close(file, &place, value, "values of a condition");
            } else if is_secret(&lower) && value.is_string() {
                self.close(
                    file,
                    &place,
                    value,
                    "value of a field that is named like a secret",
                );
            } else {
                self.walk(file, &place, value);
            }
        }
    }

    fn annotations(&mut self, file: &str, at: &str, value: &mut Value) {
        let Some(pairs) = value.as_object_mut() else {
            return self.walk(file, at, value);
        };
        for (name, content) in pairs {
            let place = format!("{at}/{name}");
            let begins = |with: &&str| name.starts_with(*with);
            if KNOWN_ANNOTATIONS.iter().any(&begins) && !FOREIGN_ANNOTATIONS.iter().any(begins) {
                self.walk(file, &place, content);
            } else {
                self.close(file, &place, content, "value of an annotation");
            }
        }
    }

    /// Names and references stay, and of the values those that cannot be a secret: numbers and booleans.
    fn environment(&mut self, file: &str, at: &str, value: &mut Value) {
        for (index, variable) in value.as_array_mut().into_iter().flatten().enumerate() {
            let simple =
                |text: &str| text.len() <= 6 && (text.parse::<u32>().is_ok() || text.parse::<bool>().is_ok());
            if variable["value"].as_str().is_some_and(|text| !simple(text)) {
                variable["value"] = json!(REMOVED);
                self.note(
                    file,
                    &format!("{at}/{index}/value"),
                    "value of an environment variable",
                );
            }
        }
    }

    /// Takes out every text below; names of fields stay.
    fn close(&mut self, file: &str, at: &str, value: &mut Value, what: &str) {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.close(file, &format!("{at}/{index}"), item, what);
                }
            }
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.close(file, &format!("{at}/{key}"), value, what);
                }
            }
            Value::Null | Value::Bool(_) => {}
            Value::String(_) | Value::Number(_) => {
                *value = json!(REMOVED);
                self.note(file, at, what);
            }
        }
    }

    fn scrub(&mut self, file: &str, at: &str, text: &str) -> String {
        let clean = scrubbed(text);
        if clean != text {
            self.note(file, at, "what looks like a credential");
        }
        clean.into_owned()
    }
}

/// Whether a key's text is a secret. `credentialName`, `secretName` and the like name objects.
fn is_secret(lower: &str) -> bool {
    let names_object = ["name", "namespace", "ref", "names", "kind"]
        .iter()
        .any(|end| lower.ends_with(end));
    !names_object && SECRET_WORDS.iter().any(|word| lower.contains(word))
}
