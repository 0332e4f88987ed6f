//! port-forward over WebSocket: two channels per port (data, error), each begun with the port's number.

use super::web_socket::{Socket, accept, close, framed};
use super::{Upgrade, envoy_admin, tls_listener};
use crate::sandbox::api::{Call, Refusal, Reply};
use crate::sandbox::controllers;
use crate::sandbox::fault::FaultKind;
use crate::sandbox::state::Inner;
use crate::vocabulary::PodName;
use crate::vocabulary::names::PROXY_CONTAINER;
use futures::{SinkExt, StreamExt};
use serde_json::Value;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::tungstenite::Message;

/// Envoy's admin port in Istio's proxies.
const ADMIN_PORT: u16 = 15000;

/// What listens on a pod's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listens {
    Admin,
    GatewayTls,
    Nothing,
}

pub(super) fn start(
    inner: &Arc<Inner>,
    call: &Call,
    pod: &PodName,
    object: &Value,
    upgrade: Upgrade<'_>,
) -> Result<Reply, Refusal> {
    if !controllers::is_ready(object) && object["status"]["phase"] != "Running" {
        let phase = object["status"]["phase"].as_str().unwrap_or("Unknown");
        return Err(Refusal::bad_request(format!(
            "unable to forward port because pod is not running. Current status={phase}"
        )));
    }
    let ports: Vec<u16> = call
        .query
        .all("ports")
        .flat_map(|list| list.split(','))
        .filter_map(|port| port.parse::<u16>().ok())
        .collect();
    let [port] = ports.as_slice() else {
        // kubectl names its ports inside the stream, whose SPDY within a WebSocket only it speaks.
        return Err(Refusal::not_simulated(
            "a port-forward of kubectl, or of several ports at once,",
        ));
    };
    let listens = listens(inner, pod, object, *port);
    let fault = upgrade.fault.clone();
    let (inner, pod, port) = (Arc::clone(inner), pod.clone(), *port);
    accept(
        upgrade,
        &["v4.channel.k8s.io", "v5.channel.k8s.io"],
        move |socket| run(inner, pod, port, listens, fault, socket),
    )
}

fn listens(inner: &Inner, pod: &PodName, object: &Value, port: u16) -> Listens {
    let has_proxy = controllers::container_names(object).any(|name| name == PROXY_CONTAINER);
    if has_proxy && port == ADMIN_PORT {
        return Listens::Admin;
    }
    let world = inner.world(&inner.lock());
    let listeners = crate::mesh::configuration(&world, pod).map(|found| found.listeners);
    let gateway = !controllers::is_meshed(object);
    if gateway
        && listeners
            .into_iter()
            .flatten()
            .any(|listener| listener.port == port)
    {
        Listens::GatewayTls
    } else {
        Listens::Nothing
    }
}

async fn run(
    inner: Arc<Inner>,
    pod: PodName,
    port: u16,
    listens: Listens,
    fault: Option<FaultKind>,
    mut socket: Socket,
) {
    for channel in [0, 1] {
        let begin = framed(channel, &port.to_le_bytes());
        if socket.send(Message::binary(begin)).await.is_err() {
            return;
        }
    }
    let (near, far) = tokio::io::duplex(64 * 1024);
    match listens {
        Listens::Admin => {
            tokio::spawn(envoy_admin::serve(inner, pod, far));
        }
        Listens::GatewayTls => {
            tokio::spawn(tls_listener::serve(inner, pod, port, far));
        }
        Listens::Nothing => {
            let message = format!(
                "error forwarding port {port} to pod {}: failed to connect to localhost:{port} inside namespace: dial tcp4 127.0.0.1:{port}: connect: connection refused",
                pod.name
            );
            let refused = framed(1, message.as_bytes());
            if socket.send(Message::binary(refused)).await.is_ok() {
                close(socket).await;
            }
            return;
        }
    }
    let limit = match fault {
        Some(FaultKind::CutAfterBytes(bytes) | FaultKind::HangAfterBytes(bytes)) => bytes,
        _ => usize::MAX,
    };
    let hang = matches!(fault, Some(FaultKind::HangAfterBytes(_)));
    if let Some(FaultKind::Before(bytes)) = &fault
        && socket.send(Message::binary(framed(0, bytes))).await.is_err()
    {
        return;
    }
    // What comes so slowly does not come while anybody waits.
    if let Some(FaultKind::Trickle(_)) = &fault {
        std::future::pending::<()>().await;
    }
    if let Some(socket) = bridge(socket, near, limit).await {
        close(socket).await;
    } else if hang {
        std::future::pending::<()>().await;
    }
}

/// Carries bytes both ways. Gives the socket back to be closed, or nothing where it was cut.
async fn bridge(mut socket: Socket, mut stream: DuplexStream, mut limit: usize) -> Option<Socket> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        tokio::select! {
            read = stream.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return Some(socket),
                Ok(length) => {
                    let length = length.min(limit);
                    limit -= length;
                    socket.send(Message::binary(framed(0, &buffer[..length]))).await.ok()?;
                    if limit == 0 {
                        return None;
                    }
                }
            },
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) if bytes.len() > 1 && bytes[0] == 0 => {
                    if stream.write_all(&bytes[1..]).await.is_err() {
                        return Some(socket);
                    }
                }
                // v5: the client will send no more.
                Some(Ok(Message::Binary(bytes))) if bytes.first() == Some(&255) => {
                    let _ = stream.shutdown().await;
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            },
        }
    }
}
