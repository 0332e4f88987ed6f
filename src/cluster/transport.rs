//! One plain request: bounded in number, with a deadline, retried where that is safe.
//!
//! kube's own retry is off: it takes up to 164 s, obeys any `Retry-After` and repeats POSTs (libraries.md 1.6).

use super::{Cluster, Notice, Observer, failure};
use crate::error::{Error, Result};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use kube::client::Body;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Plain requests in flight at a time.
const IN_FLIGHT: usize = 8;
/// Tries of one request.
const TRIES: u32 = 3;
/// Longest pause before a retry; `Retry-After` is obeyed up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What all clones of a [`Cluster`] share.
pub(super) struct Shared {
    pub(super) context: String,
    pub(super) server: String,
    pub(super) deadline: Duration,
    pub(super) observer: Observer,
    slots: Semaphore,
    requests: AtomicU64,
    clock: Mutex<Option<(jiff::Timestamp, Instant)>>,
}

impl Shared {
    pub(super) fn new(context: &str, server: &str, deadline: Duration, observer: Observer) -> Self {
        Self {
            context: context.to_owned(),
            server: server.to_owned(),
            deadline,
            observer,
            slots: Semaphore::new(IN_FLIGHT),
            requests: AtomicU64::new(0),
            clock: Mutex::new(None),
        }
    }

    pub(super) fn server_time(&self) -> Option<jiff::Timestamp> {
        let clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let (then, seen) = (*clock)?;
        then.checked_add(jiff::SignedDuration::try_from(seen.elapsed()).ok()?).ok()
    }

    pub(super) fn request_count(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    fn hear(&self, headers: &HeaderMap) {
        let date = headers.get(http::header::DATE).and_then(|value| value.to_str().ok());
        if let Some(time) = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()) {
            *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some((time.timestamp(), Instant::now()));
        }
        for warning in headers.get_all(http::header::WARNING).iter().filter_map(|value| value.to_str().ok()) {
            // `299 - "text"`
            let text = warning.split_once('"').map_or(warning, |(_, text)| text.trim_end_matches('"'));
            (self.observer)(Notice::Warning(text.to_owned()));
        }
    }
}

/// A plain request. `repeatable`: sending it twice does what sending it once does.
pub(super) struct Plain<'request> {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) content_type: Option<&'static str>,
    pub(super) body: Vec<u8>,
    pub(super) repeatable: bool,
    /// What is being done, for the error: `apply Service demo/curl`.
    pub(super) doing: &'request str,
}

/// An answer with status and body.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Cluster {
    /// Sends a plain request; an answer of any status is an answer.
    pub(super) async fn plain(&self, request: &Plain<'_>) -> Result<Answered> {
        let mut attempt = 1;
        loop {
            let (reason, pause, result) = match self.once(request).await {
                Ok((answered, pause)) if is_temporary(answered.status) => {
                    (format!("the API server answered {}", answered.status), pause, Ok(answered))
                }
                Ok((answered, _)) => return Ok(answered),
                Err(error) if failure::is_connection(&error) => (failure::why(&error), None, Err(error)),
                Err(error) => return Err(failure::of_transport(self, request.doing, &error)),
            };
            if attempt == TRIES || !request.repeatable {
                return result.map_err(|error| failure::of_transport(self, request.doing, &error));
            }
            (self.shared.observer)(Notice::Retrying { method: request.method.to_string(), path: request.path.clone(), reason });
            let backoff = Duration::from_millis(100) * 2_u32.pow(attempt);
            tokio::time::sleep(pause.unwrap_or(backoff).min(LONGEST_PAUSE)).await;
            attempt += 1;
        }
    }

    async fn once(&self, request: &Plain<'_>) -> std::result::Result<(Answered, Option<Duration>), kube::Error> {
        let _slot = self.shared.slots.acquire().await;
        self.shared.requests.fetch_add(1, Ordering::Relaxed);
        let exchange = async {
            let response = self.client.send(build(request)?).await?;
            let (parts, body) = response.into_parts();
            self.shared.hear(&parts.headers);
            let pause = parts.headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let body = body.collect_bytes().await?;
            Ok((Answered { status: parts.status, body }, pause.map(Duration::from_secs)))
        };
        match tokio::time::timeout(self.shared.deadline, exchange).await {
            Ok(result) => result,
            Err(_) => Err(kube::Error::Service(Box::new(failure::NoAnswer(self.shared.deadline)))),
        }
    }

    /// Opens a stream: the deadline holds for the response's headers, not for what follows.
    pub(super) async fn open(&self, path: String, doing: &str) -> Result<Body> {
        let plain = Plain { method: Method::GET, path, content_type: None, body: Vec::new(), repeatable: true, doing };
        let sending = async { self.client.send(build(&plain)?).await };
        let response = match tokio::time::timeout(self.shared.deadline, sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(failure::of_transport(self, doing, &error)),
            Err(_) => return Err(Error::timed_out(format!("could not {doing}: the API server gave no answer within {} s", self.shared.deadline.as_secs()))),
        };
        let (parts, body) = response.into_parts();
        self.shared.hear(&parts.headers);
        if parts.status.is_success() {
            return Ok(body);
        }
        let body = body.collect_bytes().await.unwrap_or_default();
        Err(failure::of_answer(doing, parts.status, &body))
    }
}

fn build(request: &Plain<'_>) -> std::result::Result<Request<Body>, kube::Error> {
    let mut builder = Request::builder().method(request.method.clone()).uri(&request.path).header(http::header::ACCEPT, "application/json");
    if let Some(content_type) = request.content_type {
        builder = builder.header(http::header::CONTENT_TYPE, content_type);
    }
    builder.body(Body::from(request.body.clone())).map_err(kube::Error::HttpError)
}

fn is_temporary(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}
