//! `GET pods/log`, with following.

use super::{container, running};
use crate::sandbox::api::{Call, Refusal, Reply};
use crate::sandbox::server::ReplyBody;
use crate::sandbox::state::{Inner, LogKey, LogLine};
use crate::vocabulary::PodName;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::io;
use std::sync::Arc;
use tokio::sync::watch;

struct Follower {
    inner: Arc<Inner>,
    key: LogKey,
    next: usize,
    since: Option<Timestamp>,
    timestamps: bool,
    follow: bool,
    bell: watch::Receiver<u64>,
    cuts: watch::Receiver<u64>,
    ended: bool,
}

pub(super) fn start(
    inner: &Arc<Inner>,
    call: &Call,
    pod: &PodName,
    object: &Value,
) -> Result<Reply, Refusal> {
    let container = container(call, object)?;
    if let Err(reason) = running(object, &container) {
        return Err(Refusal::bad_request(format!(
            "container \"{container}\" in pod \"{}\" is waiting to start: {reason}",
            pod.name
        )));
    }
    let key = (pod.namespace.clone(), pod.name.clone(), container);
    let since = since(inner, call)?;
    let written = inner.lock().logs.get(&key).map_or(0, Vec::len);
    let tail: Option<usize> = call.query.get("tailLines").and_then(|text| text.parse().ok());
    let follower = Follower {
        inner: Arc::clone(inner),
        key,
        next: tail.map_or(0, |tail| written.saturating_sub(tail)),
        since,
        timestamps: call.query.is_set("timestamps"),
        follow: call.query.is_set("follow"),
        bell: inner.listen(),
        cuts: inner.listen_for_cuts(),
        ended: false,
    };
    let stream = futures::stream::unfold(follower, |mut follower| async move {
        let item = follower.next().await?;
        Some((item, follower))
    });
    let body: ReplyBody = StreamBody::new(futures::StreamExt::fuse(stream)).boxed_unsync();
    let mut reply = Response::new(body);
    reply
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(reply)
}

fn since(inner: &Inner, call: &Call) -> Result<Option<Timestamp>, Refusal> {
    // `sinceSeconds` wins if both are set, as in the client's documentation.
    if let Some(seconds) = call.query.get("sinceSeconds") {
        let seconds: i64 = seconds
            .parse()
            .map_err(|_| Refusal::bad_request("sinceSeconds is no number"))?;
        return Ok(inner.now().checked_sub(SignedDuration::from_secs(seconds)).ok());
    }
    let Some(text) = call.query.get("sinceTime") else {
        return Ok(None);
    };
    // The server compares whole seconds (kubernetes #92389).
    let time: Timestamp = text
        .parse()
        .map_err(|_| Refusal::bad_request("sinceTime is no time"))?;
    Ok(Timestamp::from_second(time.as_second()).ok())
}

impl Follower {
    async fn next(&mut self) -> Option<io::Result<Frame<Bytes>>> {
        if self.ended {
            return None;
        }
        loop {
            let (text, is_there) = self.read();
            if !text.is_empty() {
                return Some(Ok(Frame::data(Bytes::from(text))));
            }
            if !self.follow || !is_there {
                return None;
            }
            tokio::select! {
                _ = self.bell.changed() => {}
                _ = self.cuts.changed() => {
                    self.ended = true;
                    return Some(Err(io::Error::new(io::ErrorKind::ConnectionReset, "cut on request")));
                }
            }
        }
    }

    /// The lines that were not sent yet, and whether the pod is still there.
    fn read(&mut self) -> (String, bool) {
        let state = self.inner.lock();
        let (namespace, pod, _) = &self.key;
        let is_there = state.object("", "pods", namespace, pod).is_some();
        let lines = state.logs.get(&self.key).map_or(&[][..], Vec::as_slice);
        let new = lines.get(self.next..).unwrap_or_default();
        let mut text = String::new();
        for line in new {
            if self.since.is_some_and(|since| line.time < since) {
                continue;
            }
            self.write(line, &mut text);
        }
        self.next += new.len();
        (text, is_there)
    }

    fn write(&self, line: &LogLine, text: &mut String) {
        if self.timestamps {
            text.push_str(&line.time.strftime("%Y-%m-%dT%H:%M:%S%.9fZ ").to_string());
        }
        text.push_str(&line.text);
        text.push('\n');
    }
}
