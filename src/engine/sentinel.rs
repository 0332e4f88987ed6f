//! The sentinel: a TLS hello with a server name that nobody else uses, which a gateway refuses and logs; where a gateway
//! takes plain HTTP only, a request for a host that nobody else uses.

use crate::cluster::Cluster;
use crate::evidence::line_mentions;
use crate::plan::{GatewayTarget, Plan};
use crate::vocabulary::{PodName, Scheme};
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
pub fn is_mentioned(raw: &[u8]) -> bool {
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

/// Where a gateway's pods take a sentinel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Door {
    /// Port of the pod.
    pub port: u16,
    /// What is spoken there.
    pub speaks: Scheme,
}

/// A door that a plan's objects open at its gateway: its port for TLS if any host comes by TLS, else its port for HTTP,
/// where mutual TLS is spoken or plain HTTP. Without hosts the port for TLS, which other plans' hosts open; `None` if
/// none of the hosts goes through the gateway.
pub fn door(plan: &Plan, gateway: &GatewayTarget) -> Option<Door> {
    let tls = Door {
        port: gateway.tls_target_port,
        speaks: Scheme::Https,
    };
    if plan.hosts.is_empty() {
        return Some(tls);
    }
    let through = || plan.hosts.iter().filter(|planned| planned.how.through_gateway());
    if through().any(|planned| planned.how.scheme() == Scheme::Https) {
        return Some(tls);
    }
    let over_http = through().next()?;
    Some(Door {
        port: gateway
            .http
            .map_or(gateway.tls_target_port, |http| http.target_port),
        speaks: if over_http.how.mesh_mtls() {
            Scheme::Https
        } else {
            Scheme::Http
        },
    })
}

/// Sends one sentinel to a pod's door. The gateway closes the connection; that it does is not waited for long.
/// Whether it arrived is told by the log alone, so no error is returned.
pub async fn send(cluster: Cluster, pod: PodName, door: Door, server_name: String) {
    let hello = match door.speaks {
        Scheme::Https => client_hello(&server_name),
        Scheme::Http => Some(request(&server_name)),
    };
    let Some(hello) = hello else {
        return;
    };
    let Ok(mut stream) = cluster.port_forward(&pod, door.port).await else {
        return;
    };
    if stream.write_all(&hello).await.is_ok() && stream.flush().await.is_ok() {
        let mut answer = [0_u8; 64];
        let _ = tokio::time::timeout(Duration::from_secs(2), stream.read(&mut answer)).await;
    }
}

/// A request that no route is for: the gateway answers 404 itself.
fn request(host: &str) -> Vec<u8> {
    format!("HEAD / HTTP/1.1\r\nhost: {host}\r\nuser-agent: kubectl-egress\r\nconnection: close\r\n\r\n")
        .into_bytes()
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
