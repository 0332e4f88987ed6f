//! What ServiceAccounts may do: Roles and ClusterRoles, and the bindings that give them. Everybody else may do everything that the
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
    let rules = rules(state, user, asked.namespace)?;
    Some(rules.into_iter().any(|rule| covers(rule, asked)))
}

/// The rules that hold for a ServiceAccount in a namespace, or in the whole cluster; `None` if the user is none.
pub(super) fn rules<'state>(
    state: &'state State,
    user: &str,
    namespace: Option<&str>,
) -> Option<Vec<&'state Value>> {
    let (of, account) = user.strip_prefix(PREFIX)?.split_once(':')?;
    let means = |subject: &Value| match subject["kind"].as_str() {
        Some("ServiceAccount") => {
            subject["name"] == account && subject["namespace"].as_str().or(namespace) == Some(of)
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
    let bindings = |plural, place| state.store.list(RBAC, plural, place).map(|(_, binding)| binding);
    let everywhere = bindings("clusterrolebindings", None);
    let here = namespace
        .into_iter()
        .flat_map(|place| bindings("rolebindings", Some(place)));
    let given = everywhere
        .chain(here)
        .filter(|binding| binding["subjects"].as_array().into_iter().flatten().any(means))
        .filter_map(|binding| {
            let name = binding["roleRef"]["name"].as_str()?;
            match binding["roleRef"]["kind"].as_str()? {
                "ClusterRole" => state.object(RBAC, "clusterroles", "", name),
                _ => state.object(RBAC, "roles", namespace?, name),
            }
        });
    Some(
        given
            .flat_map(|role| role["rules"].as_array().into_iter().flatten())
            .collect(),
    )
}

/// Whether a rule allows it.
pub(super) fn covers(rule: &Value, asked: Asked<'_>) -> bool {
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
