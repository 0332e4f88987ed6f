//! Waiting for an object, by watch, with a deadline and the reason why it is not ready yet.

use super::Cluster;
use super::watch::{Target, Told};
use crate::error::{Error, Result};
use crate::vocabulary::{Object, ObjectReference};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How far an awaited object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waited {
    /// As it should be.
    Done,
    /// Not yet, and why.
    Not(String),
    /// It will never be, and why.
    Failed(String),
}

/// Passes a reason on when it differs from the last one.
pub(super) struct Progress<'hearer> {
    hearer: &'hearer (dyn Fn(&str) + Send + Sync),
    last: String,
}

impl<'hearer> Progress<'hearer> {
    pub(super) fn new(hearer: &'hearer (dyn Fn(&str) + Send + Sync)) -> Self {
        Self {
            hearer,
            last: String::new(),
        }
    }

    pub(super) fn tell(&mut self, reason: &str) {
        if self.last != reason {
            reason.clone_into(&mut self.last);
            (self.hearer)(reason);
        }
    }

    pub(super) fn last(&self) -> &str {
        if self.last.is_empty() {
            "nothing was heard of it"
        } else {
            &self.last
        }
    }
}

impl Cluster {
    /// Watches one object until the condition says `Done`. `progress` hears why it is not ready yet, whenever that
    /// changes. Needs the verbs `watch` and, where the object is absent, `get`; costs no plain request otherwise.
    ///
    /// # Errors
    /// Exit code 6 after the deadline, with the last reason; at once if the condition says `Failed` or the server refuses.
    pub async fn wait(
        &self,
        reference: &ObjectReference,
        deadline: Duration,
        condition: &(dyn Fn(Option<&Object>) -> Waited + Send + Sync),
        progress: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Object> {
        let end = Instant::now() + deadline;
        let mut progress = Progress::new(progress);
        let mut events = self.watch(one(reference));
        loop {
            let Ok(told) = timeout_at(end, events.recv()).await else {
                return Err(late(reference, deadline, progress.last()));
            };
            let object = match told {
                Some(Told::Present(object)) => Some(object),
                Some(Told::Gone(_)) => None,
                // Silence is no proof of absence.
                Some(Told::Quiet) => match timeout_at(end, self.get(reference)).await {
                    Ok(object) => object?,
                    Err(_) => continue,
                },
                Some(Told::Interrupted(why)) => {
                    progress.tell(&format!("the watch was interrupted: {why}"));
                    continue;
                }
                Some(Told::Opened) => continue,
                Some(Told::Failed(error)) => return Err(error),
                None => return Err(Error::bug("the watch ended without a word")),
            };
            match (condition(object.as_ref()), object) {
                (Waited::Done, Some(object)) => {
                    self.seen().remember(reference, &object);
                    return Ok(object);
                }
                (Waited::Done, None) => progress.tell("it does not exist"),
                (Waited::Not(why), _) => progress.tell(&why),
                (Waited::Failed(why), _) => return Err(never(reference, &why)),
            }
        }
    }

    /// Waits until the object with this uid is gone; one of the same name with another uid does not count.
    ///
    /// # Errors
    /// Exit code 6 after the deadline, naming the finalizers that hold it.
    pub async fn wait_gone(&self, reference: &ObjectReference, uid: &str, deadline: Duration) -> Result<()> {
        let end = Instant::now() + deadline;
        let mut last = match self.get(reference).await? {
            Some(object) if object.uid() == uid => object,
            _ => return Ok(()),
        };
        let mut events = self.watch(one(reference));
        loop {
            let Ok(told) = timeout_at(end, events.recv()).await else {
                return Err(late(reference, deadline, &why_still_there(&last)));
            };
            let now = match told {
                Some(Told::Present(object)) => Some(object),
                Some(Told::Gone(object)) if object.uid() == uid => None,
                Some(Told::Quiet) => match timeout_at(end, self.get(reference)).await {
                    Ok(object) => object?,
                    Err(_) => continue,
                },
                Some(Told::Gone(_) | Told::Opened | Told::Interrupted(_)) => continue,
                Some(Told::Failed(error)) => return Err(error),
                None => return Err(Error::bug("the watch ended without a word")),
            };
            match now {
                Some(object) if object.uid() == uid => last = object,
                _ => {
                    self.seen().forget(reference);
                    return Ok(());
                }
            }
        }
    }
}

/// A watch of one object.
pub(super) fn one(reference: &ObjectReference) -> Target {
    Target {
        kind: reference.kind.clone(),
        namespace: reference.namespace.clone(),
        label_selector: None,
        name: Some(reference.name.clone()),
    }
}

fn why_still_there(object: &Object) -> String {
    let finalizers: Vec<&str> = object
        .items("/metadata/finalizers")
        .iter()
        .chain(object.items("/spec/finalizers"))
        .filter_map(serde_json::Value::as_str)
        .collect();
    if object.text("/metadata/deletionTimestamp").is_empty() {
        return "nobody has deleted it".to_owned();
    }
    // A namespace says in its conditions what is left in it.
    let remaining: Vec<&str> = object
        .items("/status/conditions")
        .iter()
        .filter(|condition| condition["status"] == "True")
        .filter_map(|condition| condition["message"].as_str())
        .filter(|message| !message.is_empty())
        .collect();
    match (finalizers.is_empty(), remaining.is_empty()) {
        (_, false) => remaining.join("; "),
        (false, true) => format!("it waits for the finalizers {}", finalizers.join(", ")),
        (true, true) => "it is being deleted".to_owned(),
    }
}

/// The error of a deadline.
pub(super) fn late(reference: &ObjectReference, deadline: Duration, why: &str) -> Error {
    Error::timed_out(format!(
        "{reference} was not as awaited within {} s",
        deadline.as_secs_f32()
    ))
    .because(why)
    .hint(describe(reference))
}

/// The error of something that will never be.
pub(super) fn never(reference: &ObjectReference, why: &str) -> Error {
    Error::cluster(format!("{reference} will not become ready"))
        .because(why)
        .hint(describe(reference))
}

fn describe(reference: &ObjectReference) -> String {
    let namespace = reference
        .namespace
        .as_ref()
        .map_or(String::new(), |namespace| format!(" -n {namespace}"));
    format!(
        "look at it: `kubectl describe {} {}{namespace}`",
        reference.kind.plural, reference.name
    )
}
