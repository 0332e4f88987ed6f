//! Ambient mode, which the model does not know: no sidecar carries such a pod's requests, but ztunnel and waypoints.

use super::prediction::SourcePod;
use super::records::text_map;
use super::world::World;
use crate::vocabulary::{Object, PodName};
use std::collections::BTreeMap;

/// Label of namespaces and pods.
pub(super) const MODE: &str = "istio.io/dataplane-mode";

/// Whether an object's own label says so.
pub(super) fn is_ambient(object: &Object) -> bool {
    object.label(MODE) == Some("ambient")
}

/// What of its labels makes a namespace ambient.
#[derive(Debug, Clone, Default)]
pub(super) struct AmbientNamespaces {
    /// Each with whether its pods get sidecars all the same.
    labelled: BTreeMap<String, bool>,
}

impl AmbientNamespaces {
    pub(super) fn add(&mut self, namespace: &Object) {
        if is_ambient(namespace) {
            let injected = namespace.label("istio-injection") == Some("enabled")
                || namespace.label("istio.io/rev").is_some();
            self.labelled.insert(namespace.name().to_owned(), injected);
        }
    }
}

/// Why nothing can be said of a source's requests; `None` if no ambient mode has a part in them.
pub(super) fn of_source(world: &World, source: &SourcePod) -> Option<String> {
    let namespace = &source.namespace;
    let pod = world.pod(&PodName::new(namespace, &source.name));
    let labels = pod.map_or_else(
        || source.labels.clone(),
        |pod| text_map(pod.object.at("/metadata/labels")),
    );
    let (who, ambient) = match (labels.get(MODE), world.ambient.labelled.get(namespace)) {
        (Some(mode), _) => (format!("pod {namespace}/{}", source.name), mode == "ambient"),
        (None, injected) => (format!("namespace {namespace}"), injected.is_some()),
    };
    // A pod with a sidecar keeps it. One that is only thought of would get one where the namespace is injected as well.
    let has_sidecar = match pod {
        Some(_) => source.meshed,
        None => source.meshed && world.ambient.labelled.get(namespace) == Some(&true),
    };
    (ambient && !has_sidecar)
        .then(|| format!("ambient mode of {who} ({MODE}=ambient), which ztunnel and waypoints carry"))
}
