//! What we may do, asked of the server before anything is changed.

use super::Cluster;
use super::failure::Subject;
use super::transport::Call;
use crate::error::Result;
use http::Method;
use serde::Deserialize;
use serde_json::json;

/// Whether something is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// The rules are incomplete (a webhook or Node authorizer decides too); [`Cluster::may`] knows.
    Unknown,
}

/// One rule of a review. `*` stands for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    /// Verbs.
    pub verbs: Vec<String>,
    /// API groups; the core group is the empty text.
    pub api_groups: Vec<String>,
    /// Resources, with subresources as `pods/exec`.
    pub resources: Vec<String>,
    /// Names that it is limited to, or none for all.
    pub resource_names: Vec<String>,
}

/// The rules that hold for us in one namespace (`SelfSubjectRulesReview`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// The rules.
    pub rules: Vec<Rule>,
    /// Whether there may be more than these.
    pub incomplete: bool,
}

impl Rules {
    /// Whether one rule allows everything there is; [`Cluster::may`] knows whether it does so in all namespaces.
    pub fn allow_everything(&self) -> bool {
        let all = |list: &[String]| list.iter().any(|item| item == "*");
        let whole = |rule: &Rule| {
            all(&rule.verbs)
                && all(&rule.api_groups)
                && all(&rule.resources)
                && rule.resource_names.is_empty()
        };
        self.rules.iter().any(whole)
    }

    /// Whether the verb is allowed on the resource (`pods/exec` for a subresource), on one object or on all.
    ///
    /// Kubernetes 1.35 and newer ask for `create` besides `get` on `pods/exec`, `pods/attach` and `pods/portforward`
    /// when they are opened over WebSocket (feature gate `AuthorizePodWebsocketUpgradeCreatePermission`): ask for both.
    pub fn allows(&self, verb: &str, group: &str, resource: &str, name: Option<&str>) -> Answer {
        let allowed = self
            .rules
            .iter()
            .any(|rule| rule.allows(verb, group, resource, name));
        match (allowed, self.incomplete) {
            (true, _) => Answer::Yes,
            (false, true) => Answer::Unknown,
            (false, false) => Answer::No,
        }
    }
}

impl Rule {
    fn allows(&self, verb: &str, group: &str, resource: &str, name: Option<&str>) -> bool {
        let has = |list: &[String], wanted: &str| list.iter().any(|item| item == "*" || item == wanted);
        let any_with_subresource = resource
            .split_once('/')
            .map(|(_, subresource)| format!("*/{subresource}"));
        let resources = has(&self.resources, resource)
            || any_with_subresource.is_some_and(|pattern| self.resources.contains(&pattern));
        let names = self.resource_names.is_empty()
            || name.is_some_and(|name| self.resource_names.iter().any(|item| item == name));
        has(&self.verbs, verb) && has(&self.api_groups, group) && resources && names
    }
}

impl Cluster {
    /// All rules that hold for us in a namespace, in one request.
    ///
    /// # Errors
    /// If the server is unreachable or refuses.
    pub async fn rules(&self, namespace: &str) -> Result<Rules> {
        #[derive(Deserialize)]
        struct Review {
            status: Status,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Status {
            #[serde(default)]
            resource_rules: Option<Vec<Rule>>,
            #[serde(default)]
            incomplete: bool,
        }
        let body = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        });
        let review: Review = self.review("selfsubjectrulesreviews", &body).await?;
        Ok(Rules {
            rules: review.status.resource_rules.unwrap_or_default(),
            incomplete: review.status.incomplete,
        })
    }

    /// Whether we may do exactly this, in a namespace or in the whole cluster.
    ///
    /// # Errors
    /// If the server is unreachable or refuses.
    pub async fn may(
        &self,
        verb: &str,
        group: &str,
        resource: &str,
        namespace: Option<&str>,
    ) -> Result<bool> {
        #[derive(Deserialize)]
        struct Review {
            status: Status,
        }
        #[derive(Deserialize)]
        struct Status {
            #[serde(default)]
            allowed: bool,
        }
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let body = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "verb": verb,
                "group": group,
                "resource": resource,
                "subresource": subresource,
                "namespace": namespace.unwrap_or_default(),
            }},
        });
        let review: Review = self.review("selfsubjectaccessreviews", &body).await?;
        Ok(review.status.allowed)
    }

    async fn review<Type: serde::de::DeserializeOwned>(
        &self,
        plural: &str,
        body: &serde_json::Value,
    ) -> Result<Type> {
        let path = format!("/apis/authorization.k8s.io/v1/{plural}");
        let subject = Subject {
            verb: "create",
            attempt: "cannot ask the API server for our permissions".into(),
            ..Subject::path(&format!("{plural}.authorization.k8s.io"))
        };
        let mut call = Call::json(Method::POST, path, body, subject);
        // A review is a question: asking twice changes nothing.
        call.idempotent = true;
        let reply = self.transport().plain_explained(&call).await?;
        reply
            .json()
            .map_err(|failure| self.transport().explain(failure, &call.subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn rule(verbs: &[&str], groups: &[&str], resources: &[&str], names: &[&str]) -> Rule {
        let owned = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
        Rule {
            verbs: owned(verbs),
            api_groups: owned(groups),
            resources: owned(resources),
            resource_names: owned(names),
        }
    }

    #[rstest]
    #[case(rule(&["get"], &[""], &["pods/exec"], &[]), "get", "pods/exec", None, true)]
    #[case(rule(&["get"], &[""], &["pods/exec"], &[]), "create", "pods/exec", None, false)]
    #[case(rule(&["get"], &[""], &["pods"], &[]), "get", "pods/log", None, false)]
    #[case(rule(&["*"], &["*"], &["*"], &[]), "create", "pods/exec", None, true)]
    #[case(rule(&["get"], &[""], &["*/log"], &[]), "get", "pods/log", None, true)]
    #[case(rule(&["get"], &["apps"], &["pods"], &[]), "get", "pods", None, false)]
    #[case(rule(&["get"], &[""], &["pods"], &["a"]), "get", "pods", Some("a"), true)]
    #[case(rule(&["get"], &[""], &["pods"], &["a"]), "get", "pods", Some("b"), false)]
    #[case(rule(&["get"], &[""], &["pods"], &["a"]), "get", "pods", None, false)]
    fn rules_are_matched_as_rbac_does(
        #[case] rule: Rule,
        #[case] verb: &str,
        #[case] resource: &str,
        #[case] name: Option<&str>,
        #[case] allowed: bool,
    ) {
        let mut rules = Rules {
            rules: vec![rule],
            incomplete: false,
        };
        let expected = if allowed { Answer::Yes } else { Answer::No };
        assert_eq!(rules.allows(verb, "", resource, name), expected);
        rules.incomplete = true;
        let expected = if allowed { Answer::Yes } else { Answer::Unknown };
        assert_eq!(rules.allows(verb, "", resource, name), expected);
    }
}
