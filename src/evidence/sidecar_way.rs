//! Where the sidecar's line says that the request went, and what follows where that is not the gateway.

use super::judge::{Case, Judgement, inconclusive, is_certificate_refused};
use super::{AccessLogLine, Expected, UpstreamCluster, gateway_way, originated};
use crate::finding::{Finding, Severity, catalogue};
use crate::istio::access_log::BLOCK_ALL_ROUTE;
use crate::vocabulary::{BlockedBy, Hop, HopEnd, Outcome};

pub(super) fn judge(case: &Case, line: &AccessLogLine) -> Judgement {
    if case.contradicts(line) {
        return inconclusive(case.contradiction("sidecar", line)).over([case.hop_to_sidecar(line)]);
    }
    if line.denied_by_policy() {
        return case
            .stopped_by_policy(BlockedBy::AuthorizationPolicy)
            .over([case.hop_to_sidecar(line)]);
    }
    if is_registry_only(line) {
        let message = format!(
            "the sidecar of {} refused {}: REGISTRY_ONLY",
            case.source(),
            case.target()
        );
        let mut finding = case.finding(&catalogue::REGISTRY_ONLY, message);
        if case.evidence.expected == Expected::Routed {
            finding.severity = Severity::Error;
        }
        return Judgement::blocked(BlockedBy::RegistryOnly)
            .with(finding)
            .over([case.hop_to_sidecar(line)]);
    }
    // Measured on the lab: without the DestinationRule the subset's cluster is missing, `NC`.
    if line.has_flag("NC") {
        let message = format!(
            "the sidecar of {} has no cluster for its route to {}",
            case.source(),
            case.target()
        );
        return Judgement::new(Outcome::Unreachable)
            .with(case.finding(&catalogue::CLUSTER_MISSING, message))
            .over([case.hop_to_sidecar(line)]);
    }
    match &line.upstream_cluster {
        Some(cluster) if cluster.is_of_service(&case.evidence.gateway.service_host) => {
            gateway_way::judge(case, line)
        }
        Some(cluster @ (UpstreamCluster::Passthrough | UpstreamCluster::Outbound { .. })) => {
            directly(case, line, cluster)
        }
        Some(UpstreamCluster::BlackHole | UpstreamCluster::Other(_)) | None => {
            inconclusive(not_explained(case, line)).over([case.hop_to_sidecar(line)])
        }
    }
}

/// Measured on the lab: TLS ends with `UH` at BlackHoleCluster, HTTP with a direct response 502 of the route
/// `block_all`.
pub(super) fn is_registry_only(line: &AccessLogLine) -> bool {
    let by_cluster = line.upstream_cluster == Some(UpstreamCluster::BlackHole)
        && (line.has_flag("UH") || line.upstream_host.is_none());
    let by_route = line.route_name.as_deref() == Some(BLOCK_ALL_ROUTE)
        && line.response_code == 502
        && line.response_code_details.as_deref() == Some("direct_response");
    by_cluster || by_route
}

/// The sidecar sent it to the host itself, or to a Service that is not the plan's gateway.
fn directly(case: &Case, line: &AccessLogLine, cluster: &UpstreamCluster) -> Judgement {
    let at_gateway = line
        .upstream_host
        .as_deref()
        .is_some_and(|upstream| super::chain::owners(case.evidence, upstream).next().is_some());
    if at_gateway {
        let message = format!(
            "the sidecar sent {} to a pod of the gateway by the foreign cluster {cluster}",
            case.target()
        );
        return inconclusive(case.finding(&catalogue::CONTRADICTION, message))
            .over([hop_to_host(case, line)]);
    }
    if host_was_reached(case, line) {
        if leaves_here_as_planned(case, cluster) {
            return as_planned(case, line, cluster);
        }
        let judgement = Judgement::new(Outcome::Bypassed).over([hop_to_host(case, line)]);
        return match bypass_finding(case, cluster) {
            Some(finding) => judgement.with(finding),
            None => judgement,
        };
    }
    if is_stopped_by_policy(case, line) {
        return case
            .stopped_by_policy(BlockedBy::NetworkPolicy)
            .over([hop_to_host(case, line).that_failed(line.failure())]);
    }
    if line.response_flags.is_empty() && is_certificate_refused(case.report) {
        return inconclusive(case.certificate_finding()).over([hop_to_host(case, line)]);
    }
    if let Some(fault) = originated::fault_of(case, line, case.leg_of_sidecar(line)) {
        let message = format!(
            "the sidecar of {} {} {} ({})",
            case.source(),
            fault.did,
            case.target(),
            line.ending()
        );
        return Judgement::new(Outcome::Unreachable)
            .with(case.finding(fault.article, message))
            .over([hop_to_host(case, line).that_failed(line.failure())]);
    }
    if is_failure_behind_proxy(line)
        || line.response_flags.is_empty() && line.upstream_local_address.is_some()
    {
        let message = format!(
            "{} did not answer; the sidecar tried it without the gateway, by {cluster} ({})",
            case.target(),
            line.ending()
        );
        return Judgement::new(Outcome::Unreachable)
            .with(case.finding(&catalogue::HOST_UNREACHABLE, message))
            .over([hop_to_host(case, line).that_failed(line.failure())]);
    }
    inconclusive(not_explained(case, line)).over([hop_to_host(case, line)])
}

/// Whether the plan lets it out at the sidecar, by this very cluster. What leaves by `PassthroughCluster` is not known
/// to the mesh, whatever the plan says.
fn leaves_here_as_planned(case: &Case, cluster: &UpstreamCluster) -> bool {
    let planned = case.evidence.planned.as_ref();
    planned.is_some_and(|way| !way.through_gateway() && way.outside_cluster == *cluster)
}

fn as_planned(case: &Case, line: &AccessLogLine, cluster: &UpstreamCluster) -> Judgement {
    let message = format!(
        "{} left at the sidecar of {}, by {cluster}, as planned: no gateway carries it, and a lock would cut it off",
        case.target(),
        case.source()
    );
    Judgement::new(Outcome::Direct)
        .with(case.finding(&catalogue::LEFT_AT_SIDECAR, message))
        .over([hop_to_host(case, line)])
}

/// Positive evidence that something at the host's address answered: an HTTP answer of the upstream, or over TCP
/// curl's success, or bytes that came back over a connection that ended well. That curl then refused the
/// certificate changes nothing about the way.
fn host_was_reached(case: &Case, line: &AccessLogLine) -> bool {
    if line.is_http() {
        return line.answered_by_upstream();
    }
    let bytes_came_back = line.upstream_local_address.is_some() && line.bytes_sent > 0;
    line.response_flags.is_empty() && line.upstream_host.is_some() && (case.has_answer() || bytes_came_back)
}

/// From a pod with sidecar a block by a NetworkPolicy shows as `UF` towards the host (measured on the lab: dropped
/// after 10 s, rejected at once, both under ALLOW_ANY). A dead host looks the same, so it takes a control that the
/// host is up, and a policy that selects the source. A failed TLS handshake of the proxy is no block.
fn is_stopped_by_policy(case: &Case, line: &AccessLogLine) -> bool {
    let tls_failed = line
        .upstream_transport_failure_reason
        .as_deref()
        .is_some_and(|reason| reason.starts_with("TLS_error"));
    line.has_flag("UF")
        && line.upstream_local_address.is_none()
        && !tls_failed
        && case.evidence.network_policies == Some(true)
        && case.evidence.control.host_up == Some(true)
}

/// Flags of Envoy's documentation that mean: sent on, and it failed there, or the client did not wait for it.
pub(super) fn is_failure_behind_proxy(line: &AccessLogLine) -> bool {
    ["UF", "URX", "UH", "UC", "UR", "UT", "UPE", "LR", "DC", "DT"]
        .into_iter()
        .any(|flag| line.has_flag(flag))
}

fn bypass_finding(case: &Case, cluster: &UpstreamCluster) -> Option<Finding> {
    let target = case.target();
    match case.evidence.expected {
        Expected::Reachable => None,
        Expected::Nothing => {
            let message = format!(
                "{target} left directly from the sidecar of {}, by {cluster}",
                case.source()
            );
            let host = &case.request().host;
            Some(
                case.finding(&catalogue::BYPASSED_AT_SIDECAR, message)
                    .fixed_by(format!(
                        "to send it through the gateway: `kubectl egress setup {host}`"
                    )),
            )
        }
        Expected::Routed => Some(case.finding(
            &catalogue::BYPASSED_AT_SIDECAR,
            format!(
                "{target} left directly from the sidecar of {}, by {cluster}",
                case.source()
            ),
        )),
        Expected::NotReachable => Some(
            case.finding(
                &catalogue::BYPASSED_AT_SIDECAR,
                format!(
                    "{target} must not be reachable, and left directly from {}, by {cluster}",
                    case.source()
                ),
            )
            .fixed_by(catalogue::BYPASSED_WITHOUT_SIDECAR.fix),
        ),
    }
}

pub(super) fn not_explained(case: &Case, line: &AccessLogLine) -> Finding {
    case.finding(
        &catalogue::NOT_EXPLAINED,
        format!(
            "the sidecar's line for {} shows no way that is known ({})",
            case.target(),
            line.ending()
        ),
    )
}

fn hop_to_host(case: &Case, line: &AccessLogLine) -> Hop {
    Hop {
        from: HopEnd::Sidecar,
        to: HopEnd::Host,
        pod: None,
        encryption: case.leg_of_sidecar(line),
        failed: None,
        receipts: vec![case.sidecar_receipt(line), case.curl_receipt()],
    }
}
