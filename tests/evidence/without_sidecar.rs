//! Pods without sidecar: truth.md sections 1 and 2.

use super::probe::{Probe, blocked_by, codes, probe};
use kubectl_egress::evidence::Expected;
use kubectl_egress::finding::Severity;
use kubectl_egress::vocabulary::{BlockedBy, Encryption, HopEnd, Outcome};
use rstest::rstest;

const TIMED_OUT: &str = "Connection timed out after 5001 milliseconds";
const REFUSED: &str = "Failed to connect to kyma-project.io port 443 after 3 ms: Couldn't connect to server";

fn plain(url: &str) -> Probe {
    probe(url).without_sidecar().expecting(Expected::NotReachable)
}

#[rstest]
#[case::known_https(plain("https://kyma-project.io"))]
#[case::known_http(plain("http://kyma-project.io"))]
#[case::unknown_https(plain("https://edition.cnn.com"))]
#[case::planned_to_become_https(
    // It does not go the planned way, so what the plan says of that is no fault of its leg.
    plain("http://kyma-project.io").planned("outbound|443||kyma-project.io", Some(Encryption::Mtls), Encryption::Tls)
)]
fn success_is_a_bypass(#[case] probe: Probe) {
    let result = probe
        .policy_and_control()
        .curl(0, 200, "198.18.0.26:40000", "203.0.113.10:443")
        .judge();
    assert_eq!(result.outcome, Outcome::Bypassed, "{result:?}");
    assert_eq!(codes(&result), ["EGR-102"]);
    assert_eq!(
        (result.hops[0].from, result.hops[0].to),
        (HopEnd::Application, HopEnd::Host)
    );
}

#[rstest]
#[case::dropped(28, TIMED_OUT)]
#[case::rejected(7, REFUSED)]
fn a_block_needs_a_policy_and_a_control(#[case] exit_code: i32, #[case] error: &str) {
    let probe = plain("https://kyma-project.io").curl_said(exit_code, 0, "-", "-", error);
    let proven = probe.clone().policy_and_control().judge();
    assert_eq!(blocked_by(&proven), Some(BlockedBy::NetworkPolicy));
    assert_eq!(proven.hops[0].failed, Some(format!("no connection: {error}")));
    for policies in [None, Some(false), Some(true)] {
        for host_up in [None, Some(false), Some(true)] {
            if (policies, host_up) == (Some(true), Some(true)) {
                continue;
            }
            let probe = probe.clone().change(|evidence| {
                evidence.network_policies = policies;
                evidence.control.host_up = host_up;
            });
            let result = probe.judge();
            assert_eq!(result.outcome, Outcome::Unreachable, "{policies:?} {host_up:?}");
            assert_eq!(codes(&result), ["EGR-108"]);
        }
    }
}

/// A connection was made, so nothing below the mesh stopped the packets.
#[rstest]
#[case::silent_host(28, "Operation timed out after 5001 milliseconds with 0 bytes received")]
#[case::reset(35, "Recv failure: Connection reset by peer")]
#[case::empty(52, "Empty reply from server")]
#[case::cut(56, "Recv failure: Connection reset by peer")]
fn a_connection_is_no_block(#[case] exit_code: i32, #[case] error: &str) {
    let probe = plain("https://kyma-project.io").policy_and_control();
    let result = probe
        .curl_said(exit_code, 0, "198.18.0.26:40000", "203.0.113.10:443", error)
        .judge();
    assert_eq!(result.outcome, Outcome::Unreachable, "{result:?}");
}

#[test]
fn dns_that_is_blocked_is_no_proof_of_a_block() {
    let probe = plain("https://kyma-project.io").policy_and_control();
    for (exit_code, error) in [
        (6, "Could not resolve host"),
        (28, "Resolving timed out after 6000 milliseconds"),
    ] {
        let result = probe.clone().curl_said(exit_code, 0, "-", "-", error).judge();
        assert_eq!(result.outcome, Outcome::Unreachable);
        assert_eq!(codes(&result), ["EGR-111"]);
    }
}

#[test]
fn a_refused_certificate_decides_nothing() {
    let probe = plain("https://kyma-project.io").policy_and_control();
    let result = probe.curl(60, 0, "198.18.0.26:40000", "203.0.113.10:443").judge();
    assert_eq!(result.outcome, Outcome::Inconclusive);
    assert_eq!(codes(&result), ["EGR-112"]);
}

#[test]
fn a_source_that_should_be_routed_is_named() {
    let probe = probe("https://kyma-project.io").without_sidecar();
    let result = probe
        .curl(0, 200, "198.18.0.26:40000", "203.0.113.10:443")
        .judge();
    assert_eq!(result.outcome, Outcome::Bypassed);
    assert_eq!(codes(&result), ["EGR-102", "EGR-117"]);
}

/// Nobody expected anything, and what happened is still said.
#[test]
fn a_look_at_a_host_tells_of_the_bypass() {
    let probe = plain("https://kyma-project.io").expecting(Expected::Nothing);
    let result = probe
        .curl(0, 200, "198.18.0.26:40000", "203.0.113.10:443")
        .judge();
    assert_eq!(codes(&result), ["EGR-102"]);
    assert_eq!(result.findings[0].severity, Severity::Warning);
}

#[test]
fn a_control_that_answers_has_no_finding() {
    let probe = plain("https://kyma-project.io").expecting(Expected::Reachable);
    let result = probe
        .curl(0, 200, "198.18.0.26:40000", "203.0.113.10:443")
        .judge();
    assert_eq!(result.outcome, Outcome::Bypassed);
    assert!(result.findings.is_empty());
}
