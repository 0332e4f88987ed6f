//! The servers, asked over this machine's loopback address.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use super::connection::{self, Host};
use super::log::{Mark, World};
use super::table::find;
use super::writer::Writer;
use super::{EventKind, WorldEvent, tls};
use crate::cluster::world_pki;

/// One server of the table, listening on a port of its own.
struct Fixture {
    folder: tempfile::TempDir,
    world: World,
    address: std::net::SocketAddr,
}

impl Fixture {
    async fn start(host: &str, encrypted: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        world_pki::create(folder.path()).unwrap();
        let log = folder.path().join("events.jsonl");
        let server = find(host).unwrap();
        let tls = encrypted.then(|| tls::configuration(folder.path(), server).unwrap());
        let host = Host {
            server,
            tls,
            writer: Arc::new(Writer::open(&log).unwrap()),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                tokio::spawn(connection::serve(host.clone(), stream, peer));
            }
        });
        Self {
            world: World::new(folder.path().into(), log),
            folder,
            address,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// The first event of a kind.
    async fn event(&self, kind: EventKind) -> WorldEvent {
        let world = self.world.clone();
        let wait = move || {
            world.wait_for(Mark::default(), Duration::from_secs(5), |event| {
                event.event == kind
            })
        };
        tokio::task::spawn_blocking(wait).await.unwrap().unwrap()
    }
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Result<String> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn get(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 192.0.2.9\r\nConnection: close\r\n\r\n")
}

fn client(folder: &Path, with_certificate: bool) -> TlsConnector {
    let read = |name: &str| -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_file_iter(folder.join(name))
            .unwrap()
            .map(|one| one.unwrap())
            .collect()
    };
    let mut roots = RootCertStore::empty();
    roots.add(read("ca.pem").remove(0)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = builder.with_root_certificates(roots);
    let configuration = if with_certificate {
        let key = PrivateKeyDer::from_pem_file(folder.join("client.key")).unwrap();
        builder.with_client_auth_cert(read("client.pem"), key).unwrap()
    } else {
        builder.with_no_client_auth()
    };
    TlsConnector::from(Arc::new(configuration))
}

fn name(host: &str) -> ServerName<'static> {
    ServerName::try_from(host.to_owned()).unwrap()
}

#[tokio::test]
async fn a_plain_request_is_echoed_and_logged_with_its_true_peer() {
    let fixture = Fixture::start("kyma-project.io", false).await;
    let stream = fixture.connect().await;
    let own = stream.local_addr().unwrap();
    let answer = ask(stream, &get("kyma-project.io", "/get?a=b")).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.contains(r#""path": "/get?a=b""#),
        "{answer}"
    );
    let event = fixture.event(EventKind::Request).await;
    assert_eq!(
        (event.peer, event.sni, event.port),
        (own, None, fixture.address.port())
    );
    assert_eq!(
        (event.host.as_deref(), event.method.as_deref()),
        (Some("kyma-project.io"), Some("GET"))
    );
    assert_eq!(event.headers["x-forwarded-for"], "192.0.2.9");
}

#[tokio::test]
async fn the_server_name_of_the_hello_is_logged() {
    let fixture = Fixture::start("tls.test", true).await;
    let connector = client(fixture.folder.path(), false);
    let stream = connector
        .connect(name("a.wild.test"), fixture.connect().await)
        .await
        .unwrap();
    let answer = ask(stream, &get("a.wild.test", "/status/418")).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 418"), "{answer}");
    let event = fixture.event(EventKind::Request).await;
    assert_eq!(
        (event.server.as_str(), event.sni.as_deref()),
        ("tls.test", Some("a.wild.test"))
    );
}

#[tokio::test]
async fn a_client_certificate_is_demanded_and_described() {
    let fixture = Fixture::start("mtls.test", true).await;
    let connector = client(fixture.folder.path(), true);
    let stream = connector
        .connect(name("mtls.test"), fixture.connect().await)
        .await
        .unwrap();
    ask(stream, &get("mtls.test", "/")).await.unwrap();
    let certificate = fixture
        .event(EventKind::Request)
        .await
        .client_certificate
        .unwrap();
    assert_eq!(
        (certificate.subject.as_str(), certificate.sha256.len()),
        ("CN=client", 64)
    );

    // In TLS 1.3 the client is done before the server has refused it.
    let connector = client(fixture.folder.path(), false);
    let stream = connector
        .connect(name("mtls.test"), fixture.connect().await)
        .await
        .unwrap();
    assert!(ask(stream, &get("mtls.test", "/")).await.is_err());
    let event = fixture.event(EventKind::TlsFailed).await;
    assert_eq!(event.sni.as_deref(), Some("mtls.test"));
    assert!(event.error.is_some_and(|error| error.contains("no certificates")));
}

#[tokio::test]
async fn wrong_names_and_old_certificates_are_refused_by_clients() {
    for host in ["wrongsan.test", "expired.test"] {
        let fixture = Fixture::start(host, true).await;
        let connector = client(fixture.folder.path(), false);
        let error = connector
            .connect(name(host), fixture.connect().await)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("certificate"), "{host}: {error}");
        assert_eq!(
            fixture.event(EventKind::TlsFailed).await.sni.as_deref(),
            Some(host)
        );
    }
}

#[tokio::test]
async fn plain_text_on_the_tls_port_is_a_failed_handshake() {
    let fixture = Fixture::start("kyma-project.io", true).await;
    let _ = ask(fixture.connect().await, &get("kyma-project.io", "/")).await;
    let event = fixture.event(EventKind::TlsFailed).await;
    assert_eq!(event.sni, None);
}

#[tokio::test]
async fn a_silent_server_only_accepts_and_a_resetting_one_resets() {
    let silent = Fixture::start("silent.test", true).await;
    let stream = silent.connect().await;
    silent.event(EventKind::Accepted).await;
    drop(stream);
    let reset = Fixture::start("reset.test", false).await;
    let error = ask(reset.connect().await, &get("reset.test", "/"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("reset") || error.contains("Broken pipe"),
        "{error}"
    );
    reset.event(EventKind::Reset).await;
}

#[tokio::test]
async fn a_connection_without_a_request_is_logged_as_closed() {
    let fixture = Fixture::start("kyma-project.io", false).await;
    drop(fixture.connect().await);
    assert!(!fixture.event(EventKind::Closed).await.is_request());
}
