//! What the probes of a run prove together.

use super::{Expected, ProbeResult};
use crate::finding::{Finding, Severity, catalogue};
use crate::vocabulary::{BlockedBy, ClaimState, Outcome, Verdict};
use std::collections::BTreeMap;

/// How both claims stand, and what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Every declared host and port goes through the gateway.
    pub routed: ClaimState,
    /// Nothing else gets out.
    pub enforced: ClaimState,
    /// The verdict over the required claims.
    pub verdict: Verdict,
    /// What concerns the claims and no single probe.
    pub findings: Vec<Finding>,
}

/// Judges the claims.
///
/// **routed** looks at the probes of declared hosts. Proven: there is at least one, and each was routed (or direct,
/// where the plan says so). Disproven: one went round the gateway, or was stopped: the claim says that it goes
/// through. Otherwise, an unreachable host included, inconclusive: nothing was shown.
///
/// **enforced** looks at what must not be reachable. Disproven: one was reached, by whatever way, or a policy beside
/// the lock opens a way out. Proven: each declared host and port was stopped and it is known by whom; among them is one
/// tried from a pod without sidecar, stopped by a NetworkPolicy, because what a proxy refuses says nothing about pods
/// that have none (measured on the lab); nothing else was reached; and something answered in the same run, so that a
/// cluster without network does not pass for a locked one. Otherwise inconclusive. That an undeclared host is silent
/// proves little, for it can be down: such a probe can only disprove. Where the claim is not required, it does not
/// count, and its state becomes a warning.
///
/// `lock`: what is known against the lock besides probes.
pub fn claims(results: &[ProbeResult], enforced_required: bool, lock: &[Finding]) -> Claims {
    let routed = routed(results);
    let computed = if lock.iter().any(|finding| finding.severity == Severity::Error) {
        ClaimState::Disproven
    } else {
        enforced(results)
    };
    let enforced = if enforced_required {
        computed
    } else {
        ClaimState::NotRequired
    };
    let mut findings = findings(results, computed, enforced_required);
    findings.extend_from_slice(lock);
    Claims {
        routed,
        enforced,
        verdict: verdict([routed, enforced]),
        findings,
    }
}

fn routed(results: &[ProbeResult]) -> ClaimState {
    let declared: Vec<_> = with(results, Expected::Routed)
        .map(|result| result.outcome)
        .collect();
    if declared
        .iter()
        .any(|outcome| matches!(outcome, Outcome::Bypassed | Outcome::Blocked))
    {
        ClaimState::Disproven
    } else if !declared.is_empty() && declared.iter().all(|outcome| is_as_planned(*outcome)) {
        ClaimState::Proven
    } else {
        ClaimState::Inconclusive
    }
}

fn enforced(results: &[ProbeResult]) -> ClaimState {
    let forbidden: Vec<_> = with(results, Expected::NotReachable).collect();
    if forbidden.iter().any(|result| is_reached(result.outcome)) {
        return ClaimState::Disproven;
    }
    let is_declared = |wanted: &ProbeResult| {
        with(results, Expected::Routed).any(|result| result.host == wanted.host && result.port == wanted.port)
    };
    let all_stopped = forbidden.iter().all(|result| {
        let stopped = result.outcome == Outcome::Blocked && result.blocked_by.is_some();
        stopped || (!is_declared(result) && is_silent(result))
    });
    let stopped_below_the_mesh = forbidden.iter().any(|result| {
        is_declared(result) && !result.meshed && result.blocked_by == Some(BlockedBy::NetworkPolicy)
    });
    let control = results
        .iter()
        .any(|result| result.expected != Expected::NotReachable && is_reached(result.outcome));
    if all_stopped && stopped_below_the_mesh && control {
        ClaimState::Proven
    } else {
        ClaimState::Inconclusive
    }
}

/// Nobody answered, by curl's own word or by the proxy's line.
fn is_silent(result: &ProbeResult) -> bool {
    match result.outcome {
        Outcome::Unreachable | Outcome::Blocked => true,
        Outcome::Inconclusive => result
            .curl
            .as_ref()
            .is_some_and(|curl| curl.http_code == 0 && matches!(curl.exit_code, 6 | 7 | 28 | 35)),
        _ => false,
    }
}

fn verdict(claims: [ClaimState; 2]) -> Verdict {
    if claims.contains(&ClaimState::Disproven) {
        Verdict::Disproven
    } else if claims.contains(&ClaimState::Inconclusive) {
        Verdict::Inconclusive
    } else {
        Verdict::Proven
    }
}

fn findings(results: &[ProbeResult], enforced: ClaimState, required: bool) -> Vec<Finding> {
    let holes: Vec<_> = with(results, Expected::NotReachable)
        .filter(|result| is_reached(result.outcome))
        .collect();
    if enforced != ClaimState::Disproven || holes.is_empty() {
        return Vec::new();
    }
    let article = if holes.iter().all(|hole| hole.meshed) {
        &catalogue::BYPASSED_AT_SIDECAR
    } else {
        &catalogue::BYPASSED_WITHOUT_SIDECAR
    };
    let mut by_source: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for hole in &holes {
        let reached = format!("{}://{}:{}", hole.scheme, hole.host, hole.port);
        by_source.entry(&hole.source).or_default().push(reached);
    }
    let list: Vec<_> = by_source
        .iter()
        .map(|(source, reached)| format!("{source} reaches {}", reached.join(", ")))
        .collect();
    let mut finding = Finding::new(article, format!("not enforced: {}", list.join("; ")))
        .fixed_by(catalogue::BYPASSED_WITHOUT_SIDECAR.fix);
    finding.severity = if required {
        Severity::Error
    } else {
        Severity::Warning
    };
    vec![finding]
}

fn with(results: &[ProbeResult], expected: Expected) -> impl Iterator<Item = &ProbeResult> {
    results.iter().filter(move |result| result.expected == expected)
}

fn is_as_planned(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Routed | Outcome::Direct)
}

fn is_reached(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Routed | Outcome::Direct | Outcome::Bypassed)
}
