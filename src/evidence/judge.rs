//! What one probe proves.
//!
//! The order of questions: did curl run, did the name resolve, is there a sidecar, did its line come, and where did
//! that line send the request. A pair of lines without flags alone is not enough, and curl's success alone is not
//! either: a 200 can have gone directly, and lines without flags can belong to a failed TLS handshake (both measured
//! on the lab).

use super::chain::{Found, sidecar_line};
use super::{
    AccessLogLine, CurlReport, CurlResult, CurlSummary, Expected, LogState, ProbeEvidence, ProbeRequest,
    ProbeResult, protection, sidecar_way, without_sidecar,
};
use crate::finding::{Article, Finding, Severity, catalogue};
use crate::vocabulary::{BlockedBy, Encryption, Hop, HopEnd, Outcome, Receipt, Scheme, Witness, names};
use std::net::SocketAddr;

/// What to do where reading a log failed on the way.
pub(super) const AGAIN: &str = "run the command again";

/// Judges a probe by its witnesses.
pub fn judge(evidence: &ProbeEvidence) -> ProbeResult {
    let request = &evidence.request;
    let judgement = match &evidence.curl {
        CurlResult::Lost(why) => inconclusive(
            Finding::new(
                &catalogue::EXEC_LOST,
                format!("curl's report of {} was lost: {why}", target(request)),
            )
            .about(pod_object(&evidence.source.pod)),
        ),
        CurlResult::NoCurl(why) => inconclusive(
            Finding::new(
                &catalogue::NO_CURL,
                format!("{} has no usable curl: {why}", evidence.source.pod),
            )
            .about(pod_object(&evidence.source.pod)),
        ),
        CurlResult::Report(report) => judge_report(&Case { evidence, report }),
    };
    let mut findings = judgement.findings;
    findings.extend(hole_through_gateway(evidence, judgement.outcome));
    findings.extend(protection::findings(evidence, &judgement.hops));
    let curl = match &evidence.curl {
        CurlResult::Report(report) => Some(CurlSummary::from(report)),
        CurlResult::Lost(_) | CurlResult::NoCurl(_) => None,
    };
    ProbeResult {
        host: request.host.clone(),
        port: request.port,
        scheme: request.scheme,
        source: evidence.source.pod.clone(),
        meshed: evidence.source.meshed,
        expected: evidence.expected,
        outcome: judgement.outcome,
        blocked_by: judgement.blocked_by,
        hops: judgement.hops,
        findings,
        curl,
    }
}

fn judge_report(case: &Case) -> Judgement {
    let (evidence, report) = (case.evidence, case.report);
    if is_name_not_resolved(report) {
        let message = format!(
            "{} did not resolve in {}: {}",
            case.request().host,
            case.source(),
            report.error
        );
        return Judgement::new(Outcome::Unreachable)
            .with(Finding::new(&catalogue::NAME_NOT_RESOLVED, message));
    }
    if !evidence.source.meshed {
        return without_sidecar::judge(case);
    }
    match sidecar_line(evidence, report) {
        Found::One(line) => sidecar_way::judge(case, line),
        Found::Several => inconclusive(case.finding(
            &catalogue::CONTRADICTION,
            format!(
                "several lines of the sidecar fit the probe of {} and differ",
                case.target()
            ),
        )),
        Found::Nothing => past_sidecar(case).unwrap_or_else(|| no_sidecar_line(case)),
    }
}

/// The host answered over a connection that was never redirected to the sidecar: its log delivers and has no line, and
/// the pod's redirection leaves out the address that curl connected to.
fn past_sidecar(case: &Case) -> Option<Judgement> {
    let remote = case.report.remote_address.as_deref()?;
    let address = remote.parse::<SocketAddr>().ok()?.ip();
    let said_by = case.evidence.source.interception.passed_by(address)?;
    if !case.has_answer() || case.evidence.source.log_state != LogState::Delivering {
        return None;
    }
    let message = format!(
        "{} went from {} to {address} past the sidecar: {said_by} leaves that address out",
        case.target(),
        case.source()
    );
    let hop = Hop {
        from: HopEnd::Application,
        to: HopEnd::Host,
        pod: None,
        encryption: case.own_encryption(),
        failed: None,
        receipts: vec![case.curl_receipt()],
    };
    let finding = case.finding(&catalogue::SIDECAR_PASSED, message);
    Some(
        Judgement::new(Outcome::Bypassed)
            .with(finding.about(pod_object(case.source())))
            .over([hop]),
    )
}

/// Nothing is known about the way: 35 or 28 of a pod with sidecar has many causes, and 0 can have gone any way
/// (measured on the lab: only the log tells them apart).
fn no_sidecar_line(case: &Case) -> Judgement {
    let target = case.target();
    let finding = match &case.evidence.source.log_state {
        LogState::Forbidden(why) => case.finding(
            &catalogue::LOGS_FORBIDDEN,
            format!("the log of {}'s sidecar may not be read: {why}", case.source()),
        ),
        LogState::Unreadable(why) => case
            .finding(
                &catalogue::NO_SIDECAR_LINE,
                format!("the log of {}'s sidecar cannot be read: {why}", case.source()),
            )
            .fixed_by(AGAIN),
        LogState::Interrupted(why) => case
            .finding(
                &catalogue::NO_SIDECAR_LINE,
                format!("the sidecar's log was interrupted during the probe of {target}: {why}"),
            )
            .fixed_by(AGAIN),
        LogState::Off => case.with_switch(case.finding(
            &catalogue::ACCESS_LOG_OFF,
            format!(
                "the access log of {}'s sidecar is off, so the way to {target} is unknown",
                case.source()
            ),
        )),
        LogState::Lacking(fields) => lacking(case, case.source(), fields),
        LogState::Silent | LogState::Absent => case.with_switch(case.finding(
            &catalogue::NO_SIDECAR_LINE,
            format!(
                "the log of {}'s sidecar does not arrive, so the way to {target} is unknown",
                case.source()
            ),
        )),
        LogState::Delivering => case.finding(
            &catalogue::NO_SIDECAR_LINE,
            format!("the sidecar's log delivers, but has no line for the probe of {target}"),
        ),
    };
    let judgement = inconclusive(finding.about(pod_object(case.source())));
    if is_certificate_refused(case.report) {
        judgement.with(case.certificate_finding())
    } else {
        judgement
    }
}

/// The access log of a pod has no field for what must be known; what was counted meanwhile is said elsewhere.
pub(super) fn lacking(case: &Case, pod: &str, fields: &[&str]) -> Finding {
    let message = format!(
        "the access log of {pod} does not tell the way to {}: its format has no {}",
        case.target(),
        fields.join(", ")
    );
    case.finding(&catalogue::LOG_FORMAT_LACKS, message)
}

/// A forbidden host that is reached by the planned way is a hole as well.
fn hole_through_gateway(evidence: &ProbeEvidence, outcome: Outcome) -> Option<Finding> {
    (evidence.expected == Expected::NotReachable && outcome == Outcome::Routed).then(|| {
        Finding::new(
            &catalogue::FORBIDDEN_HOST_REACHABLE,
            format!(
                "{} must not be reachable, and the gateway carries it",
                target(&evidence.request)
            ),
        )
    })
}

/// A probe that curl reported on, with what all rules ask of it.
pub(super) struct Case<'a> {
    pub(super) evidence: &'a ProbeEvidence,
    pub(super) report: &'a CurlReport,
}

impl Case<'_> {
    pub(super) fn request(&self) -> &ProbeRequest {
        &self.evidence.request
    }

    /// `host:port`, for messages.
    pub(super) fn target(&self) -> String {
        target(self.request())
    }

    pub(super) fn source(&self) -> &str {
        &self.evidence.source.pod
    }

    pub(super) fn is_https(&self) -> bool {
        self.request().scheme == Scheme::Https
    }

    /// Whether curl had an answer. Over TLS it is the host's, because curl verified the certificate; over plain
    /// HTTP it may be a proxy's.
    pub(super) fn has_answer(&self) -> bool {
        self.report.exit_code == 0 && self.report.http_code != 0
    }

    /// Whether the host itself ended TLS for want of a client certificate: in TLS 1.3 that comes after curl has verified
    /// the host, as an alert (RFC 8446, 6.2: certificate_required).
    ///
    /// The alert may be lost: a server that closes while curl's request is still unread resets the connection, and the
    /// reset overtakes the alert (seen on the lab, one time in many). Then the finished handshake, and the plan's word
    /// that this host wants such a certificate, say the same.
    pub(super) fn is_client_certificate_wanted(&self) -> bool {
        let wants = || {
            let planned = self.evidence.planned.as_ref();
            planned.is_some_and(|planned| planned.client_certificate)
        };
        self.is_https()
            && matches!(self.report.exit_code, 35 | 55 | 56)
            && (self.report.error.contains("alert certificate required") || self.report.handshake && wants())
    }

    /// Whether a line says the opposite of what curl says.
    pub(super) fn contradicts(&self, line: &AccessLogLine) -> bool {
        if line.is_http() {
            self.report.exit_code == 0 && self.report.http_code != line.response_code
        } else {
            self.has_answer() && !line.response_flags.is_empty()
        }
    }

    /// A finding with the severity of its article, except that what must not be reachable only warns: whether it
    /// has to be enforced is not the probe's affair.
    pub(super) fn finding(&self, article: &'static Article, message: impl Into<String>) -> Finding {
        let mut finding = Finding::new(article, message);
        if self.evidence.expected != Expected::Routed && finding.severity == Severity::Error {
            finding.severity = Severity::Warning;
        }
        finding
    }

    /// The finding with the command that switches this source's log on.
    fn with_switch(&self, finding: Finding) -> Finding {
        match &self.evidence.source.log_switch {
            Some(command) => finding.fixed_by(format!("`{command}` switches it on until `cleanup`")),
            None => finding,
        }
    }

    pub(super) fn contradiction(&self, witness: &str, line: &AccessLogLine) -> Finding {
        self.finding(
            &catalogue::CONTRADICTION,
            format!(
                "curl's exit {} with HTTP {:03} for {} does not fit the {witness}'s line ({}, response code {})",
                self.report.exit_code,
                self.report.http_code,
                self.target(),
                line.ending(),
                line.response_code
            ),
        )
    }

    pub(super) fn certificate_finding(&self) -> Finding {
        self.finding(
            &catalogue::CERTIFICATE_REFUSED,
            format!(
                "{} does not accept the certificate of {}: {}",
                self.source(),
                self.target(),
                self.report.error
            ),
        )
    }

    /// Stopped by a policy of the user's: as it should be, unless the host is declared.
    pub(super) fn stopped_by_policy(&self, by: BlockedBy) -> Judgement {
        let judgement = Judgement::blocked(by);
        if self.evidence.expected != Expected::Routed {
            return judgement;
        }
        let message = format!(
            "{} is declared, and {by} stops it from {}",
            self.target(),
            self.source()
        );
        judgement.with(Finding::new(&catalogue::STOPPED_BY_POLICY, message))
    }

    pub(super) fn curl_receipt(&self) -> Receipt {
        Receipt {
            witness: Witness::Curl,
            pod: self.source().to_owned(),
            container: Some(self.evidence.source.container.clone()),
            time: self.evidence.asked_at.clone(),
            text: CurlSummary::from(self.report).sentence(),
        }
    }

    pub(super) fn sidecar_receipt(&self, line: &AccessLogLine) -> Receipt {
        Receipt {
            witness: Witness::SidecarLog,
            pod: self.source().to_owned(),
            container: Some(names::PROXY_CONTAINER.to_owned()),
            time: line.start_time.clone(),
            text: line.raw.clone(),
        }
    }

    /// How a leg that carries what the application sends is protected: by the application's own TLS, or not.
    pub(super) fn own_encryption(&self) -> Encryption {
        if self.is_https() {
            Encryption::Tls
        } else {
            Encryption::Plaintext
        }
    }

    /// The leg on which the sidecar ended the request itself.
    pub(super) fn hop_to_sidecar(&self, line: &AccessLogLine) -> Hop {
        Hop {
            from: HopEnd::Application,
            to: HopEnd::Sidecar,
            pod: Some(self.source().to_owned()),
            encryption: self.own_encryption(),
            failed: None,
            receipts: vec![self.curl_receipt(), self.sidecar_receipt(line)],
        }
    }
}

/// What a rule concludes.
pub(super) struct Judgement {
    outcome: Outcome,
    blocked_by: Option<BlockedBy>,
    hops: Vec<Hop>,
    findings: Vec<Finding>,
}

impl Judgement {
    pub(super) fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            blocked_by: None,
            hops: Vec::new(),
            findings: Vec::new(),
        }
    }

    pub(super) fn blocked(by: BlockedBy) -> Self {
        Self {
            blocked_by: Some(by),
            ..Self::new(Outcome::Blocked)
        }
    }

    pub(super) fn with(mut self, finding: Finding) -> Self {
        self.findings.push(finding);
        self
    }

    pub(super) fn over(mut self, hops: impl IntoIterator<Item = Hop>) -> Self {
        self.hops.extend(hops);
        self
    }
}

/// The evidence does not decide; why.
pub(super) fn inconclusive(finding: Finding) -> Judgement {
    Judgement::new(Outcome::Inconclusive).with(finding)
}

/// Whether curl never had an address: exit 6, or the time ran out while resolving (measured on the lab: with DNS
/// packets dropped, a short time limit gives 28 `Resolving timed out`).
pub fn is_name_not_resolved(report: &CurlReport) -> bool {
    match report.exit_code {
        6 => true,
        28 => report.local_address.is_none() && report.error.starts_with("Resolving timed out"),
        _ => false,
    }
}

/// Whether curl ended it because of the server's certificate (60, before 7.62 also 51), its revocation or pinning
/// (80 to 91), or because the given CA could not be read (77).
pub(super) fn is_certificate_refused(report: &CurlReport) -> bool {
    matches!(report.exit_code, 51 | 60 | 77 | 82 | 83 | 90 | 91)
}

/// Whether curl had a connection and the other side gave no whole answer: it was reset or closed, or time ran out.
pub(super) fn is_without_answer(report: &CurlReport) -> bool {
    matches!(report.exit_code, 18 | 28 | 35 | 52 | 55 | 56 | 92)
}

pub(super) fn pod_object(pod: &str) -> String {
    format!("Pod {pod}")
}

fn target(request: &ProbeRequest) -> String {
    format!("{}:{}", request.host, request.port)
}
