//! What an attempt to get out without the gateway shows.
//!
//! A pod whose traffic nothing redirects has one witness, curl, and it is a good one: a connection that was made went
//! out. Silence proves nothing by itself: it takes a control, the same destination answering somebody, to call it a
//! block.

use super::{CurlReport, CurlResult, ProbeResult, is_name_not_resolved};
use crate::vocabulary::{Attempt, AttemptFrom, AttemptOutcome, Outcome, StoppedBy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One row of the matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptResult {
    /// Stable name of the attempt, such as `no-sidecar`.
    pub attempt: String,
    /// What was tried.
    pub title: String,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Who stopped it, where it was stopped.
    pub stopped_by: Option<StoppedBy>,
    /// How it ended before the lock; `null` if there is no lock, or no record.
    pub before: Option<AttemptOutcome>,
    /// `namespace/pod` that it started from.
    pub source: Option<String>,
    /// Address of that pod, as others' logs name it.
    pub address: Option<String>,
    /// What was asked, and what came of it, in one sentence.
    pub why: String,
    /// What closes this way.
    pub closed_by: String,
}

/// What is known of a destination besides the attempt itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DestinationState {
    /// It answered somebody in this run, or before the lock.
    Up,
    /// It did not answer before the lock either.
    Down,
    /// Nobody knows.
    Unknown,
}

/// What an attempt is judged by, besides its own report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptFacts {
    /// The control.
    pub destination: DestinationState,
    /// Whether a NetworkPolicy with egress rules selects the pod; `None` if not read.
    pub selected: Option<bool>,
}

/// What an attempt showed, before it is put into its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Who stopped it.
    pub stopped_by: Option<StoppedBy>,
    /// Why it is judged so.
    pub why: String,
}

impl Shown {
    /// An outcome with its reason.
    pub fn new(outcome: AttemptOutcome, why: impl Into<String>) -> Self {
        Self {
            outcome,
            stopped_by: None,
            why: why.into(),
        }
    }

    /// It could not be made.
    pub fn not_tried(why: impl Into<String>) -> Self {
        Self::new(AttemptOutcome::NotTried, why)
    }

    /// It was stopped.
    pub fn blocked(by: StoppedBy, why: impl Into<String>) -> Self {
        Self {
            stopped_by: Some(by),
            ..Self::new(AttemptOutcome::Blocked, why)
        }
    }

    /// Nothing came back, and nobody said why.
    pub fn silent(facts: AttemptFacts, why: impl Into<String>) -> Self {
        let why = why.into();
        match (facts.destination, facts.selected) {
            (DestinationState::Up, Some(true)) => Self::blocked(StoppedBy::NetworkPolicy, why),
            (DestinationState::Up, _) => Self::blocked(StoppedBy::Unknown, why),
            // What nobody here can have stopped, or was as silent before the lock.
            (DestinationState::Down, _) | (DestinationState::Unknown, Some(false)) => Self {
                stopped_by: Some(StoppedBy::Destination),
                ..Self::new(AttemptOutcome::Unreachable, why)
            },
            (DestinationState::Unknown, _) => Self::new(
                AttemptOutcome::Inconclusive,
                format!("{why}; nothing shows that anybody would have answered"),
            ),
        }
    }

    /// As the row of an attempt.
    pub fn of(
        self,
        attempt: &Attempt,
        (source, address): (Option<String>, Option<String>),
        before: Option<AttemptOutcome>,
    ) -> AttemptResult {
        AttemptResult {
            attempt: attempt.id.to_owned(),
            title: attempt.title.to_owned(),
            outcome: self.outcome,
            stopped_by: self.stopped_by,
            before,
            source,
            address,
            why: self.why,
            closed_by: attempt.closed_by.to_owned(),
        }
    }
}

/// An attempt whose connection nothing is to come between. From a pod that has a sidecar all the same, a connection
/// alone proves nothing, for the sidecar may have taken it: there the host must have answered.
pub fn judge_past_mesh(from: AttemptFrom, result: &CurlResult, facts: AttemptFacts) -> Shown {
    let report = match report(result) {
        Ok(report) => report,
        Err(shown) => return shown,
    };
    let said = words(report);
    if is_name_not_resolved(report) {
        return Shown::new(AttemptOutcome::Inconclusive, said);
    }
    if is_answered(report) || (is_connected(report) && !from.is_past_sidecar()) {
        return Shown::new(AttemptOutcome::Out, said);
    }
    if is_connected(report) {
        return match facts.destination {
            DestinationState::Up => {
                Shown::blocked(StoppedBy::Unknown, format!("{said}; the sidecar took it"))
            }
            _ => Shown::new(AttemptOutcome::Inconclusive, said),
        };
    }
    if matches!(report.exit_code, 7 | 28) {
        return Shown::silent(facts, said);
    }
    Shown::new(AttemptOutcome::Inconclusive, said)
}

/// An attempt at a port of a gateway: `declared` tells whether the gateway is to carry this name.
pub fn judge_at_gateway(declared: bool, result: &CurlResult, facts: AttemptFacts) -> Shown {
    let report = match report(result) {
        Ok(report) => report,
        Err(shown) => return shown,
    };
    let said = words(report);
    if is_answered(report) {
        let outcome = if declared {
            AttemptOutcome::ThroughGateway
        } else {
            AttemptOutcome::Out
        };
        return Shown::new(outcome, said);
    }
    if is_connected(report) {
        return Shown::blocked(StoppedBy::Gateway, said);
    }
    if matches!(report.exit_code, 7 | 28) {
        return Shown::silent(facts, said);
    }
    Shown::new(AttemptOutcome::Inconclusive, said)
}

/// An attempt to get a tunnel from somebody who may be no proxy at all.
pub fn judge_tunnel(result: &CurlResult, facts: AttemptFacts) -> Shown {
    match judge_at_gateway(false, result, facts) {
        shown if shown.stopped_by == Some(StoppedBy::Gateway) => Shown {
            stopped_by: Some(StoppedBy::NoProxy),
            ..shown
        },
        shown => shown,
    }
}

/// An attempt from the source, whose probe was judged by the proxies' logs.
pub fn judge_probe(probe: &ProbeResult, declared: bool) -> Shown {
    let reason = probe.findings.first().map(|finding| finding.message.clone());
    let said = probe.curl.as_ref().map(super::CurlSummary::sentence);
    let why = said.or(reason).unwrap_or_default();
    let is_connected = |curl: &super::CurlSummary| {
        curl.local_address.is_some() && !curl.error.starts_with("Failed to connect")
    };
    match (probe.outcome, probe.blocked_by) {
        // Nothing is between such a pod and the network: a connection went out, whatever came of it.
        (Outcome::Inconclusive | Outcome::Unreachable, _)
            if !probe.meshed && probe.curl.as_ref().is_some_and(is_connected) =>
        {
            Shown::new(AttemptOutcome::Out, why)
        }
        (Outcome::Routed, _) if declared => Shown::new(AttemptOutcome::ThroughGateway, why),
        (Outcome::Routed | Outcome::Direct | Outcome::Bypassed, _) => Shown::new(AttemptOutcome::Out, why),
        (Outcome::Blocked, by) => Shown::blocked(by.map_or(StoppedBy::Unknown, StoppedBy::from), why),
        (Outcome::Unreachable, _) => Shown {
            stopped_by: Some(StoppedBy::Destination),
            ..Shown::new(AttemptOutcome::Unreachable, why)
        },
        (Outcome::Inconclusive, _) => Shown::new(AttemptOutcome::Inconclusive, why),
    }
}

/// Whether a refusal of the API server is one of admission, and not of quota, permission or the network.
pub fn is_refused_by_admission(text: &str) -> bool {
    text.contains("violates PodSecurity") || text.contains("denied the request")
}

fn report(result: &CurlResult) -> Result<&CurlReport, Shown> {
    match result {
        CurlResult::Report(report) => Ok(report),
        CurlResult::NoCurl(why) => Err(Shown::not_tried(why.clone())),
        CurlResult::Lost(why) => Err(Shown::new(
            AttemptOutcome::Inconclusive,
            format!("curl's report was lost: {why}"),
        )),
    }
}

fn words(report: &CurlReport) -> String {
    super::CurlSummary::from(report).sentence()
}

/// The host itself spoke: an answer, or a certificate that curl then refused (exit 60).
fn is_answered(report: &CurlReport) -> bool {
    report.exit_code == 0 || report.http_code != 0 || report.exit_code == 60
}

fn is_connected(report: &CurlReport) -> bool {
    report.local_address.is_some()
        && !report.error.starts_with("Failed to connect")
        && !report.error.starts_with("Connection timed out")
}

#[cfg(test)]
mod tests {
    use super::*;
    use AttemptOutcome::{Blocked, Inconclusive, NotTried, Out, ThroughGateway, Unreachable};
    use rstest::rstest;

    const LOCKED: AttemptFacts = AttemptFacts {
        destination: DestinationState::Up,
        selected: Some(true),
    };

    /// Reports as curl gave them on the lab.
    fn ended(exit_code: i32, connected: bool, error: &str) -> CurlResult {
        CurlResult::Report(CurlReport {
            exit_code,
            error: error.to_owned(),
            local_address: connected.then(|| "10.0.0.7:40000".to_owned()),
            ..CurlReport::default()
        })
    }

    #[rstest]
    #[case::answered(AttemptFrom::Unmeshed, ended(0, true, ""), Out)]
    #[case::another_certificate(AttemptFrom::Unmeshed, ended(60, true, "SSL: no alternative name"), Out)]
    #[case::plain_http_to_tls(
        AttemptFrom::Unmeshed,
        ended(1, true, "Received HTTP/0.9 when not allowed"),
        Out
    )]
    #[case::dropped(
        AttemptFrom::Unmeshed,
        ended(28, false, "Connection timed out after 4001 ms"),
        Blocked
    )]
    #[case::rejected(AttemptFrom::Unmeshed, ended(7, false, "Failed to connect"), Blocked)]
    #[case::no_name(
        AttemptFrom::Unmeshed,
        ended(6, false, "Could not resolve host"),
        Inconclusive
    )]
    #[case::past_the_sidecar(AttemptFrom::ProxyUser, ended(0, true, ""), Out)]
    #[case::taken_by_the_sidecar(AttemptFrom::ProxyUser, ended(35, true, "unexpected eof"), Blocked)]
    #[case::lost(AttemptFrom::Unmeshed, CurlResult::Lost("cut".to_owned()), Inconclusive)]
    #[case::no_curl(AttemptFrom::Unmeshed, CurlResult::NoCurl("none".to_owned()), NotTried)]
    fn a_connection_is_a_way_out_and_silence_needs_a_control(
        #[case] from: AttemptFrom,
        #[case] result: CurlResult,
        #[case] expected: AttemptOutcome,
    ) {
        assert_eq!(judge_past_mesh(from, &result, LOCKED).outcome, expected);
    }

    #[rstest]
    #[case::a_policy(DestinationState::Up, Some(true), Blocked, Some(StoppedBy::NetworkPolicy))]
    #[case::no_policy_selects_it(DestinationState::Up, Some(false), Blocked, Some(StoppedBy::Unknown))]
    #[case::policies_not_read(DestinationState::Up, None, Blocked, Some(StoppedBy::Unknown))]
    #[case::as_silent_before(DestinationState::Down, Some(true), Unreachable, Some(StoppedBy::Destination))]
    #[case::no_lock_no_answer(
        DestinationState::Unknown,
        Some(false),
        Unreachable,
        Some(StoppedBy::Destination)
    )]
    #[case::no_control(DestinationState::Unknown, Some(true), Inconclusive, None)]
    #[case::nothing_known(DestinationState::Unknown, None, Inconclusive, None)]
    fn who_stopped_it(
        #[case] destination: DestinationState,
        #[case] selected: Option<bool>,
        #[case] expected: AttemptOutcome,
        #[case] by: Option<StoppedBy>,
    ) {
        let facts = AttemptFacts {
            destination,
            selected,
        };
        let shown = judge_past_mesh(AttemptFrom::Unmeshed, &ended(28, false, ""), facts);
        assert_eq!((shown.outcome, shown.stopped_by), (expected, by));
    }

    #[test]
    fn a_gateway_that_answers_carries_it_and_one_that_hangs_up_has_no_listener() {
        let answered = ended(0, true, "");
        assert_eq!(judge_at_gateway(true, &answered, LOCKED).outcome, ThroughGateway);
        assert_eq!(judge_at_gateway(false, &answered, LOCKED).outcome, Out);
        let hung_up = ended(35, true, "unexpected eof");
        let by = |shown: Shown| shown.stopped_by;
        assert_eq!(
            by(judge_at_gateway(true, &hung_up, LOCKED)),
            Some(StoppedBy::Gateway)
        );
        assert_eq!(by(judge_tunnel(&hung_up, LOCKED)), Some(StoppedBy::NoProxy));
        let dropped = ended(28, false, "");
        assert_eq!(by(judge_tunnel(&dropped, LOCKED)), Some(StoppedBy::NetworkPolicy));
    }

    #[test]
    fn quota_and_permission_are_no_admission() {
        assert!(is_refused_by_admission(
            "pods \"x\" is forbidden: violates PodSecurity \"baseline:latest\""
        ));
        assert!(!is_refused_by_admission("exceeded quota: small"));
    }
}
