//! Which objects want to be looked at: new ones, and those whose generation has changed. What changes without a new
//! generation (labels, status, other people's objects) a module does not notice.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::process::Stdio;
use std::sync::mpsc::Sender;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Client;
use super::situation::text;
use crate::output;

/// Namespace and name of a watched object.
pub(super) type Key = (String, String);

/// Namespace and name of an object.
pub(super) fn key(object: &Value) -> Key {
    let part = |pointer| text(object, pointer).to_owned();
    (part("/metadata/namespace"), part("/metadata/name"))
}

/// What was seen last of each object.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<Key, (String, i64)>);

impl Seen {
    /// Takes note of an object and says whether it is new or has a new generation.
    pub(super) fn is_news(&mut self, object: &Value) -> bool {
        let generation = object
            .pointer("/metadata/generation")
            .and_then(Value::as_i64)
            .unwrap_or_default();
        let now = (text(object, "/metadata/uid").to_owned(), generation);
        // A watch that begins anew may be a moment behind.
        match self.0.get(&key(object)) {
            Some((uid, seen)) if *uid == now.0 && *seen >= generation => false,
            _ => {
                self.0.insert(key(object), now);
                true
            }
        }
    }

    fn forget(&mut self, object: &Value) {
        self.0.remove(&key(object));
    }

    /// Takes note of what a watch reported.
    fn is_event_news(&mut self, event: &Value) -> bool {
        let object = &event["object"];
        if event["type"] == "DELETED" {
            self.forget(object);
            return false;
        }
        self.is_news(object)
    }
}

/// Watches a kind for ever and sends every object that is news.
pub(super) fn run(client: &Client, kind: &str, news: &Sender<Value>) {
    let mut seen = Seen::default();
    loop {
        match once(client, kind, &mut seen, news) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => output::note(&format!("watch: {error:#}")),
        }
        // The API server ends every watch after a while, and is away when it is restarted.
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Watches until the watch ends; says whether somebody still listens.
fn once(client: &Client, kind: &str, seen: &mut Seen, news: &Sender<Value>) -> Result<bool> {
    let mut child = client
        .kubectl()
        .args([
            "get",
            kind,
            "--all-namespaces",
            "--watch",
            "--output-watch-events",
            "--output=json",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start kubectl")?;
    let stdout = BufReader::new(child.stdout.take().context("no output")?);
    for event in serde_json::Deserializer::from_reader(stdout).into_iter::<Value>() {
        let Ok(event) = event else { break };
        if seen.is_event_news(&event) && news.send(event["object"].clone()).is_err() {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(false);
        }
    }
    child.wait()?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(kind: &str, uid: &str, generation: i64) -> Value {
        json!({"type": kind, "object": {
            "metadata": {"namespace": "a", "name": "b", "uid": uid, "generation": generation}}})
    }

    #[test]
    fn only_a_new_object_or_a_new_generation_is_news() {
        let mut seen = Seen::default();
        let mut news = |kind, uid, generation| seen.is_event_news(&event(kind, uid, generation));
        assert!(news("ADDED", "u", 1));
        assert!(!news("MODIFIED", "u", 1));
        assert!(news("MODIFIED", "u", 2));
        assert!(!news("ADDED", "u", 2), "a watch that began anew");
        assert!(news("ADDED", "v", 1), "made again meanwhile");
        assert!(!news("DELETED", "v", 2));
        assert!(news("ADDED", "v", 2));
    }
}
