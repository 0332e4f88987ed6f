//! What we may do.

use super::Cluster;
use crate::error::Result;
use http::Method;
use serde_json::{Value, json};

/// An answer about a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Allowed.
    Yes,
    /// Not allowed.
    No,
    /// The server's list is not complete: ask exactly.
    Unknown,
}

/// What a SelfSubjectRulesReview said about one namespace.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    rules: Vec<Value>,
    incomplete: bool,
}

impl Rules {
    /// Whether a verb on a resource (`pods/exec` for a subresource) is allowed.
    pub fn allows(&self, verb: &str, group: &str, resource: &str, name: Option<&str>) -> Answer {
        let holds = |rule: &Value, field: &str, wanted: &str| {
            rule[field].as_array().is_some_and(|values| values.iter().any(|value| value == "*" || value == wanted))
        };
        let named = |rule: &Value| {
            rule["resourceNames"].as_array().is_none_or(|names| names.is_empty() || names.iter().any(|value| Some(value.as_str().unwrap_or_default()) == name))
        };
        let allowed = self.rules.iter().any(|rule| holds(rule, "verbs", verb) && holds(rule, "apiGroups", group) && holds(rule, "resources", resource) && named(rule));
        match (allowed, self.incomplete) {
            (true, _) => Answer::Yes,
            (false, true) => Answer::Unknown,
            (false, false) => Answer::No,
        }
    }
}

impl Cluster {
    /// Asks for everything that we may do in a namespace: one request.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn rules(&self, namespace: &str) -> Result<Rules> {
        let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}});
        let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews".to_owned();
        let answer = self.write(Method::POST, path, "application/json", &body, "ask what you may do").await?;
        Ok(Rules { rules: answer.items("/status/resourceRules").to_vec(), incomplete: answer.at("/status/incomplete") == true })
    }

    /// Asks for one permission exactly.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn may(&self, verb: &str, group: &str, resource: &str, namespace: Option<&str>) -> Result<bool> {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let attributes = json!({"verb": verb, "group": group, "resource": resource, "subresource": subresource, "namespace": namespace});
        let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}});
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews".to_owned();
        let answer = self.write(Method::POST, path, "application/json", &body, "ask what you may do").await?;
        Ok(answer.at("/status/allowed") == true)
    }
}
