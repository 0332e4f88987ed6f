//! One line, explained: who, what happened, what each field says, which finding it is, what to type next.

use super::super::{AccessLogLine, UpstreamCluster};
use super::cluster_name::{cluster_meaning, service_of};
use super::details::details_meaning;
use super::flags::flag_meaning;
use super::speaker::{Speaker, ip, port, without_port};
use super::transport_failure::TransportFailure;
use super::verdict::{Verdict, failure_of};
use crate::istio::access_log::{ALLOW_ANY_ROUTE, BLOCK_ALL_ROUTE};
use schemars::JsonSchema;
use serde::Serialize;

/// Flags of a line that are explained; hostile lines have thousands of them.
const MOST_FLAGS: usize = 8;

/// What one line says, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// What happened, in one word.
    pub verdict: Verdict,
    /// The finding that fits, `EGR-nnn`.
    pub code: Option<&'static str>,
    /// Which proxy wrote it.
    pub proxy: Speaker,
    /// What was asked for: `HOST:PORT`, as far as the line tells.
    pub host: Option<String>,
    /// When it began, by the proxy's clock.
    pub time: Option<String>,
    /// Who wrote it, as a sentence.
    pub who: String,
    /// What happened, as a sentence.
    pub what: String,
    /// The fields that say so.
    pub fields: Vec<FieldMeaning>,
    /// What to type next.
    pub next: Option<String>,
}

/// A field and what it means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldMeaning {
    /// Which: `flag`, `details`, `cluster` …
    pub field: &'static str,
    /// As it stands in the line.
    pub value: String,
    /// In plain words.
    pub meaning: String,
}

/// What a line says in short: enough to see that it says what another one said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gist {
    pub(super) verdict: Verdict,
    pub(super) proxy: Speaker,
    pub(super) host: Option<String>,
}

impl Gist {
    pub(super) fn of(line: &AccessLogLine) -> Self {
        let proxy = Speaker::of(line);
        Self {
            verdict: Verdict::of(line, proxy),
            proxy,
            host: asked(line, proxy),
        }
    }
}

impl Explanation {
    /// Explains a line; `pod`: who wrote it, where a prefix tells.
    pub fn of(line: &AccessLogLine, pod: Option<&str>) -> Self {
        let Gist {
            verdict,
            proxy: speaker,
            host,
        } = Gist::of(line);
        Self {
            verdict,
            code: verdict.article().map(|article| article.code),
            proxy: speaker,
            host,
            time: line.start_time.clone(),
            who: who(line, speaker, pod),
            what: what(line, verdict, speaker),
            fields: fields(line),
            next: next(verdict, line, speaker),
        }
    }
}

/// What was asked for. The SNI of mutual TLS inside the mesh is Istio's own and names no host.
fn asked(line: &AccessLogLine, speaker: Speaker) -> Option<String> {
    let name = host_name(line)?;
    let cluster_port = match &line.upstream_cluster {
        Some(UpstreamCluster::Outbound { port, host, .. }) if service_of(host).is_none() => Some(*port),
        _ => None,
    };
    let local = line.downstream_local_address.as_deref();
    let asked_port = match speaker {
        Speaker::Sidecar => port(local).or(cluster_port),
        Speaker::Gateway | Speaker::Proxy => cluster_port,
        Speaker::Inbound => port(local),
    };
    Some(match asked_port {
        Some(port) if !name.contains(':') => format!("{name}:{port}"),
        _ => name.to_owned(),
    })
}

fn host_name(line: &AccessLogLine) -> Option<&str> {
    let server_name = line
        .requested_server_name
        .as_deref()
        .filter(|name| !name.starts_with("outbound_."));
    let authority = line.authority.as_deref().map(without_port);
    let address = line.downstream_local_address.as_deref();
    authority.or(server_name).or(address)
}

fn who(line: &AccessLogLine, speaker: Speaker, pod: Option<&str>) -> String {
    let address = |socket: &Option<String>| {
        ip(socket.as_deref()).map_or_else(|| "an unknown address".to_owned(), |ip| ip.to_string())
    };
    let client = address(&line.downstream_remote_address);
    let named = pod.map(|pod| format!(" in pod {pod}")).unwrap_or_default();
    match speaker {
        Speaker::Sidecar => {
            format!("a sidecar{named} wrote this, about a request of its own application ({client})")
        }
        Speaker::Gateway => {
            let own = address(&line.downstream_local_address);
            format!("a gateway{named} ({own}) wrote this, about a request of {client}")
        }
        Speaker::Inbound => {
            format!("a sidecar{named} wrote this, about a request that came in from {client}")
        }
        Speaker::Proxy => {
            format!(
                "a proxy{named} wrote this, about a request of {client}; the line does not show whether it is a sidecar or a gateway"
            )
        }
    }
}

fn what(line: &AccessLogLine, verdict: Verdict, speaker: Speaker) -> String {
    let asked = asked(line, speaker).unwrap_or_else(|| "an unknown host".to_owned());
    let upstream = line.upstream_host.as_deref().unwrap_or("no address");
    let failure = || failure_of(line).meaning();
    match verdict {
        Verdict::LeftUnknown => format!("{asked} left directly, past the egress gateway: the sidecar has no route for it, and outboundTrafficPolicy ALLOW_ANY lets it out"),
        Verdict::LeftDirectly => format!("{asked} left directly, past the egress gateway: a ServiceEntry declares it, and no VirtualService that this sidecar sees leads it to a gateway"),
        Verdict::DeniedByPolicy => format!("an AuthorizationPolicy refused {asked}"),
        Verdict::RegistryOnly => format!("the sidecar refused {asked}: no ServiceEntry that it sees declares it, and outboundTrafficPolicy is REGISTRY_ONLY. It proves nothing about a NetworkPolicy, nor about pods without sidecar"),
        Verdict::NoRouteAtGateway => format!("the gateway has no route for {asked}: no Gateway object gives its pods this SNI or Host, or the VirtualService for it does not name that Gateway"),
        Verdict::NoRoute => format!("the proxy has no route for {asked}"),
        Verdict::NoCluster => no_cluster(line, speaker, &asked),
        Verdict::GatewayHasNoPod => format!("the sidecar found no ready pod of the gateway to send {asked} to"),
        Verdict::NoEndpoint => format!("the proxy has a route for {asked} and no address to send it to"),
        Verdict::GatewayUnreachable => format!("the sidecar could not connect to the gateway at {upstream}: {}", connecting(line)),
        Verdict::MeshLegMismatch => mismatch(line, speaker),
        Verdict::EndedByGateway => format!("the sidecar sent {asked} to the gateway at {upstream}, which ended it without an answer; only the gateway's own line says why"),
        Verdict::SecretMissing => format!("no TLS to {asked}: {}", failure()),
        Verdict::CertificateUntrusted | Verdict::CertificateName | Verdict::CertificateExpired | Verdict::NoTls => {
            format!("the proxy refused {asked} at {upstream}: {}", failure())
        }
        Verdict::TlsRefused => tls_refused(line, &asked, upstream),
        Verdict::HostUnreachable => unreachable(line, &asked, upstream),
        Verdict::GaveUpConnecting => format!("the client gave up on {asked} while the proxy was still connecting to {upstream}: packets to it are probably dropped, by a NetworkPolicy or on the way"),
        Verdict::ProtocolError => format!("what was said about {asked} is not the protocol that the other side expects"),
        Verdict::StoppedByProxy => format!("the proxy stopped {asked}: {}", flags_in_words(line)),
        Verdict::InboundRefused => "the sidecar refused a connection that came in: most often plaintext where a PeerAuthentication says STRICT".to_owned(),
        Verdict::ErrorFromBehind => format!("the answer {} for {asked} came from behind this proxy, at {upstream}: from the host, or, in a sidecar's line, from the gateway, whose own line says why", line.response_code),
        Verdict::NothingCameBack => format!("{asked} was connected to {upstream} and not a byte came back: one side gave the handshake up, or a policy cut it off"),
        Verdict::ClientLeft => format!("the client went away before it had the whole answer of {asked}"),
        Verdict::AnsweredByProxy => format!("the proxy answered {asked} itself, with {}", line.response_code),
        Verdict::SentToGateway => format!("the sidecar sent {asked} to the egress gateway, {}{}", upstream, status(line)),
        Verdict::CarriedOut => format!("the gateway carried {asked} out to {upstream}{}", status(line)),
        Verdict::InsideMesh => format!("{asked} stayed in the cluster, at {upstream}{}", status(line)),
        Verdict::CameIn => format!("a request for {asked} came in{}", status(line)),
        Verdict::Carried => format!("{asked} was carried to {upstream}{}", status(line)),
    }
}

fn status(line: &AccessLogLine) -> String {
    if line.is_http() && line.response_code != 0 {
        format!("; the answer was {}", line.response_code)
    } else {
        String::new()
    }
}

fn no_cluster(line: &AccessLogLine, speaker: Speaker, asked: &str) -> String {
    let and = "the DestinationRule with the subset is missing or not seen by this proxy";
    match speaker {
        Speaker::Gateway if line.is_http() => format!(
            "the gateway's route for {asked} names a cluster that it does not have: {and}, or, for the first 15 s, the Secret of its TLS is missing"
        ),
        _ => format!("the route for {asked} names a cluster that the proxy does not have: {and}"),
    }
}

fn mismatch(line: &AccessLogLine, speaker: Speaker) -> String {
    match speaker {
        Speaker::Gateway if line.has_flag("DPE") => "the sidecar made TLS, and the gateway's server expects plain HTTP".to_owned(),
        Speaker::Gateway if line.requested_server_name.is_some() => "the sidecar's mutual TLS came with Istio's own name in the SNI: the DestinationRule for the gateway has no `sni`, so that no server of the Gateway fits".to_owned(),
        Speaker::Gateway => "the gateway's server expects TLS, and plaintext came: the DestinationRule for the gateway has no `tls`".to_owned(),
        _ => format!(
            "sidecar and gateway ({}) do not agree on TLS: {}; the Gateway's server and the DestinationRule for the gateway do not fit, or the server has no filter chain for this SNI",
            line.upstream_host.as_deref().unwrap_or("no address"),
            failure_of(line).meaning()
        ),
    }
}

fn tls_refused(line: &AccessLogLine, asked: &str, upstream: &str) -> String {
    match failure_of(line) {
        TransportFailure::Alert(alert) => {
            format!(
                "{asked} at {upstream} refused the TLS of the proxy ({}): it says that {}",
                alert.name, alert.says
            )
        }
        failure if failure.is_tls() => format!("no TLS with {asked} at {upstream}: {}", failure.meaning()),
        _ => format!(
            "{asked} at {upstream} closed the connection without an answer. One of four causes that only the server's log tells apart: the client certificate has expired, another authority signed it, none was shown though one is wanted, or plain HTTP reached a port for TLS"
        ),
    }
}

fn unreachable(line: &AccessLogLine, asked: &str, upstream: &str) -> String {
    let through = match &line.upstream_cluster {
        Some(UpstreamCluster::Passthrough) => ", past the egress gateway",
        _ => "",
    };
    if line.upstream_local_address.is_some() {
        return format!("{asked} at {upstream} was connected{through}, and ended without an answer");
    }
    format!(
        "no connection to {asked} at {upstream}{through}: {}",
        connecting(line)
    )
}

/// Envoy writes no reason where the time ran out (truth.md 2).
fn connecting(line: &AccessLogLine) -> String {
    match failure_of(line) {
        TransportFailure::Other => TransportFailure::TimedOut.meaning(),
        failure => failure.meaning(),
    }
}

fn flags_in_words(line: &AccessLogLine) -> String {
    let words: Vec<&str> = line
        .response_flags
        .iter()
        .take(MOST_FLAGS)
        .map(|flag| flag_meaning(flag).map_or("a flag that is not known", |known| known.meaning))
        .collect();
    words.join("; ")
}

fn fields(line: &AccessLogLine) -> Vec<FieldMeaning> {
    let mut fields = Vec::new();
    let mut add = |field, value: &str, meaning: String| {
        fields.push(FieldMeaning {
            field,
            value: value.to_owned(),
            meaning,
        });
    };
    for flag in line.response_flags.iter().take(MOST_FLAGS) {
        let meaning = flag_meaning(flag).map_or_else(
            || "not a flag that Envoy documents".to_owned(),
            |known| match known.here {
                "" => known.meaning.to_owned(),
                // What is measured about connections says nothing about TLS.
                _ if known.flag == "UF" && failure_of(line).is_tls() => known.meaning.to_owned(),
                here => format!("{}. Here: {here}", known.meaning),
            },
        );
        add("flag", flag, meaning);
    }
    let reason = line.upstream_transport_failure_reason.as_deref();
    let reason_meaning = reason.map(|reason| TransportFailure::read(reason).meaning());
    for (field, details) in [
        ("details", &line.response_code_details),
        ("termination", &line.connection_termination_details),
    ] {
        if let Some(details) = details {
            let meaning =
                details_meaning(details).unwrap_or_else(|| "details that we do not know".to_owned());
            // The reason of a failed connection stands in both fields.
            if reason_meaning.as_ref() == Some(&meaning) {
                continue;
            }
            add(field, details, meaning);
        }
    }
    if let Some((reason, meaning)) = reason.zip(reason_meaning) {
        add("transport failure", reason, meaning);
    }
    if let Some(cluster) = &line.upstream_cluster {
        add("cluster", &cluster.to_string(), cluster_meaning(cluster));
    }
    match line.route_name.as_deref() {
        Some(route @ ALLOW_ANY_ROUTE) => add(
            "route",
            route,
            "the route for hosts that the mesh does not know, under ALLOW_ANY".to_owned(),
        ),
        Some(route @ BLOCK_ALL_ROUTE) => add(
            "route",
            route,
            "the route that refuses hosts that the mesh does not know, under REGISTRY_ONLY".to_owned(),
        ),
        _ => {}
    }
    fields
}

fn next(verdict: Verdict, line: &AccessLogLine, speaker: Speaker) -> Option<String> {
    let host = host_name(line).filter(|host| host.parse::<std::net::SocketAddr>().is_err() && is_name(host));
    match (verdict, host) {
        (Verdict::EndedByGateway | Verdict::NothingCameBack | Verdict::ErrorFromBehind, Some(host))
            if speaker != Speaker::Gateway =>
        {
            Some(format!("kubectl egress logs --host {host}"))
        }
        (verdict, _) => verdict
            .article()
            .map(|article| format!("kubectl egress explain {}", article.code)),
    }
}

/// What may stand in a command that we propose: a line is a stranger's.
fn is_name(host: &str) -> bool {
    host.len() <= 253
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
}
