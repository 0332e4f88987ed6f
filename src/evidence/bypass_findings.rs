//! What follows from the matrix of attempts: findings, and how the claim `enforced` stands.

use super::{AttemptResult, Shown};
use crate::finding::{Finding, Severity, catalogue};
use crate::vocabulary::{ATTEMPTS, AttemptFrom, AttemptOutcome, ClaimState, StoppedBy, Verdict};

/// Rows for what no lock closes.
pub fn open_by_design() -> impl Iterator<Item = AttemptResult> {
    let open = ATTEMPTS
        .iter()
        .filter(|attempt| attempt.from == AttemptFrom::Nowhere);
    open.map(|attempt| {
        Shown::new(AttemptOutcome::OpenByDesign, "no NetworkPolicy sees into it").of(
            attempt,
            (None, None),
            None,
        )
    })
}

/// What follows from the matrix. `locked`: the claim `enforced` is required, so that a way out is an error.
pub fn bypass_findings(rows: &[AttemptResult], locked: bool) -> Vec<Finding> {
    let with = |outcome: AttemptOutcome| rows.iter().filter(move |row| row.outcome == outcome);
    let ids = |rows: &[&AttemptResult]| {
        let ids: Vec<&str> = rows.iter().map(|row| row.attempt.as_str()).collect();
        ids.join(", ")
    };
    let mut findings = Vec::new();
    let elsewhere = |row: &&AttemptResult| row.attempt == "other-namespace";
    let on_host = |row: &&AttemptResult| row.attempt == "host-network";
    let out: Vec<_> = with(AttemptOutcome::Out)
        .filter(|row| !elsewhere(row) && !on_host(row))
        .collect();
    if !out.is_empty() {
        let message = format!("these attempts got out without the gateway: {}", ids(&out));
        let mut finding = Finding::new(&catalogue::ATTEMPT_GOT_OUT, message);
        if locked {
            let one = out[0];
            finding = finding.fixed_by(format!(
                "see what lets it through: `kubectl describe networkpolicy -n NAMESPACE`; {} is closed by {}",
                one.attempt, one.closed_by
            ));
        } else {
            finding.severity = Severity::Warning;
        }
        findings.push(finding);
    }
    if let Some(row) = with(AttemptOutcome::Out).find(on_host) {
        let message = format!(
            "a pod on the host's network is admitted and gets out ({})",
            row.why
        );
        let mut finding = Finding::new(&catalogue::HOST_NETWORK_GETS_OUT, message);
        if !locked {
            finding.severity = Severity::Warning;
        }
        findings.push(finding);
    }
    if with(AttemptOutcome::Out).any(|row| elsewhere(&row)) {
        findings.push(Finding::new(
            &catalogue::OTHER_NAMESPACE_GETS_OUT,
            "a pod of another namespace gets out: whoever may make pods there is not held by this lock",
        ));
    }
    let unmeshed: Vec<_> = with(AttemptOutcome::ThroughGateway)
        .filter(|row| row.attempt.ends_with("gateway-port"))
        .collect();
    if !unmeshed.is_empty() {
        let message = format!("the gateway carries whoever reaches its port: {}", ids(&unmeshed));
        findings.push(Finding::new(&catalogue::GATEWAY_CARRIES_ANYBODY, message));
    }
    let ingress = rows.iter().find(|row| row.attempt == "ingress-gateway");
    if let Some(row) = ingress.filter(|row| locked && is_reached(row)) {
        let message = format!("a locked pod reaches the ingress gateway ({})", row.why);
        findings.push(Finding::new(&catalogue::INGRESS_GATEWAY_REACHABLE, message));
    }
    let open: Vec<_> = with(AttemptOutcome::Inconclusive).collect();
    if !open.is_empty() {
        let message = format!("these attempts decided nothing: {}", ids(&open));
        findings.push(Finding::new(&catalogue::ATTEMPT_INCONCLUSIVE, message));
    }
    if !rows.is_empty() {
        let open: Vec<_> = with(AttemptOutcome::OpenByDesign).collect();
        let message = format!("no lock closes these: {}", ids(&open));
        findings.push(Finding::new(&catalogue::OPEN_BY_DESIGN, message));
    }
    findings
}

/// Whether the gateway itself answered, whatever it said.
fn is_reached(row: &AttemptResult) -> bool {
    row.outcome == AttemptOutcome::Out || row.stopped_by == Some(StoppedBy::Gateway)
}

/// How the claim `enforced` stands with the matrix: what decided nothing leaves it open.
pub fn enforced_with(rows: &[AttemptResult], enforced: ClaimState) -> ClaimState {
    let undecided = rows.iter().any(|row| row.outcome == AttemptOutcome::Inconclusive);
    match enforced {
        ClaimState::Proven if undecided => ClaimState::Inconclusive,
        other => other,
    }
}

/// The verdict with a claim that the matrix left open.
pub fn verdict_with(enforced: ClaimState, verdict: Verdict) -> Verdict {
    match (enforced, verdict) {
        (ClaimState::Inconclusive, Verdict::Proven) => Verdict::Inconclusive,
        _ => verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AttemptOutcome::{Blocked, Inconclusive, Out, ThroughGateway};
    use rstest::rstest;

    fn row(id: &str, outcome: AttemptOutcome, stopped_by: Option<StoppedBy>) -> AttemptResult {
        let attempt = ATTEMPTS.iter().find(|attempt| attempt.id == id).unwrap();
        let shown = Shown {
            stopped_by,
            ..Shown::new(outcome, "why")
        };
        shown.of(attempt, (None, None), None)
    }

    #[rstest]
    #[case("uid-1337", Out, None, true, "EGR-601", Severity::Error)]
    #[case("uid-1337", Out, None, false, "EGR-601", Severity::Warning)]
    #[case("host-network", Out, None, true, "EGR-605", Severity::Error)]
    #[case("other-namespace", Out, None, true, "EGR-606", Severity::Warning)]
    #[case("gateway-port", ThroughGateway, None, true, "EGR-603", Severity::Warning)]
    #[case(
        "ingress-gateway",
        Blocked,
        Some(StoppedBy::Gateway),
        true,
        "EGR-604",
        Severity::Error
    )]
    #[case("icmp", Inconclusive, None, true, "EGR-602", Severity::Warning)]
    fn findings(
        #[case] id: &str,
        #[case] outcome: AttemptOutcome,
        #[case] by: Option<StoppedBy>,
        #[case] locked: bool,
        #[case] code: &str,
        #[case] severity: Severity,
    ) {
        let found = bypass_findings(&[row(id, outcome, by)], locked);
        let codes: Vec<_> = found.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(codes, [code, "EGR-607"]);
        assert_eq!(found[0].severity, severity);
    }

    #[test]
    fn a_matrix_without_holes_says_what_stays_open_and_nothing_else() {
        let rows = [row("ingress-gateway", Blocked, Some(StoppedBy::NetworkPolicy))];
        let codes: Vec<_> = bypass_findings(&rows, true)
            .into_iter()
            .map(|finding| finding.code)
            .collect();
        assert_eq!(codes, ["EGR-607"]);
        assert!(bypass_findings(&[], true).is_empty());
    }

    #[test]
    fn what_decided_nothing_leaves_the_claim_open() {
        let open = [row("icmp", Inconclusive, None)];
        assert_eq!(enforced_with(&open, ClaimState::Proven), ClaimState::Inconclusive);
        assert_eq!(
            enforced_with(&open, ClaimState::NotRequired),
            ClaimState::NotRequired
        );
        assert_eq!(enforced_with(&[], ClaimState::Proven), ClaimState::Proven);
        assert_eq!(
            verdict_with(ClaimState::Inconclusive, Verdict::Proven),
            Verdict::Inconclusive
        );
    }
}
