//! The in-memory way to the server: a connector whose connections are duplex pipes.

use super::server::serve_connection;
use super::state::Inner;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::DuplexStream;

/// Size of the pipe's buffer in each direction, in bytes.
const PIPE_BYTES: usize = 64 * 1024;

/// A request's body, of whatever client.
type RequestBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// The client's side of the sandbox: an HTTP service with a pool of in-memory connections. Cheap to clone.
#[derive(Clone)]
pub struct PipeService {
    client: Client<Connector, RequestBody>,
}

impl PipeService {
    pub(super) fn new(inner: &Arc<Inner>) -> Self {
        let connector = Connector {
            inner: Arc::clone(inner),
        };
        Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
        }
    }
}

impl<Sent> tower::Service<Request<Sent>> for PipeService
where
    Sent: Body<Data = Bytes> + Send + 'static,
    Sent::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Incoming>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Sent>) -> Self::Future {
        let mut request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        // The pool's key is scheme and authority; a Kubernetes client's requests carry only a path.
        let path = request
            .uri()
            .path_and_query()
            .map_or_else(|| "/".to_owned(), ToString::to_string);
        if let Ok(uri) = Uri::builder()
            .scheme("http")
            .authority("sandbox.invalid")
            .path_and_query(path)
            .build()
        {
            *request.uri_mut() = uri;
        }
        let client = self.client.clone();
        Box::pin(async move { client.request(request).await })
    }
}

/// Opens a pipe whose other end is served.
#[derive(Clone)]
struct Connector {
    inner: Arc<Inner>,
}

impl tower::Service<Uri> for Connector {
    type Response = Pipe;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Pipe>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        if self.inner.refuses_connection() {
            return std::future::ready(Err(io::ErrorKind::ConnectionRefused.into()));
        }
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        tokio::spawn(serve_connection(Arc::clone(&self.inner), far));
        std::future::ready(Ok(Pipe(TokioIo::new(near))))
    }
}

/// One connection.
struct Pipe(TokioIo<DuplexStream>);

impl Connection for Pipe {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl hyper::rt::Write for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
