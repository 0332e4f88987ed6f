//! A relay on 127.0.0.1 that counts the bytes that pass.

use anyhow::Result;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What has passed so far.
#[derive(Default)]
pub(crate) struct Passed {
    /// From the client.
    pub(crate) sent: AtomicU64,
    /// To the client.
    pub(crate) received: AtomicU64,
}

/// Leads every connection on to a server, until the process ends.
pub(crate) async fn relay(server: SocketAddr) -> Result<(SocketAddr, Arc<Passed>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let passed = Arc::new(Passed::default());
    let counted = Arc::clone(&passed);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(upstream) = TcpStream::connect(server).await else {
                continue;
            };
            // Without it the last bytes of an answer would wait for an acknowledgement.
            let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = upstream.into_split();
            let there = Arc::clone(&counted);
            tokio::spawn(async move { pass(from_client, to_server, &there.sent).await });
            let back = Arc::clone(&counted);
            tokio::spawn(async move { pass(from_server, to_client, &back.received).await });
        }
    });
    Ok((address, passed))
}

/// Ends with the connection, however that ends.
async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, count: &AtomicU64) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        count.fetch_add(read as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    // The other side sees the end; that it has ended already is no matter.
    let _ = to.shutdown().await;
}
