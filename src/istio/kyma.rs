//! The Istio custom resource of the Kyma module, as far as we read and write it.
//!
//! Source: the module's API `operator.kyma-project.io/v1alpha2` and its documentation; what the states look like in
//! time was seen with the real module 1.30.

use serde::Deserialize;
use std::fmt;

/// The only namespace in which an Istio custom resource counts.
pub const NAMESPACE: &str = "kyma-system";
/// What the resource is called by convention, and what we call one that we make.
pub const DEFAULT_NAME: &str = "default";
/// JSON pointer of the one field that we set.
pub const GATEWAY_SWITCH: &str = "/spec/components/egressGateway/enabled";
/// Name of the Service, Deployment and autoscaler of the module's egress gateway, in Istio's root namespace.
pub const GATEWAY: &str = "istio-egressgateway";
/// Label of a pod that may reach the egress gateway under the module's network policies.
pub const TO_GATEWAY_LABEL: &str = "networking.kyma-project.io/to-egressgateway";
/// Its value.
pub const TO_GATEWAY_VALUE: &str = "allowed";
/// Label of what the module made, with its name as value.
pub const MODULE_LABEL: &str = "kyma-project.io/module";
/// Its value for the Istio module.
pub const MODULE: &str = "istio";
/// Reason of the condition Ready at a resource that does not count, as an older one does.
pub const OLDER_EXISTS: &str = "OlderCRExists";

/// How the module stands, by its own word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum State {
    /// All is as the resource says.
    Ready,
    /// It works on it.
    Processing,
    /// It works, with something to look at; common, and mostly nothing to do with the egress gateway.
    Warning,
    /// It could not do it, and tries again.
    Error,
    /// It uninstalls Istio.
    Deleting,
    /// It has not said anything yet, or a word that we do not know.
    #[default]
    #[serde(other)]
    Unknown,
}

/// `status` of the resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The state.
    pub state: State,
    /// Why, for people.
    pub description: Option<String>,
    /// Its parts.
    pub conditions: Vec<Condition>,
}

/// One condition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Which, for example `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, for programs.
    pub reason: String,
    /// Why, for people.
    pub message: String,
    /// Of which generation it speaks; the module up to 1.30 does not say.
    pub observed_generation: Option<i64>,
}

impl Status {
    /// Reads `status`; what cannot be read is [`State::Unknown`].
    pub fn read(status: &serde_json::Value) -> Self {
        Self::deserialize(status).unwrap_or_default()
    }

    /// The reason of the condition `Ready`, or nothing.
    pub fn reason(&self) -> &str {
        let ready = self.conditions.iter().find(|condition| condition.kind == "Ready");
        ready.map_or("", |condition| &condition.reason)
    }

    /// State and description, without the word for programs.
    pub fn in_short(&self) -> String {
        match self.description.as_deref() {
            None | Some("") => self.state.to_string(),
            Some(description) => format!("{}: {description}", self.state),
        }
    }

    /// The newest generation that a condition speaks of, if any says so.
    pub fn observed_generation(&self) -> Option<i64> {
        self.conditions
            .iter()
            .filter_map(|condition| condition.observed_generation)
            .max()
    }
}

impl fmt::Display for Status {
    /// `Error (IstioInstallUninstallFailed): what happened`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.state)?;
        if !self.reason().is_empty() {
            write!(formatter, " ({})", self.reason())?;
        }
        match self.description.as_deref() {
            None | Some("") => Ok(()),
            Some(description) => write!(formatter, ": {description}"),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Ready => "Ready",
            Self::Processing => "Processing",
            Self::Warning => "Warning",
            Self::Error => "Error",
            Self::Deleting => "Deleting",
            Self::Unknown => "not seen by the module yet",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_is_read_as_the_module_writes_it() {
        let status = Status::read(
            &json!({"state": "Processing", "description": "Reconciling Istio", "conditions": [
            {"type": "Ready", "status": "Unknown", "reason": "ReconcileUnknown", "message": "x", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}),
        );
        assert_eq!(
            status.to_string(),
            "Processing (ReconcileUnknown): Reconciling Istio"
        );
        assert_eq!(status.observed_generation(), None);
    }

    #[test]
    fn no_description_is_said_with_null_too() {
        let status = Status::read(&json!({"state": "Ready", "description": null}));
        assert_eq!(
            (status.to_string(), status.in_short()),
            ("Ready".into(), "Ready".into())
        );
    }

    #[test]
    fn no_status_and_a_state_of_the_future_are_unknown() {
        assert_eq!(Status::read(&serde_json::Value::Null), Status::default());
        assert_eq!(Status::read(&json!({"state": "Dreaming"})).state, State::Unknown);
    }
}
