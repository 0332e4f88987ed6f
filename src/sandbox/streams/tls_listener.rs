//! A gateway's TLS listener, as a port-forward reaches it: it reads the ClientHello's server name and nothing more.

use crate::mesh::{self, Chain};
use crate::sandbox::network::access_log::LogFields;
use crate::sandbox::network::proxies::write_line;
use crate::sandbox::state::Inner;
use crate::vocabulary::PodName;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, DuplexStream};

/// How long Envoy waits for the ClientHello.
const PATIENCE: Duration = Duration::from_secs(15);

/// Reads a hello, writes the line about it, and closes.
pub(super) async fn serve(inner: Arc<Inner>, pod: PodName, port: u16, mut stream: DuplexStream) {
    let Ok(server_name) = tokio::time::timeout(PATIENCE, read_server_name(&mut stream)).await else {
        return;
    };
    {
        let mut state = inner.lock();
        let world = inner.world(&state);
        let chain = server_name
            .as_deref()
            .and_then(|name| chain_of(&world, &pod, port, name));
        // The peer of a port-forward is the loopback (truth.md 15).
        let mut fields = LogFields {
            downstream_local: format!("127.0.0.1:{port}"),
            downstream_remote: format!("127.0.0.1:{}", state.next_port()),
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
        write_line(&inner, &mut state, &pod, &fields);
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

/// The server name of the ClientHello at the beginning of a stream; `None` if there is none.
async fn read_server_name(stream: &mut DuplexStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer).await.ok()?;
        bytes.extend_from_slice(&buffer[..length]);
        let needed = match bytes.get(..5) {
            // A handshake record (RFC 8446 section 5.1); anything else is no TLS.
            Some([22, _, _, high, low]) => 5 + usize::from(*high) * 256 + usize::from(*low),
            Some(_) => return None,
            None => 5,
        };
        if bytes.len() >= needed && needed > 5 {
            return server_name(&bytes[5..needed]);
        }
        if length == 0 {
            return None;
        }
    }
}

/// Reads a ClientHello (RFC 8446 section 4.1.2) up to its server_name extension (RFC 6066 section 3).
fn server_name(hello: &[u8]) -> Option<String> {
    let mut reader = Reader(hello);
    // Handshake type 1, length, version, random.
    (reader.take(1)? == [1]).then_some(())?;
    reader.take(3 + 2 + 32)?;
    for width in [1, 2, 1] {
        // Session id, cipher suites, compression methods.
        reader.vector(width)?;
    }
    let mut extensions = Reader(reader.vector(2)?);
    loop {
        let kind = extensions.take(2)?;
        let body = extensions.vector(2)?;
        if kind == [0, 0] {
            let mut names = Reader(Reader(body).vector(2)?);
            names.take(1)?;
            return String::from_utf8(names.vector(2)?.to_vec()).ok();
        }
    }
}

/// Takes bytes from the front.
struct Reader<'bytes>(&'bytes [u8]);

impl<'bytes> Reader<'bytes> {
    fn take(&mut self, length: usize) -> Option<&'bytes [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A vector with its length in front, in so many bytes.
    fn vector(&mut self, width: usize) -> Option<&'bytes [u8]> {
        let length = self
            .take(width)?
            .iter()
            .fold(0, |length, byte| length * 256 + usize::from(*byte));
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_name_of_a_real_hello_and_survives_garbage() {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let name = "kyma-project.io".to_owned().try_into().unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        assert_eq!(server_name(&hello[5..]).as_deref(), Some("kyma-project.io"));
        for end in 0..hello.len() - 5 {
            let _ = server_name(&hello[5..5 + end]);
        }
        assert_eq!(server_name(b"GET / HTTP/1.1"), None);
    }
}
