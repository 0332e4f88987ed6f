//! One HTTPS request from this machine to a port of a pod, by a port-forward: with a server name and CA of our choice,
//! with or without a client certificate.

use super::reads_on::ReadsOn;
use crate::certificate::inspect_der;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::vocabulary::{HostName, PodName};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsConnector;

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(15);
/// How often a request is sent that failed for what may have been the way there.
const TRIES: u32 = 2;
/// Longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// A client's certificate and key (PEM).
#[derive(Debug, Clone)]
pub struct ClientIdentity {
    /// The certificate, with intermediate ones behind it.
    pub certificate: String,
    /// Its private key.
    pub key: SecretString,
}

/// What is asked for, and whom it is asked of.
#[derive(Debug, Clone, Copy)]
pub struct DirectRequest<'run> {
    /// The host: server name in the handshake, name that the certificate must have, `Host` header.
    pub host: &'run HostName,
    /// Path with the query.
    pub path: &'run str,
    /// CA that the server's certificate is compared with (PEM).
    pub authority: &'run str,
    /// What the client shows; none: no certificate.
    pub client: Option<&'run ClientIdentity>,
}

/// When a connection ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Before any TLS: nothing listens, or the port-forward failed.
    Connection,
    /// In the TLS handshake.
    Handshake,
    /// After the client's part of the handshake: in TLS 1.3 a server refuses a client's certificate only then.
    AfterHandshake,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum DirectAnswer {
    /// An HTTP answer.
    #[serde(rename_all = "camelCase")]
    Answered {
        /// Its status.
        status: u16,
        /// SHA-256 of the server's certificate.
        server_certificate: String,
        /// Its body.
        #[serde(skip)]
        body: String,
    },
    /// None.
    Refused {
        /// How far it came.
        stage: Stage,
        /// What was said.
        reason: String,
    },
}

impl DirectAnswer {
    /// Whether the server said that it wants a client certificate, or another one. BoringSSL, which Envoy has, answers
    /// an absent one with `certificate_required` in TLS 1.3 and `handshake_failure` in TLS 1.2.
    pub fn demands_client_certificate(&self) -> bool {
        let said = |reason: &str| {
            ["CertificateRequired", "HandshakeFailure", "BadCertificate"]
                .iter()
                .any(|alert| reason.contains(alert))
        };
        matches!(self, Self::Refused { reason, .. } if said(reason))
    }

    /// Whether the way there may have done this: a port-forward that broke, hung or mixed something in.
    fn may_be_of_the_way(&self) -> bool {
        matches!(self, Self::Refused { .. }) && !self.demands_client_certificate()
    }
}

/// Sends it. A refusal is an answer, not an error.
///
/// # Errors
/// If a PEM text is none, or the pod cannot be forwarded to.
pub async fn ask(
    cluster: &Cluster,
    pod: &PodName,
    port: u16,
    request: &DirectRequest<'_>,
) -> Result<DirectAnswer> {
    let connector = TlsConnector::from(Arc::new(configuration(request)?));
    let mut tries = 0;
    loop {
        tries += 1;
        let stream = cluster.port_forward(pod, port).await?;
        let work = exchange(connector.clone(), stream, request);
        let answer = tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| {
            let reason = format!("no answer within {} s", LIMIT.as_secs());
            refused(Stage::Connection, reason)
        });
        // A port-forward that broke says nothing about the server; what the server does, it does again.
        if tries == TRIES || !answer.may_be_of_the_way() {
            return Ok(answer);
        }
    }
}

fn refused(stage: Stage, reason: String) -> DirectAnswer {
    DirectAnswer::Refused { stage, reason }
}

fn configuration(request: &DirectRequest<'_>) -> Result<ClientConfig> {
    let unreadable = |what: &str, error: &dyn std::fmt::Display| {
        Error::usage(format!("{what} cannot be used")).because(error.to_string())
    };
    let certificates = |what: &str, text: &str| {
        CertificateDer::pem_slice_iter(text.as_bytes())
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|error| unreadable(what, &error))
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates("the CA", request.authority)? {
        roots
            .add(certificate)
            .map_err(|error| unreadable("the CA", &error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::bug(error.to_string()))?
        .with_root_certificates(roots);
    let Some(client) = request.client else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates("the client's certificate", &client.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(client.key.expose_secret().as_bytes())
        .map_err(|error| unreadable("the client's key", &error))?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| unreadable("the client's certificate", &error))
}

async fn exchange(
    connector: TlsConnector,
    stream: Box<dyn crate::cluster::Stream>,
    request: &DirectRequest<'_>,
) -> DirectAnswer {
    let host = request.host.as_str();
    let name = match ServerName::try_from(host.to_owned()) {
        Ok(name) => name,
        Err(error) => return refused(Stage::Connection, error.to_string()),
    };
    let stream = match connector.connect(name, stream).await {
        Ok(stream) => stream,
        Err(error) => {
            // Whatever is not about TLS comes from the port-forward.
            let about_tls = error
                .get_ref()
                .is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>);
            let stage = if about_tls {
                Stage::Handshake
            } else {
                Stage::Connection
            };
            return refused(stage, error.to_string());
        }
    };
    let server_certificate = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| inspect_der(chain.first()?).ok())
        .map(|certificate| certificate.fingerprint_sha256)
        .unwrap_or_default();
    match over_http(TokioIo::new(ReadsOn(stream)), host, request.path).await {
        Ok((status, body)) => DirectAnswer::Answered {
            status,
            server_certificate,
            body,
        },
        Err(reason) => refused(Stage::AfterHandshake, reason),
    }
}

async fn over_http(
    stream: impl hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    host: &str,
    path: &str,
) -> std::result::Result<(u16, String), String> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
        .await
        .map_err(|error| root_cause(&error))?;
    let asking = async move {
        let request = Request::get(path)
            .header(header::HOST, host)
            .header(header::USER_AGENT, crate::vocabulary::names::MANAGER)
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| root_cause(&error))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    // The connection knows why it ended; the request on it often only that it did.
    let (asked, ended) = tokio::join!(asking, connection);
    asked.map_err(|reason: String| ended.err().map_or(reason, |error| root_cause(&error)))
}

fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
