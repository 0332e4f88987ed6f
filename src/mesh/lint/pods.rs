//! What a pod is to the mesh, and what selects it.

use crate::vocabulary::{Object, names};

/// Whether a Service selects a pod.
pub(super) fn selects(service: &Object, pod: &Object) -> bool {
    let selector = service.at("/spec/selector");
    service.namespace() == pod.namespace()
        && selector.as_object().is_some_and(|pairs| !pairs.is_empty())
        && pod.labels_match("/metadata/labels", selector)
}

pub(super) fn is_alive(pod: &Object) -> bool {
    !["Succeeded", "Failed"].contains(&pod.text("/status/phase"))
        && pod.at("/metadata/deletionTimestamp").is_null()
}

/// Whether a pod's only proxy is a gateway.
pub(super) fn is_router(pod: &Object) -> bool {
    pod.items("/spec/containers").iter().any(|container| {
        let arguments = container["args"].as_array();
        container["name"] == names::PROXY_CONTAINER
            && arguments.is_some_and(|arguments| arguments.iter().any(|argument| argument == "router"))
    })
}

/// Whether a pod's requests pass a sidecar.
pub(super) fn is_meshed(pod: &Object) -> bool {
    let has = |pointer| {
        pod.items(pointer)
            .iter()
            .any(|container| container["name"] == names::PROXY_CONTAINER)
    };
    !is_router(pod) && (has("/spec/initContainers") || has("/spec/containers"))
}

/// Whether a NetworkPolicy speaks of what leaves pods; by its types, or by having rules for it.
pub(super) fn is_for_egress(policy: &Object) -> bool {
    let types = policy.items("/spec/policyTypes");
    if types.is_empty() {
        return !policy.at("/spec/egress").is_null();
    }
    types.iter().any(|direction| direction == "Egress")
}
