//! Probes whose way a plan names: protection of the legs, what leaves at the sidecar, and failed origination (truth.md 4
//! and 5).

use super::lines::*;
use super::probe::{Probe, codes, probe};
use kubectl_egress::evidence::Expected;
use kubectl_egress::finding::Severity;
use kubectl_egress::vocabulary::{Encryption, Outcome};
use rstest::rstest;

const ORIGINATED: &str = "outbound|443||tls.test";

/// The lab's lines of plain HTTP that the gateway makes TLS of.
fn originated() -> Probe {
    probe("http://tls.test")
        .curl(0, 200, "198.18.0.27:59114", "203.0.113.20:80")
        .sidecar(HTTP_SIDECAR)
        .gateway(HTTP_GATEWAY_TO_443)
        .planned(ORIGINATED, Some(Encryption::Mtls), Encryption::Tls)
}

fn legs(probe: &Probe) -> Vec<Encryption> {
    probe.judge().hops.iter().map(|hop| hop.encryption).collect()
}

#[test]
fn the_planned_cluster_counts_and_the_live_configuration_tells_the_protection() {
    let probe = originated().live(Encryption::Mtls, Encryption::Tls);
    assert_eq!(probe.outcome(), Outcome::Routed);
    assert!(codes(&probe.judge()).is_empty());
    assert_eq!(legs(&probe), [Encryption::Mtls, Encryption::Tls]);
    let other = originated().planned("outbound|80||tls.test", Some(Encryption::Mtls), Encryption::Tls);
    assert_eq!(other.outcome(), Outcome::Inconclusive);
}

#[test]
fn a_leg_in_plaintext_is_said_whatever_the_plan_says() {
    let probe = originated().live(Encryption::Plaintext, Encryption::Tls);
    assert_eq!(legs(&probe), [Encryption::Plaintext, Encryption::Tls]);
    assert_eq!(codes(&probe.judge()), ["EGR-138"]);
}

#[test]
fn what_cannot_be_read_is_unknown() {
    let probe = originated();
    assert_eq!(legs(&probe), [Encryption::Unknown; 2]);
    assert_eq!(codes(&probe.judge()), ["EGR-203", "EGR-203"]);
}

fn at_the_sidecar(cluster: &str) -> Probe {
    let line = ALLOW_ANY_HTTP.replace("PassthroughCluster", "outbound|80||kyma-project.io");
    probe("http://kyma-project.io")
        .curl(0, 200, "198.18.0.25:37132", "203.0.113.10:80")
        .sidecar(&line)
        .planned(cluster, None, Encryption::Tls)
        .live(Encryption::Tls, Encryption::Unknown)
}

#[test]
fn what_leaves_at_the_sidecar_as_planned_is_direct_and_warned_of() {
    let result = at_the_sidecar("outbound|80||kyma-project.io").judge();
    assert_eq!(result.outcome, Outcome::Direct, "{result:?}");
    assert_eq!(codes(&result), ["EGR-130"]);
    assert_eq!(result.findings[0].severity, Severity::Warning);
    assert_eq!(result.hops[0].encryption, Encryption::Tls);
}

#[test]
fn what_leaves_otherwise_than_planned_is_a_bypass() {
    let other = at_the_sidecar("outbound|8080||kyma-project.io");
    assert_eq!(other.outcome(), Outcome::Bypassed);
    let unknown_to_the_mesh = probe("http://kyma-project.io")
        .curl(0, 200, "198.18.0.25:37132", "203.0.113.10:80")
        .sidecar(ALLOW_ANY_HTTP)
        .planned("outbound|80||kyma-project.io", None, Encryption::Plaintext);
    assert_eq!(unknown_to_the_mesh.outcome(), Outcome::Bypassed);
    let to_the_gateway = at_the_sidecar("outbound|80||kyma-project.io").planned(
        "outbound|80||kyma-project.io",
        Some(Encryption::Mtls),
        Encryption::Tls,
    );
    assert_eq!(to_the_gateway.outcome(), Outcome::Bypassed);
}

const UF: &str = "URX,UF upstream_reset_before_response_started{remote_connection_failure|TLS_error:…}";

fn failed(flags: &str, reason: &str, upstream: &str) -> Probe {
    let cluster = if upstream == "-" { "-" } else { ORIGINATED };
    let gateway = format!(
        r#"[2026-11-21T02:17:34.540Z] "GET /get HTTP/2" 503 {flags} - "{reason}" 0 0 0 - "198.18.0.27" "curl/7.88.1" "x" "tls.test" "{upstream}" {cluster} - 198.18.0.19:8080 198.18.0.27:43232 tls.test -"#
    );
    probe("http://tls.test")
        .curl(0, 503, "198.18.0.27:59114", "203.0.113.20:80")
        .sidecar(&HTTP_SIDECAR.replace(" 200 - ", " 503 - "))
        .gateway(&gateway)
        .planned(ORIGINATED, Some(Encryption::Mtls), Encryption::Mtls)
        .live(Encryption::Mtls, Encryption::Mtls)
}

const VERIFY: &str =
    "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:";

/// Each failure of truth.md 5 under its own name.
#[rstest]
#[case::no_secret_first_15_seconds(
    "NC cluster_not_found",
    "-",
    "-",
    "EGR-131",
    "istio-system/client-credential"
)]
#[case::no_secret_later(
    UF,
    "TLS_error:_Secret_is_not_supplied_by_SDS",
    "203.0.113.20:443",
    "EGR-131",
    "istio-system/client-credential"
)]
#[case::wrong_authority(UF, &format!("{VERIFY}_X509_verify_cert:_certificate_verification_error_at_depth_1:_self_signed_certificate_in_certificate_chain:TLS_error_end"), "203.0.113.20:443", "EGR-132", "does not trust")]
#[case::wrong_name(UF, &format!("{VERIFY}_SAN_matcher,_certificate_SANs_are_[other.test]:TLS_error_end"), "203.0.113.20:443", "EGR-133", "other.test")]
#[case::expired(UF, &format!("{VERIFY}_X509_verify_cert:_certificate_verification_error_at_depth_0:_certificate_has_expired:TLS_error_end"), "203.0.113.20:443", "EGR-134", "not valid now")]
#[case::one_of_four(
    "UC upstream_reset_before_response_started{connection_termination}",
    "-",
    "203.0.113.20:443",
    "EGR-135",
    "without a reason"
)]
#[case::no_tls_there(
    UF,
    "TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end",
    "203.0.113.20:80",
    "EGR-136",
    "203.0.113.20:80"
)]
fn a_failed_origination_is_named(
    #[case] flags: &str,
    #[case] reason: &str,
    #[case] upstream: &str,
    #[case] code: &str,
    #[case] says: &str,
) {
    let result = failed(flags, reason, upstream).judge();
    assert_eq!(result.outcome, Outcome::Unreachable, "{result:?}");
    assert_eq!(codes(&result), [code], "{result:?}");
    assert!(result.findings[0].message.contains(says), "{result:?}");
    assert!(result.hops[1].failed.is_some());
}

/// The DestinationRule that makes TLS is missing: the configuration tells what the line does not.
#[test]
fn plaintext_to_a_tls_port_is_known_by_the_live_configuration() {
    let ended = "UC upstream_reset_before_response_started{connection_termination}";
    let probe = failed(ended, "-", "203.0.113.20:443").live(Encryption::Mtls, Encryption::Plaintext);
    assert_eq!(codes(&probe.judge()), ["EGR-137"]);
}

#[test]
fn a_forbidden_host_is_not_excused_by_a_plan() {
    let probe = at_the_sidecar("outbound|8080||kyma-project.io").expecting(Expected::NotReachable);
    assert_eq!(probe.outcome(), Outcome::Bypassed);
}

/// With TLS 1.3 a server that wants a client certificate says so after the handshake, in which curl has verified it.
#[test]
fn a_host_that_wants_the_applications_certificate_was_reached() {
    let told = "OpenSSL SSL_read: error:0A00045C:SSL routines::tlsv13 alert certificate required, errno 0";
    let probe = |error: &str| {
        probe("https://kyma-project.io")
            .curl_said(56, 0, "198.18.0.25:37136", "203.0.113.10:443", error)
            .sidecar(SIDECAR_ROUTED)
            .gateway(&GATEWAY_ROUTED.replace(" 0 - - - ", " 0 UR - - "))
    };
    let result = probe(told).judge();
    assert_eq!(
        (result.outcome, codes(&result)),
        (Outcome::Routed, vec!["EGR-141"]),
        "{result:?}"
    );
    let reset = || probe("Recv failure: Connection reset by peer");
    assert_eq!(reset().outcome(), Outcome::Unreachable);
    // A reset that overtook the alert: the finished handshake and the plan say the same, neither does alone.
    let cluster = "outbound|443||kyma-project.io";
    let planned = || reset().planned(cluster, Some(Encryption::Tls), Encryption::Tls);
    assert_eq!(planned().handshake().outcome(), Outcome::Unreachable);
    assert_eq!(
        planned().wants_client_certificate().outcome(),
        Outcome::Unreachable
    );
    let told = planned().wants_client_certificate().handshake().judge();
    assert_eq!(
        (told.outcome, codes(&told)),
        (Outcome::Routed, vec!["EGR-141"]),
        "{told:?}"
    );
}
