//! What ServiceAccounts may do: Roles, and the RoleBindings that give them. Everybody else may do everything that the
//! settings do not deny.

use super::path::RBAC;
use crate::sandbox::state::State;
use serde_json::Value;

/// Prefix of the user name of a ServiceAccount, before `NAMESPACE:NAME`.
const PREFIX: &str = "system:serviceaccount:";

/// The user name of a ServiceAccount.
pub(in crate::sandbox) fn user_of(namespace: &str, account: &str) -> String {
    format!("{PREFIX}{namespace}:{account}")
}

/// A request, as a rule sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'request> {
    pub(super) verb: &'request str,
    pub(super) group: &'request str,
    /// With its subresource, as `pods/exec`.
    pub(super) resource: &'request str,
    pub(super) namespace: Option<&'request str>,
    /// Empty if the request names no object.
    pub(super) name: &'request str,
}

/// Whether Roles allow it to a user; `None` if the user is no ServiceAccount.
pub(super) fn allows(state: &State, user: &str, asked: Asked<'_>) -> Option<bool> {
    let (of, account) = user.strip_prefix(PREFIX)?.split_once(':')?;
    // Bindings of the whole cluster are not served.
    let Some(namespace) = asked.namespace else {
        return Some(false);
    };
    let means = |subject: &Value| match subject["kind"].as_str() {
        Some("ServiceAccount") => {
            subject["name"] == account && subject["namespace"].as_str().unwrap_or(namespace) == of
        }
        Some("User") => subject["name"] == user,
        Some("Group") => {
            let name = subject["name"].as_str().unwrap_or_default();
            name == "system:authenticated"
                || name == "system:serviceaccounts"
                || name == format!("system:serviceaccounts:{of}")
        }
        _ => false,
    };
    let given = state
        .store
        .list(RBAC, "rolebindings", Some(namespace))
        .filter(|(_, binding)| binding["subjects"].as_array().into_iter().flatten().any(means))
        .filter(|(_, binding)| binding["roleRef"]["kind"] == "Role")
        .filter_map(|(_, binding)| {
            state.object(RBAC, "roles", namespace, binding["roleRef"]["name"].as_str()?)
        });
    let mut rules = given.flat_map(|role| role["rules"].as_array().into_iter().flatten());
    Some(rules.any(|rule| covers(rule, asked)))
}

fn covers(rule: &Value, asked: Asked<'_>) -> bool {
    let among = |list: &str, value: &str| {
        rule[list]
            .as_array()
            .into_iter()
            .flatten()
            .any(|entry| entry == "*" || entry == value)
    };
    let names = rule["resourceNames"]
        .as_array()
        .is_none_or(|names| names.is_empty() || names.iter().any(|name| name == asked.name));
    among("verbs", asked.verb)
        && among("apiGroups", asked.group)
        && among("resources", asked.resource)
        && names
}
