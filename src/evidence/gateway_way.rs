//! The sidecar sent the request to the gateway: what the gateway did with it.

use super::chain::{Found, gateway_line, owners};
use super::judge::{
    AGAIN, Case, Judgement, inconclusive, is_certificate_refused, is_without_answer, lacking, pod_object,
};
use super::originated::{self, Fault};
use super::sidecar_way::{is_failure_behind_proxy, not_explained};
use super::{AccessLogLine, LogState, UpstreamCluster};
use crate::finding::{Finding, catalogue};
use crate::vocabulary::{BlockedBy, Hop, HopEnd, Outcome, Receipt, Witness, names};

pub(super) fn judge(case: &Case, sidecar: &AccessLogLine) -> Judgement {
    // No endpoint at all: nothing left the sidecar, and nothing is shown about the way.
    if sidecar.has_flag("UH") && sidecar.upstream_host.is_none() {
        let message = format!(
            "the sidecar of {} found no pod of the gateway to send {} to",
            case.source(),
            case.target()
        );
        return inconclusive(
            case.finding(&catalogue::GATEWAY_NOT_READY, message)
                .about(gateway_object(case)),
        )
        .over([hop_to_gateway(case, sidecar, None).that_failed(sidecar.failure())]);
    }
    match gateway_line(case.evidence, sidecar) {
        Found::One((pod, line)) => Pair {
            case,
            sidecar,
            pod,
            line,
        }
        .judge(),
        Found::Several => inconclusive(case.finding(
            &catalogue::CONTRADICTION,
            format!(
                "several lines of the gateway fit the probe of {} and differ",
                case.target()
            ),
        ))
        .over([hop_to_gateway(case, sidecar, None)]),
        Found::Nothing => no_gateway_line(case, sidecar),
    }
}

fn no_gateway_line(case: &Case, sidecar: &AccessLogLine) -> Judgement {
    let hop = hop_to_gateway(case, sidecar, None);
    // Measured on the lab: the gateway's port is dropped or rejected below the mesh, or the gateway does not take
    // what the sidecar offers (TLS_error). No connection, so no line of the gateway.
    let not_connected = sidecar.upstream_local_address.is_none();
    let tls_failed = sidecar
        .upstream_transport_failure_reason
        .as_deref()
        .is_some_and(|reason| reason.starts_with("TLS_error"));
    if not_connected && tls_failed {
        let message = format!(
            "the sidecar of {} and the gateway at {} did not agree on TLS ({})",
            case.source(),
            sidecar.upstream_host.as_deref().unwrap_or("an unknown address"),
            sidecar.ending()
        );
        return Judgement::new(Outcome::Unreachable)
            .with(
                case.finding(&catalogue::MESH_LEG_MISMATCH, message)
                    .about(gateway_object(case)),
            )
            .over([hop.that_failed(sidecar.failure())]);
    }
    if not_connected && (sidecar.has_flag("UF") || sidecar.has_flag("URX")) {
        let message = format!(
            "the sidecar of {} could not connect to the gateway at {} ({})",
            case.source(),
            sidecar.upstream_host.as_deref().unwrap_or("an unknown address"),
            sidecar.ending()
        );
        return Judgement::new(Outcome::Unreachable)
            .with(
                case.finding(&catalogue::GATEWAY_UNREACHABLE, message)
                    .about(gateway_object(case)),
            )
            .over([hop.that_failed(sidecar.failure())]);
    }
    let judgement = inconclusive(missing_line(case, sidecar)).over([hop]);
    if is_certificate_refused(case.report) {
        return judgement.with(case.certificate_finding());
    }
    judgement
}

/// Why there is no line of the gateway, by what is known about the follower of the pod that it was sent to.
fn missing_line(case: &Case, sidecar: &AccessLogLine) -> Finding {
    let target = case.target();
    let Some(upstream) = &sidecar.upstream_host else {
        return not_explained(case, sidecar);
    };
    let Some(owner) = owners(case.evidence, upstream).next() else {
        return case
            .finding(
                &catalogue::NO_GATEWAY_LINE,
                format!("the sidecar sent {target} to {upstream}, which is no known pod of the gateway"),
            )
            .about(gateway_object(case));
    };
    let pod = &owner.pod;
    let finding = match &owner.log_state {
        LogState::Delivering => case.finding(
            &catalogue::NO_GATEWAY_LINE,
            format!("the sidecar sent {target} to {pod}, whose log delivers and has no line for it"),
        ),
        LogState::Off => case.finding(
            &catalogue::ACCESS_LOG_OFF,
            format!("the sidecar sent {target} to {pod}, whose access log is off"),
        ),
        LogState::Lacking(fields) => lacking(case, pod, fields),
        LogState::Silent => case.finding(
            &catalogue::FOLLOWER_SILENT,
            format!("the sidecar sent {target} to {pod}, whose log does not arrive"),
        ),
        LogState::Forbidden(why) => case.finding(
            &catalogue::LOGS_FORBIDDEN,
            format!("the sidecar sent {target} to {pod}, whose log may not be read: {why}"),
        ),
        LogState::Unreadable(why) => case
            .finding(
                &catalogue::NO_GATEWAY_LINE,
                format!("the sidecar sent {target} to {pod}, whose log cannot be read: {why}"),
            )
            .fixed_by(AGAIN),
        LogState::Interrupted(why) => case
            .finding(
                &catalogue::NO_GATEWAY_LINE,
                format!("the log of {pod} was interrupted while it may have carried {target}: {why}"),
            )
            .fixed_by(AGAIN),
        LogState::Absent => case.finding(
            &catalogue::NO_GATEWAY_LINE,
            format!("the sidecar sent {target} to {pod}, which joined after the probe left"),
        ),
    };
    finding.about(pod_object(pod))
}

/// Both lines of a probe, chained.
struct Pair<'a> {
    case: &'a Case<'a>,
    sidecar: &'a AccessLogLine,
    pod: &'a str,
    line: &'a AccessLogLine,
}

impl Pair<'_> {
    fn judge(&self) -> Judgement {
        let (case, line) = (self.case, self.line);
        let comparable = line.is_http() || !self.sidecar.is_http();
        if comparable && case.contradicts(line) {
            return inconclusive(case.contradiction("gateway", line)).over(self.way());
        }
        if line.denied_by_policy() {
            return case
                .stopped_by_policy(BlockedBy::AuthorizationPolicy)
                .over([self.first_hop()]);
        }
        // Measured on the lab: no Gateway object, or one that selects other pods, gives `NR filter_chain_not_found`
        // (TLS); HTTP without a route gives 404 `NR route_not_found`.
        if line.has_flag("NR") {
            return Judgement::blocked(BlockedBy::Gateway)
                .with(self.finding(&catalogue::GATEWAY_REFUSED, "has no route for"))
                .over([self.first_hop()]);
        }
        if let Some(fault) = self.fault() {
            return self.failed_origination(&fault);
        }
        if line.has_flag("NC") {
            return Judgement::new(Outcome::Unreachable)
                .with(self.finding(&catalogue::CLUSTER_MISSING, "has no cluster for its route to"))
                .over([self.first_hop()]);
        }
        if case.is_client_certificate_wanted() && line.bytes_sent > 0 && self.is_to_the_planned_cluster() {
            return Judgement::new(Outcome::Routed)
                .with(self.finding(
                    &catalogue::CLIENT_CERTIFICATE_WANTED,
                    "carried without a client certificate",
                ))
                .over(self.way());
        }
        if is_failure_behind_proxy(line) {
            return self.unreachable();
        }
        if !line.response_flags.is_empty() {
            return self.not_explained("ended");
        }
        self.judge_carried()
    }

    /// The gateway's line has no flag: it carried the request, or answered it itself.
    fn judge_carried(&self) -> Judgement {
        let (case, line) = (self.case, self.line);
        if !self.is_to_the_planned_cluster() {
            let cluster = line.upstream_cluster.as_ref();
            let sent_to = cluster.map_or_else(|| "no cluster".to_owned(), ToString::to_string);
            let message = format!("{} sent {} to {sent_to}", self.pod, case.target());
            return inconclusive(
                case.finding(&catalogue::NOT_EXPLAINED, message)
                    .about(pod_object(self.pod)),
            )
            .over([self.first_hop()]);
        }
        if !self.sidecar.response_flags.is_empty() && !self.sidecar.has_flag("DC") {
            return inconclusive(not_explained(case, self.sidecar)).over(self.way());
        }
        if self.is_complete() {
            return Judgement::new(Outcome::Routed).over(self.way());
        }
        // Measured on the lab: a handshake that curl refuses leaves lines without flags. The way was used, and
        // the probe did not succeed.
        if is_certificate_refused(case.report) {
            return inconclusive(case.certificate_finding()).over(self.way());
        }
        if case.report.exit_code != 0 && is_without_answer(case.report) {
            return self.unreachable();
        }
        self.not_explained("carried without success")
    }

    /// The cluster's name counts, not the address: DNS rotates.
    fn is_to_the_planned_cluster(&self) -> bool {
        let request = self.case.request();
        let as_planned = |cluster: &UpstreamCluster| match &self.case.evidence.planned {
            Some(planned) => *cluster == planned.outside_cluster,
            None => cluster.is_of(&request.host, request.port),
        };
        self.line.upstream_cluster.as_ref().is_some_and(as_planned)
    }

    /// Whether everything that `routed` needs is there: curl's success, and lines that show the host's answer.
    fn is_complete(&self) -> bool {
        let (case, sidecar, line) = (self.case, self.sidecar, self.line);
        if !case.has_answer() || !sidecar.response_flags.is_empty() || line.upstream_host.is_none() {
            return false;
        }
        if case.is_https() {
            let is_host = |given: &Option<String>| {
                // Mutual TLS of the mesh carries the name that the plan gives it.
                let planned = case.evidence.planned.iter().map(|way| way.planned_host.as_str());
                let mut names = std::iter::once(case.request().host.as_str()).chain(planned);
                given
                    .as_ref()
                    .is_some_and(|given| names.any(|name| given.eq_ignore_ascii_case(name)))
            };
            return is_host(&sidecar.requested_server_name) && is_host(&line.requested_server_name);
        }
        // Over plain HTTP a proxy may answer in the host's place; one that carries it as TCP cannot.
        let answered = |line: &AccessLogLine| {
            if line.is_http() {
                line.answered_by_upstream()
            } else {
                line.bytes_sent > 0
            }
        };
        answered(sidecar) && answered(line)
    }

    /// What failed between the gateway and the host, where that can be named.
    fn fault(&self) -> Option<Fault> {
        let live = self.case.leg_of_gateway(self.pod, self.line);
        originated::fault_of(self.case, self.line, live)
    }

    fn failed_origination(&self, fault: &Fault) -> Judgement {
        let [first, to_host] = self.way();
        Judgement::new(Outcome::Unreachable)
            .with(self.finding(fault.article, &fault.did))
            .over([first, to_host.that_failed(self.line.failure())])
    }

    fn unreachable(&self) -> Judgement {
        let [first, to_host] = self.way();
        // The host was not even tried: its name did not resolve there, or not yet.
        let no_address =
            self.line.upstream_host.is_none() && (self.line.has_flag("UH") || self.line.has_flag("DF"));
        let finding = if no_address {
            self.finding(&catalogue::NO_ENDPOINT, "has no address for")
        } else {
            self.finding(&catalogue::HOST_UNREACHABLE, "had no answer from")
        };
        Judgement::new(Outcome::Unreachable)
            .with(finding)
            .over([first, to_host.that_failed(self.line.failure())])
    }

    fn not_explained(&self, did: &str) -> Judgement {
        inconclusive(self.finding(&catalogue::NOT_EXPLAINED, did)).over([self.first_hop()])
    }

    /// `GATEWAY-POD DID HOST:PORT (FLAGS DETAILS; curl's exit)`.
    fn finding(&self, article: &'static crate::finding::Article, did: &str) -> Finding {
        let case = self.case;
        let message = format!(
            "{} {did} {} ({}; curl's exit {})",
            self.pod,
            case.target(),
            self.line.ending(),
            case.report.exit_code
        );
        case.finding(article, message).about(pod_object(self.pod))
    }

    fn first_hop(&self) -> Hop {
        let mut hop = hop_to_gateway(self.case, self.sidecar, Some(self.receipt()));
        hop.pod = Some(self.pod.to_owned());
        hop
    }

    fn way(&self) -> [Hop; 2] {
        let to_host = Hop {
            from: HopEnd::Gateway,
            to: HopEnd::Host,
            pod: None,
            encryption: self.case.leg_of_gateway(self.pod, self.line),
            failed: None,
            receipts: vec![self.receipt(), self.case.curl_receipt()],
        };
        [self.first_hop(), to_host]
    }

    fn receipt(&self) -> Receipt {
        Receipt {
            witness: Witness::GatewayLog,
            pod: self.pod.to_owned(),
            container: Some(names::PROXY_CONTAINER.to_owned()),
            time: self.line.start_time.clone(),
            text: self.line.raw.clone(),
        }
    }
}

/// The leg from the sidecar; the gateway's pod is the one at the sidecar's upstream address, if it is known.
fn hop_to_gateway(case: &Case, sidecar: &AccessLogLine, gateway_receipt: Option<Receipt>) -> Hop {
    let mut receipts = vec![case.sidecar_receipt(sidecar)];
    match gateway_receipt {
        Some(receipt) => receipts.push(receipt),
        None => receipts.push(case.curl_receipt()),
    }
    let owner = sidecar
        .upstream_host
        .as_deref()
        .and_then(|upstream| owners(case.evidence, upstream).next());
    Hop {
        from: HopEnd::Sidecar,
        to: HopEnd::Gateway,
        pod: owner.map(|owner| owner.pod.clone()),
        encryption: case.leg_of_sidecar(sidecar),
        failed: None,
        receipts,
    }
}

fn gateway_object(case: &Case) -> String {
    format!("gateway {}", case.evidence.gateway.service_host)
}
