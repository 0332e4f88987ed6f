//! Which lists and maps are merged item by item, and which are replaced as a whole.

use crate::vocabulary::Kind;

/// How a list is owned and merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListType {
    /// As a whole.
    Atomic,
    /// Item by item; items are scalars.
    Set,
    /// Item by item, found by these fields.
    Map(&'static [&'static str]),
}

/// The type of a list. `path` holds the names of fields from the root, items left out.
pub(super) fn list_type(kind: &Kind, path: &[&str]) -> ListType {
    let [parents @ .., name] = path else {
        return ListType::Atomic;
    };
    let parent = parents.last().copied().unwrap_or_default();
    match (parent, *name) {
        ("metadata", "finalizers") => return ListType::Set,
        ("metadata", "ownerReferences") => return ListType::Map(&["uid"]),
        ("status", "conditions") => return ListType::Map(&["type"]),
        _ => {}
    }
    // Lists of custom resources are atomic unless their schema says otherwise; Istio's say nothing.
    if kind.group.ends_with(".istio.io") {
        return ListType::Atomic;
    }
    match (parent, *name) {
        (_, "containers" | "initContainers" | "ephemeralContainers") => ListType::Map(&["name"]),
        ("containers" | "initContainers" | "ephemeralContainers", "ports") => {
            ListType::Map(&["containerPort", "protocol"])
        }
        ("containers" | "initContainers" | "ephemeralContainers", "env") => ListType::Map(&["name"]),
        (_, "volumeMounts") => ListType::Map(&["mountPath"]),
        ("spec", "volumes" | "imagePullSecrets") => ListType::Map(&["name"]),
        ("spec", "topologySpreadConstraints") => ListType::Map(&["topologyKey", "whenUnsatisfiable"]),
        ("spec", "ports") if kind.kind == "Service" => ListType::Map(&["port", "protocol"]),
        ("", "secrets" | "imagePullSecrets") if kind.kind == "ServiceAccount" => ListType::Map(&["name"]),
        _ => ListType::Atomic,
    }
}

/// Whether a map is owned and replaced as a whole.
pub(super) fn is_atomic_map(kind: &Kind, path: &[&str]) -> bool {
    if kind.group.ends_with(".istio.io") {
        return false;
    }
    matches!(
        path.last().copied().unwrap_or_default(),
        "selector"
            | "podSelector"
            | "namespaceSelector"
            | "labelSelector"
            | "nodeSelector"
            | "secretKeyRef"
            | "configMapKeyRef"
            | "fieldRef"
            | "resourceFieldRef"
            | "roleRef"
    )
}
