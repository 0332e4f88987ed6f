//! The process that plays the outside world: every server of the table, in one program.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, UdpSocket};

use super::connection::{self, Host};
use super::resolver;
use super::table::{Behaviour, PROXY_PORT, RESOLVER_PORT, RESOLVER_TLS_PORT, SERVERS, Server};
use super::tls;
use super::writer::Writer;
use crate::output;

/// Plain HTTP, then TLS.
const PORTS: [(u16, bool); 2] = [(80, false), (443, true)];

/// Serves the whole table until the process is stopped.
///
/// # Errors
/// A certificate or an address is missing.
pub(crate) async fn serve(folder: &Path, log: &Path) -> Result<()> {
    let writer = Arc::new(Writer::open(log)?);
    let mut listening = Vec::new();
    let mut tasks = tokio::task::JoinSet::new();
    for server in SERVERS
        .iter()
        .filter(|server| server.behaviour != Behaviour::Refuse)
    {
        for (port, encrypted) in PORTS {
            let host = host(folder, server, encrypted, &writer)?;
            for address in server.addresses() {
                listening.push((bind(address, port).await?, host.clone()));
            }
        }
        if server.behaviour == Behaviour::Proxy {
            let host = host(folder, server, false, &writer)?;
            for address in server.addresses() {
                listening.push((bind(address, PROXY_PORT).await?, host.clone()));
            }
        }
        if server.behaviour == Behaviour::Resolver {
            let host = host(folder, server, true, &writer)?;
            for address in server.addresses() {
                listening.push((bind(address, RESOLVER_TLS_PORT).await?, host.clone()));
                let socket = UdpSocket::bind(SocketAddr::from((address, RESOLVER_PORT)))
                    .await
                    .with_context(|| format!("cannot listen on {address}:{RESOLVER_PORT} (UDP)"))?;
                tasks.spawn(resolver::serve(server.name(), Arc::clone(&writer), socket));
            }
        }
    }
    // The file says that every port is open; `up` waits for it.
    std::fs::write(folder.join("ready"), listening.len().to_string())?;
    for (listener, host) in listening {
        tasks.spawn(accept(listener, host));
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

fn host(folder: &Path, server: &'static Server, encrypted: bool, writer: &Arc<Writer>) -> Result<Host> {
    let tls = if encrypted {
        Some(tls::configuration(folder, server)?)
    } else {
        None
    };
    Ok(Host {
        server,
        tls,
        writer: Arc::clone(writer),
    })
}

async fn bind(address: Ipv4Addr, port: u16) -> Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((address, port)))
        .await
        .with_context(|| format!("cannot listen on {address}:{port}"))
}

async fn accept(listener: TcpListener, host: Host) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let host = host.clone();
                tokio::spawn(async move {
                    if let Err(error) = connection::serve(host, stream, peer).await {
                        output::note(&format!("connection of {peer}: {error:#}"));
                    }
                });
            }
            Err(error) => {
                output::note(&format!("accept: {error}"));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
