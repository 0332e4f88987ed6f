//! Which namespaces istiod looks at: `discoverySelectors` of the mesh configuration.
//!
//! Source: Istio's reference of MeshConfig. An object in a namespace that no selector matches is not there for Istio;
//! NetworkPolicies and pods are looked at by others.

use crate::vocabulary::Object;
use crate::vocabulary::names::ISTIO_NAMESPACE;
use serde_json::Value;
use std::collections::BTreeSet;

/// The namespaces that are left out.
pub(super) struct Discovery {
    left_out: BTreeSet<String>,
}

impl Discovery {
    pub(super) fn read(objects: &[&Object]) -> Self {
        let mesh = objects.iter().find(|object| {
            object.text("/kind") == "ConfigMap"
                && object.name() == "istio"
                && object.namespace() == Some(ISTIO_NAMESPACE)
        });
        let mesh: Value = mesh
            .and_then(|object| serde_saphyr::from_str(object.text("/data/mesh")).ok())
            .unwrap_or_default();
        let selectors = mesh["discoverySelectors"].as_array().cloned().unwrap_or_default();
        if selectors.is_empty() {
            return Self {
                left_out: BTreeSet::new(),
            };
        }
        let namespaces = objects
            .iter()
            .filter(|object| object.text("/kind") == "Namespace");
        let left_out = namespaces
            .filter(|namespace| !selectors.iter().any(|selector| matches(selector, namespace)))
            .map(|namespace| namespace.name().to_owned());
        Self {
            left_out: left_out.collect(),
        }
    }

    /// Whether Istio sees an object.
    pub(super) fn sees(&self, object: &Object) -> bool {
        let istio = object.text("/apiVersion").contains("istio.io/");
        let service = object.text("/kind") == "Service";
        !(istio || service)
            || object
                .namespace()
                .is_none_or(|namespace| !self.left_out.contains(namespace))
    }
}

/// A label selector of Kubernetes.
fn matches(selector: &Value, namespace: &Object) -> bool {
    let labels = namespace.at("/metadata/labels");
    let equal = selector["matchLabels"]
        .as_object()
        .into_iter()
        .flatten()
        .all(|(name, value)| labels[name] == *value);
    let mut expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    equal
        && expressions.all(|expression| {
            let label = &labels[expression["key"].as_str().unwrap_or_default()];
            let values = expression["values"].as_array().cloned().unwrap_or_default();
            match expression["operator"].as_str() {
                Some("In") => values.contains(label),
                Some("NotIn") => !values.contains(label),
                Some("Exists") => !label.is_null(),
                Some("DoesNotExist") => label.is_null(),
                _ => false,
            }
        })
}
