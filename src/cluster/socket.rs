//! WebSocket sessions with a pod: exec and port-forward.

use super::failure::Failure;
use super::transport::Transport;
use http::Request;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;

/// The status of a server that agrees: `101 Switching Protocols`.
const SWITCHED: u16 = 101;

/// An open session.
pub(super) type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

impl Transport {
    /// Opens a session. The server's agreement has the request timeout as deadline; it is tried once, because a
    /// command may have run although the answer was lost.
    pub(super) async fn socket(&self, path: &str) -> Result<Socket, Failure> {
        match self.socket_once(path).await {
            Err(failure) if failure.code() == Some(401) => match &self.credential {
                Some(credential) => {
                    credential.renew().await.map_err(Failure::Credential)?;
                    self.socket_once(path).await
                }
                None => Err(failure),
            },
            other => other,
        }
    }

    async fn socket_once(&self, path: &str) -> Result<Socket, Failure> {
        let mut request = Request::builder()
            .uri(path)
            .body(Vec::new())
            .map_err(|error| Failure::Garbled(format!("the request cannot be written: {error}")))?;
        self.introduce(request.headers_mut()).await?;
        let started = Instant::now();
        let connection = timeout(self.request_timeout, self.client.connect(request)).await;
        let connection = connection
            .map_err(|_| Failure::NoAnswer(self.request_timeout))
            .and_then(|connection| connection.map_err(Failure::from));
        let status = connection.as_ref().map(|_| SWITCHED);
        self.tell_of("GET", path, status, started);
        Ok(connection?.into_stream())
    }
}
