//! Which namespaces istiod looks at: `discoverySelectors` of the mesh configuration.
//!
//! Source: Istio's reference of MeshConfig. An object in a namespace that no selector matches is not there for Istio;
//! NetworkPolicies and pods are looked at by others.

use crate::istio::mesh_configuration;
use crate::vocabulary::names::ISTIO_NAMESPACE;
use crate::vocabulary::{LabelSelector, Object};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The namespaces that are left out.
pub(super) struct Discovery {
    left_out: BTreeSet<String>,
}

impl Discovery {
    pub(super) fn read(objects: &[Cow<'_, Object>]) -> Self {
        let mesh = objects.iter().find(|object| {
            object.text("/kind") == "ConfigMap"
                && object.name() == "istio"
                && object.namespace() == Some(ISTIO_NAMESPACE)
        });
        let mesh: Value = mesh
            .and_then(|object| mesh_configuration(object))
            .unwrap_or_default();
        let selectors = mesh["discoverySelectors"].as_array().into_iter().flatten();
        let selectors: Vec<LabelSelector> = selectors.map(LabelSelector::from_object).collect();
        if selectors.is_empty() {
            return Self {
                left_out: BTreeSet::new(),
            };
        }
        let namespaces = objects
            .iter()
            .filter(|object| object.text("/kind") == "Namespace");
        let left_out = namespaces
            .filter(|namespace| {
                let labels = namespace.at("/metadata/labels");
                !selectors.iter().any(|selector| selector.matches(labels))
            })
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
