//! Watches: list, then changes, reopened after every end, with back-off and a fresh list where history is gone.

use super::Cluster;
use super::objects::{collection_path, encode};
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::vocabulary::{Kind, Object};
use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::sync::mpsc;

/// A change of a watched pod.
#[derive(Debug, Clone, PartialEq)]
pub enum PodChange {
    /// It is there, new or changed.
    Present(Object),
    /// It is gone.
    Gone(Object),
    /// All that were there at the beginning have been told.
    Synced,
}

/// A change of a watched object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seen {
    Present(Object),
    Gone(Object),
    Synced,
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A watch over some objects of a kind. It never ends by itself.
pub(super) struct Watch {
    cluster: Cluster,
    kind: Kind,
    namespace: Option<String>,
    query: String,
    known: BTreeMap<String, Object>,
    pending: VecDeque<Seen>,
    stream: Option<Lines>,
    version: Option<String>,
    pause: Duration,
}

impl Watch {
    /// `query` is a selector in the form of a query parameter, such as `labelSelector=app%3Dcurl`.
    pub(super) fn new(cluster: &Cluster, kind: &Kind, namespace: Option<&str>, query: String) -> Self {
        Self {
            cluster: cluster.clone(),
            kind: kind.clone(),
            namespace: namespace.map(str::to_owned),
            query,
            known: BTreeMap::new(),
            pending: VecDeque::new(),
            stream: None,
            version: None,
            pause: FIRST_PAUSE,
        }
    }

    /// The next change. Temporary failures are waited out.
    ///
    /// # Errors
    /// If the server refuses for good, such as without permission.
    pub(super) async fn next(&mut self) -> Result<Seen> {
        loop {
            if let Some(seen) = self.pending.pop_front() {
                return Ok(seen);
            }
            let Some(version) = self.version.clone() else {
                self.relist().await?;
                continue;
            };
            if self.stream.is_none() {
                self.open(&version).await?;
                continue;
            }
            let line = match self.stream.as_mut() {
                Some(stream) => stream.next().await,
                None => continue,
            };
            match line {
                Some(line) => self.take(&line),
                None => self.stream = None,
            }
        }
    }

    fn path(&self, more: &str) -> String {
        format!("{}?{}{more}", collection_path(&self.kind, self.namespace.as_deref()), self.query)
    }

    async fn relist(&mut self) -> Result<()> {
        let doing = format!("list {}", self.kind.plural);
        let list = self.cluster.ask(http::Method::GET, self.path(""), &doing).await?;
        let mut now = BTreeMap::new();
        for item in list["items"].as_array().into_iter().flatten() {
            let object = Object(item.clone());
            now.insert(object.uid().to_owned(), object);
        }
        for (uid, gone) in std::mem::take(&mut self.known) {
            if !now.contains_key(&uid) {
                self.pending.push_back(Seen::Gone(gone));
            }
        }
        self.pending.extend(now.values().cloned().map(Seen::Present));
        self.pending.push_back(Seen::Synced);
        self.known = now;
        self.version = Some(list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned());
        Ok(())
    }

    async fn open(&mut self, version: &str) -> Result<()> {
        let path = self.path(&format!("&watch=true&allowWatchBookmarks=true&resourceVersion={}", encode(version)));
        match self.cluster.open(path, &format!("watch {}", self.kind.plural)).await {
            Ok(body) => {
                self.stream = Some(Lines::new(body));
                Ok(())
            }
            Err(error) if error.causes().iter().any(|cause| cause.contains("too old") || cause.contains("Expired")) => {
                self.version = None;
                Ok(())
            }
            Err(error) if is_final(&error) => Err(error),
            Err(_) => {
                tokio::time::sleep(self.pause).await;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                Ok(())
            }
        }
    }

    fn take(&mut self, line: &[u8]) {
        let Ok(event) = serde_json::from_slice::<Value>(line) else {
            // A cut line: read on from the last version that was whole.
            self.stream = None;
            return;
        };
        let object = Object(event["object"].clone());
        let uid = object.uid().to_owned();
        match event["type"].as_str() {
            Some("ADDED" | "MODIFIED") => {
                self.version = Some(object.resource_version().to_owned());
                self.known.insert(uid, object.clone());
                self.pending.push_back(Seen::Present(object));
                self.pause = FIRST_PAUSE;
            }
            Some("DELETED") => {
                self.version = Some(object.resource_version().to_owned());
                self.known.remove(&uid);
                self.pending.push_back(Seen::Gone(object));
            }
            Some("BOOKMARK") => self.version = Some(object.resource_version().to_owned()),
            // ERROR, as a rule 410 Gone: history is not there any more.
            _ => {
                self.stream = None;
                self.version = None;
            }
        }
    }
}

fn is_final(error: &Error) -> bool {
    let text = error.message();
    text.contains("you may not") || text.contains("does not accept your credentials") || text.contains("does not know this kind")
}

impl Cluster {
    /// The pods behind a selector: those there are, then [`PodChange::Synced`], then every change. Ends only if the
    /// server refuses for good.
    pub fn watch_pods(&self, namespace: &str, label_selector: &str) -> mpsc::Receiver<PodChange> {
        let query = format!("labelSelector={}", encode(label_selector));
        told(Watch::new(self, &kinds::pod(), Some(namespace), query))
    }

    /// All objects of a kind in a namespace, like [`Self::watch_pods`].
    pub fn watch_objects(&self, kind: &Kind, namespace: Option<&str>) -> mpsc::Receiver<PodChange> {
        told(Watch::new(self, kind, namespace, String::new()))
    }
}

/// Tells a watch's changes through a channel, until nobody listens.
fn told(mut watch: Watch) -> mpsc::Receiver<PodChange> {
        let (sender, receiver) = mpsc::channel(64);
        tokio::spawn(async move {
            loop {
                let change = tokio::select! {
                    () = sender.closed() => return,
                    seen = watch.next() => match seen {
                        Ok(Seen::Present(pod)) => PodChange::Present(pod),
                        Ok(Seen::Gone(pod)) => PodChange::Gone(pod),
                        Ok(Seen::Synced) => PodChange::Synced,
                        Err(_) => return,
                    },
                };
                if sender.send(change).await.is_err() {
                    return;
                }
            }
        });
        receiver
}

/// Lines of a response as they come. Memory is that of the longest line.
pub(super) struct Lines {
    body: Body,
    buffer: BytesMut,
    searched: usize,
    /// Why the body ended early, if it did.
    pub(super) cut: Option<String>,
}

impl Lines {
    pub(super) fn new(body: Body) -> Self {
        Self { body, buffer: BytesMut::new(), searched: 0, cut: None }
    }

    /// The next whole line without its end; `None` when the body ended. What comes after the last line end is a cut
    /// line and is dropped. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(offset) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(self.searched + offset).freeze();
                self.buffer.advance(1);
                self.searched = 0;
                return Some(line);
            }
            self.searched = self.buffer.len();
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => {
                    self.cut = Some(super::failure::why(&error));
                    return None;
                }
                None => return None,
            }
        }
    }

    /// What came after the last line end.
    pub(super) fn rest(&mut self) -> Bytes {
        self.searched = 0;
        self.buffer.split().freeze()
    }
}
