//! Certificates that do not fit are named as such; those that fit under another name can be used.

use super::harness::{Client, connect, write};
use kubectl_egress::cluster::ConnectionSettings;
use kubectl_egress::error::Result;
use kubectl_egress::vocabulary::ExitCode;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use std::io::{Read, Write};
use std::sync::Arc;
use tempfile::TempDir;

/// A server on a thread of its own; gives its port and its certificate in PEM.
fn start(name: &str) -> (u16, String) {
    // A second installation is refused and harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let configuration = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let configuration = Arc::new(configuration);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = rustls::ServerConnection::new(Arc::clone(&configuration)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream);
            // A client that does not trust us breaks off here.
            if stream.read(&mut [0; 4096]).is_ok() {
                let body = r#"{"major":"1","minor":"34","gitVersion":""}"#;
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.flush();
            }
        }
    });
    (port, cert.pem())
}

async fn client(port: u16, authority: &str, tls_server_name: Option<&str>, insecure: bool) -> Result<Client> {
    let directory = TempDir::new().unwrap();
    let settings = ConnectionSettings {
        server: Some(format!("https://127.0.0.1:{port}")),
        certificate_authority: Some(write(&directory, "ca.pem", authority)),
        tls_server_name: tls_server_name.map(str::to_owned),
        insecure_skip_tls_verify: insecure,
        ..ConnectionSettings::default()
    };
    connect(&[], settings).await
}

#[tokio::test]
async fn a_name_that_does_not_fit_is_an_error_that_is_not_repeated() {
    let (port, certificate) = start("api.example");
    let client = client(port, &certificate, None, false).await.unwrap();
    let error = client.cluster.version().await.unwrap_err();
    assert_eq!(error.code(), ExitCode::Cluster);
    assert!(error.to_string().contains("certificate"), "{error}");
    assert!(
        error.hints()[0].contains("--tls-server-name"),
        "{:?}",
        error.hints()
    );
    assert_eq!(client.retries(), 0);
}

#[tokio::test]
async fn another_name_or_no_check_at_all_can_be_asked_for() {
    let (port, certificate) = start("api.example");
    let named = client(port, &certificate, Some("api.example"), false)
        .await
        .unwrap();
    named.cluster.version().await.unwrap();
    let insecure = client(port, &certificate, None, true).await.unwrap();
    insecure.cluster.version().await.unwrap();
}

#[tokio::test]
async fn an_unknown_authority_is_named() {
    let (port, _) = start("127.0.0.1");
    let (_, another) = start("127.0.0.1");
    let client = client(port, &another, None, false).await.unwrap();
    let error = client.cluster.version().await.unwrap_err();
    assert!(error.to_string().contains("certificate is not valid"), "{error}");
}

#[tokio::test]
async fn an_authority_that_is_none_is_a_usage_error() {
    let error = client(1, "hello", None, false).await.err().unwrap();
    assert_eq!(error.code(), ExitCode::Usage);
    assert!(error.to_string().contains("no PEM certificate"), "{error}");
}
