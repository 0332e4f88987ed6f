//! Which Istio CR counts, and what its status says then.
//! Source: `internal/controller/istio_controller.go` and `internal/status/status.go` of the module.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::NAMESPACE;
use super::condition::{self, Condition, Reason};

/// The word in `status.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum State {
    Ready,
    Processing,
    Warning,
    Error,
    Deleting,
}

/// Something that ends a reconciliation, as a user reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// `Error` or `Warning`.
    pub(super) state: State,
    pub(super) description: String,
    /// The condition to set; none leaves `Ready` unknown, or a condition that was set before.
    pub(super) reason: Option<Reason>,
}

impl Problem {
    pub(super) fn error(reason: Reason, description: impl Into<String>) -> Self {
        Self {
            state: State::Error,
            description: description.into(),
            reason: Some(reason),
        }
    }

    pub(super) fn warning(reason: Reason, description: impl Into<String>) -> Self {
        Self {
            state: State::Warning,
            ..Self::error(reason, description)
        }
    }
}

/// Text of a field of an object; empty where there is none.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Says why a CR is not the one that counts; `all` are all of the cluster, in the API server's order.
pub(super) fn objection(object: &Value, all: &[Value]) -> Option<Problem> {
    if object.pointer("/spec/experimental").is_some() {
        return Some(Problem {
            reason: None,
            ..Problem::error(
                Reason::ReconcileFailed,
                "Experimental features are not supported in this image flavour: istio CR contains experimental \
                 feature",
            )
        });
    }
    if text(object, "/metadata/namespace") != NAMESPACE {
        return Some(Problem::error(
            Reason::ReconcileFailed,
            format!("Stopped Istio CR reconciliation: istio CR is not in {NAMESPACE} namespace"),
        ));
    }
    let oldest = oldest(all)?;
    if text(oldest, "/metadata/uid") == text(object, "/metadata/uid") {
        return None;
    }
    let name = text(oldest, "/metadata/name");
    Some(Problem::warning(
        Reason::OlderCRExists,
        format!("Stopped Istio CR reconciliation: only Istio CR {name} in {NAMESPACE} reconciles the module"),
    ))
}

/// The CR that counts. Times have whole seconds; of two of the same second the module takes the later in the list.
fn oldest(all: &[Value]) -> Option<&Value> {
    let mut found: Option<&Value> = None;
    for object in all {
        if text(object, "/metadata/namespace") != NAMESPACE {
            continue;
        }
        let time = |object| text(object, "/metadata/creationTimestamp");
        if found.is_none_or(|found| time(object) <= time(found)) {
            found = Some(object);
        }
    }
    found
}

/// The status of one CR during one reconciliation.
#[derive(Debug, Clone)]
pub(super) struct Status {
    conditions: Vec<Condition>,
}

impl Status {
    /// Begins a reconciliation: whatever was, readiness is unknown now.
    pub(super) fn begin(object: &Value) -> Self {
        let conditions = object.pointer("/status/conditions").cloned().unwrap_or_default();
        let mut status = Self {
            conditions: serde_json::from_value(conditions).unwrap_or_default(),
        };
        status.set(Reason::ReconcileUnknown);
        status
    }

    /// Sets a condition; it is written with the next state.
    pub(super) fn set(&mut self, reason: Reason) {
        condition::set(&mut self.conditions, reason, Timestamp::now());
    }

    /// Sets the conditions of a problem: one that is not about readiness makes the CR not ready, too.
    pub(super) fn fail(&mut self, problem: &Problem) {
        if let Some(reason) = problem.reason {
            if !reason.is_about_readiness() {
                self.set(Reason::ReconcileFailed);
            }
            self.set(reason);
        }
    }

    /// The patch that writes this status, with a state and a description.
    pub(super) fn patch(&self, state: State, description: &str) -> Value {
        // The module's own serializer leaves an empty description out.
        let description = (!description.is_empty()).then_some(description);
        json!({"status": {"state": state, "description": description, "conditions": self.conditions}})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn istio(namespace: &str, name: &str, second: u32) -> Value {
        json!({
            "metadata": {"namespace": namespace, "name": name, "uid": format!("{namespace}/{name}"),
                "creationTimestamp": format!("2026-08-27T00:00:{second:02}Z")},
        })
    }

    #[test]
    fn the_oldest_in_kyma_system_counts() {
        let all = [
            istio("aaa", "older", 1),
            istio(NAMESPACE, "a", 9),
            istio(NAMESPACE, "b", 5),
        ];
        assert_eq!(objection(&all[2], &all), None);
        let problem = objection(&all[1], &all).unwrap();
        assert_eq!(problem.state, State::Warning);
        assert_eq!(problem.reason, Some(Reason::OlderCRExists));
        assert_eq!(
            problem.description,
            "Stopped Istio CR reconciliation: only Istio CR b in kyma-system reconciles the module"
        );
    }

    #[test]
    fn of_two_made_in_the_same_second_the_later_in_the_list_counts() {
        let all = [istio(NAMESPACE, "a", 5), istio(NAMESPACE, "b", 5)];
        assert!(objection(&all[0], &all).is_some() && objection(&all[1], &all).is_none());
    }

    #[test]
    fn a_cr_elsewhere_is_an_error_even_where_it_is_alone() {
        let all = [istio("default", "default", 1)];
        let problem = objection(&all[0], &all).unwrap();
        assert_eq!(
            (problem.state, problem.reason),
            (State::Error, Some(Reason::ReconcileFailed))
        );
        assert!(
            problem
                .description
                .ends_with("istio CR is not in kyma-system namespace")
        );
    }

    #[test]
    fn experimental_features_are_refused_and_readiness_stays_unknown() {
        let mut object = istio(NAMESPACE, "default", 1);
        object["spec"] = json!({"experimental": {"enableAmbient": true}});
        let problem = objection(&object, &[object.clone()]).unwrap();
        let mut status = Status::begin(&object);
        status.fail(&problem);
        let patch = status.patch(problem.state, &problem.description);
        assert_eq!(patch["status"]["state"], "Error");
        assert_eq!(patch["status"]["conditions"][0]["status"], "Unknown");
    }

    #[test]
    fn a_warning_about_the_ingress_gateway_makes_the_cr_not_ready() {
        let mut status = Status::begin(&json!({}));
        status.fail(&Problem::warning(
            Reason::IngressTargetingUserResourceFound,
            "misconfigured",
        ));
        let patch = status.patch(State::Warning, "misconfigured");
        let conditions = patch["status"]["conditions"].as_array().unwrap();
        let words: Vec<_> = conditions
            .iter()
            .map(|condition| {
                (
                    text(condition, "/type"),
                    text(condition, "/status"),
                    text(condition, "/reason"),
                )
            })
            .collect();
        assert_eq!(
            words,
            [
                ("Ready", "False", "ReconcileFailed"),
                (
                    "IngressTargetingUserResourceFound",
                    "True",
                    "IngressTargetingUserResourceFound"
                )
            ]
        );
    }

    #[test]
    fn earlier_conditions_stay_and_an_empty_description_goes() {
        let mut before = Status::begin(&json!({}));
        before.set(Reason::ProxySidecarRestartSucceeded);
        let object = before.patch(State::Error, "x");
        let now = Status::begin(&object).patch(State::Ready, "");
        assert_eq!(
            now["status"]["conditions"][1]["type"],
            "ProxySidecarRestartSucceeded"
        );
        assert_eq!(now["status"]["description"], Value::Null);
    }
}
