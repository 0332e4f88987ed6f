//! A stream whose writes never fail, so that what the other side said before it closed is read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// In TLS 1.3 a server refuses a client's certificate after the client believes the handshake done (RFC 8446, section
/// 4.4.2.4): the alert and the end of the connection may arrive before the request is written. An HTTP client that
/// fails to write never reads the alert; with this it goes on, and reads it, or the end.
pub(super) struct ReadsOn<Inner>(pub(super) Inner);

impl<Inner: AsyncRead + Unpin> AsyncRead for ReadsOn<Inner> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<Inner: AsyncWrite + Unpin> AsyncWrite for ReadsOn<Inner> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.0).poll_write(context, bytes);
        written.map(|written| Ok(written.unwrap_or(bytes.len())))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context).map(|_| Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context).map(|_| Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};

    #[tokio::test]
    async fn what_was_said_before_the_end_is_read_although_nothing_can_be_written() {
        let (near, mut far) = tokio::io::duplex(64);
        far.write_all(b"no").await.unwrap();
        drop(far);
        let mut bare = BufReader::new(near);
        assert_eq!(
            bare.write_all(b"request").await.unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
        let mut reads_on = ReadsOn(bare);
        reads_on.write_all(b"request").await.unwrap();
        let mut said = String::new();
        reads_on.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "no");
    }
}
