//! Waits for one object by watch, and says why it is not ready yet.

use super::Cluster;
use super::objects::encode;
use super::watch::{Seen, Watch};
use crate::error::{Error, Result};
use crate::vocabulary::{Object, ObjectReference};
use std::time::Duration;

/// How an object stands to what is awaited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waited {
    /// It is so.
    Done,
    /// Not yet; what is missing.
    Not(String),
    /// It never will be; why.
    Failed(String),
}

impl Cluster {
    /// Watches one object until `condition` holds. `progress` hears what is missing whenever that changes.
    ///
    /// # Errors
    /// If it is not so within `deadline` (exit 6), never will be, or the server refuses.
    pub async fn wait(
        &self,
        reference: &ObjectReference,
        deadline: Duration,
        condition: &(dyn Fn(Option<&Object>) -> Waited + Send + Sync),
        progress: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Object> {
        let mut missing = "it to appear".to_owned();
        let waiting = async {
            let mut watch = self.watch_one(reference);
            let mut last: Option<Object> = None;
            loop {
                match watch.next().await? {
                    Seen::Present(object) => last = Some(object),
                    Seen::Gone(_) => last = None,
                    Seen::Synced => {}
                }
                match condition(last.as_ref()) {
                    Waited::Done => return Ok(last.unwrap_or_else(|| Object(serde_json::Value::Null))),
                    Waited::Failed(why) => return Err(Error::cluster(format!("{reference} will not get ready")).because(why)),
                    Waited::Not(why) if why != missing => {
                        progress(&why);
                        missing = why;
                    }
                    Waited::Not(_) => {}
                }
            }
        };
        match tokio::time::timeout(deadline, waiting).await {
            Ok(result) => result,
            Err(_) => Err(Error::timed_out(format!("waited {} s for {reference}", deadline.as_secs()))
                .because(format!("still missing: {missing}"))
                .hint("more time: --timeout 10m")),
        }
    }

    /// Waits until an object with this UID is gone.
    ///
    /// # Errors
    /// If it is still there after `deadline` (exit 6), or the server refuses.
    pub async fn wait_gone(&self, reference: &ObjectReference, uid: &str, deadline: Duration) -> Result<()> {
        let gone = |object: Option<&Object>| match object {
            Some(object) if object.uid() == uid => {
                let finalizers: Vec<&str> = object.items("/metadata/finalizers").iter().filter_map(|name| name.as_str()).collect();
                Waited::Not(if finalizers.is_empty() { "it to be gone".to_owned() } else { format!("the finalizers {} to let it go", finalizers.join(", ")) })
            }
            _ => Waited::Done,
        };
        // Before the list nothing is known, which must not be taken for gone.
        let mut watch = self.watch_one(reference);
        let mut last = None;
        let waiting = async {
            let mut synced = false;
            loop {
                match watch.next().await? {
                    Seen::Present(object) => last = Some(object),
                    Seen::Gone(_) => last = None,
                    Seen::Synced => synced = true,
                }
                if synced && gone(last.as_ref()) == Waited::Done {
                    return Ok(());
                }
            }
        };
        match tokio::time::timeout(deadline, waiting).await {
            Ok(result) => result,
            Err(_) => Err(Error::timed_out(format!("{reference} is still there after {} s", deadline.as_secs()))),
        }
    }

    fn watch_one(&self, reference: &ObjectReference) -> Watch {
        let query = format!("fieldSelector={}", encode(&format!("metadata.name={}", reference.name)));
        Watch::new(self, &reference.kind, reference.namespace.as_deref(), query)
    }
}
