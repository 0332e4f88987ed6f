//! One connection to a server of the outside world, from accept to end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;

use super::answer;
use super::event::{ClientCertificate, EventKind, WorldEvent};
use super::proxy;
use super::table::{Behaviour, PROXY_PORT, Server};
use super::tls;
use super::writer::Writer;

/// How long a client may take for its handshake.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(30);

/// What every connection of one server needs.
#[derive(Clone)]
pub(super) struct Host {
    pub(super) server: &'static Server,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) writer: Arc<Writer>,
}

/// The facts about one connection that go into each of its events.
#[derive(Clone)]
struct Connection {
    host: Host,
    local: SocketAddr,
    peer: SocketAddr,
    sni: Option<String>,
    client_certificate: Option<ClientCertificate>,
}

impl Connection {
    fn event(&self, kind: EventKind) -> WorldEvent {
        let mut event = WorldEvent::new(self.host.server.name(), kind, self.local, self.peer);
        event.sni.clone_from(&self.sni);
        event.client_certificate.clone_from(&self.client_certificate);
        event
    }

    fn tls_failed(&self, error: &std::io::Error) -> Result<()> {
        let mut event = self.event(EventKind::TlsFailed);
        event.error = Some(error.to_string());
        self.host.writer.write(&event)
    }
}

/// Serves one connection to its end.
pub(super) async fn serve(host: Host, stream: TcpStream, peer: SocketAddr) -> Result<()> {
    let local = stream.local_addr()?;
    let connection = Connection {
        host: host.clone(),
        local,
        peer,
        sni: None,
        client_certificate: None,
    };
    match host.server.behaviour {
        Behaviour::Reset => {
            stream.set_zero_linger()?;
            host.writer.write(&connection.event(EventKind::Reset))
        }
        Behaviour::Silent | Behaviour::Refuse => be_silent(&connection, stream).await,
        Behaviour::Proxy if local.port() == PROXY_PORT => {
            proxy::serve(host.server.name(), &host.writer, stream, peer).await
        }
        Behaviour::Echo
        | Behaviour::DemandClientCertificate
        | Behaviour::Redirect(_)
        | Behaviour::Proxy
        | Behaviour::Resolver => match host.tls {
            Some(configuration) => serve_tls(connection, stream, configuration).await,
            None => serve_http(connection, stream).await,
        },
    }
}

async fn be_silent(connection: &Connection, mut stream: TcpStream) -> Result<()> {
    connection
        .host
        .writer
        .write(&connection.event(EventKind::Accepted))?;
    let mut unheard = [0; 4096];
    while stream.read(&mut unheard).await? > 0 {}
    Ok(())
}

async fn serve_tls(
    mut connection: Connection,
    stream: TcpStream,
    configuration: Arc<ServerConfig>,
) -> Result<()> {
    let acceptor = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
    tokio::pin!(acceptor);
    let start = match tokio::time::timeout(HANDSHAKE_DEADLINE, acceptor.as_mut()).await {
        Ok(Ok(start)) => start,
        Ok(Err(error)) => {
            connection.tls_failed(&error)?;
            if let Some(mut stream) = acceptor.take_io() {
                let _ = stream.shutdown().await;
            }
            return Ok(());
        }
        Err(late) => return connection.tls_failed(&std::io::Error::other(late)),
    };
    connection.sni = start.client_hello().server_name().map(ToOwned::to_owned);
    let stream = match tokio::time::timeout(HANDSHAKE_DEADLINE, start.into_stream(configuration)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return connection.tls_failed(&error),
        Err(late) => return connection.tls_failed(&std::io::Error::other(late)),
    };
    let certificate = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first());
    connection.client_certificate = certificate.map(tls::describe);
    serve_http(connection, stream).await
}

async fn serve_http<S>(connection: Connection, stream: S) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let asked = Arc::new(AtomicBool::new(false));
    let service = service_fn(|request: Request<Incoming>| {
        let (connection, asked) = (connection.clone(), Arc::clone(&asked));
        async move {
            asked.store(true, Ordering::Relaxed);
            let (request, _body) = request.into_parts();
            let mut event = connection.event(EventKind::Request);
            answer::describe(&mut event, &request);
            connection.host.writer.write(&event)?;
            let path = request.uri.path();
            tokio::time::sleep(answer::delay(path)).await;
            Ok::<_, anyhow::Error>(answer::answer(connection.host.server.behaviour, path, &event))
        }
    });
    let ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if !asked.load(Ordering::Relaxed) {
        let mut event = connection.event(EventKind::Closed);
        event.error = ended.err().map(|error| error.to_string());
        connection.host.writer.write(&event)?;
    }
    Ok(())
}
