//! The restricted Pod Security Standard, as far as our own pods meet it.

use crate::sandbox::state::State;
use serde_json::Value;

/// What a pod's specification violates, if its namespace enforces the restricted standard.
pub(super) fn violations(state: &State, namespace: &str, specification: &Value) -> Option<String> {
    let labels = &state.object("", "namespaces", "", namespace)?["metadata"]["labels"];
    if labels["pod-security.kubernetes.io/enforce"] != "restricted" {
        return None;
    }
    let pod = &specification["securityContext"];
    let mut found = Vec::new();
    for container in specification["containers"].as_array().into_iter().flatten() {
        let name = container["name"].as_str().unwrap_or_default();
        let own = &container["securityContext"];
        if own["allowPrivilegeEscalation"] != false {
            found.push(format!("allowPrivilegeEscalation != false (container \"{name}\" must set securityContext.allowPrivilegeEscalation=false)"));
        }
        let drops_all = own["capabilities"]["drop"]
            .as_array()
            .is_some_and(|drop| drop.iter().any(|capability| capability == "ALL"));
        if !drops_all {
            found.push(format!("unrestricted capabilities (container \"{name}\" must set securityContext.capabilities.drop=[\"ALL\"])"));
        }
        if own["runAsNonRoot"] != true && pod["runAsNonRoot"] != true {
            found.push(format!("runAsNonRoot != true (pod or container \"{name}\" must set securityContext.runAsNonRoot=true)"));
        }
        if own["seccompProfile"]["type"].is_null() && pod["seccompProfile"]["type"].is_null() {
            found.push(format!("seccompProfile (pod or container \"{name}\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")"));
        }
    }
    (!found.is_empty()).then(|| found.join(", "))
}
