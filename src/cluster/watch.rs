//! Watches that stay open: reopened after a cut, ended by dropping the receiver.
//!
//! A watch without `resourceVersion` begins with one event per object that exists ("get state and start at most
//! recent"), so reopening needs no bookkeeping and cannot meet a 410. kube-runtime's `await_condition` ends at the first
//! error and has no deadline; that is why this is ours.

use super::Cluster;
use super::failure::{Failure, Status, Subject};
use super::lines::Lines;
use super::path;
use super::settings::Notice;
use super::transport::Call;
use crate::error::Error;
use crate::vocabulary::{Kind, Object};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// The server ends a watch after this many seconds, and we open the next.
const SECONDS: &str = "120";
/// A watch that is silent for longer than it may live is dead: the connection vanished without a word.
const DEAD_AFTER: Duration = Duration::from_secs(130);
/// The first events of a watch come at once; silence for this long means that nothing matches.
const QUIET_AFTER: Duration = Duration::from_millis(250);

/// What is watched.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) kind: Kind,
    pub(super) namespace: Option<String>,
    pub(super) label_selector: Option<String>,
    /// Only the object of this name.
    pub(super) name: Option<String>,
}

/// What a watch tells.
#[derive(Debug)]
pub(super) enum Told {
    /// It is open, for the first time or again; all objects follow anew.
    Opened,
    /// An object as it is now.
    Present(Object),
    /// An object that is gone, as it was last.
    Gone(Object),
    /// Nothing came after the opening: probably nothing matches.
    Quiet,
    /// It broke and will be reopened.
    Interrupted(String),
    /// It cannot be opened; final.
    Failed(Error),
}

/// An event as the server writes it.
#[derive(Deserialize)]
pub(super) struct Event {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) object: Value,
}

/// Pauses between attempts: 100 ms, doubling up to 5 s.
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) fn new() -> Self {
        Self(Duration::from_millis(100))
    }

    pub(super) async fn pause(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(Duration::from_secs(5));
    }
}

impl Cluster {
    /// Watches until the receiver is dropped.
    pub(super) fn watch(&self, target: Target) -> mpsc::Receiver<Told> {
        let (sender, receiver) = mpsc::channel(64);
        let cluster = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = sender.closed() => {}
                () = cluster.keep_watching(&target, &sender) => {}
            }
        });
        receiver
    }

    /// Runs until it fails for good, or nobody listens any more.
    async fn keep_watching(&self, target: &Target, sender: &mpsc::Sender<Told>) {
        let mut backoff = Backoff::new();
        let mut interrupted = false;
        loop {
            let failure = match self.open_watch(target, None).await {
                Ok(lines) => {
                    if interrupted {
                        let what = format!("watch of {}", target.kind.plural);
                        (self.transport().observer)(Notice::Reconnected { what });
                    }
                    match relay(lines, sender).await {
                        // It said something, so the next opening may be at once.
                        Ok(true) => {
                            backoff = Backoff::new();
                            None
                        }
                        Ok(false) => None,
                        Err(failure) => Some(failure),
                    }
                }
                Err(failure) => Some(failure),
            };
            if sender.is_closed() {
                return;
            }
            if let Some(failure) = failure {
                if !failure.is_transient() && failure.code() != Some(410) {
                    let subject = target.subject();
                    let error = self.transport().explain(failure, &subject);
                    // Whoever does not listen any more needs no error.
                    let _ = sender.send(Told::Failed(error)).await;
                    return;
                }
                interrupted = true;
                let _ = sender.send(Told::Interrupted(failure.brief())).await;
            }
            backoff.pause().await;
        }
    }

    /// Opens one watch, from a version if one is given.
    pub(super) async fn open_watch(&self, target: &Target, version: Option<&str>) -> Result<Lines, Failure> {
        let mut query = vec![
            ("watch", "1"),
            ("timeoutSeconds", SECONDS),
            ("allowWatchBookmarks", "true"),
        ];
        query.extend(version.map(|version| ("resourceVersion", version)));
        query.extend(
            target
                .label_selector
                .as_deref()
                .map(|selector| ("labelSelector", selector)),
        );
        let name = target.name.as_ref().map(|name| format!("metadata.name={name}"));
        query.extend(name.as_deref().map(|name| ("fieldSelector", name)));
        let served = self.served_kind(&target.kind).await;
        let collection = path::collection(&served, target.namespace.as_deref());
        let call = Call::get(path::with_query(collection, &query), target.subject());
        let response = self.transport().stream(&call).await?;
        Ok(Lines::new(response.into_body(), usize::MAX))
    }
}

impl Target {
    /// For the words of an error.
    pub(super) fn subject(&self) -> Subject {
        Subject::collection("watch", &self.kind, self.namespace.as_deref())
    }
}

/// Reads the next event; `None` when the watch has ended in the ordinary way or was cut (both are reopened alike).
pub(super) async fn next_event(lines: &mut Lines) -> Result<Option<Event>, Failure> {
    let Ok(next) = timeout(DEAD_AFTER, lines.next()).await else {
        return Ok(None);
    };
    let Ok(line) = next else {
        return Ok(None);
    };
    let event: Event = serde_json::from_slice(&line)
        .map_err(|error| Failure::Garbled(format!("the watch sent something that is no event: {error}")))?;
    if event.kind == "ERROR" {
        let status: Status = serde_json::from_value(event.object).unwrap_or_default();
        return Err(Failure::Refused(Box::new(status), None));
    }
    Ok(Some(event))
}

/// Passes events on until the watch ends; whether there were any.
///
/// A bookmark is no event about an object. Kubernetes 1.34 (seen with 1.34.4) sends one at once when it
/// has told all objects there are, annotated `k8s.io/initial-events-end`: as the first word it means that there is none.
async fn relay(mut lines: Lines, sender: &mpsc::Sender<Told>) -> Result<bool, Failure> {
    let mut told = sender.send(Told::Opened).await;
    let mut any = false;
    while told.is_ok() {
        let event = if any {
            next_event(&mut lines).await?
        } else {
            let Ok(event) = timeout(QUIET_AFTER, next_event(&mut lines)).await else {
                told = sender.send(Told::Quiet).await;
                any = true;
                continue;
            };
            event?
        };
        let Some(event) = event else {
            return Ok(any);
        };
        told = match event.kind.as_str() {
            "ADDED" | "MODIFIED" => sender.send(Told::Present(Object(event.object))).await,
            "DELETED" => sender.send(Told::Gone(Object(event.object))).await,
            _ if !any => sender.send(Told::Quiet).await,
            _ => Ok(()),
        };
        any = true;
    }
    Ok(any)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::client::Body;

    async fn told_by(body: &'static str) -> Vec<&'static str> {
        let (sender, mut receiver) = mpsc::channel(8);
        let lines = Lines::new(Body::from(body.as_bytes().to_vec()), usize::MAX);
        relay(lines, &sender).await.unwrap();
        drop(sender);
        let mut words = Vec::new();
        while let Some(told) = receiver.recv().await {
            words.push(match told {
                Told::Opened => "opened",
                Told::Present(_) => "present",
                Told::Gone(_) => "gone",
                Told::Quiet => "quiet",
                Told::Interrupted(_) | Told::Failed(_) => "broken",
            });
        }
        words
    }

    const BOOKMARK: &str =
        r#"{"type":"BOOKMARK","object":{"metadata":{"annotations":{"k8s.io/initial-events-end":"true"}}}}"#;
    const ADDED: &str = r#"{"type":"ADDED","object":{"metadata":{"name":"curl"}}}"#;

    /// An object that goes between being read and being watched is told of by no event at all.
    #[tokio::test]
    async fn a_bookmark_before_any_object_says_that_there_is_none() {
        let alone: &'static str = format!("{BOOKMARK}\n{BOOKMARK}\n").leak();
        assert_eq!(told_by(alone).await, ["opened", "quiet"]);
        let after: &'static str = format!("{ADDED}\n{BOOKMARK}\n").leak();
        assert_eq!(told_by(after).await, ["opened", "present"]);
    }
}
