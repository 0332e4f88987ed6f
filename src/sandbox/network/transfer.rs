//! One transfer of curl: name resolution, the way through the mesh, the host's answer, and curl's view of it.

use super::outside::{OutsideHost, OutsideRequest, Reachability};
use super::{proxies, reach};
use crate::mesh::{self, Dropped, Prediction, SourcePod};
use crate::sandbox::controllers;
use crate::sandbox::state::{Inner, State};
use crate::vocabulary::Scheme;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What curl was asked to transfer.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct TransferRequest {
    pub(in crate::sandbox) scheme: Scheme,
    /// SNI, or the Host header.
    pub(in crate::sandbox) host: String,
    /// The name in the URL, which is resolved.
    pub(in crate::sandbox) connect_to: String,
    pub(in crate::sandbox) port: u16,
    pub(in crate::sandbox) path: String,
    pub(in crate::sandbox) method: String,
    pub(in crate::sandbox) user_agent: String,
    /// Limit of the whole transfer, in milliseconds.
    pub(in crate::sandbox) max_time: Option<u64>,
    /// Limit of the connection phase, in milliseconds.
    pub(in crate::sandbox) connect_timeout: Option<u64>,
    /// Address by `host:port`, from `--resolve`.
    pub(in crate::sandbox) resolve: BTreeMap<String, String>,
    /// Certificates are not verified.
    pub(in crate::sandbox) insecure: bool,
}

/// How it ended, in curl's terms.
#[derive(Debug, Clone, Default)]
pub(in crate::sandbox) struct TransferResult {
    pub(in crate::sandbox) exit: i32,
    pub(in crate::sandbox) error: String,
    pub(in crate::sandbox) http_code: u16,
    pub(in crate::sandbox) local: Option<(String, u16)>,
    pub(in crate::sandbox) remote: Option<(String, u16)>,
    /// Milliseconds; nobody waited for them.
    pub(in crate::sandbox) time: u64,
    pub(in crate::sandbox) headers: String,
    pub(in crate::sandbox) body: Vec<u8>,
}

/// What is at an address and port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtAddress {
    Answers,
    Silent,
    Refuses,
}

/// Envoy's connect timeout in Istio, in milliseconds (truth.md 2).
const CONNECT_TIMEOUT: u64 = 10_000;
/// How long the kernel tries to connect, in milliseconds, where curl sets no limit.
const KERNEL_TIMEOUT: u64 = 134_000;
/// How long the resolver asks DNS servers that do not answer, in milliseconds (truth.md 2).
const RESOLVER_TIMEOUT: u64 = 19_800;

/// A transfer under way.
pub(super) struct Transfer<'sandbox> {
    pub(super) inner: &'sandbox Inner,
    pub(super) state: &'sandbox mut State,
    pub(super) source: &'sandbox Value,
    pub(super) request: &'sandbox TransferRequest,
    /// Address of the source pod.
    pub(super) source_address: String,
    /// curl's local port.
    pub(super) local_port: u16,
    /// Where curl connects to.
    pub(super) address: String,
}

/// Makes a transfer from a pod.
pub(in crate::sandbox) fn transfer(
    inner: &Inner,
    state: &mut State,
    source: &Value,
    request: &TransferRequest,
) -> TransferResult {
    if asks_dns(request) && !reach::dns(inner, state, source) {
        return not_resolved_in_time(request);
    }
    let Some(address) = resolve(inner, state, source, request) else {
        return not_resolved(request, 3);
    };
    let local_port = state.next_port();
    let mut transfer = Transfer {
        inner,
        source_address: source["status"]["podIP"].as_str().unwrap_or_default().to_owned(),
        state,
        source,
        request,
        local_port,
        address,
    };
    if controllers::is_meshed(source) {
        transfer.through_mesh()
    } else {
        transfer.direct()
    }
}

/// Whether curl must ask DNS: it was given no address, neither as the host nor with `--resolve`.
fn asks_dns(request: &TransferRequest) -> bool {
    let host = request.connect_to.trim_end_matches('.');
    let given = request.resolve.contains_key(&format!("{host}:{}", request.port));
    !given && host.parse::<std::net::IpAddr>().is_err()
}

fn not_resolved(request: &TransferRequest, time: u64) -> TransferResult {
    TransferResult {
        exit: 6,
        error: format!("Could not resolve host: {}", request.connect_to),
        time,
        ..TransferResult::default()
    }
}

/// The DNS packets are dropped: curl or the resolver gives up.
fn not_resolved_in_time(request: &TransferRequest) -> TransferResult {
    match request.limit().filter(|limit| *limit < RESOLVER_TIMEOUT) {
        None => not_resolved(request, RESOLVER_TIMEOUT),
        Some(limit) => TransferResult {
            exit: 28,
            error: format!("Resolving timed out after {limit} milliseconds"),
            time: limit,
            ..TransferResult::default()
        },
    }
}

impl TransferRequest {
    /// How long curl lets the connection take, in milliseconds.
    fn limit(&self) -> Option<u64> {
        [self.max_time, self.connect_timeout].into_iter().flatten().min()
    }
}

fn resolve(inner: &Inner, state: &State, source: &Value, request: &TransferRequest) -> Option<String> {
    let host = request.connect_to.trim_end_matches('.');
    if let Some(address) = request.resolve.get(&format!("{host}:{}", request.port)) {
        return Some(address.clone());
    }
    if host.parse::<std::net::IpAddr>().is_ok() {
        return Some(host.to_owned());
    }
    if let Some(address) = service_address(state, source, host) {
        return Some(address);
    }
    outside(&inner.settings.outside, host).map(|host| host.address.clone())
}

/// The cluster address of a Service by its name, as cluster DNS searches it.
fn service_address(state: &State, source: &Value, host: &str) -> Option<String> {
    let short = host
        .strip_suffix(".svc.cluster.local")
        .or_else(|| host.strip_suffix(".svc"))
        .unwrap_or(host);
    let own = source["metadata"]["namespace"].as_str().unwrap_or_default();
    let (name, namespace) = short.split_once('.').unwrap_or((short, own));
    let service = state.object("", "services", namespace, name)?;
    service["spec"]["clusterIP"].as_str().map(str::to_owned)
}

/// The outside host of a name: exact before wildcard.
pub(super) fn outside<'hosts>(hosts: &'hosts [OutsideHost], name: &str) -> Option<&'hosts OutsideHost> {
    let exact = hosts.iter().find(|host| host.name == name);
    exact.or_else(|| hosts.iter().find(|host| host.is(name)))
}

impl Transfer<'_> {
    /// What is behind an address of the outside, for a request that names a host.
    pub(super) fn at(&self, address: &str, port: u16) -> AtAddress {
        let hosts = &self.inner.settings.outside;
        let named = outside(hosts, &self.request.host).filter(|host| host.address == address);
        match named.or_else(|| hosts.iter().find(|host| host.address == address)) {
            Some(host) if host.reachability == Reachability::Refuses => AtAddress::Refuses,
            Some(host) if host.reachability == Reachability::Answers => {
                if host.ports.contains(&port) {
                    AtAddress::Answers
                } else {
                    AtAddress::Refuses
                }
            }
            _ => AtAddress::Silent,
        }
    }

    /// Writes the outside's own log: the ground truth.
    pub(super) fn arrive(&mut self, peer: &str, port: u16) {
        let peer_pod = self
            .state
            .store
            .list("", "pods", None)
            .find(|(_, pod)| pod["status"]["podIP"] == peer)
            .map(|(key, _)| format!("{}/{}", key.namespace, key.name))
            .unwrap_or_default();
        self.state.outside.push(OutsideRequest {
            host: self.request.host.clone(),
            port,
            peer: peer.to_owned(),
            peer_pod,
            tls: self.request.scheme == Scheme::Https,
        });
    }

    /// The Service that has the address, by its full name.
    fn service_at(&self) -> Option<String> {
        self.state
            .store
            .list("", "services", None)
            .find(|(_, service)| service["spec"]["clusterIP"] == self.address.as_str())
            .map(|(key, _)| format!("{}.{}.svc.cluster.local", key.name, key.namespace))
    }

    /// Without sidecar: the network alone decides.
    fn direct(&mut self) -> TransferResult {
        if self.service_at().is_some() {
            return Self::not_modelled("requests of pods without sidecar to Services");
        }
        let (address, port) = (self.address.clone(), self.request.port);
        let dropped = self.predict(None).dropped.is_some();
        match self.at(&address, port) {
            _ if dropped => self.no_answer(),
            AtAddress::Silent => self.no_answer(),
            AtAddress::Answers => {
                let peer = self.source_address.clone();
                self.arrive(&peer, port);
                self.answer(200, 30)
            }
            AtAddress::Refuses => TransferResult {
                exit: 7,
                error: format!(
                    "Failed to connect to {} port {port} after 3 ms: Could not connect to server",
                    self.request.connect_to
                ),
                time: 3,
                ..TransferResult::default()
            },
        }
    }

    /// Nobody answers a connection that no sidecar took.
    fn no_answer(&self) -> TransferResult {
        let limit = self.request.limit().unwrap_or(KERNEL_TIMEOUT);
        TransferResult {
            exit: 28,
            error: format!("Connection timed out after {limit} milliseconds"),
            time: limit,
            ..TransferResult::default()
        }
    }

    /// With sidecar: the connection is accepted; what follows is the sidecar's affair.
    fn through_mesh(&mut self) -> TransferResult {
        let service = self.service_at();
        let prediction = self.predict(service.as_deref());
        let Prediction {
            hops, not_modelled, ..
        } = &prediction;
        if hops.is_empty() {
            let why = not_modelled.first().map_or("this way", String::as_str);
            return Self::not_modelled(why.trim_start_matches("not modelled: "));
        }
        let dropped = matches!(prediction.dropped, Some(Dropped::AtHop(_)));
        proxies::carry(self, hops, dropped)
    }

    /// Asks the mesh for the way, to a Service if its address is connected to.
    fn predict(&self, service: Option<&str>) -> Prediction {
        let world = self.inner.world(self.state);
        let metadata = &self.source["metadata"];
        let text = |name: &str| metadata[name].as_str().unwrap_or_default().to_owned();
        let labels = metadata["labels"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect();
        let request = mesh::Request {
            source: SourcePod {
                namespace: text("namespace"),
                name: text("name"),
                labels,
                meshed: controllers::is_meshed(self.source),
            },
            scheme: self.request.scheme,
            host: self.request.host.clone(),
            port: self.request.port,
            address: self.address.parse().ok(),
            // That was done before.
            asks_dns: false,
        };
        match service {
            Some(service) => mesh::predict_to_service(&world, &request, service),
            None => mesh::predict(&world, &request),
        }
    }

    /// Says that the sandbox does not know, rather than guessing.
    fn not_modelled(what: &str) -> TransferResult {
        TransferResult {
            exit: 7,
            error: format!("the sandbox does not model: {what}"),
            ..TransferResult::default()
        }
    }

    /// curl's ends of its connection.
    fn connected(&self) -> TransferResult {
        TransferResult {
            local: Some((self.source_address.clone(), self.local_port)),
            remote: Some((self.address.clone(), self.request.port)),
            ..TransferResult::default()
        }
    }

    /// The host answered, or a proxy in its place.
    pub(super) fn answer(&self, code: u16, time: u64) -> TransferResult {
        let request = self.request;
        let problem = outside(&self.inner.settings.outside, &request.host)
            .and_then(|host| host.certificate_problem.clone())
            .filter(|_| request.scheme == Scheme::Https && !request.insecure);
        if let Some(problem) = problem {
            return TransferResult {
                exit: 60,
                error: problem,
                time,
                ..self.connected()
            };
        }
        let body = if code == 200 && request.method != "HEAD" {
            let url = format!("{}://{}{}", request.scheme, request.host, request.path);
            let headers = json!({"Accept": "*/*", "Host": request.host, "User-Agent": request.user_agent});
            format!(
                "{}\n",
                json!({"headers": headers, "method": request.method, "url": url})
            )
            .into_bytes()
        } else {
            Vec::new()
        };
        let reason = match code {
            200 => "OK",
            404 => "Not Found",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            _ => "",
        };
        let server = if code == 200 { "sandbox" } else { "envoy" };
        let headers = format!(
            "HTTP/1.1 {code} {reason}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nserver: {server}\r\n\r\n",
            body.len()
        );
        TransferResult {
            http_code: code,
            time,
            headers,
            body,
            ..self.connected()
        }
    }

    /// The sidecar closed the connection.
    pub(super) fn reset(&self, time: u64) -> TransferResult {
        TransferResult {
            exit: 35,
            error: "Recv failure: Connection reset by peer".into(),
            time,
            ..self.connected()
        }
    }

    /// Whether curl gives up before Envoy's connect timeout; after how many milliseconds.
    pub(super) fn gives_up(&self) -> Option<u64> {
        self.request.max_time.filter(|limit| *limit < CONNECT_TIMEOUT)
    }

    /// What curl says when it gave up.
    pub(super) fn timed_out(&self, limit: u64) -> TransferResult {
        let limit = limit + 1;
        let error = match self.request.scheme {
            Scheme::Https => format!("Connection timed out after {limit} milliseconds"),
            Scheme::Http => format!("Operation timed out after {limit} milliseconds with 0 bytes received"),
        };
        TransferResult {
            exit: 28,
            error,
            time: limit,
            ..self.connected()
        }
    }
}
