//! The text of `deploy-target`, and of `setup` with a target cluster.

use crate::engine::deploy_target::direct::{DirectAnswer, Stage};
use crate::engine::deploy_target::proof::TargetProof;
use crate::engine::deploy_target::through::ThroughProof;
use crate::evidence::Verification;
use crate::report::style::{Mark, Style, Tone};
use std::fmt::Write;

/// The two requests, what the workload was told, and what does not hold.
pub fn target(proof: &TargetProof, style: &Style) -> String {
    let mut text = format!(
        "{}\n",
        style.color_only(Tone::Strong, &format!("Requests from here to {}", proof.ingress))
    );
    let without = proof.without_certificate.demands_client_certificate();
    line(
        &mut text,
        style,
        without,
        &format!(
            "without a client certificate: {}",
            answer(&proof.without_certificate)
        ),
    );
    let with = matches!(proof.with_certificate, DirectAnswer::Answered { status: 200, .. });
    line(
        &mut text,
        style,
        with,
        &format!(
            "with the client's certificate: {}",
            answer(&proof.with_certificate)
        ),
    );
    let seen = crate::engine::deploy_target::proof::hashes(&proof.forwarded);
    let ours = seen.contains(&proof.client_certificate);
    let told = if ours {
        format!(
            "the workload was told of exactly this certificate: {}",
            proof.client_certificate
        )
    } else {
        format!(
            "the workload was not told of the client's certificate {}",
            proof.client_certificate
        )
    };
    line(&mut text, style, ours, &told);
    for fault in &proof.faults {
        line(&mut text, style, false, fault);
    }
    if !proof.addresses.is_empty() {
        let _ = writeln!(
            text,
            "\n{} must lead to {} for clients outside.",
            proof.host,
            proof.addresses.join(", ")
        );
    }
    text
}

/// The target's part, then this cluster's, then what the target saw of a request through both.
pub fn two_clusters(
    proof: &TargetProof,
    verification: &Verification,
    through: &ThroughProof,
    style: &Style,
) -> String {
    let mut text = target(proof, style);
    let _ = writeln!(
        text,
        "\n{}",
        style.color_only(Tone::Strong, "Through the egress gateway")
    );
    text.push_str(&super::verification(verification, style));
    let _ = writeln!(
        text,
        "\n{}",
        style.color_only(Tone::Strong, "What the target saw of it")
    );
    if through.faults.is_empty() {
        let told = format!("the client's certificate: {}", proof.client_certificate);
        line(&mut text, style, true, &told);
    }
    for fault in &through.faults {
        line(&mut text, style, false, fault);
    }
    if let Some(address) = &through.asked_by {
        let whose = if through.asked_by_gateway {
            "the egress gateway's pod"
        } else {
            "not an address of the egress gateway's pods: something between translates addresses"
        };
        line(&mut text, style, true, &format!("asked from {address}, {whose}"));
    }
    text
}

fn line(text: &mut String, style: &Style, good: bool, what: &str) {
    let mark = style.mark(if good { Mark::Good } else { Mark::Bad });
    let _ = writeln!(text, "{mark} {}", style.paint(Tone::Plain, what));
}

fn answer(answer: &DirectAnswer) -> String {
    match answer {
        DirectAnswer::Answered { status, .. } => format!("answered with {status}"),
        DirectAnswer::Refused { stage, reason } => {
            let stage = match stage {
                Stage::Connection => "no connection",
                Stage::Handshake => "refused in the TLS handshake",
                Stage::AfterHandshake => "refused after the TLS handshake",
            };
            format!("{stage} ({reason})")
        }
    }
}
