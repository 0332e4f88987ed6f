//! The HTTP server: one connection of whatever kind, the request log, and the faults.

use super::api::{self, Call, Reply};
use super::fault::{self, FaultKind};
use super::spoiled::spoiled;
use super::state::{Inner, RecordedRequest};
use super::streams::StreamKind;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// A body of an answer.
pub(super) type ReplyBody = UnsyncBoxBody<Bytes, io::Error>;

/// A whole body.
pub(super) fn full(bytes: impl Into<Bytes>) -> ReplyBody {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Serves one connection until it closes.
pub(super) async fn serve_connection<Stream>(inner: Arc<Inner>, stream: Stream)
where
    Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let inner = Arc::clone(&inner);
        async move { answer(&inner, request).await }
    });
    // An error here is a connection cut by either side, which is what was asked for or cannot be helped.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

/// A connection that ends without an answer.
pub(super) fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "cut on request")
}

async fn answer(inner: &Arc<Inner>, request: Request<Incoming>) -> io::Result<Response<ReplyBody>> {
    let (mut parts, body) = request.into_parts();
    let path = parts
        .uri
        .path_and_query()
        .map_or_else(String::new, ToString::to_string);
    let stream = StreamKind::of(&parts);
    let stream_name = stream.map(StreamKind::name);
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let fault = {
        let mut state = inner.lock();
        state.requests.push(RecordedRequest {
            method: parts.method.to_string(),
            path: path.clone(),
            stream: stream_name,
            impersonated: header("impersonate-user"),
        });
        fault::strike(&mut state.faults, parts.method.as_str(), stream_name, &path)
    };
    match &fault {
        Some(FaultKind::Cut) => return Err(cut()),
        Some(FaultKind::Refused(times)) => {
            inner.refuse_connections(*times);
            return Err(cut());
        }
        Some(FaultKind::Hang) => std::future::pending().await,
        Some(FaultKind::Held(gate)) => gate.pass().await,
        Some(FaultKind::Status(code, retry_after)) => {
            return Ok(dated(
                inner,
                api::Refusal::injected(*code, *retry_after).into_reply(),
            ));
        }
        Some(FaultKind::Reply(code, body)) => {
            let mut reply = Response::new(full(body.clone()));
            *reply.status_mut() = StatusCode::from_u16(*code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return Ok(dated(inner, reply));
        }
        _ => {}
    }
    let upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
    let call = Call::new(&parts, body.collect().await.map_err(io::Error::other)?.to_bytes());
    let reply = match (stream, upgrade) {
        (Some(kind), upgrade) => kind.start(inner, &parts, &call, upgrade, fault.clone()),
        (None, _) => api::answer(inner, &call),
    };
    inner.ring();
    if fault == Some(FaultKind::CutAfterWork) {
        return Err(cut());
    }
    let reply = reply.unwrap_or_else(api::Refusal::into_reply);
    Ok(dated(inner, spoiled(reply, fault.as_ref())))
}

/// Sets the `Date` header by the cluster's clock (hyper would take this machine's).
fn dated(inner: &Inner, mut reply: Reply) -> Reply {
    let date = inner.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(value) = HeaderValue::from_str(&date) {
        reply.headers_mut().insert(header::DATE, value);
    }
    reply
}
