//! Conditions of an Istio CR: the module's reasons, and the status and words that belong to each.
//! Source: `api/v1alpha2/istio_types.go` and `conditions.go` of the module.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Why a condition is as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    ReconcileSucceeded,
    ReconcileUnknown,
    ReconcileFailed,
    OlderCRExists,
    IstioInstallUninstallFailed,
    IstioCustomResourcesDangling,
    CustomResourcesReconcileFailed,
    ProxySidecarRestartSucceeded,
    IngressTargetingUserResourceFound,
    IngressTargetingUserResourceNotFound,
    IngressTargetingUserResourceDetectionFailed,
}

const READY: &str = "Ready";
const SIDECARS: &str = "ProxySidecarRestartSucceeded";
const INGRESS: &str = "IngressTargetingUserResourceFound";

impl Reason {
    /// Type, status, reason and message of the condition that this reason stands for.
    fn words(self) -> [&'static str; 4] {
        match self {
            Self::ReconcileSucceeded => [READY, "True", "ReconcileSucceeded", "Reconciliation succeeded"],
            Self::ReconcileUnknown => [
                READY,
                "Unknown",
                "ReconcileUnknown",
                "Module readiness is unknown. Either a reconciliation is progressing, or failed previously. Check \
                 status of other conditions",
            ],
            Self::ReconcileFailed => [READY, "False", "ReconcileFailed", "Reconciliation failed"],
            Self::OlderCRExists => [
                READY,
                "False",
                "OlderCRExists",
                "This Istio custom resource is not the oldest one and does not represent the module state",
            ],
            Self::IstioInstallUninstallFailed => [
                READY,
                "False",
                "IstioInstallUninstallFailed",
                "Istio install or uninstall failed",
            ],
            Self::IstioCustomResourcesDangling => [
                READY,
                "False",
                "IstioCustomResourcesDangling",
                "Istio deletion blocked because of existing Istio custom resources",
            ],
            Self::CustomResourcesReconcileFailed => [
                READY,
                "False",
                "CustomResourcesReconcileFailed",
                "Custom resources reconciliation failed",
            ],
            Self::ProxySidecarRestartSucceeded => {
                [SIDECARS, "True", SIDECARS, "Proxy sidecar restart succeeded"]
            }
            Self::IngressTargetingUserResourceFound => [
                INGRESS,
                "True",
                INGRESS,
                "Resource targeting Istio Ingress Gateway found",
            ],
            Self::IngressTargetingUserResourceNotFound => [
                INGRESS,
                "False",
                "IngressTargetingUserResourceNotFound",
                "Resources targeting Istio Ingress Gateway not found",
            ],
            Self::IngressTargetingUserResourceDetectionFailed => [
                INGRESS,
                "Unknown",
                "IngressTargetingUserResourceDetectionFailed",
                "Resource targeting Istio Ingress Gateway detection failed",
            ],
        }
    }

    /// Whether it is about the condition `Ready`.
    pub(super) fn is_about_readiness(self) -> bool {
        self.words()[0] == READY
    }
}

/// One condition as it stands in the object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Condition {
    last_transition_time: String,
    message: String,
    reason: String,
    status: String,
    #[serde(rename = "type")]
    kind: String,
}

/// Sets a condition as Kubernetes' own helper does: its time changes only with its status.
pub(super) fn set(conditions: &mut Vec<Condition>, reason: Reason, now: Timestamp) {
    let [kind, status, reason, message] = reason.words().map(str::to_owned);
    let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let condition = Condition {
        last_transition_time: now,
        message,
        reason,
        status,
        kind,
    };
    match conditions.iter_mut().find(|old| old.kind == condition.kind) {
        Some(old) => {
            let same = old.status == condition.status;
            let time = std::mem::take(&mut old.last_transition_time);
            *old = condition;
            if same {
                old.last_transition_time = time;
            }
        }
        None => conditions.push(condition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_time_of_a_condition_changes_only_with_its_status() {
        let mut conditions = Vec::new();
        set(&mut conditions, Reason::ReconcileFailed, at(0));
        set(&mut conditions, Reason::OlderCRExists, at(60));
        assert_eq!(conditions.len(), 1);
        assert_eq!(conditions[0].reason, "OlderCRExists");
        assert_eq!(conditions[0].last_transition_time, "1970-01-01T00:00:00Z");
        set(&mut conditions, Reason::ReconcileSucceeded, at(60));
        assert_eq!(conditions[0].last_transition_time, "1970-01-01T00:01:00Z");
    }

    #[test]
    fn conditions_are_written_as_kubernetes_spells_them() {
        let mut conditions = Vec::new();
        set(
            &mut conditions,
            Reason::IngressTargetingUserResourceNotFound,
            at(0),
        );
        assert_eq!(
            serde_json::to_value(&conditions).unwrap(),
            serde_json::json!([{
                "type": "IngressTargetingUserResourceFound",
                "status": "False",
                "reason": "IngressTargetingUserResourceNotFound",
                "message": "Resources targeting Istio Ingress Gateway not found",
                "lastTransitionTime": "1970-01-01T00:00:00Z",
            }])
        );
    }
}
