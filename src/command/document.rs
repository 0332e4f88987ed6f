//! The documents of commands that print with `-o json` what no other part of the program reads.

use crate::certificate::{Inspected, Trust};
use crate::engine::deploy_target::proof::TargetProof;
use crate::engine::deploy_target::through::ThroughProof;
use crate::engine::inspect;
use crate::evidence::{ProbeResult, Verification};
use crate::finding::Finding;
use crate::vocabulary::names;
use schemars::{JsonSchema, Schema, schema_for};
use serde::Serialize;

/// What such a document holds, and what it is called.
pub(super) trait Content: Serialize + JsonSchema {
    const KIND: &'static str;
}

/// One of them, whole.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<Of> {
    /// Version of this document's form.
    api_version: &'static str,
    /// What it is.
    kind: &'static str,
    #[serde(flatten)]
    content: Of,
}

impl<Of: Content> Document<Of> {
    pub(super) fn new(content: Of) -> Self {
        Self {
            api_version: names::API_VERSION,
            kind: Of::KIND,
            content,
        }
    }

    /// The JSON Schema of the document.
    pub(super) fn schema() -> Schema {
        schema_for!(Self)
    }
}

/// `diff`: what `setup` would change.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Diff {
    /// Name of the plan.
    pub(super) plan: String,
    /// Its namespace.
    pub(super) namespace: String,
    /// A unified diff for each object that differs; none: the cluster is as the plan says.
    pub(super) differences: Vec<String>,
}

impl Content for Diff {
    const KIND: &'static str = "Diff";
}

/// `cleanup`: what undoing left.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cleanup {
    /// Name of the plan.
    pub(super) plan: String,
    /// Its namespace.
    pub(super) namespace: String,
    /// Whether nothing was changed, as it was only gone through.
    pub(super) dry_run: bool,
    #[serde(flatten)]
    pub(super) here: Left,
    /// The same of the other cluster, where the plan works with one that was reached.
    pub(super) target: Option<Left>,
}

impl Content for Cleanup {
    const KIND: &'static str = "Cleanup";
}

/// What undoing left in one cluster, and why.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Left {
    /// What stays for a good reason; a sentence each.
    pub(super) kept: Vec<String>,
    /// What the journal says and nothing confirms; a clause each.
    pub(super) refused: Vec<String>,
    /// What was deleted and does not go.
    pub(super) stuck: Vec<String>,
    /// What was found afterwards; `null` if it was not looked for (`--verify`).
    pub(super) leftovers: Option<Vec<String>>,
}

/// `unlock`: what was taken away.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Unlock {
    /// The plan, as `namespace/name`.
    pub(super) plan: String,
    /// The namespace that was locked.
    pub(super) namespace: String,
    /// Whether nothing was changed, as it was only gone through.
    pub(super) dry_run: bool,
    /// The objects; none: there was no lock of this plan.
    pub(super) removed: Vec<String>,
}

impl Content for Unlock {
    const KIND: &'static str = "Unlock";
}

/// `probe`: single requests.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_field_names,
    reason = "the document's name for its list is that of its kind"
)]
pub(super) struct Probes {
    /// The namespace that was probed from.
    pub(super) namespace: String,
    /// The plan, by its name alone where it is of this namespace.
    pub(super) plan: String,
    /// Each request, judged.
    pub(super) probes: Vec<ProbeResult>,
    /// What each was answered, in the same order.
    pub(super) answers: Vec<ProbeAnswer>,
}

impl Content for Probes {
    const KIND: &'static str = "Probes";
}

/// What came back to curl.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum ProbeAnswer {
    /// curl reported.
    #[serde(rename_all = "camelCase")]
    Report {
        /// Status of the answer; 0: there was none.
        http_code: u16,
        /// Its headers, with `--show-headers` or `--follow`.
        headers: Option<String>,
        /// Its body, with `--show-body`.
        body: Option<String>,
    },
    /// curl did not report.
    Lost {
        /// Why.
        error: String,
    },
}

/// `deploy-target`: what requests from here to the target showed.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Target {
    /// Name of the plan.
    pub(super) plan: String,
    /// Its namespace.
    pub(super) namespace: String,
    /// The requests.
    pub(super) proof: TargetProof,
}

impl Content for Target {
    const KIND: &'static str = "Target";
}

/// `setup --target-context`: both clusters.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TwoClusters<'shown> {
    /// What requests from here to the target showed.
    pub(super) target: &'shown TargetProof,
    /// What probes through this cluster's gateway showed.
    pub(super) verification: &'shown Verification,
    /// What the target saw of them.
    pub(super) through: &'shown ThroughProof,
}

impl Content for TwoClusters<'_> {
    const KIND: &'static str = "TwoClusters";
}

/// `certs`: what was written.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Certificates {
    /// Every file.
    pub(super) files: Vec<CertificateFile>,
}

impl Content for Certificates {
    const KIND: &'static str = "Certificates";
}

/// A file of a certificate or a key.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CertificateFile {
    /// Where it is.
    pub(super) path: String,
    /// Whose it is: `CA`, `server`, `client`, `old and new CA`.
    pub(super) of: &'static str,
    /// What the certificate says; `null`: it is a private key.
    pub(super) certificate: Option<Inspected>,
}

/// `certs inspect FILE`: what a file holds.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CertificateInspection {
    /// The file; `-` is standard input.
    pub(super) file: String,
    /// Its certificates, in its order.
    pub(super) chain: Vec<Inspected>,
    /// How they stand against `--ca`.
    pub(super) trust: Trust,
    /// What is wrong with them.
    pub(super) findings: Vec<Finding>,
}

impl Content for CertificateInspection {
    const KIND: &'static str = "CertificateInspection";
}

/// `certs inspect --gateway`: what the gateway's proxies hold.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct GatewayCertificates {
    /// The gateway, as `namespace/name`.
    pub(super) gateway: String,
    /// Each of its pods.
    pub(super) pods: Vec<inspect::GatewayCertificates>,
}

impl Content for GatewayCertificates {
    const KIND: &'static str = "GatewayCertificates";
}

/// `certs inspect HOST`: what a server shows.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServerCertificates {
    /// The pod that asked.
    pub(super) source: String,
    /// What it was shown.
    pub(super) shown: inspect::ServerCertificates,
}

impl Content for ServerCertificates {
    const KIND: &'static str = "ServerCertificates";
}
