//! A resolver that asks another one, as NodeLocal DNS does: whatever comes over UDP or TCP is passed on.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::output;

/// How long an answer may take; the asker tries again after about as long.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest message over UDP.
const LONGEST: usize = 65_535;

/// Relays between `address` and `upstream` until the process is stopped.
///
/// # Errors
/// The address is not the machine's, or taken.
pub(crate) async fn serve(address: SocketAddr, upstream: SocketAddr) -> Result<()> {
    let datagrams = UdpSocket::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} (UDP)"))?;
    let connections = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} (TCP)"))?;
    tokio::join!(
        relay_datagrams(Arc::new(datagrams), upstream),
        relay_connections(connections, upstream)
    );
    Ok(())
}

async fn relay_datagrams(socket: Arc<UdpSocket>, upstream: SocketAddr) {
    let mut buffer = vec![0; LONGEST];
    loop {
        // An error belongs to an answer that nobody took any more.
        let Ok((length, asker)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let question = buffer.get(..length).unwrap_or_default().to_vec();
        let socket = Arc::clone(&socket);
        tokio::spawn(async move {
            match timeout(PATIENCE, ask(&question, upstream)).await {
                Ok(Ok(answer)) => drop(socket.send_to(&answer, asker).await),
                Ok(Err(error)) => output::note(&format!("question of {asker}: {error}")),
                Err(_) => output::note(&format!("question of {asker}: no answer")),
            }
        });
    }
}

async fn ask(question: &[u8], upstream: SocketAddr) -> std::io::Result<Vec<u8>> {
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let socket = UdpSocket::bind(any).await?;
    socket.connect(upstream).await?;
    socket.send(question).await?;
    let mut answer = vec![0; LONGEST];
    let length = socket.recv(&mut answer).await?;
    answer.truncate(length);
    Ok(answer)
}

async fn relay_connections(listener: TcpListener, upstream: SocketAddr) {
    loop {
        let Ok((mut asker, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        tokio::spawn(async move {
            let relayed = async {
                let mut resolver = TcpStream::connect(upstream).await?;
                copy_bidirectional(&mut asker, &mut resolver).await
            };
            if let Err(error) = relayed.await {
                output::note(&format!("connection of {peer}: {error}"));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// An address of this machine with a port that nobody has.
    async fn free() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    }

    #[tokio::test]
    async fn questions_and_answers_pass_over_udp_and_tcp() {
        let (address, upstream) = (free().await, free().await);
        let resolver = UdpSocket::bind(upstream).await.unwrap();
        let listener = TcpListener::bind(upstream).await.unwrap();
        tokio::spawn(serve(address, upstream));
        let asker = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        asker.connect(address).await.unwrap();
        let mut buffer = [0; 16];
        // The relay may not listen yet.
        let (length, from) = loop {
            let _ = asker.send(b"question").await;
            let heard = timeout(Duration::from_millis(100), resolver.recv_from(&mut buffer)).await;
            if let Ok(heard) = heard {
                break heard.unwrap();
            }
        };
        assert_eq!(buffer.get(..length), Some(&b"question"[..]));
        resolver.send_to(b"answer", from).await.unwrap();
        let length = asker.recv(&mut buffer).await.unwrap();
        assert_eq!(buffer.get(..length), Some(&b"answer"[..]));

        let mut asker = TcpStream::connect(address).await.unwrap();
        asker.write_all(b"ask").await.unwrap();
        let (mut passed, _) = listener.accept().await.unwrap();
        passed.read_exact(buffer.get_mut(..3).unwrap()).await.unwrap();
        passed.write_all(b"answers").await.unwrap();
        asker.read_exact(buffer.get_mut(..7).unwrap()).await.unwrap();
        assert_eq!(buffer.get(..7), Some(&b"answers"[..]));
    }
}
