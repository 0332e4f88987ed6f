//! The sentinel: a TLS hello with a server name that nobody else uses, which a gateway refuses and logs.

use crate::cluster::Cluster;
use crate::evidence::line_mentions;
use crate::vocabulary::PodName;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Ends every sentinel's name. `.invalid` never resolves (RFC 6761), so no route can be meant for it.
const SUFFIX: &str = ".sentinel.kubectl-egress.invalid";

/// A new server name.
pub fn server_name() -> String {
    format!("{}{SUFFIX}", nonce())
}

/// Whether a server name is a sentinel's.
pub fn is_server_name(name: &str) -> bool {
    name.ends_with(SUFFIX)
}

/// Whether a raw line can be about a sentinel.
pub(super) fn is_mentioned(raw: &[u8]) -> bool {
    line_mentions(raw, SUFFIX)
}

/// Sixteen hexadecimal digits that do not repeat within a run, nor between runs.
pub fn nonce() -> String {
    let mut random = [0_u8; 8];
    // The one CSPRNG in the tree; it fails only where nothing cryptographic works at all.
    let filled = rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut random);
    if filled.is_err() {
        random = u64::from(std::process::id()).to_be_bytes();
    }
    format!("{:016x}", u64::from_be_bytes(random))
}

/// Sends one sentinel to a pod's port. The gateway closes the connection; that it does is not waited for long.
/// Whether it arrived is told by the log alone, so no error is returned.
pub async fn send(cluster: Cluster, pod: PodName, port: u16, server_name: String) {
    let Some(hello) = client_hello(&server_name) else {
        return;
    };
    let Ok(mut stream) = cluster.port_forward(&pod, port).await else {
        return;
    };
    if stream.write_all(&hello).await.is_ok() && stream.flush().await.is_ok() {
        let mut answer = [0_u8; 64];
        let _ = tokio::time::timeout(Duration::from_secs(2), stream.read(&mut answer)).await;
    }
}

/// The first bytes of a TLS client that asks for this name.
fn client_hello(server_name: &str) -> Option<Vec<u8>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = server_name.to_owned().try_into().ok()?;
    let mut connection = rustls::ClientConnection::new(Arc::new(config), name).ok()?;
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).ok()?;
    Some(hello)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hello_carries_the_name_and_each_name_is_new() {
        let name = server_name();
        assert!(is_server_name(&name) && name != server_name());
        let hello = client_hello(&name).unwrap();
        assert_eq!(hello[0], 22, "a TLS handshake record (RFC 8446)");
        assert!(hello.windows(name.len()).any(|window| window == name.as_bytes()));
    }
}
