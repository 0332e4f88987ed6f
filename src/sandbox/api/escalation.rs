//! Nobody gives more than they have: Roles and bindings of a ServiceAccount (Kubernetes, "Privilege escalation
//! prevention and bootstrapping"). The verbs `escalate` and `bind` are not looked at: nobody here has them.

use super::objects::Target;
use super::path::RBAC;
use super::rbac::{self, Asked};
use super::{Call, Refusal};
use crate::sandbox::state::State;
use serde_json::Value;

/// Refuses a Role that gives more than its author may do, and a binding to such a Role. A binding to one that is not
/// there is answered as by the API server: the binding was not found.
pub(super) fn check(state: &State, call: &Call, target: &Target, object: &Value) -> Result<(), Refusal> {
    if target.kind.group != RBAC {
        return Ok(());
    }
    let namespace = target.namespace.as_deref();
    let Some(own) = rbac::rules(state, call.user_name(), namespace) else {
        return Ok(());
    };
    let given = if object["roleRef"].is_null() {
        object
    } else {
        let name = object["roleRef"]["name"].as_str().unwrap_or_default();
        let role = match (object["roleRef"]["kind"].as_str(), namespace) {
            (Some("Role"), Some(namespace)) => state.object(RBAC, "roles", namespace, name),
            _ => state.object(RBAC, "clusterroles", "", name),
        };
        role.ok_or_else(|| Refusal::not_found(&target.kind, name))?
    };
    let rules = given["rules"].as_array().into_iter().flatten();
    let held = |asked: Asked<'_>| own.iter().any(|rule| rbac::covers(rule, asked));
    let exceeds = |rule: &&Value| !each(rule, namespace).all(held);
    let more: Vec<String> = rules.filter(exceeds).map(Value::to_string).collect();
    if more.is_empty() {
        return Ok(());
    }
    let user = call.user_name();
    let message = format!(
        "user \"{user}\" is attempting to grant RBAC permissions not currently held:\n{}",
        more.join("\n")
    );
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Err(Refusal::forbidden(&target.kind, name, &message))
}

/// Every single permission of a rule.
fn each<'rule>(rule: &'rule Value, namespace: Option<&'rule str>) -> impl Iterator<Item = Asked<'rule>> {
    let words = |list: &str| -> Vec<&'rule str> {
        let entries = rule[list].as_array().into_iter().flatten();
        entries.filter_map(Value::as_str).collect()
    };
    let mut names = words("resourceNames");
    if names.is_empty() {
        names.push("");
    }
    let (groups, resources, verbs) = (words("apiGroups"), words("resources"), words("verbs"));
    let mut all = Vec::new();
    for group in &groups {
        for resource in &resources {
            for verb in &verbs {
                all.extend(names.iter().map(|name| Asked {
                    verb,
                    group,
                    resource,
                    namespace,
                    name,
                }));
            }
        }
    }
    all.into_iter()
}
