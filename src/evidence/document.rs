//! What is printed about probes: results, and the document of `verify -o json`.

use super::{AttemptResult, Claims, CurlReport, Expected};
use crate::finding::Finding;
use crate::vocabulary::names::API_VERSION;
use crate::vocabulary::{BlockedBy, ClaimState, Hop, Outcome, Scheme, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// What one probe proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProbeResult {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The scheme.
    pub scheme: Scheme,
    /// `namespace/pod` that the probe started from.
    pub source: String,
    /// Whether a sidecar carries the source's traffic.
    pub meshed: bool,
    /// What the probe was to show.
    pub expected: Expected,
    /// What happened.
    pub outcome: Outcome,
    /// Who stopped it; only with the outcome `blocked`.
    pub blocked_by: Option<BlockedBy>,
    /// The way, as far as it is witnessed.
    pub hops: Vec<Hop>,
    /// What is wrong, or worth knowing.
    pub findings: Vec<Finding>,
    /// curl's own view; `null` if curl did not report.
    pub curl: Option<CurlSummary>,
}

/// curl's own view of a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CurlSummary {
    /// curl's exit code.
    pub exit_code: i32,
    /// HTTP status; 0 if there was no response.
    pub http_code: u16,
    /// curl's words on what went wrong; empty if nothing did.
    pub error: String,
    /// `ip:port` of curl's end of the connection.
    pub local_address: Option<String>,
    /// `ip:port` that curl connected to.
    pub remote_address: Option<String>,
    /// Milliseconds from start to end.
    pub time_total_ms: u64,
}

impl From<&CurlReport> for CurlSummary {
    fn from(report: &CurlReport) -> Self {
        Self {
            exit_code: report.exit_code,
            http_code: report.http_code,
            error: report.error.clone(),
            local_address: report.local_address.clone(),
            remote_address: report.remote_address.clone(),
            time_total_ms: report.time_total_ms,
        }
    }
}

impl CurlSummary {
    /// The report in one sentence, as a receipt.
    pub fn sentence(&self) -> String {
        let mut sentence = format!("exit {}, HTTP {:03}", self.exit_code, self.http_code);
        if let (Some(local), Some(remote)) = (&self.local_address, &self.remote_address) {
            let _ = write!(sentence, ", {local} to {remote}");
        }
        let _ = write!(sentence, ", {} ms", self.time_total_ms);
        if !self.error.is_empty() {
            sentence.push_str(": ");
            sentence.push_str(&self.error);
        }
        sentence
    }
}

/// How the claims of `verify` stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimStates {
    /// Every declared host and port goes through the gateway.
    pub routed: ClaimState,
    /// Nothing else gets out.
    pub enforced: ClaimState,
}

/// The document that `verify -o json` prints. Scripts rely on its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// Version of the document.
    pub api_version: String,
    /// Always `Verification`.
    pub kind: String,
    /// Name of the plan.
    pub plan: String,
    /// Namespace of the plan.
    pub namespace: String,
    /// The verdict over all required claims.
    pub verdict: Verdict,
    /// The claims.
    pub claims: ClaimStates,
    /// One entry per probe.
    pub probes: Vec<ProbeResult>,
    /// What concerns the claims and no single probe.
    pub findings: Vec<Finding>,
    /// The attempts of `verify --bypass`; not there without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bypass: Option<Vec<AttemptResult>>,
}

impl Verification {
    /// Puts the document together.
    pub fn new(
        plan: impl Into<String>,
        namespace: impl Into<String>,
        claims: &Claims,
        probes: Vec<ProbeResult>,
    ) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "Verification".to_owned(),
            plan: plan.into(),
            namespace: namespace.into(),
            verdict: claims.verdict,
            claims: ClaimStates {
                routed: claims.routed,
                enforced: claims.enforced,
            },
            probes,
            findings: claims.findings.clone(),
            bypass: None,
        }
    }

    /// With the matrix of attempts.
    #[must_use]
    pub fn with_bypass(self, rows: Option<Vec<AttemptResult>>) -> Self {
        Self { bypass: rows, ..self }
    }

    /// The JSON Schema of the document.
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(Self)
    }
}
