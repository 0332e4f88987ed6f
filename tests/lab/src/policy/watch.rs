//! Follows one kind of object: a list, then changes, then a list again whenever the connection ends.
//! curl does the talking; the lab has no client of its own and needs none for three addresses.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::Sender;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::output;
use crate::shell;

/// How long after an ended connection the next one is tried.
const RETRY: Duration = Duration::from_millis(200);

/// A kind that is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    NetworkPolicy,
    Pod,
    Namespace,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::NetworkPolicy, Self::Pod, Self::Namespace];

    fn path(self) -> &'static str {
        match self {
            Self::NetworkPolicy => "/apis/networking.k8s.io/v1/networkpolicies",
            Self::Pod => "/api/v1/pods",
            Self::Namespace => "/api/v1/namespaces",
        }
    }
}

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    /// These are all there are.
    Listed(Kind, Vec<Value>),
    /// This one is new or changed.
    Changed(Kind, Value),
    /// This one is gone.
    Gone(Kind, Value),
}

/// The API server, and who asks.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// Its URL.
    pub(crate) server: String,
    /// Arguments of curl: authority, certificate and key.
    pub(crate) credentials: Vec<String>,
}

/// Follows a kind until nobody listens any more.
pub(super) fn follow(access: &Access, kind: Kind, events: &Sender<Event>) {
    let mut answered = true;
    loop {
        match once(access, kind, events) {
            Ok(Ended::NobodyListens) => return,
            Ok(Ended::Connection) => answered = true,
            Err(error) => {
                // Once for each outage: tries are many.
                if answered {
                    output::note(&format!("{kind:?}, tried again and again from now on: {error:#}"));
                }
                answered = false;
            }
        }
        std::thread::sleep(RETRY);
    }
}

enum Ended {
    Connection,
    NobodyListens,
}

fn once(access: &Access, kind: Kind, events: &Sender<Event>) -> Result<Ended> {
    let url = format!("{}{}", access.server, kind.path());
    let mut list: Value =
        serde_json::from_str(&shell::output(curl(access).args(["--max-time", "20"]).arg(&url))?)?;
    let version = list["metadata"]["resourceVersion"]
        .as_str()
        .context("a list without a resource version")?
        .to_owned();
    let items = match list["items"].take() {
        Value::Array(items) => items,
        _ => vec![],
    };
    if events.send(Event::Listed(kind, items)).is_err() {
        return Ok(Ended::NobodyListens);
    }
    let mut child = curl(access)
        .args(["--no-buffer", "--keepalive-time", "5"])
        .arg(format!(
            "{url}?watch=true&resourceVersion={version}&timeoutSeconds=600"
        ))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().context("no stdout")?;
    let ended = pass_on(kind, BufReader::new(stdout), events);
    // Without this it would stay until it has something to write.
    let _ = child.kill();
    let _ = child.wait();
    ended
}

/// Passes changes on until the connection ends, or says that the list is too old to go on from.
fn pass_on(kind: Kind, lines: impl BufRead, events: &Sender<Event>) -> Result<Ended> {
    for line in lines.lines() {
        let mut change: Value = serde_json::from_str(&line?)?;
        let object = change["object"].take();
        let event = match change["type"].as_str() {
            Some("ADDED" | "MODIFIED") => Event::Changed(kind, object),
            Some("DELETED") => Event::Gone(kind, object),
            _ => break,
        };
        if events.send(event).is_err() {
            return Ok(Ended::NobodyListens);
        }
    }
    Ok(Ended::Connection)
}

fn curl(access: &Access) -> Command {
    let mut curl = shell::command("curl");
    curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*"])
        .args(["--connect-timeout", "5"])
        .args(&access.credentials);
    curl
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn changes_are_passed_on_until_the_list_is_too_old() {
        let text = "{\"type\":\"ADDED\",\"object\":{\"a\":1}}\n{\"type\":\"DELETED\",\"object\":{\"a\":2}}\n\
                    {\"type\":\"ERROR\",\"object\":{\"code\":410}}\n{\"type\":\"ADDED\",\"object\":{\"a\":3}}\n";
        let (sender, receiver) = channel();
        let ended = pass_on(Kind::Pod, text.as_bytes(), &sender).unwrap();
        assert!(matches!(ended, Ended::Connection));
        drop(sender);
        let events: Vec<_> = receiver.iter().collect();
        assert!(
            matches!(&events[..], [Event::Changed(Kind::Pod, one), Event::Gone(Kind::Pod, two)]
                if one["a"] == 1 && two["a"] == 2),
            "{events:?}"
        );
    }

    #[test]
    fn it_ends_when_nobody_listens() {
        let (sender, receiver) = channel();
        drop(receiver);
        let text = "{\"type\":\"ADDED\",\"object\":{}}\n";
        assert!(matches!(
            pass_on(Kind::Pod, text.as_bytes(), &sender).unwrap(),
            Ended::NobodyListens
        ));
    }
}
