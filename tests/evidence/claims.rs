//! What the probes of a run prove together.

use super::probe::{probe, routed};
use kubectl_egress::evidence::{Expected, ProbeResult, claims};
use kubectl_egress::finding::Severity;
use kubectl_egress::vocabulary::{BlockedBy, ClaimState, Outcome, Verdict};
use rstest::rstest;

fn result(expected: Expected, outcome: Outcome) -> ProbeResult {
    let mut result = routed().expecting(expected).judge();
    result.outcome = outcome;
    result.findings.clear();
    result
}

fn stopped(by: BlockedBy, meshed: bool) -> ProbeResult {
    let mut result = result(Expected::NotReachable, Outcome::Blocked);
    (result.blocked_by, result.meshed) = (Some(by), meshed);
    result
}

#[rstest]
#[case::routed(Outcome::Routed, ClaimState::Proven)]
#[case::direct(Outcome::Direct, ClaimState::Proven)]
#[case::bypassed(Outcome::Bypassed, ClaimState::Disproven)]
#[case::blocked(Outcome::Blocked, ClaimState::Disproven)]
#[case::unreachable(Outcome::Unreachable, ClaimState::Inconclusive)]
#[case::inconclusive(Outcome::Inconclusive, ClaimState::Inconclusive)]
fn routed_needs_every_declared_host(#[case] outcome: Outcome, #[case] state: ClaimState) {
    let results = [
        result(Expected::Routed, Outcome::Routed),
        result(Expected::Routed, outcome),
    ];
    let claims = claims(&results, false, &[]);
    assert_eq!(claims.routed, state);
    assert_eq!(claims.enforced, ClaimState::NotRequired);
    let verdict = match state {
        ClaimState::Proven => Verdict::Proven,
        ClaimState::Disproven => Verdict::Disproven,
        _ => Verdict::Inconclusive,
    };
    assert_eq!(claims.verdict, verdict);
}

#[test]
fn disproof_outweighs_a_missing_proof() {
    let results = [
        result(Expected::Routed, Outcome::Inconclusive),
        result(Expected::Routed, Outcome::Bypassed),
    ];
    assert_eq!(claims(&results, false, &[]).verdict, Verdict::Disproven);
}

#[test]
fn no_probes_prove_nothing() {
    assert_eq!(claims(&[], false, &[]).verdict, Verdict::Inconclusive);
    assert_eq!(claims(&[], true, &[]).enforced, ClaimState::Inconclusive);
    let only_forbidden = [stopped(BlockedBy::NetworkPolicy, false)];
    assert_eq!(claims(&only_forbidden, true, &[]).verdict, Verdict::Inconclusive);
    let only_controls = [result(Expected::Reachable, Outcome::Routed)];
    assert_eq!(claims(&only_controls, true, &[]).verdict, Verdict::Inconclusive);
}

#[test]
fn enforced_needs_a_block_below_the_mesh_and_a_control() {
    let control = result(Expected::Routed, Outcome::Routed);
    let below = stopped(BlockedBy::NetworkPolicy, false);
    let by_sidecar = stopped(BlockedBy::RegistryOnly, true);
    let enforced = |results: &[ProbeResult]| claims(results, true, &[]).enforced;
    assert_eq!(
        enforced(&[control.clone(), below.clone(), by_sidecar.clone()]),
        ClaimState::Proven
    );
    assert_eq!(
        enforced(&[control.clone(), by_sidecar.clone()]),
        ClaimState::Inconclusive
    );
    assert_eq!(
        enforced(&[below.clone(), by_sidecar.clone()]),
        ClaimState::Inconclusive
    );
    let nobody_known = ProbeResult {
        blocked_by: None,
        ..below.clone()
    };
    assert_eq!(
        enforced(&[control.clone(), below.clone(), nobody_known]),
        ClaimState::Inconclusive
    );
    for undecided in [Outcome::Unreachable, Outcome::Inconclusive] {
        let results = [
            control.clone(),
            below.clone(),
            result(Expected::NotReachable, undecided),
        ];
        assert_eq!(enforced(&results), ClaimState::Inconclusive);
    }
}

#[rstest]
#[case::around(Outcome::Bypassed)]
#[case::through_the_gateway(Outcome::Routed)]
fn any_hole_disproves_enforced(#[case] outcome: Outcome) {
    let results = [
        result(Expected::Routed, Outcome::Routed),
        stopped(BlockedBy::NetworkPolicy, false),
        result(Expected::NotReachable, outcome),
    ];
    let required = claims(&results, true, &[]);
    assert_eq!(
        (required.enforced, required.verdict),
        (ClaimState::Disproven, Verdict::Disproven)
    );
    assert_eq!(required.findings[0].severity, Severity::Error);
    let not_required = claims(&results, false, &[]);
    assert_eq!(
        (not_required.enforced, not_required.verdict),
        (ClaimState::NotRequired, Verdict::Proven)
    );
    assert_eq!(not_required.findings[0].severity, Severity::Warning);
    assert!(
        not_required.findings[0]
            .message
            .contains("https://kyma-project.io:443")
    );
}

/// The story before a lock exists: the host is routed, everything else gets out, and that only warns.
#[test]
fn before_the_lock_holes_warn_and_do_not_fail() {
    let unmeshed = probe("https://kyma-project.io")
        .without_sidecar()
        .expecting(Expected::NotReachable)
        .curl(0, 200, "198.18.0.26:40000", "203.0.113.10:443")
        .judge();
    let results = [routed().judge(), unmeshed];
    let claims = claims(&results, false, &[]);
    assert_eq!(claims.verdict, Verdict::Proven);
    assert_eq!(claims.findings[0].code, "EGR-102");
    let all = results
        .iter()
        .flat_map(|result| &result.findings)
        .chain(&claims.findings);
    assert!(all.into_iter().all(|finding| finding.severity != Severity::Error));
}
