//! What the screen shows, word for word, at 80 columns and without colour.

mod events;
mod live;
mod printer;
mod screen;

use crate::evidence::{ClaimStates, CurlSummary, Expected, ProbeResult, Verification};
use crate::finding::{Finding, catalogue};
use crate::vocabulary::{
    BlockedBy, ClaimState, Encryption, Hop, HopEnd, Kind, Outcome, Receipt, Scheme, Verdict, Witness,
};

/// What an attacker would put into a name, a header or a log line.
const HOSTILE: &str = "x\u{1b}[2J\u{1b}]52;c;ZXZpbA==\u{7}\u{9b}31m\u{202e}\r\ny";

/// A kind of which only the name is looked at; `istio` is not for the report to import.
fn kind(name: &str) -> Kind {
    Kind::new("", "v1", name, "", name != "Namespace")
}

fn hop(from: HopEnd, to: HopEnd, pod: Option<&str>, encryption: Encryption, witnesses: &[Witness]) -> Hop {
    let receipt = |witness: &Witness| Receipt {
        witness: *witness,
        pod: "demo/curl-5d7c9b6f4-x2x4z".into(),
        container: Some("istio-proxy".into()),
        time: Some("2026-11-20T09:00:00.123Z".into()),
        text: "\"- - -\" 0 - - - \"-\" 1018 4621 103".into(),
    };
    Hop {
        from,
        to,
        pod: pod.map(str::to_owned),
        encryption,
        failed: None,
        receipts: witnesses.iter().map(receipt).collect(),
    }
}

fn routed() -> ProbeResult {
    let gateway = Some("istio-system/istio-egressgateway-6c8b4b5d9f-8kq2w");
    ProbeResult {
        host: "kyma-project.io".into(),
        port: 443,
        scheme: Scheme::Https,
        source: "demo/curl-5d7c9b6f4-x2x4z".into(),
        meshed: true,
        expected: Expected::Routed,
        outcome: Outcome::Routed,
        blocked_by: None,
        hops: vec![
            hop(
                HopEnd::Application,
                HopEnd::Sidecar,
                None,
                Encryption::Tls,
                &[Witness::Curl, Witness::SidecarLog],
            ),
            hop(
                HopEnd::Sidecar,
                HopEnd::Gateway,
                gateway,
                Encryption::Mtls,
                &[Witness::SidecarLog, Witness::GatewayLog],
            ),
            hop(
                HopEnd::Gateway,
                HopEnd::Host,
                None,
                Encryption::Tls,
                &[Witness::GatewayLog],
            ),
        ],
        findings: Vec::new(),
        curl: Some(CurlSummary {
            exit_code: 0,
            http_code: 200,
            error: String::new(),
            local_address: Some("10.244.0.17:41976".into()),
            remote_address: Some("203.0.113.10:443".into()),
            time_total_ms: 103,
        }),
    }
}

fn bypassed() -> ProbeResult {
    let finding = Finding::new(
        &catalogue::BYPASSED_AT_SIDECAR,
        "edition.cnn.com:443 left through PassthroughCluster: no VirtualService routes it to the gateway",
    );
    ProbeResult {
        host: "edition.cnn.com".into(),
        outcome: Outcome::Bypassed,
        hops: vec![hop(
            HopEnd::Sidecar,
            HopEnd::Host,
            None,
            Encryption::Unknown,
            &[Witness::SidecarLog],
        )],
        findings: vec![finding.about("VirtualService demo/egress-default")],
        ..routed()
    }
}

fn blocked() -> ProbeResult {
    ProbeResult {
        host: "www.google.com".into(),
        expected: Expected::NotReachable,
        outcome: Outcome::Blocked,
        blocked_by: Some(BlockedBy::RegistryOnly),
        hops: Vec::new(),
        ..routed()
    }
}

fn unmeshed() -> ProbeResult {
    let finding = Finding::new(
        &catalogue::BYPASSED_WITHOUT_SIDECAR,
        "demo/curl-unmeshed reaches kyma-project.io:443 without passing a proxy",
    );
    ProbeResult {
        source: "demo/curl-unmeshed".into(),
        meshed: false,
        expected: Expected::NotReachable,
        outcome: Outcome::Bypassed,
        hops: vec![hop(
            HopEnd::Application,
            HopEnd::Host,
            None,
            Encryption::Tls,
            &[Witness::Curl],
        )],
        findings: vec![finding],
        ..routed()
    }
}

fn document(probes: Vec<ProbeResult>, verdict: Verdict, routed: ClaimState) -> Verification {
    Verification {
        api_version: "kubectl-egress.dev/v1alpha1".into(),
        kind: "Verification".into(),
        plan: "default".into(),
        namespace: "demo".into(),
        verdict,
        claims: ClaimStates {
            routed,
            enforced: ClaimState::NotRequired,
        },
        probes,
        findings: Vec::new(),
        bypass: None,
    }
}

fn fits_80_columns(text: &str) {
    for line in text.lines() {
        assert!(
            line.chars().count() <= 80,
            "{} columns: {line}",
            line.chars().count()
        );
    }
}

/// No byte that a terminal would obey, and no character that hides or turns others.
fn is_harmless(text: &str) {
    for character in text.chars() {
        assert!(
            character == '\n' || !character.is_control(),
            "{character:?} in {text:?}"
        );
        assert!(character != '\u{202e}', "{text:?}");
    }
}
