//! What the user wants of a set-up, checked.

use super::client_secret::SecretWish;
use crate::plan::gateway_workload::GatewaySettings;
use crate::plan::{PlanSettings, PlannedHost};
use crate::vocabulary::{AddressRange, PlanIdentity};
use std::time::Duration;

/// Which parts of a plan a run sets up. `setup` does all; the steps on their own do one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// The gateway and its access log.
    pub gateway: bool,
    /// The namespace's injection, the source and its access log.
    pub source: bool,
    /// The routing objects.
    pub routing: bool,
}

impl Parts {
    /// Everything.
    pub const ALL: Self = Self {
        gateway: true,
        source: true,
        routing: true,
    };
}

/// Whether anything is changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DryRun {
    /// Yes.
    #[default]
    No,
    /// No; what would be sent is only named.
    Client,
    /// No; the server is asked what it would do.
    Server,
}

impl DryRun {
    /// Whether nothing is changed.
    pub fn is_dry(self) -> bool {
        self != Self::No
    }
}

/// What the user wants.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct SetupSettings {
    /// Which plan.
    pub plan: PlanIdentity,
    /// Hosts to add to the plan, or the whole plan if `whole`.
    pub hosts: Vec<PlannedHost>,
    /// Whether `hosts` is the whole plan; what is not in it is removed.
    pub whole: bool,
    /// What is said of the plan as a whole.
    pub plan_settings: PlanSettings,
    /// How a gateway that we create is scheduled.
    pub gateway_settings: GatewaySettings,
    /// Whether an Istio custom resource is made on a Kyma cluster that has none.
    pub create_istio_cr: bool,
    /// Whether a namespace that is not there is made.
    pub create_namespace: bool,
    /// Whether only our pod is injected, by a label of its own.
    pub inject_pod_only: bool,
    /// Image of the source.
    pub image: String,
    /// Secret that is mounted into the source.
    pub secret: Option<String>,
    /// Workload of the user's that is probed from, whose access log is switched on.
    pub from: Option<String>,
    /// Addresses that this workload is to reach past its sidecar.
    pub exclude_ranges: Vec<AddressRange>,
    /// Secrets with certificates that are made.
    pub secrets: Vec<SecretWish>,
    /// Which parts.
    pub parts: Parts,
    /// Whether anything is changed.
    pub dry_run: DryRun,
    /// Whether fields of other managers are taken over.
    pub force_conflicts: bool,
    /// How long to wait for each thing.
    pub timeout: Duration,
}
