//! A connection to a port of a pod, through the API server.

use super::Cluster;
use super::exec::pod_path;
use super::failure::Subject;
use super::path;
use super::socket::Socket;
use crate::error::Result;
use crate::vocabulary::PodName;
use bytes::{BufMut, BytesMut};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message;

/// Bytes on their way in each direction.
const BUFFER: usize = 64 * 1024;

/// Both directions of a connection.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<Type: AsyncRead + AsyncWrite + Unpin + Send> Stream for Type {}

impl Cluster {
    /// Connects to a port of a pod. What the pod's side says against it (nothing listens there) comes as the error of the
    /// first read. The connection ends when the stream is dropped.
    ///
    /// # Errors
    /// If the session cannot be opened: no such pod, not allowed, server unreachable.
    pub async fn port_forward(&self, pod: &PodName, port: u16) -> Result<Box<dyn Stream>> {
        let port = port.to_string();
        let path = path::with_query(format!("{}/portforward", pod_path(pod)), &[("ports", &port)]);
        let subject = Subject::pod("create", "pods/portforward", "forward a port of", pod);
        let socket = self.transport().socket(&path).await;
        let socket = socket.map_err(|failure| self.transport().explain(failure, &subject))?;
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let (dropped, gone) = oneshot::channel();
        let failure = Arc::new(Mutex::new(None));
        tokio::spawn(carry(socket, theirs, gone, Arc::clone(&failure)));
        Ok(Box::new(Forwarded {
            stream: ours,
            failure,
            _dropped: dropped,
        }))
    }
}

type FailureCell = Arc<Mutex<Option<String>>>;

/// Our end: an ordinary stream whose end of file becomes an error if the pod's side reported one.
struct Forwarded {
    stream: DuplexStream,
    failure: FailureCell,
    /// Tells the carrier that nobody is here any more; a half-closed stream is still somebody.
    _dropped: oneshot::Sender<()>,
}

impl AsyncRead for Forwarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() == before && buffer.remaining() > 0 {
            let failure = self
                .failure
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .take();
            if let Some(text) = failure {
                return Poll::Ready(Err(io::Error::other(text)));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Forwarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Carries bytes until the pod's side ends or our end is dropped.
async fn carry(socket: Socket, stream: DuplexStream, gone: oneshot::Receiver<()>, failure: FailureCell) {
    let (mut to_pod, from_pod) = socket.split();
    let (reader, writer) = tokio::io::split(stream);
    tokio::select! {
        _ = gone => {}
        () = receive(from_pod, writer, &failure) => {}
        () = send(&mut to_pod, reader) => {}
    }
    // The other side may be gone already.
    let _ = to_pod.close().await;
}

/// From the pod to us. What went wrong is put down before our end sees the end of file.
async fn receive(
    mut from_pod: SplitStream<Socket>,
    mut writer: impl AsyncWrite + Unpin,
    failure: &FailureCell,
) {
    let fail = |text: String| {
        let mut cell = failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        cell.get_or_insert(text);
    };
    // The first frame of each channel repeats the port number.
    let mut announced = [false; 2];
    while let Some(message) = from_pod.next().await {
        let frame = match message {
            Ok(Message::Binary(frame)) => frame,
            Ok(Message::Close(_)) => return,
            Ok(_) => continue,
            Err(error) => return fail(format!("the connection broke: {error}")),
        };
        let Some((channel @ (0 | 1), data)) = frame.split_first() else {
            continue;
        };
        if !std::mem::replace(&mut announced[usize::from(*channel)], true) {
            continue;
        }
        if *channel == 1 {
            if !data.is_empty() {
                return fail(String::from_utf8_lossy(data).trim().to_owned());
            }
        } else if writer.write_all(data).await.is_err() {
            return;
        }
    }
}

/// From us to the pod. The protocol has no half-close: after our end of file this waits until the pod's side ends.
async fn send(to_pod: &mut SplitSink<Socket, Message>, mut reader: impl AsyncRead + Unpin) {
    let mut data = BytesMut::with_capacity(BUFFER);
    loop {
        data.clear();
        data.reserve(BUFFER);
        data.put_u8(0);
        match reader.read_buf(&mut data).await {
            Ok(0) | Err(_) => return std::future::pending().await,
            Ok(_) => {}
        }
        if to_pod.send(Message::Binary(data.split().freeze())).await.is_err() {
            return;
        }
    }
}
