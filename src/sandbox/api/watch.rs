//! Watches: what is there, what changes, and 410 when the past is forgotten.

use super::objects::selector;
use super::{Call, Path, Refusal, Reply, authorize};
use crate::sandbox::selector::Selector;
use crate::sandbox::server::ReplyBody;
use crate::sandbox::state::Inner;
use crate::sandbox::store::{ChangeType, StoredChange};
use crate::vocabulary::Kind;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a watch lasts unless the caller asks for less, as the API server's default allows.
const LONGEST: Duration = Duration::from_secs(3600);

struct Watcher {
    inner: Arc<Inner>,
    call: Call,
    kind: Kind,
    namespace: Option<String>,
    selector: Selector,
    seen: u64,
    waiting: VecDeque<Value>,
    bell: watch::Receiver<u64>,
    cuts: watch::Receiver<u64>,
    until: Instant,
    ended: bool,
}

/// Starts a watch.
pub(in crate::sandbox) fn start(inner: &Arc<Inner>, call: &Call) -> Result<Reply, Refusal> {
    let Path::Objects {
        kind,
        namespace,
        name,
        ..
    } = Path::parse(&inner.settings, &call.path)
    else {
        return super::answer(inner, call);
    };
    authorize(
        inner,
        call,
        "watch",
        &kind,
        None,
        namespace.as_deref(),
        name.as_deref().unwrap_or_default(),
    )?;
    let selector = selector(call)?;
    let bell = inner.listen();
    let cuts = inner.listen_for_cuts();
    let (seen, waiting) = beginning(inner, call, &kind, namespace.as_deref(), &selector);
    let asked = call
        .query
        .get("timeoutSeconds")
        .and_then(|text| text.parse().ok());
    let lasts = asked.map_or(LONGEST, Duration::from_secs).min(LONGEST);
    let watcher = Watcher {
        inner: Arc::clone(inner),
        call: call.clone(),
        kind,
        namespace,
        selector,
        seen,
        ended: false,
        waiting,
        bell,
        cuts,
        until: Instant::now() + lasts,
    };
    let stream = futures::stream::unfold(watcher, |mut watcher| async move {
        let item = watcher.next().await?;
        Some((item, watcher))
    });
    let body: ReplyBody = StreamBody::new(futures::StreamExt::fuse(stream)).boxed_unsync();
    let mut reply = Response::new(body);
    reply
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(reply)
}

/// The revision to go on from, and the events to send first.
fn beginning(
    inner: &Inner,
    call: &Call,
    kind: &Kind,
    namespace: Option<&str>,
    selector: &Selector,
) -> (u64, VecDeque<Value>) {
    let state = inner.lock();
    let version = call.query.get("resourceVersion").unwrap_or_default();
    let initial = call.query.is_set("sendInitialEvents");
    if version.is_empty() || version == "0" || initial {
        let mut events: VecDeque<Value> = state
            .store
            .list(&kind.group, &kind.plural, namespace)
            .filter(|(_, object)| selector.matches(object))
            .map(|(_, object)| json!({"type": "ADDED", "object": object}))
            .collect();
        if initial {
            let mut metadata = json!({"resourceVersion": state.store.revision().to_string()});
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
            events.push_back(json!({"type": "BOOKMARK", "object": {
                "kind": kind.kind, "apiVersion": kind.api_version(), "metadata": metadata,
            }}));
        }
        return (state.store.revision(), events);
    }
    (version.parse().unwrap_or(0), VecDeque::new())
}

impl Watcher {
    /// The next line, or the end.
    async fn next(&mut self) -> Option<io::Result<Frame<Bytes>>> {
        loop {
            if let Some(mut event) = self.waiting.pop_front() {
                if event["type"] != "ERROR" {
                    event["object"]["apiVersion"] = json!(self.kind.api_version());
                    if self.call.wants_table() {
                        let metadata =
                            json!({"resourceVersion": event["object"]["metadata"]["resourceVersion"]});
                        let now = self.inner.now();
                        event["object"] = self.call.table(&self.kind, &metadata, &[&event["object"]], now);
                    }
                }
                return Some(Ok(Frame::data(Bytes::from(format!("{event}\n")))));
            }
            if self.ended {
                return None;
            }
            self.collect();
            if !self.waiting.is_empty() {
                continue;
            }
            tokio::select! {
                _ = self.bell.changed() => {}
                _ = self.cuts.changed() => {
                    self.ended = true;
                    return Some(Err(io::Error::new(io::ErrorKind::ConnectionReset, "cut on request")));
                }
                () = tokio::time::sleep_until(self.until) => return None,
            }
        }
    }

    fn collect(&mut self) {
        let state = self.inner.lock();
        if self.seen < state.store.forgotten() {
            let status = Refusal::expired(self.seen, state.store.forgotten()).status();
            self.waiting.push_back(json!({"type": "ERROR", "object": status}));
            self.ended = true;
            return;
        }
        let events: Vec<Value> = state
            .store
            .changes_after(self.seen)
            .filter_map(|change| self.event(change))
            .collect();
        self.seen = state.store.revision();
        self.waiting.extend(events);
    }

    /// A change as this watch sees it: an object that no longer fits is deleted from its point of view.
    fn event(&self, change: &StoredChange) -> Option<Value> {
        let key = &change.key;
        let here = key.group == self.kind.group
            && key.plural == self.kind.plural
            && self
                .namespace
                .as_deref()
                .is_none_or(|namespace| key.namespace == namespace);
        if !here {
            return None;
        }
        let fits = self.selector.matches(&change.object);
        let fitted = change
            .previous
            .as_ref()
            .is_some_and(|previous| self.selector.matches(previous));
        let name = match (change.change, fitted, fits) {
            (ChangeType::Deleted, _, true) | (ChangeType::Modified, true, false) => "DELETED",
            (ChangeType::Added, _, true) | (ChangeType::Modified, false, true) => "ADDED",
            (ChangeType::Modified, true, true) => "MODIFIED",
            _ => return None,
        };
        Some(json!({"type": name, "object": change.object}))
    }
}
