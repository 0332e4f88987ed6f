//! What a proxy writes of a request or a connection, by how it ended (truth.md sections 1 to 5).

use super::access_log::LogFields;
use super::ending::{self, End};
use super::telling::removes;
use super::transfer::Transfer;
use crate::mesh::{PredictedHop, Proxy};

/// Bytes of a small TLS exchange, as measured.
const TLS_BYTES: (u64, u64) = (725, 2385);
/// Bytes of a ClientHello that was answered by a reset.
const HELLO_BYTES: u64 = 517;

/// Whether a proxy reads the server name of what arrives.
pub(super) fn reads_server_name(transfer: &Transfer<'_>, hop: &PredictedHop) -> bool {
    if hop.at != Proxy::Sidecar {
        return true;
    }
    let request = transfer.request;
    let given = request.resolve.get(&format!("{}:{}", request.host, request.port));
    // A listener of a Service's own address reads no server name, nor does a port that nothing declares as TLS.
    let by_address = hop.listener.starts_with("0.0.0.0_")
        && given == Some(&transfer.address)
        && hop.cluster.starts_with("outbound|")
        && hop.cluster.contains("||")
        && hop.cluster.ends_with(".svc.cluster.local");
    let unread = hop.listener == "virtualOutbound" && request.port != 443;
    !by_address && !unread
}

/// The line of a connection whose bytes are carried as they are. `slow`: behind it, packets are dropped.
pub(super) fn stream(fields: &mut LogFields, hop: &PredictedHop, end: &End, slow: bool) {
    let flags = |text: &str| Some(text.to_owned());
    match end {
        End::Answered(_) => {
            (fields.bytes_received, fields.bytes_sent) = TLS_BYTES;
            fields.duration = if hop.at == Proxy::Sidecar { 52 } else { 49 };
        }
        End::Refused => {
            fields.flags = flags("UF,URX");
            fields.failure_reason = flags(ending::REFUSED);
        }
        End::Dropped => {
            fields.flags = flags("UF,URX");
            fields.duration = ending::GAVE_UP;
        }
        End::Tls(reason) => {
            fields.flags = flags("UF,URX");
            fields.failure_reason = flags(reason);
            fields.duration = 4;
        }
        End::Closed => {
            fields.flags = flags("UR");
            fields.bytes_received = HELLO_BYTES;
            fields.duration = if slow { 10_002 } else { 2 };
        }
        End::Warming => {
            (fields.upstream_cluster, fields.upstream_host) = (None, None);
            fields.flags = flags("NC");
        }
        End::Unresolved => {
            fields.flags = flags("UH");
            fields.duration = 3;
        }
        End::Own => {
            fields.flags.clone_from(&hop.flags);
            fields.details.clone_from(&hop.details);
            fields.duration = if hop.details.is_some() { 0 } else { 3 };
        }
    }
}

/// The line of a request. `slow`: behind it, packets are dropped.
pub(super) fn http(
    transfer: &mut Transfer<'_>,
    fields: &mut LogFields,
    hop: &PredictedHop,
    end: &End,
    slow: bool,
) {
    if hop.flags.as_deref() == Some("DPE") {
        no_request(fields, hop);
        return;
    }
    request(transfer, fields, hop);
    fields.response_code = ending::status(hop, end);
    let set = |fields: &mut LogFields, flags: &str, details: &str| {
        fields.flags = Some(flags.to_owned());
        fields.details = Some(details.to_owned());
    };
    match end {
        _ if slow && transfer.gives_up().is_some() => {
            set(fields, "DC", "downstream_remote_disconnect");
            fields.response_code = 0;
            fields.duration = transfer.gives_up().unwrap_or_default();
        }
        End::Answered(status) => {
            fields.details = Some("via_upstream".into());
            if *status == 200 {
                fields.bytes_sent = 272;
                (fields.duration, fields.service_time) = (2, Some(1));
            }
        }
        End::Refused => {
            fields.bytes_sent = 98;
            set(
                fields,
                "UF",
                &before_response("remote_connection_failure", ending::REFUSED),
            );
            fields.failure_reason = Some(ending::REFUSED.into());
        }
        End::Dropped => {
            fields.bytes_sent = 91;
            set(
                fields,
                "UF",
                "upstream_reset_before_response_started{connection_timeout}",
            );
            fields.duration = 9997;
        }
        End::Tls(reason) => {
            fields.bytes_sent = 121;
            set(
                fields,
                "URX,UF",
                &before_response("remote_connection_failure", reason),
            );
            fields.failure_reason = Some(reason.clone());
            fields.duration = 44;
        }
        End::Closed => {
            fields.bytes_sent = 95;
            set(
                fields,
                "UC",
                "upstream_reset_before_response_started{connection_termination}",
            );
            fields.duration = 1;
        }
        End::Warming => {
            (fields.upstream_cluster, fields.upstream_host) = (None, None);
            set(fields, "NC", "cluster_not_found");
        }
        End::Unresolved => set(fields, "UH", "no_healthy_upstream"),
        End::Own => {
            fields.flags.clone_from(&hop.flags);
            fields.details.clone_from(&hop.details);
        }
    }
}

fn before_response(what: &str, reason: &str) -> String {
    format!("upstream_reset_before_response_started{{{what}|{reason}}}")
}

/// What arrived was no HTTP.
fn no_request(fields: &mut LogFields, hop: &PredictedHop) {
    fields.protocol = Some("HTTP/1.1".into());
    fields.response_code = hop.response_code.unwrap_or(400);
    fields.flags.clone_from(&hop.flags);
    fields.details.clone_from(&hop.details);
    fields.bytes_sent = 11;
    fields.server_name = None;
}

fn request(transfer: &mut Transfer<'_>, fields: &mut LogFields, hop: &PredictedHop) {
    let request = transfer.request;
    let at_gateway = matches!(hop.at, Proxy::Gateway(_));
    fields.method = Some(request.method.clone());
    fields.path = Some(request.path.clone());
    fields.protocol = Some(if at_gateway { "HTTP/2" } else { "HTTP/1.1" }.into());
    fields.user_agent = Some(request.user_agent.clone());
    // Each proxy makes an id of its own (truth.md, surprise 9).
    let number = transfer.state.next_number();
    let id = format!("5a4db0c5-0000-4000-a000-{number:012x}");
    fields.request_id = Some(id).filter(|_| !at_gateway || !removes(transfer, "x-request-id"));
    fields.authority = Some(request.host.clone());
    let forwarded = at_gateway && !removes(transfer, "x-forwarded-for");
    fields.forwarded_for = forwarded.then(|| transfer.source_address.clone());
}
