//! What the sidecar's line alone decides: truth.md sections 1, 2 and 8.

use super::lines::*;
use super::probe::{Probe, blocked_by, codes, probe};
use kubectl_egress::evidence::Expected;
use kubectl_egress::finding::Severity;
use kubectl_egress::vocabulary::{BlockedBy, Encryption, HopEnd, Outcome, Witness};
use rstest::rstest;

fn http80() -> Probe {
    probe("http://kyma-project.io").expecting(Expected::NotReachable)
}

fn unknown() -> Probe {
    probe("https://edition.cnn.com").expecting(Expected::NotReachable)
}

#[rstest]
#[case::http_on_a_port_that_is_not_declared(
    http80().curl(0, 200, "198.18.0.25:37132", "203.0.113.10:80").sidecar(ALLOW_ANY_HTTP))]
#[case::unknown_host(unknown().curl(0, 200, "198.18.0.25:53290", "203.0.113.11:443").sidecar(ALLOW_ANY_UNKNOWN))]
#[case::sibling_of_the_known_host(
    probe("https://www.kyma-project.io").expecting(Expected::NotReachable)
        .curl(0, 200, "198.18.0.25:53290", "203.0.113.11:443")
        .sidecar(&ALLOW_ANY_UNKNOWN.replace("edition.cnn.com", "www.kyma-project.io")))]
#[case::http_to_an_unknown_host(
    probe("http://edition.cnn.com").expecting(Expected::NotReachable)
        .curl(0, 200, "198.18.0.25:37132", "203.0.113.10:80")
        .sidecar(&ALLOW_ANY_HTTP.replace("\"kyma-project.io\"", "\"edition.cnn.com\"")))]
#[case::service_entry_missing(
    probe("https://tls.test").curl(0, 200, "198.18.0.25:53290", "203.0.113.11:443")
        .sidecar(&ALLOW_ANY_UNKNOWN.replace("edition.cnn.com", "tls.test")))]
#[case::virtual_service_missing(
    probe("https://tls.test").curl(0, 200, "198.18.0.25:53290", "203.0.113.11:443")
        .sidecar(&ALLOW_ANY_UNKNOWN.replace("edition.cnn.com", "tls.test").replace("PassthroughCluster", "outbound|443||tls.test")))]
#[case::the_source_refuses_the_certificate_but_bytes_came_back(
    unknown().curl(60, 0, "198.18.0.25:53290", "203.0.113.11:443").sidecar(ALLOW_ANY_UNKNOWN))]
fn left_directly(#[case] probe: Probe) {
    let result = probe.judge();
    assert_eq!(result.outcome, Outcome::Bypassed, "{result:?}");
    assert!(codes(&result).contains(&"EGR-101"));
    let hop = &result.hops[0];
    assert_eq!((hop.from, hop.to), (HopEnd::Sidecar, HopEnd::Host));
    assert_eq!(hop.receipts[0].witness, Witness::SidecarLog);
    assert_eq!(hop.receipts[0].text, probe.0.sidecar_lines[0].raw);
}

/// Somebody only looks where it goes: a bypass is no fault then, and is said, with what to do.
#[test]
fn a_look_at_a_host_tells_of_the_bypass() {
    let look = |expected| {
        unknown()
            .expecting(expected)
            .curl(0, 200, "198.18.0.25:53290", "203.0.113.11:443")
            .sidecar(ALLOW_ANY_UNKNOWN)
            .judge()
    };
    let result = look(Expected::Nothing);
    assert_eq!(
        (result.outcome, codes(&result)),
        (Outcome::Bypassed, vec!["EGR-101"])
    );
    assert_eq!(result.findings[0].severity, Severity::Warning);
    assert!(
        result.findings[0]
            .fix
            .contains("kubectl egress setup edition.cnn.com")
    );
    // A control that the host is up is no look.
    assert!(look(Expected::Reachable).findings.is_empty());
}

#[rstest]
#[case::http(http80().curl(0, 502, "198.18.0.25:35414", "203.0.113.10:80").sidecar(REGISTRY_ONLY_HTTP))]
#[case::tls(unknown().curl(35, 0, "198.18.0.25:60648", "203.0.113.11:443").sidecar(REGISTRY_ONLY_TLS))]
#[case::sibling_of_the_known_host(
    probe("https://www.kyma-project.io").curl(35, 0, "198.18.0.25:60648", "203.0.113.11:443")
        .sidecar(&REGISTRY_ONLY_TLS.replace("edition.cnn.com", "www.kyma-project.io")))]
#[case::closed_port(
    probe("https://edition.cnn.com:444").curl(35, 0, "198.18.0.25:60648", "203.0.113.11:444")
        .sidecar(&REGISTRY_ONLY_TLS.replace("203.0.113.11:443", "203.0.113.11:444")))]
fn stopped_by_registry_only(#[case] probe: Probe) {
    let result = probe.policy_and_control().judge();
    assert_eq!(blocked_by(&result), Some(BlockedBy::RegistryOnly), "{result:?}");
    assert!(codes(&result).contains(&"EGR-109"));
    assert_eq!(result.hops.last().unwrap().to, HopEnd::Sidecar);
}

/// Without control and policy these prove nothing about a policy: a dead host looks the same.
#[rstest]
#[case::closed_port(
    probe("https://edition.cnn.com:444").curl(35, 0, "198.18.0.25:39888", "203.0.113.11:444").sidecar(ALLOW_ANY_CLOSED))]
#[case::drop_http_40(http80().curl(0, 503, "198.18.0.25:52468", "203.0.113.10:80").sidecar(DROP_HTTP_40))]
#[case::drop_tls(unknown().curl(35, 0, "198.18.0.25:59104", "203.0.113.11:443").sidecar(DROP_TLS))]
#[case::drop_tls_client_gave_up(unknown().curl(28, 0, "198.18.0.25:59104", "203.0.113.11:443").sidecar(DROP_TLS))]
#[case::reject_http(http80().curl(0, 503, "198.18.0.25:33466", "203.0.113.10:80").sidecar(REJECT_HTTP))]
#[case::reject_tls(unknown().curl(35, 0, "198.18.0.25:36056", "203.0.113.11:443").sidecar(REJECT_TLS))]
fn tried_directly_and_failed(#[case] probe: Probe) {
    let alone = probe.clone().judge();
    assert_eq!(alone.outcome, Outcome::Unreachable, "{alone:?}");
    assert!(codes(&alone).contains(&"EGR-108"));
    let hop = alone.hops.last().unwrap();
    assert!(
        hop.failed.as_deref().unwrap().starts_with("no connection: UF"),
        "{hop:?}"
    );
    assert_eq!(hop.encryption, Encryption::Unknown);
    let host_not_shown_up = probe
        .clone()
        .change(|evidence| evidence.network_policies = Some(true));
    assert_eq!(host_not_shown_up.outcome(), Outcome::Unreachable);
    let no_policy = probe
        .clone()
        .change(|evidence| evidence.control.host_up = Some(true));
    assert_eq!(no_policy.outcome(), Outcome::Unreachable);
    // With both, a block is proven from a pod with sidecar too (truth.md 2: ALLOW_ANY plus `UF` and PassthroughCluster).
    assert_eq!(
        blocked_by(&probe.policy_and_control().judge()),
        Some(BlockedBy::NetworkPolicy)
    );
}

/// The client gave up before the sidecar did: likely a drop, but not shown, whatever else is known.
#[test]
fn a_client_that_gave_up_proves_no_block() {
    let probe = http80()
        .curl(28, 0, "198.18.0.25:48968", "203.0.113.10:80")
        .sidecar(DROP_HTTP_5);
    assert_eq!(probe.policy_and_control().outcome(), Outcome::Unreachable);
}

#[test]
fn a_failed_handshake_of_the_sidecar_is_no_block() {
    let line = REJECT_HTTP.replace(
        "\"delayed_connect_error:_Connection_refused\"",
        "\"TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end\"",
    );
    let probe = http80()
        .curl(0, 503, "198.18.0.25:33466", "203.0.113.10:80")
        .sidecar(&line);
    assert_eq!(probe.policy_and_control().outcome(), Outcome::Unreachable);
}

/// A connection was made, so nothing below the mesh stopped it.
#[test]
fn a_connection_that_broke_is_no_block() {
    let line = DROP_TLS.replace("PassthroughCluster -", "PassthroughCluster 198.18.0.25:5000");
    let probe = unknown()
        .curl(35, 0, "198.18.0.25:59104", "203.0.113.11:443")
        .sidecar(&line);
    assert_eq!(probe.policy_and_control().outcome(), Outcome::Unreachable);
}

#[test]
fn a_missing_destination_rule_is_named() {
    let probe = probe("https://tls.test")
        .curl(35, 0, "198.18.0.27:41916", "203.0.113.20:443")
        .sidecar(NO_DESTINATION_RULE);
    let result = probe.judge();
    assert_eq!(result.outcome, Outcome::Unreachable);
    assert_eq!(codes(&result), ["EGR-114"]);
}

#[test]
fn a_name_that_does_not_resolve_is_named() {
    let cases = [
        (6, "Could not resolve host: nxdomain.test"),
        (28, "Resolving timed out after 6000 milliseconds"),
    ];
    for (exit_code, error) in cases {
        let probe = probe("https://nxdomain.test").curl_said(exit_code, 0, "-", "-", error);
        for probe in [probe.clone(), probe.without_sidecar().policy_and_control()] {
            let result = probe.judge();
            assert_eq!(result.outcome, Outcome::Unreachable, "{result:?}");
            assert_eq!(codes(&result)[0], "EGR-111");
        }
    }
}

#[test]
fn plaintext_to_a_tls_port_is_no_answer_of_the_host() {
    let probe = probe("http://tls.test")
        .curl(0, 503, "198.18.0.27:45152", "203.0.113.20:80")
        .sidecar(HTTP_PLAINTEXT_TO_443);
    assert_eq!(probe.outcome(), Outcome::Unreachable);
}

#[test]
fn an_authorization_policy_is_named() {
    let line = ALLOW_ANY_UNKNOWN.replace(
        "0 - - - \"-\" 725 2385",
        "0 - - rbac_access_denied_matched_policy[ns[lab]-policy[deny]-rule[0]] \"-\" 0 0",
    );
    let result = unknown()
        .curl(35, 0, "198.18.0.25:53290", "203.0.113.11:443")
        .sidecar(&line)
        .judge();
    assert_eq!(blocked_by(&result), Some(BlockedBy::AuthorizationPolicy));
}
