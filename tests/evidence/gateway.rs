//! What the chained lines of sidecar and gateway decide: truth.md sections 1 to 5 and 8.

use super::lines::*;
use super::probe::{GATEWAY_POD, Probe, blocked_by, codes, gateway_tls, probe, routed, sidecar_tls};
use kubectl_egress::evidence::Expected;
use kubectl_egress::vocabulary::{BlockedBy, Encryption, HopEnd, Outcome, Witness};
use rstest::rstest;

const HOST_CLUSTER: &str = "outbound|443||kyma-project.io";

fn failed(exit_code: i32) -> Probe {
    probe("https://kyma-project.io").curl(exit_code, 0, "198.18.0.25:37136", "203.0.113.10:443")
}

#[test]
fn a_chained_pair_with_success_is_routed() {
    let result = routed().judge();
    assert_eq!(result.outcome, Outcome::Routed, "{result:?}");
    assert!(result.findings.is_empty());
    let hops: Vec<_> = result
        .hops
        .iter()
        .map(|hop| (hop.from, hop.to, hop.encryption))
        .collect();
    assert_eq!(
        hops,
        [
            (HopEnd::Sidecar, HopEnd::Gateway, Encryption::Tls),
            (HopEnd::Gateway, HopEnd::Host, Encryption::Tls)
        ]
    );
    assert_eq!(result.hops[0].pod.as_deref(), Some(GATEWAY_POD));
    let receipts: Vec<_> = result.hops.iter().flat_map(|hop| &hop.receipts).collect();
    assert_eq!(receipts[0].text, SIDECAR_ROUTED);
    assert_eq!(receipts[1].text, GATEWAY_ROUTED);
    assert_eq!(receipts[3].witness, Witness::Curl);
}

#[test]
fn the_mesh_leg_is_what_the_configuration_says() {
    let result = routed().live(Encryption::Mtls, Encryption::Plaintext).judge();
    assert_eq!(result.hops[0].encryption, Encryption::Mtls);
    assert_eq!(result.hops[1].encryption, Encryption::Tls);
}

/// Plain HTTP from port 80 to port 80: the lab's lines of the HTTP leg, with the gateway's upstream on port 80.
fn http() -> Probe {
    let gateway = HTTP_GATEWAY_TO_443
        .replace(":443\"", ":80\"")
        .replace("outbound|443|", "outbound|80|");
    probe("http://tls.test")
        .curl(0, 200, "198.18.0.27:59114", "203.0.113.20:80")
        .sidecar(HTTP_SIDECAR)
        .gateway(&gateway)
        .live(Encryption::Plaintext, Encryption::Plaintext)
}

#[test]
fn plain_http_is_routed_and_shown_as_plaintext() {
    let result = http().judge();
    assert_eq!(result.outcome, Outcome::Routed, "{result:?}");
    assert!(
        result
            .hops
            .iter()
            .all(|hop| hop.encryption == Encryption::Plaintext)
    );
}

#[test]
fn http_without_the_probes_nonce_is_somebody_elses() {
    let other = http().change(|evidence| evidence.request.nonce = "another".to_owned());
    assert_eq!(other.outcome(), Outcome::Inconclusive);
    let other_at_gateway = http().change(|evidence| {
        evidence.gateway_lines[0].1.user_agent = Some("curl/8".to_owned());
    });
    assert_eq!(other_at_gateway.outcome(), Outcome::Inconclusive);
}

#[rstest]
#[case::by_itself("direct_response")]
#[case::a_policy_of_its_own("ext_authz_denied")]
fn an_answer_of_the_gateway_is_no_answer_of_the_host(#[case] details: &str) {
    let result = http()
        .change(|evidence| evidence.gateway_lines[0].1.response_code_details = Some(details.to_owned()))
        .judge();
    assert_eq!(result.outcome, Outcome::Inconclusive, "{result:?}");
}

#[test]
fn http_to_another_port_of_the_host_is_not_as_planned() {
    let probe = probe("http://tls.test").curl(0, 200, "198.18.0.27:59114", "203.0.113.20:80");
    let result = probe.sidecar(HTTP_SIDECAR).gateway(HTTP_GATEWAY_TO_443).judge();
    assert_eq!(result.outcome, Outcome::Inconclusive);
}

/// truth.md 8: the Gateway object is missing, or selects no pod.
#[test]
fn no_filter_chain_is_a_block_by_the_gateway() {
    let result = failed(35)
        .sidecar(&sidecar_tls(r#"UR - - "-" 517 0 2"#, "198.18.0.25:45252"))
        .gateway(&gateway_tls(
            r#"NR filter_chain_not_found - "-" 0 0 0"#,
            "-",
            "-",
            "-",
        ))
        .judge();
    assert_eq!(blocked_by(&result), Some(BlockedBy::Gateway), "{result:?}");
    assert_eq!(codes(&result), ["EGR-110"]);
}

/// A refusal of another connection is no refusal of this one.
#[test]
fn a_refusal_of_another_connection_blocks_nothing() {
    let other =
        gateway_tls(r#"NR filter_chain_not_found - "-" 0 0 0"#, "-", "-", "-").replace("45252", "45253");
    let probe = failed(35)
        .sidecar(&sidecar_tls(r#"UR - - "-" 517 0 2"#, "198.18.0.25:45252"))
        .gateway(&other);
    assert_eq!(probe.outcome(), Outcome::Inconclusive);
    assert_eq!(codes(&probe.judge()), ["EGR-103"]);
}

/// truth.md 4, b3: the whole connection of an HTTP request is refused; its line has no User-Agent.
#[test]
fn a_refused_connection_of_http_is_a_block_by_the_gateway() {
    let probe = probe("http://tls.test").curl(0, 503, "198.18.0.27:57242", "203.0.113.20:80");
    let result = probe
        .sidecar(HTTP_REFUSED_SIDECAR)
        .gateway(HTTP_REFUSED_GATEWAY)
        .judge();
    assert_eq!(blocked_by(&result), Some(BlockedBy::Gateway), "{result:?}");
}

#[test]
fn http_without_a_route_is_a_block_by_the_gateway() {
    let result = http()
        .curl(0, 404, "198.18.0.27:59114", "203.0.113.20:80")
        .change(|evidence| {
            evidence.sidecar_lines[0].response_code = 404;
            let line = &mut evidence.gateway_lines[0].1;
            line.response_code = 404;
            line.response_flags = vec!["NR".to_owned()];
            line.response_code_details = Some("route_not_found".to_owned());
            (line.upstream_cluster, line.upstream_host) = (None, None);
        })
        .judge();
    assert_eq!(blocked_by(&result), Some(BlockedBy::Gateway), "{result:?}");
}

/// truth.md 2, "other blocks", and 4 b2: the sidecar never had a connection to the gateway.
#[rstest]
#[case::dropped(failed(35).sidecar(&sidecar_tls(r#"UF,URX - - "-" 0 0 10002"#, "-")))]
#[case::rejected(failed(35).sidecar(&sidecar_tls(r#"UF,URX - - "delayed_connect_error:_Connection_refused" 0 0 0"#, "-")))]
#[case::gateway_speaks_no_tls(
    probe("http://tls.test").curl(0, 503, "198.18.0.27:49642", "203.0.113.20:80")
        .sidecar(HTTP_WRONG_VERSION_SIDECAR).gateway(HTTP_WRONG_VERSION_GATEWAY))]
#[case::host_answers_the_mesh_handshake(
    failed(35).sidecar(&sidecar_tls(r#"UF,URX - - "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end" 0 0 4"#, "-"))
        .gateway(GATEWAY_ROUTED))]
fn the_gateway_cannot_be_connected_to(#[case] probe: Probe) {
    let tls = probe.0.sidecar_lines[0].upstream_transport_failure_reason.clone();
    let spoken = tls
        .as_deref()
        .is_some_and(|reason| reason.starts_with("TLS_error"));
    let expected = if spoken { "EGR-139" } else { "EGR-113" };
    let result = probe.policy_and_control().judge();
    assert_eq!(result.outcome, Outcome::Unreachable, "{result:?}");
    assert_eq!(codes(&result), [expected]);
    assert!(
        result.hops[0]
            .failed
            .as_deref()
            .unwrap()
            .starts_with("no connection"),
        "{result:?}"
    );
    assert_eq!(result.hops[0].encryption, Encryption::Unknown);
}

/// truth.md 2 and 6: the gateway had no connection to the host, or no address for it.
#[rstest]
#[case::dropped(r#"UF,URX - - "-" 0 0 9999"#, "203.0.113.10:443", 10002, "EGR-108")]
#[case::rejected(
    r#"UF,URX - - "delayed_connect_error:_Connection_refused" 0 0 0"#,
    "203.0.113.10:443",
    2,
    "EGR-108"
)]
#[case::no_address(r#"UH - - "-" 0 0 0"#, "-", 2, "EGR-144")]
fn the_host_is_unreachable_from_the_gateway(
    #[case] ending: &str,
    #[case] upstream: &str,
    #[case] duration: u64,
    #[case] code: &str,
) {
    let result = failed(35)
        .sidecar(&sidecar_tls(
            &format!(r#"UR - - "-" 517 0 {duration}"#),
            "198.18.0.25:45252",
        ))
        .gateway(&gateway_tls(ending, upstream, HOST_CLUSTER, "-"))
        .judge();
    assert_eq!(result.outcome, Outcome::Unreachable, "{result:?}");
    assert_eq!(codes(&result), [code]);
    // Nothing is said about the encryption of a connection that was not made; the leg before it stood.
    let [first, last] = result.hops.as_slice() else {
        panic!("{result:?}")
    };
    assert_eq!(
        (first.encryption, first.failed.as_deref()),
        (Encryption::Tls, None)
    );
    assert_eq!(last.encryption, Encryption::Unknown);
    let flags = ending.split(' ').next().unwrap();
    let failed = last.failed.as_deref().unwrap();
    assert!(failed.starts_with(&format!("no connection: {flags}")), "{failed}");
}

/// truth.md 5: lines of a gateway whose cluster waits for its secret, then gives up.
#[rstest]
#[case::warming(GATEWAY_NO_CLUSTER, "198.18.0.27:40692", "EGR-114")]
#[case::no_secret(GATEWAY_NO_SECRET, "198.18.0.27:52068", "EGR-108")]
fn a_missing_secret_is_unreachable(#[case] line: &str, #[case] chained: &str, #[case] code: &str) {
    let sidecar = HTTP_SIDECAR
        .replace("198.18.0.27:43232", chained)
        .replace("1\" 200 -", "1\" 503 -");
    let probe = probe("http://mtls.test").curl(0, 503, "198.18.0.27:59114", "203.0.113.20:80");
    let result = probe.sidecar(&sidecar).gateway(line).judge();
    assert_eq!(result.outcome, Outcome::Unreachable, "{result:?}");
    assert_eq!(codes(&result), [code]);
}

/// truth.md 3 c: exit 60, and two lines without flags.
#[test]
fn lines_without_flags_alone_are_not_enough() {
    let refused = routed().curl_said(
        60,
        0,
        "198.18.0.25:37136",
        "203.0.113.10:443",
        "SSL certificate problem: self-signed certificate in certificate chain",
    );
    let result = refused.judge();
    assert_eq!(result.outcome, Outcome::Inconclusive);
    assert_eq!(codes(&result), ["EGR-112"]);
    for exit_code in [28, 35, 52, 56] {
        assert_eq!(
            routed()
                .curl(exit_code, 0, "198.18.0.25:37136", "203.0.113.10:443")
                .outcome(),
            Outcome::Unreachable
        );
    }
    for exit_code in [1, 2, 3, 23, 27, 43] {
        assert_eq!(
            routed()
                .curl(exit_code, 0, "198.18.0.25:37136", "203.0.113.10:443")
                .outcome(),
            Outcome::Inconclusive
        );
    }
}

#[test]
fn curls_success_alone_is_not_enough() {
    let probe = probe("https://kyma-project.io").curl(0, 200, "198.18.0.25:37136", "203.0.113.10:443");
    assert_eq!(codes(&probe.judge()), ["EGR-104"]);
    let with_sidecar = probe.clone().sidecar(SIDECAR_ROUTED);
    assert_eq!(codes(&with_sidecar.judge()), ["EGR-103"]);
    let with_gateway = probe.gateway(GATEWAY_ROUTED);
    assert_eq!(with_gateway.outcome(), Outcome::Inconclusive);
}

#[test]
fn a_forbidden_host_through_the_gateway_is_named() {
    let result = routed().expecting(Expected::NotReachable).judge();
    assert_eq!(result.outcome, Outcome::Routed);
    assert_eq!(codes(&result), ["EGR-118"]);
}

#[test]
fn an_authorization_policy_at_the_gateway_is_named() {
    let denied = r#"- - rbac_access_denied_matched_policy[none] "-" 0 0 1"#;
    let result = failed(35)
        .sidecar(&sidecar_tls(r#"UR - - "-" 517 0 2"#, "198.18.0.25:45252"))
        .gateway(&gateway_tls(denied, "-", HOST_CLUSTER, "-"))
        .judge();
    assert_eq!(
        blocked_by(&result),
        Some(BlockedBy::AuthorizationPolicy),
        "{result:?}"
    );
    assert_eq!(codes(&result), ["EGR-120"]);
}

/// Scaled to zero: the sidecar has no endpoint. Nothing is shown about the way.
#[test]
fn a_gateway_without_pods_is_inconclusive() {
    let line = sidecar_tls(r#"UH - - "-" 0 0 0"#, "-").replace("198.18.0.19:8443", "-");
    let result = failed(35)
        .sidecar(&line)
        .change(|evidence| evidence.gateway.pods.clear())
        .judge();
    assert_eq!(result.outcome, Outcome::Inconclusive);
    assert_eq!(codes(&result), ["EGR-201"]);
}

/// truth.md 3 b: TLS inside ISTIO_MUTUAL leaves the same lines.
#[test]
fn tls_inside_mesh_mtls_is_routed() {
    let sidecar = SIDECAR_ROUTED
        .replace("198.18.0.25:45252", "198.18.0.27:38560")
        .replace("kyma-project.io", "b.wild.test");
    let probe = probe("https://b.wild.test").curl(0, 200, "198.18.0.25:37136", "203.0.113.10:443");
    let result = probe.sidecar(&sidecar).gateway(GATEWAY_ISTIO_MUTUAL).judge();
    assert_eq!(result.outcome, Outcome::Routed, "{result:?}");
}
