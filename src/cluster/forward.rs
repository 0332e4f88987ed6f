//! Port-forward: one connection to one port of a pod.

use super::{Cluster, failure};
use crate::error::{Error, Result};
use crate::vocabulary::PodName;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// A connection in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<Any: AsyncRead + AsyncWrite + Unpin + Send> Stream for Any {}

impl Cluster {
    /// Opens a connection to a port of a pod.
    ///
    /// # Errors
    /// If the server refuses (`create` on `pods/portforward`).
    pub async fn port_forward(&self, pod: &PodName, port: u16) -> Result<Box<dyn Stream>> {
        let doing = format!("forward port {port} of pod {pod}");
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &pod.namespace);
        let ports = [port];
        let opening = api.portforward(&pod.name, &ports);
        let mut forwarder = match tokio::time::timeout(self.shared.deadline, opening).await {
            Ok(Ok(forwarder)) => forwarder,
            Ok(Err(error)) => return Err(failure::of_transport(self, &doing, &error)),
            Err(_) => return Err(Error::timed_out(format!("could not {doing}: no answer within {} s", self.shared.deadline.as_secs()))),
        };
        let stream = forwarder.take_stream(port).ok_or_else(|| Error::bug(format!("no stream for port {port}")))?;
        Ok(Box::new(Forwarded { stream, forwarder: Some(forwarder) }))
    }
}

/// Keeps the forwarder's task as long as its stream, and ends it with it.
struct Forwarded {
    stream: DuplexStream,
    forwarder: Option<kube::api::Portforwarder>,
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        if let Some(forwarder) = self.forwarder.take() {
            forwarder.abort();
        }
    }
}

impl AsyncRead for Forwarded {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Forwarded {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
