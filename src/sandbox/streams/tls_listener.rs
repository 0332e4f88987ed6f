//! A gateway's TLS listener, as a port-forward reaches it: a server with a certificate of its own ends the TLS and answers;
//! of anything else it reads the ClientHello's server name and nothing more.

use crate::certificate::{Inspected, inspect_der};
use crate::mesh::{self, Chain};
use crate::sandbox::ingress::{self, Arrival, IngressServer};
use crate::sandbox::network::access_log::LogFields;
use crate::sandbox::network::proxies::write_line;
use crate::sandbox::state::Inner;
use crate::vocabulary::PodName;
use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{Acceptor, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

/// How long Envoy waits for the ClientHello.
const PATIENCE: Duration = Duration::from_secs(15);
/// The peer of a port-forward (truth.md 15).
const LOOPBACK: &str = "127.0.0.1";

/// Reads a hello, and answers it or writes the line about it and closes.
pub(super) async fn serve(inner: Arc<Inner>, pod: PodName, port: u16, stream: DuplexStream) {
    let hello = LazyConfigAcceptor::new(Acceptor::default(), stream);
    let Ok(hello) = tokio::time::timeout(PATIENCE, hello).await else {
        return;
    };
    // What is no hello has no server name.
    let hello = hello.ok();
    let server_name = hello
        .as_ref()
        .and_then(|hello| hello.client_hello().server_name().map(str::to_owned));
    let own = server_name
        .as_deref()
        .and_then(|name| own_server(&inner, &pod, port, name));
    match (hello, own) {
        (Some(hello), Some((server, service_port))) => answer(inner, hello, &server, service_port).await,
        _ => refuse(&inner, &pod, port, server_name),
    }
}

/// The server of a pod that ends TLS with a certificate of its own, with its port.
fn own_server(inner: &Inner, pod: &PodName, port: u16, name: &str) -> Option<(IngressServer, u16)> {
    let state = inner.lock();
    let object = state.object("", "pods", &pod.namespace, &pod.name)?;
    let server = ingress::server_at_pod(&state, object, port, name)?;
    Some((server, ingress::service_port(&state, object, port)))
}

fn refuse(inner: &Inner, pod: &PodName, port: u16, server_name: Option<String>) {
    {
        let mut state = inner.lock();
        let world = inner.world(&state);
        let chain = server_name
            .as_deref()
            .and_then(|name| chain_of(&world, pod, port, name));
        let mut fields = LogFields {
            downstream_local: format!("{LOOPBACK}:{port}"),
            downstream_remote: format!("{LOOPBACK}:{}", state.next_port()),
            server_name,
            ..LogFields::default()
        };
        if let Some(chain) = chain {
            // Carrying it outside is not modelled: the connection ends as if the host had not answered.
            fields.upstream_cluster = Some(chain.cluster);
            fields.flags = Some("UF,URX".into());
        } else {
            fields.flags = Some("NR".into());
            fields.details = Some("filter_chain_not_found".into());
        }
        write_line(inner, &mut state, pod, &fields);
    }
    inner.ring();
}

fn chain_of(world: &mesh::World, pod: &PodName, port: u16, name: &str) -> Option<Chain> {
    let listener = mesh::configuration(world, pod)?
        .listeners
        .into_iter()
        .find(|listener| listener.port == port)?;
    listener.chains.into_iter().find(|chain| {
        chain.server_names.iter().any(|pattern| {
            pattern == name
                || pattern
                    .strip_prefix('*')
                    .is_some_and(|domain| name.ends_with(domain))
        })
    })
}

/// Ends the TLS and serves requests. A client without the certificate that is asked for gets TLS's own alert.
async fn answer(inner: Arc<Inner>, hello: StartHandshake<DuplexStream>, server: &IngressServer, port: u16) {
    let Some(configuration) = configuration(server) else {
        return;
    };
    let Ok(stream) = hello.into_stream(Arc::new(configuration)).await else {
        return;
    };
    let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let client = shown.first().and_then(|leaf| inspect_der(leaf).ok());
    let service = service_fn(move |request: Request<Incoming>| {
        let reply = reply(&inner, &request, port, client.as_ref());
        async move { Ok::<_, Infallible>(reply) }
    });
    // The connection ends when the port-forward does.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn configuration(server: &IngressServer) -> Option<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificates = |text: &str| {
        CertificateDer::pem_slice_iter(text.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .ok()
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .ok()?;
    let builder = match &server.clients {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(authorities)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().ok()?)
        }
    };
    let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes()).ok()?;
    builder.with_single_cert(certificates(&server.chain)?, key).ok()
}

fn reply(
    inner: &Inner,
    request: &Request<Incoming>,
    port: u16,
    client: Option<&Inspected>,
) -> Response<Full<Bytes>> {
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let host = header(header::HOST).unwrap_or_default();
    let arrival = Arrival {
        host: host.split(':').next().unwrap_or_default(),
        port,
        method: request.method().as_str(),
        path: request.uri().path(),
        user_agent: header(header::USER_AGENT).unwrap_or_default(),
        peer: LOOPBACK,
        client,
    };
    let (status, body) = ingress::serve(inner, &arrival);
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    reply
}
