//! What the caller may do: everything that the settings do not deny.

use super::{Call, Refusal, Reply, json_reply};
use crate::sandbox::state::Inner;
use crate::vocabulary::Kind;
use http::StatusCode;
use serde_json::{Value, json};

/// Verbs that rules are spelled out with when something is denied: RBAC has no "everything but".
const VERBS: [&str; 9] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "use",
];

pub(super) fn answer(inner: &Inner, call: &Call, kind: &Kind) -> Result<Reply, Refusal> {
    let mut review = call.json()?;
    review["status"] = if kind.kind == "SelfSubjectAccessReview" {
        access(inner, call, &review["spec"]["resourceAttributes"])
    } else {
        rules(
            inner,
            call,
            review["spec"]["namespace"].as_str().unwrap_or("default"),
        )
    };
    Ok(json_reply(StatusCode::CREATED, &review))
}

fn access(inner: &Inner, call: &Call, asked: &Value) -> Value {
    let text = |name: &str| asked[name].as_str().unwrap_or_default();
    let resource = match text("subresource") {
        "" => text("resource").to_owned(),
        subresource => format!("{}/{subresource}", text("resource")),
    };
    let namespace = Some(text("namespace")).filter(|namespace| !namespace.is_empty());
    let asked = super::rbac::Asked {
        verb: text("verb"),
        group: text("group"),
        resource: &resource,
        namespace,
        name: text("name"),
    };
    json!({"allowed": super::allowed(inner, call, asked)})
}

fn rules(inner: &Inner, call: &Call, namespace: &str) -> Value {
    let denied = |verb: &str, group: &str, resource: &str| {
        inner
            .settings
            .denials
            .iter()
            .any(|denial| denial.covers(call.user.as_deref(), verb, group, resource, Some(namespace)))
    };
    let non_resource = json!([{"verbs": ["*"], "nonResourceURLs": ["*"]}]);
    if let Some(rules) = super::rbac::rules(&inner.lock(), call.user_name(), Some(namespace)) {
        return json!({"resourceRules": rules, "nonResourceRules": non_resource, "incomplete": false});
    }
    if inner.settings.denials.is_empty() {
        let all = json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]);
        return json!({"resourceRules": all, "nonResourceRules": non_resource, "incomplete": false});
    }
    let mut rules = Vec::new();
    for kind in super::path::served_kinds(&inner.settings) {
        let mut resources = vec![kind.plural.clone()];
        if kind.plural == "pods" {
            for subresource in ["exec", "log", "portforward", "ephemeralcontainers"] {
                resources.push(format!("pods/{subresource}"));
            }
        }
        for resource in resources {
            let verbs: Vec<_> = VERBS
                .iter()
                .filter(|verb| !denied(verb, &kind.group, &resource))
                .collect();
            rules.push(json!({"verbs": verbs, "apiGroups": [kind.group], "resources": [resource]}));
        }
    }
    json!({"resourceRules": rules, "nonResourceRules": non_resource, "incomplete": false})
}
