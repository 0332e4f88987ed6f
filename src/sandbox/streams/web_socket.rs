//! The server's side of a WebSocket (RFC 6455), and Kubernetes' channels over it.

use super::Upgrade;
use crate::sandbox::api::{Refusal, Reply};
use crate::sandbox::server::full;
use futures::StreamExt;
use http::{HeaderValue, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

/// A WebSocket over an upgraded connection.
pub(super) type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// Answers an upgrade, choosing the first of `protocols` that the client offers; `run` gets the socket.
pub(super) fn accept<Run, Running>(
    upgrade: Upgrade<'_>,
    protocols: &[&'static str],
    run: Run,
) -> Result<Reply, Refusal>
where
    Run: FnOnce(Socket) -> Running + Send + 'static,
    Running: Future<Output = ()> + Send,
{
    let headers = &upgrade.parts.headers;
    let text = |name: header::HeaderName| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let is_socket = text(header::UPGRADE).eq_ignore_ascii_case("websocket");
    let (true, Some(on_upgrade)) = (is_socket, upgrade.connection) else {
        return Err(Refusal::bad_request(
            "unable to upgrade: websocket upgrade required",
        ));
    };
    let offered: Vec<&str> = text(header::SEC_WEBSOCKET_PROTOCOL)
        .split(',')
        .map(str::trim)
        .collect();
    let Some(protocol) = protocols.iter().find(|protocol| offered.contains(protocol)) else {
        return Err(Refusal::bad_request(format!(
            "unable to upgrade: none of the offered protocols is supported: {}",
            offered.join(", ")
        )));
    };
    let key = derive_accept_key(text(header::SEC_WEBSOCKET_KEY).as_bytes());
    let mut reply = Response::new(full(""));
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = reply.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    if let Ok(key) = HeaderValue::from_str(&key) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    }
    tokio::spawn(async move {
        // A client that went away before the upgrade needs no stream.
        if let Ok(upgraded) = on_upgrade.await {
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            run(socket).await;
        }
    });
    Ok(reply)
}

/// A channel's message: its number, then the bytes.
pub(super) fn framed(channel: u8, bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(bytes.len() + 1);
    message.push(channel);
    message.extend_from_slice(bytes);
    message
}

/// Closes a socket as RFC 6455 asks: the close frame goes out, and the client's answer is waited for.
pub(super) async fn close(mut socket: Socket) {
    // kubectl takes any other code, and none, for a failure.
    let normal = CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    };
    if socket.close(Some(normal)).await.is_ok() {
        let rest = async { while let Some(Ok(_)) = socket.next().await {} };
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), rest).await;
    }
}
