//! Which lines belong to a probe: chained by socket addresses, and for plain HTTP by the probe's nonce.
//!
//! A connection is known by both its ends. curl's local address is the sidecar line's downstream remote address,
//! and the address curl connected to is its downstream local address; the sidecar's upstream local address is the
//! gateway line's downstream remote address, and the sidecar's upstream host is its downstream local address.
//! Measured on the lab: 91 of 91 pairs joined this way, while `x-request-id` is made anew at the gateway.

use super::address::{is_at_one_of, same_socket};
use super::judge::is_name_not_resolved;
use super::{AccessLogLine, CurlReport, CurlResult, GatewayPodFacts, ProbeEvidence, ProbeRequest};
use crate::vocabulary::Scheme;

/// What a search for a probe's line found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found<T> {
    /// Exactly one.
    One(T),
    /// Several that differ: an address was used again, and nothing tells them apart.
    Several,
    /// None.
    Nothing,
}

/// The sidecar's line of the transfer that curl reports.
pub(super) fn sidecar_line<'a>(evidence: &'a ProbeEvidence, report: &CurlReport) -> Found<&'a AccessLogLine> {
    let Some(local) = &report.local_address else {
        return Found::Nothing;
    };
    let addresses = &evidence.source.addresses;
    if !addresses.is_empty() && !is_at_one_of(local, addresses) {
        return Found::Nothing;
    }
    let matching = evidence
        .sidecar_lines
        .iter()
        .filter(|line| is_same(line.downstream_remote_address.as_ref(), local))
        .filter(|line| {
            may_be_same(
                line.downstream_local_address.as_ref(),
                report.remote_address.as_ref(),
            )
        })
        .filter(|line| belongs(line, &evidence.request))
        .collect();
    // A connection's own line beside that of the request on it says less.
    only_one(prefer(matching, |line| line.is_http()), |line| &line.raw)
}

/// The gateway's line of the connection or request that the sidecar's line names.
pub(super) fn gateway_line<'a>(
    evidence: &'a ProbeEvidence,
    sidecar: &AccessLogLine,
) -> Found<(&'a str, &'a AccessLogLine)> {
    let (Some(local), Some(upstream)) = (&sidecar.upstream_local_address, &sidecar.upstream_host) else {
        return Found::Nothing;
    };
    let pods: Vec<_> = owners(evidence, upstream).collect();
    let matching: Vec<_> = evidence
        .gateway_lines
        .iter()
        .filter(|(pod, _)| pods.iter().any(|owner| owner.pod == *pod))
        .filter(|(_, line)| is_same(line.downstream_remote_address.as_ref(), local))
        .filter(|(_, line)| may_be_same(line.downstream_local_address.as_ref(), Some(upstream)))
        .filter(|(_, line)| belongs(line, &evidence.request))
        // The line of a pooled connection is about all its requests, unless the whole connection was refused.
        .filter(|(_, line)| line.is_http() || !sidecar.is_http() || !line.response_flags.is_empty())
        .map(|(pod, line)| (pod.as_str(), line))
        .collect();
    let requests = prefer(matching, |(_, line)| line.is_http());
    // The sidecar tries again on its own; its own line tells how the last try ended.
    let answered = prefer(requests, |(_, line)| line.response_code == sidecar.response_code);
    match answered.as_slice() {
        [.., last] if last.1.is_http() => Found::One(*last),
        _ => only_one(answered, |(_, line)| &line.raw),
    }
}

/// The pods of the gateway at the address of a sidecar's upstream.
pub(super) fn owners<'a>(
    evidence: &'a ProbeEvidence,
    upstream_host: &'a str,
) -> impl Iterator<Item = &'a GatewayPodFacts> {
    evidence
        .gateway
        .pods
        .iter()
        .filter(move |pod| is_at_one_of(upstream_host, &pod.addresses))
}

/// Whether all lines that the judgement needs have arrived, so that waiting longer changes nothing.
///
/// True as well where no line can come: curl did not report, the name did not resolve, there is no sidecar, or its
/// log may not be read.
pub fn log_is_settled(evidence: &ProbeEvidence) -> bool {
    let CurlResult::Report(report) = &evidence.curl else {
        return true;
    };
    if !evidence.source.meshed || is_name_not_resolved(report) {
        return true;
    }
    let Found::One(sidecar) = sidecar_line(evidence, report) else {
        return evidence.source.log_state.is_final();
    };
    let to_gateway = sidecar
        .upstream_cluster
        .as_ref()
        .is_some_and(|cluster| cluster.is_of_service(&evidence.gateway.service_host));
    let (true, Some(upstream), Some(_)) = (
        to_gateway,
        &sidecar.upstream_host,
        &sidecar.upstream_local_address,
    ) else {
        return true;
    };
    let mut owners = owners(evidence, upstream).peekable();
    // A pod that nobody knows yet may become known: then its line can still come.
    let unreadable = owners.peek().is_some() && owners.all(|pod| pod.log_state.is_final());
    unreadable || gateway_line(evidence, sidecar) != Found::Nothing
}

fn is_same(given: Option<&String>, wanted: &str) -> bool {
    given.is_some_and(|given| same_socket(given, wanted))
}

/// Formats of the operator's own may leave an address out; one that is there must fit.
fn may_be_same(given: Option<&String>, wanted: Option<&String>) -> bool {
    match (given, wanted) {
        (Some(given), Some(wanted)) => same_socket(given, wanted),
        _ => true,
    }
}

/// Whether a line at the right addresses can be this probe's: the SNI (TLS) or the nonce (HTTP) must not speak
/// against it. Addresses are used again, and pooled connections carry requests of others.
fn belongs(line: &AccessLogLine, request: &ProbeRequest) -> bool {
    match request.scheme {
        Scheme::Https => {
            let other_name = line
                .requested_server_name
                .as_ref()
                .is_some_and(|name| !name.eq_ignore_ascii_case(&request.host));
            !line.is_http() && !other_name
        }
        Scheme::Http if line.is_http() => {
            !request.nonce.is_empty()
                && line
                    .user_agent
                    .as_ref()
                    .is_some_and(|agent| agent.contains(&request.nonce))
        }
        Scheme::Http => true,
    }
}

/// Those that are preferred, or all if none is.
fn prefer<T>(all: Vec<T>, preferred: impl Fn(&T) -> bool) -> Vec<T> {
    if all.iter().any(&preferred) {
        all.into_iter().filter(preferred).collect()
    } else {
        all
    }
}

/// The same line twice (a follower that was opened again) is one.
fn only_one<T>(all: Vec<T>, raw: impl Fn(&T) -> &String) -> Found<T> {
    let mut all = all.into_iter();
    let Some(first) = all.next() else {
        return Found::Nothing;
    };
    if all.all(|other| raw(&other) == raw(&first)) {
        Found::One(first)
    } else {
        Found::Several
    }
}
