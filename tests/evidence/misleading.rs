//! Everything that could make a probe look better than it was.

use super::lines::*;
use super::probe::{GATEWAY_POD, Probe, codes, probe, routed};
use kubectl_egress::evidence::{CurlResult, Expected, GatewayPodFacts, LogState};
use kubectl_egress::vocabulary::Outcome;
use rstest::rstest;

/// The lab's bypass of a declared host: the VirtualService is gone, curl says 200.
fn bypassed() -> Probe {
    probe("https://kyma-project.io")
        .curl(0, 200, "198.18.0.25:53290", "203.0.113.11:443")
        .sidecar(&ALLOW_ANY_UNKNOWN.replace("edition.cnn.com", "kyma-project.io"))
}

/// The check of the tutorial that this tool replaces: curl printed 200, and `grep HOST` finds a line in the
/// gateway's log.
fn tutorials_check(probe: &Probe) -> bool {
    let CurlResult::Report(report) = &probe.0.curl else {
        return false;
    };
    let grep = |line: &str| line.contains(&probe.0.request.host);
    report.http_code == 200 && probe.0.gateway_lines.iter().any(|(_, line)| grep(&line.raw))
}

#[test]
fn an_old_line_fools_the_tutorials_check_and_not_ours() {
    let probe = bypassed().gateway(GATEWAY_ROUTED);
    assert!(
        tutorials_check(&probe),
        "the tutorial's check believes that the request went through the gateway"
    );
    let result = probe.judge();
    assert_eq!(result.outcome, Outcome::Bypassed);
    assert_eq!(codes(&result), ["EGR-101"]);
}

#[test]
fn old_lines_of_both_proxies_prove_nothing_about_a_new_probe() {
    let probe = probe("https://kyma-project.io")
        .curl(0, 200, "198.18.0.25:40404", "203.0.113.10:443")
        .sidecar(SIDECAR_ROUTED)
        .gateway(GATEWAY_ROUTED);
    assert!(tutorials_check(&probe));
    assert_eq!(probe.outcome(), Outcome::Inconclusive);
    assert_eq!(codes(&probe.judge()), ["EGR-104"]);
}

/// The source port was used before, to another address, or for another name.
#[test]
fn an_address_that_is_used_again_is_told_apart() {
    let other_destination = routed().curl(0, 200, "198.18.0.25:37136", "203.0.113.99:443");
    assert_eq!(other_destination.outcome(), Outcome::Inconclusive);
    let other_name = routed().change(|evidence| evidence.request.host = "www.kyma-project.io".to_owned());
    assert_eq!(other_name.outcome(), Outcome::Inconclusive);
    let other_pod = routed().change(|evidence| evidence.source.addresses = vec!["198.18.0.77".to_owned()]);
    assert_eq!(other_pod.outcome(), Outcome::Inconclusive);
}

/// Nor do lines at the same addresses that name somebody else show a bypass.
#[test]
fn a_bypass_is_the_probes_own() {
    let other_name = bypassed().change(|evidence| evidence.request.host = "edition.cnn.com".to_owned());
    assert_eq!(other_name.outcome(), Outcome::Inconclusive);
    let other_nonce = probe("http://kyma-project.io")
        .curl(0, 200, "198.18.0.25:37132", "203.0.113.10:80")
        .sidecar(ALLOW_ANY_HTTP)
        .change(|evidence| evidence.request.nonce = "another".to_owned());
    assert_eq!(other_nonce.outcome(), Outcome::Inconclusive);
    assert_eq!(codes(&other_nonce.judge()), ["EGR-104"]);
}

#[test]
fn two_lines_that_fit_and_differ_decide_nothing() {
    let probe = routed().sidecar(&SIDECAR_ROUTED.replace("02:01:19", "01:01:19"));
    assert_eq!(codes(&probe.judge()), ["EGR-115"]);
    let probe = routed().gateway(&GATEWAY_ROUTED.replace("02:01:19", "01:01:19"));
    assert_eq!(codes(&probe.judge()), ["EGR-115"]);
    let seen_twice = routed().sidecar(SIDECAR_ROUTED).gateway(GATEWAY_ROUTED);
    assert_eq!(
        seen_twice.outcome(),
        Outcome::Routed,
        "a follower that was opened again may repeat a line"
    );
}

#[test]
fn other_clients_do_no_harm() {
    let probe = routed()
        .sidecar(ALLOW_ANY_UNKNOWN)
        .sidecar(REGISTRY_ONLY_TLS)
        .gateway(&GATEWAY_ROUTED.replace("198.18.0.25:45252", "198.18.0.44:45252"))
        .gateway(&GATEWAY_ROUTED.replace("198.18.0.25:45252", "198.18.0.25:45253"))
        .gateway(HTTP_REFUSED_GATEWAY)
        .gateway(GATEWAY_NO_CLUSTER);
    assert_eq!(probe.outcome(), Outcome::Routed);
}

fn replica(log_state: LogState) -> GatewayPodFacts {
    GatewayPodFacts {
        pod: "istio-system/istio-egressgateway-2".to_owned(),
        addresses: vec!["fd00::20".to_owned(), "198.18.0.20".to_owned()],
        log_state,
    }
}

/// The probe went to the second replica.
fn at_second_replica() -> Probe {
    probe("https://kyma-project.io")
        .curl(0, 200, "198.18.0.25:37136", "203.0.113.10:443")
        .sidecar(&SIDECAR_ROUTED.replace("198.18.0.19:8443", "198.18.0.20:8443"))
}

fn second_replicas_line() -> String {
    GATEWAY_ROUTED.replace("198.18.0.19", "198.18.0.20")
}

#[test]
fn each_replica_speaks_for_itself_only() {
    let second = replica(LogState::Delivering);
    let known = at_second_replica().change(|evidence| evidence.gateway.pods.push(second.clone()));
    let carried = known
        .clone()
        .gateway_at(&second.pod, &second_replicas_line())
        .judge();
    assert_eq!(carried.outcome, Outcome::Routed, "{carried:?}");
    assert_eq!(carried.hops[0].pod.as_deref(), Some(second.pod.as_str()));
    let said_by_the_other = known.gateway_at(GATEWAY_POD, &second_replicas_line());
    assert_eq!(said_by_the_other.outcome(), Outcome::Inconclusive);
}

#[test]
fn an_unknown_replica_proves_nothing() {
    let probe = at_second_replica().gateway_at("istio-system/istio-egressgateway-2", &second_replicas_line());
    assert_eq!(probe.outcome(), Outcome::Inconclusive);
    assert!(probe.judge().findings[0].message.contains("198.18.0.20:8443"));
}

#[rstest]
#[case::delivering(LogState::Delivering, "EGR-103")]
#[case::silent(LogState::Silent, "EGR-105")]
#[case::off(LogState::Off, "EGR-202")]
#[case::forbidden(LogState::Forbidden("pods/log is forbidden".to_owned()), "EGR-106")]
#[case::interrupted(LogState::Interrupted("the stream was cut".to_owned()), "EGR-103")]
#[case::unreadable(LogState::Unreadable("the server is unreachable".to_owned()), "EGR-103")]
#[case::absent(LogState::Absent, "EGR-103")]
fn a_missing_line_of_the_gateway_is_never_success(#[case] state: LogState, #[case] code: &str) {
    let probe = at_second_replica().change(|evidence| evidence.gateway.pods.push(replica(state)));
    let result = probe.judge();
    assert_eq!(result.outcome, Outcome::Inconclusive);
    assert_eq!(codes(&result), [code]);
}

#[rstest]
#[case::delivering(LogState::Delivering, "EGR-104")]
#[case::silent(LogState::Silent, "EGR-104")]
#[case::off(LogState::Off, "EGR-202")]
#[case::forbidden(LogState::Forbidden("pods/log is forbidden".to_owned()), "EGR-106")]
#[case::interrupted(LogState::Interrupted("the stream was cut".to_owned()), "EGR-104")]
#[case::unreadable(LogState::Unreadable("the server is unreachable".to_owned()), "EGR-104")]
#[case::absent(LogState::Absent, "EGR-104")]
fn a_missing_line_of_the_sidecar_is_never_success(#[case] state: LogState, #[case] code: &str) {
    for exit_code in [0, 7, 28, 35] {
        let probe = probe("https://kyma-project.io")
            .curl(
                exit_code,
                if exit_code == 0 { 200 } else { 0 },
                "198.18.0.25:40404",
                "203.0.113.10:443",
            )
            .policy_and_control()
            .expecting(Expected::NotReachable)
            .change(|evidence| evidence.source.log_state = state.clone());
        let result = probe.judge();
        assert_eq!(result.outcome, Outcome::Inconclusive, "exit {exit_code}");
        assert_eq!(codes(&result), [code]);
    }
}

#[rstest]
#[case::lost(CurlResult::Lost("the connection was cut".to_owned()), "EGR-107")]
#[case::no_curl(CurlResult::NoCurl("not found".to_owned()), "EGR-116")]
fn without_curls_report_nothing_is_proven(#[case] curl: CurlResult, #[case] code: &str) {
    for probe in [routed(), bypassed(), routed().without_sidecar()] {
        let result = probe.change(|evidence| evidence.curl = curl.clone()).judge();
        assert_eq!(result.outcome, Outcome::Inconclusive);
        assert_eq!(codes(&result), [code]);
        assert_eq!(result.curl, None);
    }
}

/// curl succeeded while a proxy's line shows a failure, or the other way round.
#[test]
fn witnesses_that_contradict_each_other_decide_nothing() {
    let flagged = |flags: &str| vec![flags.to_owned()];
    let sidecar = routed().change(|evidence| evidence.sidecar_lines[0].response_flags = flagged("UF"));
    assert_eq!(codes(&sidecar.judge()), ["EGR-115"]);
    let gateway = routed().change(|evidence| evidence.gateway_lines[0].1.response_flags = flagged("NR"));
    assert_eq!(codes(&gateway.judge()), ["EGR-115"]);
    let direct = bypassed().change(|evidence| evidence.sidecar_lines[0].response_flags = flagged("UF"));
    assert_eq!(codes(&direct.judge()), ["EGR-115"]);
    let other_status = probe("http://kyma-project.io")
        .curl(0, 204, "198.18.0.25:37132", "203.0.113.10:80")
        .sidecar(ALLOW_ANY_HTTP);
    assert_eq!(codes(&other_status.judge()), ["EGR-115"]);
}

/// The gateway carried it, but to another cluster than the host's.
#[rstest]
#[case::another_host("outbound|443||edition.cnn.com")]
#[case::a_sibling("outbound|443||www.kyma-project.io")]
#[case::another_port("outbound|8443||kyma-project.io")]
#[case::a_host_that_ends_alike("outbound|443||akyma-project.io")]
#[case::passthrough("PassthroughCluster")]
#[case::nothing("-")]
fn the_gateways_cluster_must_be_the_hosts(#[case] cluster: &str) {
    let line = GATEWAY_ROUTED.replace("outbound|443||kyma-project.io", cluster);
    let probe = probe("https://kyma-project.io")
        .curl(0, 200, "198.18.0.25:37136", "203.0.113.10:443")
        .sidecar(SIDECAR_ROUTED)
        .gateway(&line);
    assert_eq!(probe.outcome(), Outcome::Inconclusive);
}

/// DNS rotates: the gateway's upstream need not be what curl resolved.
#[test]
fn the_gateway_may_use_another_address_of_the_host() {
    let line = GATEWAY_ROUTED.replace("\"203.0.113.10:443\"", "\"203.0.113.77:443\"");
    let probe = probe("https://kyma-project.io")
        .curl(0, 200, "198.18.0.25:37136", "203.0.113.10:443")
        .sidecar(SIDECAR_ROUTED)
        .gateway(&line);
    assert_eq!(probe.outcome(), Outcome::Routed);
}

#[test]
fn another_gateway_is_not_the_plans() {
    let sidecar = SIDECAR_ROUTED
        .replace("istio-egressgateway.istio-system", "other.egress")
        .replace("198.18.0.19:8443", "198.18.0.90:8443");
    let probe = probe("https://kyma-project.io")
        .curl(0, 200, "198.18.0.25:37136", "203.0.113.10:443")
        .sidecar(&sidecar);
    assert_eq!(probe.outcome(), Outcome::Bypassed);
    // The same pods under a name that we do not know: no proof either way.
    let alias = SIDECAR_ROUTED.replace("istio-egressgateway.istio-system", "alias.egress");
    let probe = self::probe("https://kyma-project.io")
        .curl(0, 200, "198.18.0.25:37136", "203.0.113.10:443")
        .sidecar(&alias)
        .gateway(GATEWAY_ROUTED);
    assert_eq!(probe.outcome(), Outcome::Inconclusive);
}

/// For TLS the name must be seen by both proxies.
#[test]
fn a_pair_without_the_server_name_is_not_routed() {
    let without = |line: &str| line.replace(" kyma-project.io -", " - -");
    for (sidecar, gateway) in [
        (without(SIDECAR_ROUTED), GATEWAY_ROUTED.to_owned()),
        (SIDECAR_ROUTED.to_owned(), without(GATEWAY_ROUTED)),
    ] {
        let probe = probe("https://kyma-project.io")
            .curl(0, 200, "198.18.0.25:37136", "203.0.113.10:443")
            .sidecar(&sidecar)
            .gateway(&gateway);
        assert_eq!(probe.outcome(), Outcome::Inconclusive);
    }
}
