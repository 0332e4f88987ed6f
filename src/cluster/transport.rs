//! Requests as they travel: retries, deadlines, the limit of requests in flight, the server's clock, warnings.
//!
//! Everything that leaves this process towards an API server passes here, whatever lies below (a real cluster, the
//! sandbox, a fault injector). kube's own retry layer is off: it retries every method 15 times and obeys any
//! `Retry-After`.

use super::credential::Credential;
use super::explain::{Destination, explain};
use super::failure::{Failure, Obstacle, Status, Subject};
use super::presence::{AWAY, Presence};
use super::settings::{Notice, Observer};
use crate::error::Error;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::BodyExt;
use jiff::Timestamp;
use kube::client::Body;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

/// Plain requests in flight at once. Each owns a connection: kube speaks HTTP/1.1 only.
pub(super) const IN_FLIGHT: usize = 8;
/// `User-Agent` (RFC 9110 section 10.1.5) of every request, streams included.
const USER_AGENT: &str = concat!("kubectl-egress/", env!("CARGO_PKG_VERSION"));
/// How often a request is sent at most.
const TRIES: u32 = 3;
/// How long all pauses between the tries of a request take together at most.
const PAUSES: Duration = Duration::from_secs(2);
/// The longest pause.
const PAUSE: Duration = Duration::from_secs(2);
/// A body that keeps dripping is given up after this many request timeouts.
const BODY_TIMEOUTS: u32 = 10;

/// What the next try of a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// A moment in which it may come right.
    Moment,
    /// A server that has answered before.
    Return,
    /// An admission webhook that the server could not call.
    Webhook,
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    pub(super) body: Bytes,
    pub(super) content_type: &'static str,
    /// Whether sending it twice does what sending it once does.
    pub(super) idempotent: bool,
    /// Whether "not found" may only mean that the server has not heard yet of what this refers to.
    pub(super) refers_to_new: bool,
    pub(super) subject: Subject,
}

impl Call {
    /// A GET.
    pub(super) fn get(path: String, subject: Subject) -> Self {
        Self {
            method: Method::GET,
            path,
            body: Bytes::new(),
            content_type: "",
            idempotent: true,
            refers_to_new: false,
            subject,
        }
    }

    /// A request with a JSON body, not idempotent unless changed.
    pub(super) fn json(method: Method, path: String, body: &serde_json::Value, subject: Subject) -> Self {
        Self {
            method,
            path,
            body: body.to_string().into(),
            content_type: "application/json",
            idempotent: false,
            refers_to_new: false,
            subject,
        }
    }

    fn request<B: From<Bytes>>(&self) -> Result<Request<B>, Failure> {
        let mut builder = Request::builder()
            .method(&self.method)
            .uri(&self.path)
            .header(header::ACCEPT, "application/json");
        if !self.content_type.is_empty() {
            builder = builder.header(header::CONTENT_TYPE, self.content_type);
        }
        builder
            .body(B::from(self.body.clone()))
            .map_err(|error| Failure::Garbled(format!("the request cannot be written: {error}")))
    }
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Bytes,
    /// How many times the request was sent.
    pub(super) tries: u32,
    /// The server's clock when it answered, to the second.
    pub(super) date: Option<Timestamp>,
}

impl Reply {
    /// The body as JSON.
    pub(super) fn json<Type: serde::de::DeserializeOwned>(&self) -> Result<Type, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Failure::Garbled(format!("the server's answer is not the JSON expected: {error}"))
        })
    }
}

/// The way to one API server.
pub(super) struct Transport {
    pub(super) client: kube::Client,
    pub(super) credential: Option<Credential>,
    pub(super) observer: Observer,
    pub(super) destination: Destination,
    pub(super) request_timeout: Duration,
    permits: Semaphore,
    clock: Mutex<Option<(Timestamp, Instant)>>,
    sent: AtomicU64,
    presence: Presence,
}

impl Transport {
    pub(super) fn new(
        client: kube::Client,
        credential: Option<Credential>,
        observer: Observer,
        destination: Destination,
        request_timeout: Duration,
    ) -> Self {
        Self {
            client,
            credential,
            observer,
            destination,
            request_timeout,
            permits: Semaphore::new(IN_FLIGHT),
            clock: Mutex::new(None),
            sent: AtomicU64::new(0),
            presence: Presence::default(),
        }
    }

    /// Puts a failure into words.
    pub(super) fn explain(&self, failure: Failure, subject: &Subject) -> Error {
        explain(failure, subject, &self.destination)
    }

    /// The server's clock: its last `Date` header plus the time since.
    pub(super) fn server_time(&self) -> Option<Timestamp> {
        let clock = self
            .clock
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let (date, heard) = (*clock)?;
        date.checked_add(heard.elapsed()).ok()
    }

    /// Plain requests sent so far, every try counted.
    pub(super) fn request_count(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Sends a request and reads the whole answer. Idempotent requests are sent up to three times, and for longer while a
    /// server that has answered before is away; all of them as long as the server cannot call an admission webhook.
    pub(super) async fn plain(&self, call: &Call) -> Result<Reply, Failure> {
        let begun = Instant::now();
        let mut paused = Duration::ZERO;
        let mut tries = 1;
        loop {
            let failure = match self.plain_once(call).await {
                Ok(answer) => return Ok(Reply { tries, ..answer }),
                Err(failure) => failure,
            };
            self.presence.failed(&failure);
            let wait = self.wait_for(&failure);
            let (most, longest) = match wait {
                Wait::Moment => (TRIES, PAUSES),
                Wait::Return => (u32::MAX, AWAY),
                // Each try may have waited for the webhook as well.
                Wait::Webhook => (
                    u32::MAX,
                    AWAY.saturating_sub(begun.elapsed().saturating_sub(paused)),
                ),
            };
            let pause = pause_before_retry(call, &failure, wait, tries)
                .filter(|_| tries < most && paused < longest)
                .map(|pause| pause.min(longest.saturating_sub(paused)));
            let Some(pause) = pause else {
                self.give_up(call, &failure, wait);
                return Err(failure);
            };
            // The server may have kept us waiting for the webhook's own deadline.
            if tries >= TRIES || (wait == Wait::Webhook && begun.elapsed() >= PAUSES) {
                self.tell_away(&failure);
            }
            (self.observer)(Notice::Retrying {
                method: call.method.to_string(),
                path: without_query(&call.path),
                reason: failure.brief(),
            });
            tokio::time::sleep(pause).await;
            paused += pause;
            tries += 1;
        }
    }

    /// What is worth waiting for after a failure.
    fn wait_for(&self, failure: &Failure) -> Wait {
        if let Some(webhook) = failure.uncalled_webhook() {
            return if self.presence.may_return(webhook) {
                Wait::Webhook
            } else {
                Wait::Moment
            };
        }
        if self.presence.may_restart(failure) {
            Wait::Return
        } else {
            Wait::Moment
        }
    }

    /// What comes next does not wait as long again.
    fn give_up(&self, call: &Call, failure: &Failure, wait: Wait) {
        if let Some(webhook) = failure.uncalled_webhook() {
            self.presence.given_up_webhook(webhook);
        } else if wait == Wait::Return && call.idempotent && failure.is_of_network() {
            self.presence.given_up();
        }
    }

    fn tell_away(&self, failure: &Failure) {
        let who = match failure.uncalled_webhook() {
            Some(webhook) if self.presence.is_first_to_tell_of(webhook) => {
                format!("the admission webhook `{webhook}`")
            }
            None if failure.is_of_network() && self.presence.is_first_to_tell() => {
                format!("the API server {}", self.destination.server)
            }
            _ => return,
        };
        (self.observer)(Notice::Away { who, patience: AWAY });
    }

    /// Like [`Self::plain`], with the failure in words.
    pub(super) async fn plain_explained(&self, call: &Call) -> crate::error::Result<Reply> {
        self.plain(call)
            .await
            .map_err(|failure| self.explain(failure, &call.subject))
    }

    async fn plain_once(&self, call: &Call) -> Result<Reply, Failure> {
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await.ok();
        self.sent.fetch_add(1, Ordering::Relaxed);
        let response = self.send(call).await?;
        let status = response.status().as_u16();
        let date = date_of(response.headers());
        let body = self.read(response.into_body()).await?;
        Ok(Reply {
            status,
            body,
            tries: 1,
            date,
        })
    }

    /// Opens a stream: the headers have a deadline if asked for, the body has none.
    pub(super) async fn stream(&self, call: &Call) -> Result<Response<Body>, Failure> {
        self.send(call).await
    }

    /// One exchange up to the headers. New credentials are fetched once if the server does not accept those we have.
    async fn send(&self, call: &Call) -> Result<Response<Body>, Failure> {
        let response = self.exchange(call).await?;
        if response.status() != http::StatusCode::UNAUTHORIZED {
            return self.accept(response).await;
        }
        match &self.credential {
            Some(credential) => {
                credential.renew().await.map_err(Failure::Credential)?;
                let response = self.exchange(call).await?;
                self.accept(response).await
            }
            None => self.accept(response).await,
        }
    }

    async fn exchange(&self, call: &Call) -> Result<Response<Body>, Failure> {
        let mut request: Request<Body> = call.request()?;
        self.introduce(request.headers_mut()).await?;
        let started = Instant::now();
        let sent = timeout(self.request_timeout, self.client.send(request)).await;
        let answer = sent
            .map_err(|_| Failure::NoAnswer(self.request_timeout))
            .and_then(|sent| sent.map_err(Failure::from));
        let status = answer.as_ref().map(|response| response.status().as_u16());
        self.tell_of(call.method.as_str(), &call.path, status, started);
        let response = answer?;
        self.hear(response.headers());
        Ok(response)
    }

    /// Tells of a request that was answered with a status, or failed.
    pub(super) fn tell_of(&self, method: &str, path: &str, status: Result<u16, &Failure>, started: Instant) {
        (self.observer)(Notice::Requested {
            method: method.to_owned(),
            path: without_query(path),
            answer: status.map_or_else(Failure::brief, |status| status.to_string()),
            elapsed: started.elapsed(),
        });
    }

    /// Puts into a request which program asks (audit logs name it so), and the credential plugin's token.
    pub(super) async fn introduce(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        if let Some(credential) = &self.credential
            && let Some(value) = credential.header().await.map_err(Failure::Credential)?
        {
            headers.insert(header::AUTHORIZATION, value);
        }
        Ok(())
    }

    async fn accept(&self, response: Response<Body>) -> Result<Response<Body>, Failure> {
        let status = response.status();
        if !status.is_client_error() && !status.is_server_error() {
            return Ok(response);
        }
        let retry_after = retry_after(response.headers());
        // The status line says enough if the body does not arrive.
        let body = self.read(response.into_body()).await.unwrap_or_default();
        let status = Status::read(status.as_u16(), &body);
        let seconds = status
            .details
            .as_ref()
            .map_or(0, |details| details.retry_after_seconds);
        let retry_after = retry_after.or_else(|| (seconds > 0).then(|| Duration::from_secs(seconds)));
        Err(Failure::Refused(Box::new(status), retry_after))
    }

    /// Reads a body that must keep coming: no pause longer than the request timeout.
    async fn read(&self, mut body: Body) -> Result<Bytes, Failure> {
        let mut collected = BytesMut::new();
        let started = Instant::now();
        let whole = self.request_timeout * BODY_TIMEOUTS;
        loop {
            let next = timeout(self.request_timeout, body.frame()).await;
            match next.map_err(|_| Failure::NoAnswer(self.request_timeout))? {
                None => return Ok(collected.freeze()),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        collected.extend_from_slice(data);
                    }
                }
                Some(Err(_)) => {
                    let text = "the connection broke in the middle of the answer".to_owned();
                    return Err(Failure::Connection(Obstacle::Network, text));
                }
            }
            if started.elapsed() > whole {
                return Err(Failure::NoAnswer(whole));
            }
        }
    }

    /// Notes the server's clock and passes warnings on.
    fn hear(&self, headers: &HeaderMap) {
        self.presence.answered();
        if let Some(date) = date_of(headers) {
            let mut clock = self
                .clock
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            *clock = Some((date, Instant::now()));
        }
        for value in headers.get_all(header::WARNING) {
            if let Some(text) = value.to_str().ok().and_then(warning_text) {
                (self.observer)(Notice::Warning(text));
            }
        }
    }
}

/// The query may hold a command's arguments.
fn without_query(path: &str) -> String {
    path.split('?').next().unwrap_or_default().to_owned()
}

/// How long to wait before the next try, or `None` if there is to be none.
fn pause_before_retry(call: &Call, failure: &Failure, wait: Wait, tries: u32) -> Option<Duration> {
    let asked = match failure {
        // Nothing was done, so that it may be asked again whatever it is.
        _ if wait == Wait::Webhook => None,
        _ if !call.idempotent => return None,
        Failure::Refused(status, retry_after) if matches!(status.code, 429 | 503 | 504) => *retry_after,
        Failure::Refused(status, _) if status.code == 404 && call.refers_to_new => None,
        Failure::Connection(Obstacle::Network | Obstacle::Proxy, _) => None,
        Failure::Refused(..) if wait == Wait::Return => None,
        _ => return None,
    };
    // 100 ms, then 400 ms, and so on; jitter keeps several of us from coming back at the same moment.
    let jitter = u64::from(Instant::now().elapsed().subsec_nanos() ^ jitter_seed()) % 50;
    let steps = Duration::from_millis(100 * 4_u64.saturating_pow(tries - 1)).min(PAUSE);
    Some(asked.unwrap_or(steps + Duration::from_millis(jitter)))
}

fn jitter_seed() -> u32 {
    use std::hash::{BuildHasher, Hasher};
    let seed = std::hash::RandomState::new().build_hasher().finish();
    u32::try_from(seed & 0xffff).unwrap_or_default()
}

/// `Retry-After` in seconds; the form with a date is not used by API servers.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// The `Date` header (RFC 9110 section 5.6.7, the preferred form).
fn date_of(headers: &HeaderMap) -> Option<Timestamp> {
    let value = headers.get(header::DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::DateTimeParser::new()
        .relaxed_weekday(true)
        .parse_timestamp(value)
        .ok()
}

/// The text of a `Warning` header: `299 - "text"` with backslash escapes (RFC 7234 section 5.5).
fn warning_text(value: &str) -> Option<String> {
    let quoted = value.split_once('"')?.1;
    let mut text = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => text.extend(characters.next()),
            other => text.push(other),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_unquoted() {
        assert_eq!(
            warning_text(r#"299 - "would violate \"restricted\" \\ x" "Fri, 01""#).as_deref(),
            Some(r#"would violate "restricted" \ x"#)
        );
    }

    #[test]
    fn dates_are_read() {
        let mut headers = HeaderMap::new();
        headers.insert(header::DATE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        assert_eq!(date_of(&headers).unwrap().to_string(), "1994-11-06T08:49:37Z");
    }
}
