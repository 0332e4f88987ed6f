//! Carries a transfer over the predicted hops, and has each proxy write its line and count, as measured in truth.md
//! sections 1 to 5 and 8.

use super::access_log::LogFields;
use super::destination::{Answer, AtAddress, address_of};
use super::ending::{self, End};
use super::lines;
use super::origination::originate;
use super::telemetry::{self, LogFormat};
use super::telling;
use super::transfer::{Transfer, TransferResult};
use crate::mesh::{Carries, Dropped, LegTls, PredictedHop, Prediction, Proxy, Upstream};
use crate::sandbox::state::Inner;
use crate::sandbox::state::State;
use crate::vocabulary::names::PROXY_CONTAINER;
use crate::vocabulary::{Outcome, PodName, Scheme};
use serde_json::Value;

/// Milliseconds of a transfer that goes well.
const USUAL: u64 = 52;

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
fn own_end(state: &mut State, pod: &PodName, hop: &PredictedHop, upstream: &str, address: &str) -> String {
    let is_http = hop.carries == Carries::Http;
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

/// A proxy on the way.
struct Station {
    pod: PodName,
    address: String,
}

/// How the last leg ended, and what curl gets if its bytes were carried as they are.
struct LastLeg {
    end: End,
    /// Address that the last proxy connects to, if it is one outside.
    address: Option<String>,
    /// What curl sees of a stream.
    stream: Option<TransferResult>,
    /// What a host answered to a request that a proxy sent.
    answer: Option<Answer>,
}

/// Follows the hops to their end.
pub(super) fn carry(transfer: &mut Transfer<'_>, prediction: &Prediction) -> TransferResult {
    let hops = &prediction.hops;
    let stations: Vec<Station> = hops.iter().map(|hop| station(transfer, hop)).collect();
    let (Some(last), Some(at)) = (hops.last(), stations.last()) else {
        return transfer.reset(1);
    };
    let mut leg = last_leg(transfer, prediction, last, &at.address);
    let ends = ending::along(hops, &leg.end);
    write_lines(transfer, hops, &stations, &ends, leg.address.as_deref());
    let (first, first_end) = (&hops[0], &ends[0]);
    let slow = leg.end == End::Dropped;
    match (first.carries, transfer.request.scheme) {
        (_, _) if slow && transfer.gives_up().is_some() => {
            transfer.timed_out(transfer.gives_up().unwrap_or_default())
        }
        (Carries::Http, Scheme::Https) => transfer.no_tls(4),
        (Carries::Http, Scheme::Http) => {
            let status = ending::status(first, first_end);
            let time = match &leg.end {
                End::Dropped => 10_000,
                End::Answered(_) => USUAL,
                _ => 2,
            };
            match (leg.answer.take(), leg.stream.take()) {
                (Some(answer), _) if answer.status == status => transfer.answer_with(answer, time),
                (_, Some(stream)) if stream.http_code == status => stream,
                _ => transfer.answer(status, time),
            }
        }
        (Carries::Stream, _) if *first_end != End::Answered(200) => {
            transfer.reset(if slow { ending::GAVE_UP } else { 4 })
        }
        (Carries::Stream, _) => leg.stream.take().unwrap_or_else(|| transfer.reset(4)),
    }
}

fn station(transfer: &Transfer<'_>, hop: &PredictedHop) -> Station {
    match &hop.at {
        Proxy::Sidecar => Station {
            pod: pod_name(transfer.source),
            address: transfer.source_address.clone(),
        },
        Proxy::Gateway(pod) => {
            let object = transfer.state.object("", "pods", &pod.namespace, &pod.name);
            let address = object.and_then(|pod| pod["status"]["podIP"].as_str());
            Station {
                pod: pod.clone(),
                address: address.unwrap_or_default().to_owned(),
            }
        }
    }
}

fn pod_name(pod: &Value) -> PodName {
    let text = |name: &str| pod["metadata"][name].as_str().unwrap_or_default();
    PodName::new(text("namespace"), text("name"))
}

/// How the last proxy fares.
fn last_leg(
    transfer: &mut Transfer<'_>,
    prediction: &Prediction,
    last: &PredictedHop,
    peer: &str,
) -> LastLeg {
    let mut leg = LastLeg {
        end: End::Answered(200),
        address: None,
        stream: None,
        answer: None,
    };
    let planned = ending::predicted(last, None);
    match &last.upstream {
        Upstream::None => {}
        // The next proxy wrote no line: it took the application's TLS for that of the mesh.
        Upstream::Pod { .. } => leg.stream = Some(transfer.intercepted(USUAL)),
        Upstream::Host { address, port } => {
            leg.address = resolved(transfer, last, address);
            leg.end = match (&leg.address, *port) {
                (None, _) => End::Unresolved,
                (Some(address), port) => match transfer.at(address, port) {
                    AtAddress::Refuses => End::Refused,
                    AtAddress::Silent => End::Dropped,
                    AtAddress::Answers => End::Answered(200),
                },
            };
        }
    }
    if let Some(planned) = planned {
        leg.end = planned;
    }
    if matches!(prediction.dropped, Some(Dropped::AtHop(_))) {
        leg.end = End::Dropped;
    }
    let (Upstream::Host { port, .. }, Some(address), End::Answered(_)) =
        (&last.upstream, leg.address.clone(), &leg.end)
    else {
        return leg;
    };
    arrive(transfer, prediction, &mut leg, (address.as_str(), *port), peer);
    leg
}

/// The last connection is there: what comes of it.
fn arrive(
    transfer: &mut Transfer<'_>,
    prediction: &Prediction,
    leg: &mut LastLeg,
    (address, port): (&str, u16),
    peer: &str,
) {
    let Some(last) = prediction.hops.last() else {
        return;
    };
    if last.carries == Carries::Stream && last.tls == LegTls::None {
        let stream = if prediction.outcome == Outcome::Unreachable {
            transfer.intercepted(USUAL)
        } else {
            transfer.served(address, port, peer, USUAL)
        };
        leg.end = End::Answered(if stream.http_code == 0 {
            200
        } else {
            stream.http_code
        });
        leg.stream = Some(stream);
        return;
    }
    let (client, tls) = match &last.tls {
        LegTls::Originated { mutual, .. } => match transfer.tls_at(address, port) {
            None => {
                leg.end = End::Tls(ending::WRONG_VERSION.to_owned());
                return;
            }
            Some(server) => match originate(transfer, last, &server, *mutual) {
                Ok(client) => (client, true),
                Err(failure) => {
                    leg.end = failure.into();
                    return;
                }
            },
        },
        LegTls::Mesh { .. } | LegTls::None if transfer.tls_at(address, port).is_some() => {
            leg.end = End::Closed;
            return;
        }
        LegTls::Mesh { .. } | LegTls::None => (None, false),
    };
    if last.carries == Carries::Stream {
        // TLS around TLS: the host reads a hello where it expects a request.
        leg.stream = Some(transfer.no_tls(USUAL));
        return;
    }
    transfer.arrive(peer, port, tls);
    let added = telling::headers(transfer, &prediction.hops, port);
    let answer = transfer.deliver(address, port, peer, &added, client.as_deref());
    leg.end = End::Answered(answer.status);
    leg.answer = Some(answer);
}

/// The address behind an upstream's name or address.
fn resolved(transfer: &Transfer<'_>, hop: &PredictedHop, address: &str) -> Option<String> {
    if hop.cluster == crate::istio::access_log::PASSTHROUGH_CLUSTER {
        Some(transfer.address.clone())
    } else if address.parse::<std::net::IpAddr>().is_ok() {
        Some(address.to_owned())
    } else {
        address_of(transfer.inner, address)
    }
}

/// Has every proxy on the way write its line, and count.
fn write_lines(
    transfer: &mut Transfer<'_>,
    hops: &[PredictedHop],
    stations: &[Station],
    ends: &[End],
    outside: Option<&str>,
) {
    let application_name = (transfer.request.scheme == Scheme::Https).then(|| transfer.request.host.clone());
    let mut arriving = application_name;
    let mut remote = format!("{}:{}", transfer.source_address, transfer.local_port);
    let mut local = format!("{}:{}", transfer.address, transfer.request.port);
    let slow = ends.last() == Some(&End::Dropped);
    for ((hop, station), end) in hops.iter().zip(stations).zip(ends) {
        let upstream = match &hop.upstream {
            Upstream::None => None,
            Upstream::Pod { address, port, .. } => Some(format!("{address}:{port}")),
            Upstream::Host { port, .. } => outside.map(|address| format!("{address}:{port}")),
        };
        let connected = end.has_connected();
        let own_end = upstream
            .as_deref()
            .filter(|_| connected)
            .map(|upstream| own_end(transfer.state, &station.pod, hop, upstream, &station.address));
        let mut fields = LogFields {
            upstream_host: upstream.clone(),
            upstream_cluster: Some(hop.cluster.clone()).filter(|cluster| cluster != "-"),
            upstream_local: own_end.clone(),
            downstream_local: local.clone(),
            downstream_remote: remote.clone(),
            route: hop.route.clone(),
            server_name: arriving
                .clone()
                .filter(|_| lines::reads_server_name(transfer, hop)),
            ..LogFields::default()
        };
        match hop.carries {
            Carries::Http => lines::http(transfer, &mut fields, hop, end, slow),
            Carries::Stream => lines::stream(&mut fields, hop, end, slow),
        }
        write_line(transfer.inner, transfer.state, &station.pod, &fields);
        count(transfer.state, &station.pod, &fields);
        arriving = match &hop.tls {
            LegTls::Mesh { server_name } => Some(server_name.clone()),
            LegTls::Originated { server_name, .. } => server_name.clone(),
            LegTls::None => arriving.filter(|_| hop.carries == Carries::Stream),
        };
        if let Some(upstream) = upstream {
            local = upstream;
            let port = || format!("{}:{}", station.address, transfer.state.next_port());
            remote = own_end.unwrap_or_else(port);
        }
    }
}
