//! What `lockdown -o json` prints.

use super::simulation::Simulation;
use crate::evidence::{ClaimStates, ProbeResult};
use crate::finding::Finding;
use crate::vocabulary::names::API_VERSION;
use crate::vocabulary::{ClaimState, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LockdownEnd {
    /// The lock holds and is confirmed.
    Locked,
    /// It was locked so already; nothing was changed.
    Unchanged,
    /// It was taken back.
    RolledBack,
    /// It did not come to the lock; nothing is left.
    Refused,
}

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lockdown {
    /// Version of the document.
    pub api_version: String,
    /// Always `Lockdown`.
    pub kind: String,
    /// The plan, `NAMESPACE/NAME`.
    pub plan: String,
    /// The locked namespace.
    pub namespace: String,
    /// Name of the NetworkPolicy.
    pub lock: String,
    /// How the run ended.
    pub end: LockdownEnd,
    /// The verdict over both claims.
    pub verdict: Verdict,
    /// The claims.
    pub claims: ClaimStates,
    /// What the lock lets through, one line each.
    pub allows: Vec<String>,
    /// What the lock would break, as far as was known before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulation: Option<Simulation>,
    /// Probes before the lock.
    pub before: Vec<ProbeResult>,
    /// Probes under the lock, negative ones twice.
    pub after: Vec<ProbeResult>,
    /// What concerns the whole.
    pub findings: Vec<Finding>,
}

impl Lockdown {
    /// A run that has proven nothing yet.
    pub fn new(plan: String, namespace: String, lock: String, allows: Vec<String>) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "Lockdown".to_owned(),
            plan,
            namespace,
            lock,
            end: LockdownEnd::Refused,
            verdict: Verdict::Inconclusive,
            claims: ClaimStates {
                routed: ClaimState::Inconclusive,
                enforced: ClaimState::Inconclusive,
            },
            allows,
            simulation: None,
            before: Vec::new(),
            after: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// The JSON Schema of the document.
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(Self)
    }
}
