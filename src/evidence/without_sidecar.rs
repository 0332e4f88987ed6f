//! Probes of pods without sidecar. curl's report is the only witness, and it is a good one: nothing stands between
//! curl and the network.

use super::judge::{Case, Judgement, inconclusive, is_certificate_refused, is_without_answer, pod_object};
use super::{CurlReport, Expected};
use crate::finding::{Finding, catalogue};
use crate::vocabulary::{BlockedBy, Hop, HopEnd, Outcome};

pub(super) fn judge(case: &Case) -> Judgement {
    let judgement = judge_report(case).over([hop_to_host(case)]);
    if case.evidence.expected == Expected::Routed {
        let message = format!(
            "{} has no sidecar, so nothing routes {} to the gateway",
            case.source(),
            case.target()
        );
        return judgement
            .with(Finding::new(&catalogue::SOURCE_NOT_MESHED, message).about(pod_object(case.source())));
    }
    judgement
}

fn hop_to_host(case: &Case) -> Hop {
    let report = case.report;
    let hop = Hop {
        from: HopEnd::Application,
        to: HopEnd::Host,
        pod: None,
        encryption: case.own_encryption(),
        failed: None,
        receipts: vec![case.curl_receipt()],
    };
    if report.exit_code == 0 || is_certificate_refused(report) {
        return hop;
    }
    let what = if was_never_connected(report) {
        "no connection"
    } else {
        "no answer"
    };
    hop.that_failed(format!("{what}: {}", report.error))
}

fn judge_report(case: &Case) -> Judgement {
    let (report, target) = (case.report, case.target());
    if case.has_answer() {
        let judgement = Judgement::new(Outcome::Bypassed);
        if case.evidence.expected == Expected::Reachable {
            return judgement;
        }
        let message = format!("{} has no sidecar and reaches {target} directly", case.source());
        return judgement.with(
            case.finding(&catalogue::BYPASSED_WITHOUT_SIDECAR, message)
                .about(pod_object(case.source())),
        );
    }
    if is_certificate_refused(report) {
        return inconclusive(case.certificate_finding());
    }
    if is_stopped_below(case) {
        return case.stopped_by_policy(BlockedBy::NetworkPolicy);
    }
    if report.exit_code == 7 || is_without_answer(report) {
        let message = format!(
            "{target} did not answer {} (curl's exit {}: {})",
            case.source(),
            report.exit_code,
            report.error
        );
        return Judgement::new(Outcome::Unreachable)
            .with(case.finding(&catalogue::HOST_UNREACHABLE, message));
    }
    let message = format!(
        "curl's exit {} for {target} decides nothing: {}",
        report.exit_code, report.error
    );
    inconclusive(case.finding(&catalogue::NOT_EXPLAINED, message))
}

/// Measured on the lab: a policy that drops gives 28, one that rejects gives 7, and both never had a connection.
/// A dead host or a closed port looks the same, so it takes a control that the host is up, and a policy that is
/// known to select the source.
fn is_stopped_below(case: &Case) -> bool {
    let report = case.report;
    matches!(report.exit_code, 7 | 28)
        && was_never_connected(report)
        && case.evidence.network_policies == Some(true)
        && case.evidence.control.host_up == Some(true)
}

/// curl writes no local address where it had no connection. Should a version write the address of the attempt, its
/// words tell; its count of connections alone does not, for it is 0 over a connection that was used again, and before
/// 7.88 it counted attempts.
fn was_never_connected(report: &CurlReport) -> bool {
    let said = |beginning: &str| report.error.starts_with(beginning);
    report.local_address.is_none()
        || report.num_connects == 0 && (said("Failed to connect") || said("Connection timed out"))
}
