//! When waiting longer for lines changes nothing.

use super::lines::*;
use super::probe::{Probe, gateway_tls, probe, routed, sidecar_tls};
use kubectl_egress::evidence::{CurlResult, LogState, log_is_settled};
use rstest::rstest;

fn asked() -> Probe {
    probe("https://kyma-project.io").curl(0, 200, "198.18.0.25:37136", "203.0.113.10:443")
}

#[rstest]
#[case::both_lines(routed())]
#[case::refused_by_the_gateway(
    asked().sidecar(&sidecar_tls(r#"UR - - "-" 517 0 2"#, "198.18.0.25:45252"))
        .gateway(&gateway_tls(r#"NR filter_chain_not_found - "-" 0 0 0"#, "-", "-", "-")))]
#[case::never_reached_the_gateway(asked().sidecar(&sidecar_tls(r#"UF,URX - - "-" 0 0 10002"#, "-")))]
#[case::directly(asked().sidecar(&SIDECAR_ROUTED.replace("outbound|443|kyma-project|", "outbound|443||x.")))]
#[case::no_sidecar(asked().without_sidecar())]
#[case::no_name(asked().curl_said(6, 0, "-", "-", "Could not resolve host"))]
#[case::lost(asked().change(|evidence| evidence.curl = CurlResult::Lost(String::new())))]
#[case::sidecars_log_forbidden(asked().change(|evidence| evidence.source.log_state = LogState::Forbidden(String::new())))]
#[case::sidecars_log_unreadable(asked().change(|evidence| evidence.source.log_state = LogState::Unreadable(String::new())))]
#[case::sidecars_log_off(asked().change(|evidence| evidence.source.log_state = LogState::Off))]
#[case::gateways_log_off(
    asked().sidecar(SIDECAR_ROUTED).change(|evidence| evidence.gateway.pods[0].log_state = LogState::Off))]
#[case::gateways_log_forbidden(
    asked().sidecar(SIDECAR_ROUTED)
        .change(|evidence| evidence.gateway.pods[0].log_state = LogState::Forbidden(String::new())))]
fn nothing_more_is_needed(#[case] probe: Probe) {
    assert!(log_is_settled(&probe.0));
}

#[rstest]
#[case::nothing(asked())]
#[case::only_the_gateways(asked().gateway(GATEWAY_ROUTED))]
#[case::only_the_sidecars(asked().sidecar(SIDECAR_ROUTED))]
#[case::somebody_elses(asked().sidecar(ALLOW_ANY_UNKNOWN).gateway(GATEWAY_ROUTED))]
#[case::a_pod_that_is_not_known_yet(asked().sidecar(&SIDECAR_ROUTED.replace("198.18.0.19:8443", "198.18.0.20:8443")))]
fn a_line_is_still_missing(#[case] probe: Probe) {
    assert!(!log_is_settled(&probe.0));
}
