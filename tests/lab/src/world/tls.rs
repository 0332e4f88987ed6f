//! The servers' side of TLS: certificates from files, client certificates where they are demanded.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use sha2::{Digest, Sha256};

use super::event::ClientCertificate;
use super::table::{Behaviour, Server};

/// Makes the TLS configuration of one server from the files that the lab's PKI wrote into `folder`.
pub(super) fn configuration(folder: &Path, server: &Server) -> Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificates = read_certificates(&folder.join(format!("{}.pem", server.name())))?;
    let key_path = folder.join(format!("{}.key", server.name()));
    let key = PrivateKeyDer::from_pem_file(&key_path)
        .with_context(|| format!("cannot read {}", key_path.display()))?;
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = if server.behaviour == Behaviour::DemandClientCertificate {
        let mut roots = RootCertStore::empty();
        for certificate in read_certificates(&folder.join("client-ca.pem"))? {
            roots.add(certificate)?;
        }
        builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?,
        )
    } else {
        builder.with_no_client_auth()
    };
    let mut configuration = builder.with_single_cert(certificates, key)?;
    configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(configuration))
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .with_context(|| format!("cannot read {}", path.display()))
}

/// Describes a certificate that the verifier has accepted.
pub(super) fn describe(certificate: &CertificateDer<'_>) -> ClientCertificate {
    let subject = x509_parser::parse_x509_certificate(certificate).map_or_else(
        |error| format!("unreadable: {error}"),
        |(_, parsed)| parsed.subject().to_string(),
    );
    ClientCertificate {
        subject,
        sha256: crate::digest::hexadecimal(&Sha256::digest(certificate)),
        verified: true,
    }
}
