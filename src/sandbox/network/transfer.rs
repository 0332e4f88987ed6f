//! One transfer of curl: name resolution, the way through the mesh, the host's answer, and curl's view of it.

use super::destination::{Answer, AtAddress, Server};
use super::handshake::{Expects, client_believes, server_admits};
use super::outside::OutsideRequest;
use super::{proxies, resolution, to_pod};
use crate::mesh::{self, Prediction, SourcePod};
use crate::sandbox::controllers;
use crate::sandbox::state::{Inner, State};
use crate::vocabulary::Scheme;
use jiff::Timestamp;
use serde_json::Value;
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
    /// Authorities (PEM) in place of those that everybody trusts.
    pub(in crate::sandbox) authorities: Option<String>,
    /// The certificate (PEM) that curl shows.
    pub(in crate::sandbox) client_certificate: Option<String>,
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
    /// What the server showed to curl's own TLS (PEM).
    pub(in crate::sandbox) certificates: String,
    /// OpenSSL's verify result of it; 0 is trusted.
    pub(in crate::sandbox) verify_result: u8,
}

/// OpenSSL's word for a chain that leads to nobody who is known (x509_vfy.h).
const NO_LOCAL_ISSUER: u8 = 20;

/// Envoy's connect timeout in Istio, in milliseconds (truth.md 2).
const CONNECT_TIMEOUT: u64 = 10_000;
/// How long the kernel tries to connect, in milliseconds, where curl sets no limit.
const KERNEL_TIMEOUT: u64 = 134_000;

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
    let address = match resolution::address(inner, state, source, request) {
        Ok(address) => address,
        Err(failed) => return *failed,
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

impl TransferRequest {
    /// How long curl lets the connection take, in milliseconds.
    pub(super) fn limit(&self) -> Option<u64> {
        [self.max_time, self.connect_timeout].into_iter().flatten().min()
    }
}

impl Transfer<'_> {
    /// Writes the outside's own log: the ground truth.
    pub(super) fn arrive(&mut self, peer: &str, port: u16, tls: bool) {
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
            tls,
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
        if let Some(pod) = self.pod_at() {
            return to_pod::connect(self, &pod);
        }
        let dropped = self.predict(None).dropped.is_some();
        match self.at(&address, port) {
            _ if dropped => self.no_answer(),
            AtAddress::Silent => self.no_answer(),
            AtAddress::Answers => {
                let peer = self.source_address.clone();
                self.served(&address, port, &peer, 30)
            }
            AtAddress::Refuses => self.refused(),
        }
    }

    /// A connection that no sidecar took is refused.
    pub(super) fn refused(&self) -> TransferResult {
        let Self { request, .. } = self;
        TransferResult {
            exit: 7,
            error: format!(
                "Failed to connect to {} port {} after 3 ms: Could not connect to server",
                request.connect_to, request.port
            ),
            time: 3,
            ..TransferResult::default()
        }
    }

    /// Nobody answers a connection that no sidecar took.
    pub(super) fn no_answer(&self) -> TransferResult {
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
        if prediction.hops.is_empty() {
            let why = prediction.not_modelled.first().map_or("this way", String::as_str);
            return Self::not_modelled(why.trim_start_matches("not modelled: "));
        }
        proxies::carry(self, &prediction)
    }

    /// Asks the mesh for the way, to a Service if its address is connected to.
    pub(super) fn predict(&self, service: Option<&str>) -> Prediction {
        let world = self.inner.world(self.state);
        let request = self.question();
        match service {
            Some(service) => mesh::predict_to_service(&world, &request, service),
            None => mesh::predict(&world, &request),
        }
    }

    /// The transfer as the mesh is asked about it.
    pub(super) fn question(&self) -> mesh::Request {
        let metadata = &self.source["metadata"];
        let text = |name: &str| metadata[name].as_str().unwrap_or_default().to_owned();
        let labels = metadata["labels"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect();
        mesh::Request {
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
            tunnel: None,
        }
    }

    /// The running pod that has the address.
    fn pod_at(&self) -> Option<Value> {
        let mut pods = self.state.store.list("", "pods", None);
        let found = pods.find(|(_, pod)| {
            pod["status"]["podIP"] == self.address.as_str() && pod["status"]["phase"] == "Running"
        });
        found.map(|(_, pod)| pod.clone())
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

    /// What reached a host by connections that curl made, or that carried its bytes as they are.
    pub(super) fn served(&mut self, address: &str, port: u16, peer: &str, time: u64) -> TransferResult {
        let tls = self.request.scheme == Scheme::Https;
        let (mut certificates, mut verify_result) = (String::new(), 0);
        if tls {
            let problem = match self.tls_at(address, port) {
                Some(server) => {
                    verify_result = self.verify_result(&server);
                    certificates.clone_from(&server.chain);
                    self.own_tls(&server, time)
                }
                None => Some(self.no_tls(time)),
            };
            // Who let nobody in has seen no request.
            if let Some(ended) = problem {
                return TransferResult {
                    certificates,
                    verify_result,
                    ..ended
                };
            }
        } else if self.tls_at(address, port).is_some() {
            // A server of TLS answers what is none.
            return self.answer(400, time);
        }
        self.arrive(peer, port, tls);
        let client = self.request.client_certificate.clone();
        let answer = self.deliver(address, port, peer, &[], client.as_deref());
        TransferResult {
            certificates,
            verify_result,
            ..self.answer_with(answer, time)
        }
    }

    /// What OpenSSL says of a chain, also where curl was told not to care.
    fn verify_result(&self, server: &Server) -> u8 {
        let authorities = self.authorities();
        let believed = client_believes(&server.chain, &authorities, &Expects::Any, Timestamp::now());
        if believed.is_ok() { 0 } else { NO_LOCAL_ISSUER }
    }

    /// Those that curl believes (PEM).
    fn authorities(&self) -> String {
        let own = self.request.authorities.clone();
        own.unwrap_or_else(|| self.inner.public.certificate())
    }

    /// How curl's own TLS with a server fails, if it does.
    fn own_tls(&self, server: &Server, time: u64) -> Option<TransferResult> {
        let request = self.request;
        let now = Timestamp::now();
        if !request.insecure {
            let authorities = self.authorities();
            let expects = Expects::Host(request.host.clone());
            if let Err(distrust) = client_believes(&server.chain, &authorities, &expects, now) {
                return Some(self.ended(60, distrust.of_curl(&request.host), time));
            }
        }
        let refused = !server_admits(&server.admits, request.client_certificate.as_deref(), now);
        refused.then(|| {
            let alert = "OpenSSL SSL_read: OpenSSL/3.5.4: error:0A00045C:SSL routines::tlsv13 alert certificate required, errno 0";
            self.ended(56, alert.to_owned(), time)
        })
    }

    /// curl got something else than TLS.
    pub(super) fn no_tls(&self, time: u64) -> TransferResult {
        let error = "TLS connect error: error:0A00010B:SSL routines::wrong version number";
        self.ended(35, error.to_owned(), time)
    }

    /// curl got a certificate of the mesh in place of the host's (truth.md 3, variant c).
    pub(super) fn intercepted(&self, time: u64) -> TransferResult {
        let error = "SSL certificate problem: self-signed certificate in certificate chain";
        self.ended(60, error.to_owned(), time)
    }

    fn ended(&self, exit: i32, error: String, time: u64) -> TransferResult {
        TransferResult {
            exit,
            error,
            time,
            ..self.connected()
        }
    }

    /// A proxy answered in the host's place.
    pub(super) fn answer(&self, status: u16, time: u64) -> TransferResult {
        let body = Vec::new();
        self.answer_with(Answer { status, body }, time)
    }

    /// The host answered, or a proxy in its place.
    pub(super) fn answer_with(&self, answer: Answer, time: u64) -> TransferResult {
        let Answer { status, body } = answer;
        let reason = http::StatusCode::from_u16(status).ok();
        let reason = reason
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default();
        let server = if status == 200 { "sandbox" } else { "envoy" };
        let headers = format!(
            "HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nserver: {server}\r\n\r\n",
            body.len()
        );
        TransferResult {
            http_code: status,
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
