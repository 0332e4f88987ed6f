//! Istio's CRDs of one release, from the Go module `istio.io/api`, as schemas that refuse what they do not know.

use jsonschema::Validator;
use kubectl_egress::istio::kinds;
use kubectl_egress::vocabulary::Kind;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::process::Command;

/// Where the module has its CRDs.
const CRDS: &str = "kubernetes/customresourcedefinitions.gen.yaml";

/// The CRDs of one release.
pub(super) struct Release {
    /// For example `1.24.0`.
    pub(super) version: &'static str,
    /// By group, version and kind.
    schemas: HashMap<(String, String, String), Validator>,
}

impl Release {
    /// Downloads it into Go's own cache, unless it is there.
    pub(super) fn download(version: &'static str) -> Result<Self, String> {
        // Outside of any module, so that no go.mod of a folder above counts.
        let elsewhere = tempfile::tempdir().unwrap();
        let output = Command::new("go")
            .args(["mod", "download", "-json", &format!("istio.io/api@v{version}")])
            .current_dir(elsewhere.path())
            .output()
            .map_err(|error| format!("Go cannot be started: {error}"))?;
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let folder = answer["Dir"].as_str().ok_or_else(|| {
            let error = answer["Error"].as_str().map(str::to_owned);
            error.unwrap_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
        })?;
        let text = std::fs::read_to_string(format!("{folder}/{CRDS}")).map_err(|error| error.to_string())?;
        let mut schemas = HashMap::new();
        for definition in text.split("\n---\n").filter(|text| text.contains("kind:")) {
            let definition: Value = serde_saphyr::from_str(definition).map_err(|error| error.to_string())?;
            let spec = &definition["spec"];
            for served in spec["versions"].as_array().into_iter().flatten() {
                let mut schema = served["schema"]["openAPIV3Schema"].clone();
                refuse_unknown_fields(&mut schema);
                let validator = jsonschema::options()
                    .should_validate_formats(false)
                    .build(&schema)
                    .map_err(|error| error.to_string())?;
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let key = (
                    text(&spec["group"]),
                    text(&served["name"]),
                    text(&spec["names"]["kind"]),
                );
                schemas.insert(key, validator);
            }
        }
        Ok(Self { version, schemas })
    }

    /// The minor version.
    pub(super) fn minor(&self) -> u32 {
        self.version.split('.').nth(1).unwrap().parse().unwrap()
    }

    /// What is wrong with an Istio object, in the version that this release would be sent.
    pub(super) fn faults(&self, object: &Value) -> Vec<String> {
        let (group, version) = object["apiVersion"].as_str().unwrap().split_once('/').unwrap();
        let kind_name = object["kind"].as_str().unwrap();
        let kind = Kind::new(group, version, kind_name, "", true);
        // As the client does it: all of Istio's kinds by the version of one group.
        let has_v1 = |group: &str, kind: &str| {
            self.schemas
                .contains_key(&(group.to_owned(), "v1".to_owned(), kind.to_owned()))
        };
        let kind = if has_v1(kinds::NETWORKING, "Gateway") {
            kind
        } else {
            kinds::before_v1(&kind).unwrap_or(kind)
        };
        let key = (kind.group.clone(), kind.version.clone(), kind_name.to_owned());
        let Some(schema) = self.schemas.get(&key) else {
            return vec![format!("{} {kind_name} is not served", kind.api_version())];
        };
        let mut object = object.clone();
        for field in ["apiVersion", "kind", "metadata"] {
            object.as_object_mut().unwrap().remove(field);
        }
        schema
            .iter_errors(&object)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect()
    }
}

/// As a strict API server: a field that the structural schema does not name is an error. Combinators (`oneOf` and its
/// kin) restrict fields that are named outside of them, and stay as they are.
fn refuse_unknown_fields(schema: &mut Value) {
    let keeps = schema["x-kubernetes-preserve-unknown-fields"] == true;
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(refuse_unknown_fields);
        if !keeps {
            schema["additionalProperties"] = json!(false);
        }
    }
    for below in ["items", "additionalProperties"] {
        if let Some(below) = schema.get_mut(below).filter(|below| below.is_object()) {
            refuse_unknown_fields(below);
        }
    }
}
