//! Why a pod may not be made: its ServiceAccount, the Pod Security Standard, quotas. In the API server's words.

use super::security;
use crate::sandbox::state::State;
use serde_json::Value;

/// Checks a new pod; the message is what the API server says.
pub(in crate::sandbox) fn pod(
    state: &State,
    namespace: &str,
    name: &str,
    specification: &Value,
) -> Result<(), String> {
    let forbidden = |why: String| Err(format!("pods \"{name}\" is forbidden: {why}"));
    let account = specification["serviceAccountName"].as_str().unwrap_or("default");
    // Every namespace has the one named `default`.
    if account != "default" && state.object("", "serviceaccounts", namespace, account).is_none() {
        return forbidden(format!(
            "error looking up service account {namespace}/{account}: serviceaccount \"{account}\" not found"
        ));
    }
    if let Some(violations) = security::violations(state, namespace, specification) {
        return forbidden(format!(
            "violates PodSecurity \"restricted:latest\": {violations}"
        ));
    }
    match quota(state, namespace, "pods", "", "pods") {
        Some(why) => forbidden(why),
        None => Ok(()),
    }
}

/// Which quota a further object of this resource would exceed.
pub(in crate::sandbox) fn quota(
    state: &State,
    namespace: &str,
    resource: &str,
    group: &str,
    plural: &str,
) -> Option<String> {
    let used = state.store.list(group, plural, Some(namespace)).count();
    state
        .store
        .list("", "resourcequotas", Some(namespace))
        .find_map(|(key, quota)| {
            let hard = &quota["spec"]["hard"][resource];
            let limit = hard.as_u64().or_else(|| hard.as_str()?.parse().ok())?;
            (used as u64 >= limit).then(|| {
                format!(
                    "exceeded quota: {}, requested: {resource}=1, used: {resource}={used}, limited: {resource}={limit}",
                    key.name
                )
            })
        })
}
