//! A forward proxy of the outside world: `CONNECT host:port` opens a tunnel. It connects from the address at which it was
//! asked, so that the log of the server at the other end names the proxy.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpSocket, TcpStream};

use super::event::{EventKind, WorldEvent};
use super::table::addresses_of;
use super::writer::Writer;

/// Longest head of a request that is read, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;

/// Serves one connection to its end; the log has one line about it.
pub(super) async fn serve(
    server: &'static str,
    writer: &Writer,
    stream: TcpStream,
    peer: SocketAddr,
) -> Result<()> {
    let local = stream.local_addr()?;
    let mut client = BufReader::new(stream);
    let mut event = WorldEvent::new(server, EventKind::Tunnel, local, peer);
    let answered = match read_head(&mut client, &mut event).await {
        Err(error) => Err(("400 Bad Request", error)),
        Ok(()) => connect(&event, local)
            .await
            .map_err(|error| ("502 Bad Gateway", error)),
    };
    event.error = answered.as_ref().err().map(|(_, error)| error.clone());
    writer.write(&event)?;
    match answered {
        Ok(mut upstream) => {
            client
                .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                .await?;
            // A tunnel that is reset is a tunnel that has ended.
            let _ = copy_bidirectional(&mut client, &mut upstream).await;
        }
        Err((status, error)) => {
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                error.len()
            );
            client.write_all(head.as_bytes()).await?;
            client.write_all(error.as_bytes()).await?;
            client.shutdown().await?;
        }
    }
    Ok(())
}

/// Reads the request's line and headers into the event; what follows stays unread.
async fn read_head(client: &mut BufReader<TcpStream>, event: &mut WorldEvent) -> Result<(), String> {
    let mut read = 0;
    let mut first = true;
    loop {
        let mut line = String::new();
        read += client
            .read_line(&mut line)
            .await
            .map_err(|error| error.to_string())?;
        if read > LONGEST_HEAD || !line.ends_with('\n') {
            return Err("no whole request".into());
        }
        let line = line.trim_end();
        if first {
            let mut words = line.split(' ').map(ToOwned::to_owned);
            event.method = words.next();
            event.path = words.next();
            first = false;
        } else if line.is_empty() {
            break;
        } else if let Some((name, value)) = line.split_once(':') {
            let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
            if name == "host" {
                event.host = Some(value.clone());
            }
            event.headers.insert(name, value);
        }
    }
    match event.method.as_deref() {
        Some("CONNECT") => Ok(()),
        _ => Err("this proxy takes only CONNECT".into()),
    }
}

async fn connect(event: &WorldEvent, local: SocketAddr) -> Result<TcpStream, String> {
    let target = event.path.as_deref().unwrap_or_default();
    let Some((host, port)) = target.rsplit_once(':') else {
        return Err(format!("{target} has no port"));
    };
    let port: u16 = port.parse().map_err(|_| format!("{port} is no port"))?;
    let address = host.parse().ok().or_else(|| addresses_of(host).first().copied());
    let address = address.ok_or_else(|| format!("{host} is not known"))?;
    let connecting = async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(local.ip(), 0))?;
        socket.connect(SocketAddr::from((address, port))).await
    };
    connecting
        .await
        .map_err(|error: std::io::Error| format!("{target}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    /// What the proxy answers to a head, and what it writes down; the tunnel's other end echoes.
    async fn ask(head: impl Fn(u16) -> String) -> (String, WorldEvent) {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let writer = Arc::new(Writer::open(&log).unwrap());
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = echo.local_addr().unwrap().port();
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(proxy.local_addr().unwrap()).await.unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = echo.accept().await.unwrap();
            let (mut reader, mut writer) = stream.split();
            tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        });
        let serving = tokio::spawn(async move {
            let (stream, peer) = proxy.accept().await.unwrap();
            serve("proxy.test", &writer, stream, peer).await.unwrap();
        });
        client.write_all(head(port).as_bytes()).await.unwrap();
        client.write_all(b"through the tunnel").await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        serving.await.unwrap();
        let line = std::fs::read_to_string(log).unwrap();
        (answer, serde_json::from_str(&line).unwrap())
    }

    #[tokio::test]
    async fn a_tunnel_carries_bytes_and_the_log_says_where_to() {
        let (answer, event) =
            ask(|port| format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("through the tunnel"),
            "{answer}"
        );
        assert_eq!(event.event, EventKind::Tunnel);
        assert!(event.path.unwrap().starts_with("127.0.0.1:"));
        assert_eq!((event.host.as_deref(), event.error), (Some("x"), None));
    }

    #[tokio::test]
    async fn anything_else_is_refused_and_written_down() {
        let (answer, event) = ask(|_| "GET / HTTP/1.1\r\n\r\n".to_owned()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(event.error.is_some());
        let (answer, event) = ask(|_| "CONNECT nobody.test:443 HTTP/1.1\r\n\r\n".to_owned()).await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
        assert_eq!(event.error.unwrap(), "nobody.test is not known");
    }
}
