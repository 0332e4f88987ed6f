//! What probes left behind, turned into what they prove.
//!
//! Pure: values in, values out. Lines of access logs ([`parse_line`]), curl's reports ([`parse_curl_reports`]) and
//! counters ([`read_counters`]) become a judgement per probe ([`judge`]), claims over many ([`claims`]), and the
//! document that `verify -o json` prints ([`Verification`]).
//!
//! Two rules stand above all others: no claim is ever falsely proven, and no evidence is never success. Whatever is
//! missing, cut, ambiguous or unknown therefore ends in [`Outcome::Inconclusive`](crate::vocabulary::Outcome).
//! Where a rule says "measured on the lab", a real mesh did exactly that, and its lines are the rule's tests.

mod access_log;
mod address;
mod bypass;
mod bypass_command;
mod bypass_findings;
mod chain;
mod claims;
mod counters;
mod curl_arguments;
mod curl_report;
mod document;
pub mod explanation;
mod facts;
mod gateway_way;
mod json_format;
mod judge;
mod log_format;
mod log_template;
mod originated;
mod protection;
mod sidecar_way;
mod text_format;
mod upstream_cluster;
mod without_sidecar;

pub use access_log::{AccessLogLine, line_mentions, parse_line};
pub use address::socket_address;
pub use bypass::{
    AttemptFacts, AttemptResult, DestinationState, Shown, is_refused_by_admission, judge_at_gateway,
    judge_past_mesh, judge_probe, judge_tunnel,
};
pub use bypass_command::{Program, Said, judge_program, read_addresses};
pub use bypass_findings::{bypass_findings, enforced_with, open_by_design, verdict_with};
pub use chain::log_is_settled;
pub use claims::{Claims, claims};
pub use counters::{ClusterCounters, Counters, corroborate, read_counters};
pub use curl_arguments::{ProbeRequest, curl_arguments};
pub use curl_report::{CurlReport, CurlResult, ProcessEnd, curl_results, parse_curl_reports, says_no_curl};
pub use document::{ClaimStates, CurlSummary, ProbeResult, Verification};
pub use facts::{
    Control, Expected, GatewayFacts, GatewayPodFacts, Interception, Lines, LiveConfiguration, LogState,
    PlannedWay, ProbeEvidence, SourceFacts, Transports,
};
pub use judge::{is_name_not_resolved, judge};
pub use log_format::{LogFormats, Needs};
pub use text_format::render_text;
pub use upstream_cluster::UpstreamCluster;
