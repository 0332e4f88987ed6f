//! Carries a transfer over the predicted hops, and writes the lines and counters of each proxy, as measured in
//! truth.md sections 1, 2 and 8.

use super::access_log::LogFields;
use super::telemetry::{self, LogFormat};
use super::transfer::{AtAddress, Transfer, TransferResult, outside};
use crate::mesh::{PredictedHop, Proxy, Upstream};
use crate::sandbox::state::Inner;
use crate::sandbox::state::State;
use crate::vocabulary::names::PROXY_CONTAINER;
use crate::vocabulary::{PodName, Scheme};
use serde_json::Value;

/// Bytes of a small TLS exchange, as measured.
const TLS_BYTES: (u64, u64) = (725, 2385);
/// Bytes of a ClientHello that was answered by a reset.
const HELLO_BYTES: u64 = 517;
/// What Envoy writes where a connection was refused.
const REFUSED: &str = "delayed_connect_error:_Connection_refused";
/// Milliseconds after which Envoy gives a connection up.
const GAVE_UP: u64 = 10_004;

/// How the last leg ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The host answered.
    Answered,
    /// A connection was refused at once.
    Refused,
    /// Packets were dropped.
    Dropped,
    /// A proxy ended it.
    Stopped,
}

/// Writes a line into a proxy's log, if that proxy logs.
pub(in crate::sandbox) fn write_line(inner: &Inner, state: &mut State, pod: &PodName, fields: &LogFields) {
    let Some(object) = state.object("", "pods", &pod.namespace, &pod.name) else {
        return;
    };
    let now = inner.now();
    let line = match telemetry::format(state, object) {
        None => return,
        Some(LogFormat::Text) => fields.text(now),
        Some(LogFormat::Json) => fields.json(now),
    };
    state.log(now, &pod.namespace, &pod.name, PROXY_CONTAINER, &line);
}

/// A proxy's end of its connection to an endpoint of a cluster: for HTTP the one that it kept, if there is one.
fn own_end(
    state: &mut State,
    pod: &PodName,
    hop: &PredictedHop,
    upstream: &str,
    address: &str,
    is_http: bool,
) -> String {
    let key = (pod.to_string(), hop.cluster.clone(), upstream.to_owned());
    if let Some(kept) = state.pools.get(&key).filter(|_| is_http) {
        return kept.clone();
    }
    let end = format!("{address}:{}", state.next_port());
    if is_http {
        state.pools.insert(key.clone(), end.clone());
        state.counters.entry(key.clone()).or_default().open += 1;
    }
    state.counters.entry(key).or_default().connections += 1;
    end
}

/// Counts a request to an endpoint of a proxy's cluster, or that no connection to it came about.
fn count(state: &mut State, pod: &PodName, fields: &LogFields) {
    let (Some(cluster), Some(address)) = (&fields.upstream_cluster, &fields.upstream_host) else {
        return;
    };
    let key = (pod.to_string(), cluster.clone(), address.clone());
    let counters = state.counters.entry(key).or_default();
    if fields.upstream_local.is_none() {
        counters.connections += 1;
        counters.failed_connections += 1;
    } else {
        counters.requests += 1;
        counters.successes += u64::from(fields.response_code == 200);
    }
}

/// Follows the hops to their end. `dropped`: a NetworkPolicy drops the packets behind the last one.
pub(super) fn carry(transfer: &mut Transfer<'_>, hops: &[PredictedHop], dropped: bool) -> TransferResult {
    let Some(last) = hops.last() else {
        return transfer.reset(1);
    };
    let (mut end, final_address) = end_of(transfer, last);
    if dropped {
        end = End::Dropped;
    }
    let source = pod_name(transfer.source);
    let is_http = transfer.request.scheme == Scheme::Http;
    let mut downstream_remote = format!("{}:{}", transfer.source_address, transfer.local_port);
    let mut downstream_local = format!("{}:{}", transfer.address, transfer.request.port);
    let mut peer = String::new();
    for (position, hop) in hops.iter().enumerate() {
        let is_last = position + 1 == hops.len();
        let (pod, own_address) = match &hop.at {
            Proxy::Sidecar => (source.clone(), transfer.source_address.clone()),
            Proxy::Gateway(pod) => {
                let object = transfer.state.object("", "pods", &pod.namespace, &pod.name);
                let address = object.and_then(|pod| pod["status"]["podIP"].as_str());
                (pod.clone(), address.unwrap_or_default().to_owned())
            }
        };
        let upstream = match &hop.upstream {
            Upstream::None => None,
            Upstream::Pod { address, port, .. } => Some(format!("{address}:{port}")),
            Upstream::Host { port, .. } => final_address.as_ref().map(|address| format!("{address}:{port}")),
        };
        let reached = upstream.is_some() && !(is_last && end != End::Answered);
        let local = upstream.as_deref().filter(|_| reached);
        let local = local.map(|upstream| own_end(transfer.state, &pod, hop, upstream, &own_address, is_http));
        let mut fields = LogFields {
            upstream_host: upstream.clone(),
            upstream_cluster: Some(hop.cluster.clone()).filter(|cluster| cluster != "-"),
            upstream_local: local.clone(),
            downstream_local: downstream_local.clone(),
            downstream_remote: downstream_remote.clone(),
            route: hop.route.clone(),
            flags: hop.flags.clone(),
            details: hop.details.clone(),
            ..LogFields::default()
        };
        if is_http {
            fill_http(transfer, &mut fields, hop, end, is_last);
        } else {
            fill_tls(transfer, &mut fields, hop, end, is_last);
        }
        write_line(transfer.inner, transfer.state, &pod, &fields);
        count(transfer.state, &pod, &fields);
        peer = own_address;
        if let (Some(upstream), Some(local)) = (upstream, local) {
            downstream_local = upstream;
            downstream_remote = local;
        }
    }
    conclude(transfer, last, end, &peer)
}

fn pod_name(pod: &Value) -> PodName {
    let text = |name: &str| pod["metadata"][name].as_str().unwrap_or_default();
    PodName::new(text("namespace"), text("name"))
}

/// How the last proxy fares, and the address that it connects to.
fn end_of(transfer: &Transfer<'_>, last: &PredictedHop) -> (End, Option<String>) {
    match &last.upstream {
        // No listener at the gateway: the connection is refused (truth.md 3a).
        Upstream::Pod { .. } if last.flags.is_some() => (End::Refused, None),
        Upstream::None | Upstream::Pod { .. } => (End::Stopped, None),
        Upstream::Host { address, port } => {
            let own = last.cluster == crate::istio::access_log::PASSTHROUGH_CLUSTER;
            let hosts = &transfer.inner.settings.outside;
            let resolved = if own {
                Some(transfer.address.clone())
            } else if address.parse::<std::net::IpAddr>().is_ok() {
                Some(address.clone())
            } else {
                outside(hosts, address).map(|host| host.address.clone())
            };
            let Some(resolved) = resolved else {
                return (End::Stopped, None);
            };
            let end = match transfer.at(&resolved, *port) {
                AtAddress::Answers => End::Answered,
                AtAddress::Refuses => End::Refused,
                AtAddress::Silent => End::Dropped,
            };
            (end, Some(resolved))
        }
    }
}

fn fill_tls(transfer: &Transfer<'_>, fields: &mut LogFields, hop: &PredictedHop, end: End, is_last: bool) {
    // A listener of a Service's own address reads no server name, nor does a port that nothing declares as TLS.
    let by_address = hop.at == Proxy::Sidecar && hop.listener.starts_with("0.0.0.0_") && {
        let host = &transfer.request.host;
        transfer
            .request
            .resolve
            .get(&format!("{host}:{}", transfer.request.port))
            == Some(&transfer.address)
            && hop.cluster.starts_with("outbound|")
            && hop.cluster.contains("||")
            && hop.cluster.ends_with(".svc.cluster.local")
    };
    let unread = hop.listener == "virtualOutbound" && transfer.request.port != 443;
    if !by_address && !unread {
        fields.server_name = Some(transfer.request.host.clone());
    }
    match (end, is_last) {
        (End::Answered, _) => {
            (fields.bytes_received, fields.bytes_sent) = TLS_BYTES;
            fields.duration = if is_last { 49 } else { 52 };
        }
        (End::Refused, true) => {
            fields.flags = Some("UF,URX".into());
            fields.details = None;
            fields.failure_reason = Some(REFUSED.into());
        }
        (End::Dropped, true) => {
            fields.flags = Some("UF,URX".into());
            fields.duration = GAVE_UP;
        }
        (End::Stopped, true) => {
            if fields.flags.is_none() {
                // The name of the upstream does not resolve at this proxy.
                fields.flags = Some("UH".into());
            }
            fields.duration = if fields.details.is_some() { 0 } else { 3 };
        }
        (_, false) => {
            // The next proxy closed the connection: measured as `UR` with the hello's bytes.
            fields.flags = Some("UR".into());
            fields.bytes_received = HELLO_BYTES;
            fields.duration = if end == End::Dropped { 10_002 } else { 2 };
        }
    }
}

fn fill_http(
    transfer: &mut Transfer<'_>,
    fields: &mut LogFields,
    hop: &PredictedHop,
    end: End,
    is_last: bool,
) {
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
    let gives_up = transfer.gives_up();
    match (end, is_last) {
        (End::Answered, _) => {
            (fields.response_code, fields.bytes_sent) = (200, 272);
            (fields.duration, fields.service_time) = (2, Some(1));
            fields.details = Some("via_upstream".into());
        }
        (End::Refused, true) => {
            (fields.response_code, fields.bytes_sent) = (503, 98);
            fields.flags = Some("UF".into());
            fields.details = Some(format!(
                "upstream_reset_before_response_started{{remote_connection_failure|{REFUSED}}}"
            ));
            fields.failure_reason = Some(REFUSED.into());
        }
        (End::Dropped, true) => {
            if let Some(limit) = gives_up {
                fields.flags = Some("DC".into());
                fields.details = Some("downstream_remote_disconnect".into());
                fields.duration = limit;
            } else {
                (fields.response_code, fields.bytes_sent) = (503, 91);
                fields.flags = Some("UF".into());
                fields.details = Some("upstream_reset_before_response_started{connection_timeout}".into());
                fields.duration = 9997;
            }
        }
        (End::Stopped, true) => {
            fields.response_code = hop.response_code.unwrap_or(503);
            if fields.details.is_none() {
                fields.flags = Some("UH".into());
                fields.details = Some("no_healthy_upstream".into());
            }
        }
        // The next proxy answered in the host's place; nothing flags it here (truth.md 5).
        (_, false) => {
            if let Some(limit) = gives_up.filter(|_| end == End::Dropped) {
                fields.flags = Some("DC".into());
                fields.details = Some("downstream_remote_disconnect".into());
                fields.duration = limit;
            } else {
                fields.response_code = if end == End::Stopped { 404 } else { 503 };
                fields.details = Some("via_upstream".into());
            }
        }
    }
}

/// Whether a route for the host takes a header out: the gateway's line is written after that.
fn removes(transfer: &Transfer<'_>, header: &str) -> bool {
    let named = |services: &Value, host: &str| {
        services
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one == host))
    };
    let mut all = transfer
        .state
        .store
        .list("networking.istio.io", "virtualservices", None);
    all.any(|(_, service)| {
        let routes = service["spec"]["http"].as_array().into_iter().flatten();
        named(&service["spec"]["hosts"], &transfer.request.host)
            && routes
                .into_iter()
                .any(|route| named(&route["headers"]["request"]["remove"], header))
    })
}

/// What curl sees.
fn conclude(transfer: &mut Transfer<'_>, last: &PredictedHop, end: End, peer: &str) -> TransferResult {
    let http = transfer.request.scheme == Scheme::Http;
    match end {
        End::Answered => {
            if let Upstream::Host { port, .. } = last.upstream {
                transfer.arrive(peer, port);
            }
            transfer.answer(200, 52)
        }
        End::Dropped => match transfer.gives_up() {
            Some(limit) => transfer.timed_out(limit),
            None if http => transfer.answer(503, 10_000),
            None => transfer.reset(GAVE_UP),
        },
        End::Refused if http => transfer.answer(503, 2),
        End::Stopped if http => transfer.answer(last.response_code.unwrap_or(503), 2),
        End::Refused | End::Stopped => transfer.reset(4),
    }
}
