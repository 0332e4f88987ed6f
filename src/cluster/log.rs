//! Follows a container's log across cuts, rotation and idle time-outs, without loss or duplicates.

use super::Cluster;
use super::objects::encode;
use super::watch::Lines;
use crate::error::Error;
use crate::istio::kinds;
use crate::vocabulary::{ExitCode, ObjectReference, PodName};
use std::collections::BTreeSet;
use std::time::Duration;

/// Where following begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStart {
    /// With the next line.
    Now,
    /// With the last lines.
    Tail(u32),
}

/// What a follower says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEvent {
    /// The server accepted the follow, for the first time or again.
    Opened,
    /// A line, without its end and without the timestamp.
    Line(Vec<u8>),
    /// Lines may be missing; why.
    Gap(String),
    /// The server refuses; final.
    Failed(Error),
    /// The pod is gone; final.
    Ended,
}

/// Longest line that is kept whole; a longer one is cut to this.
const LONGEST_LINE: usize = 256 * 1024;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Lines of the newest second that are remembered, to drop them when they come again.
const REMEMBERED: usize = 50_000;

/// Follows one container's log. Dropping it ends the stream.
pub struct LogFollower {
    cluster: Cluster,
    pod: PodName,
    container: String,
    from: LogStart,
    stream: Option<Lines>,
    /// Whole second of the newest line, and the lines seen in it and the one before.
    newest: Option<String>,
    seen: BTreeSet<Vec<u8>>,
    pause: Duration,
    opened_once: bool,
    ended: bool,
}

impl std::fmt::Debug for LogFollower {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "LogFollower({}, {})", self.pod, self.container)
    }
}

impl Cluster {
    /// Follows a container's log.
    pub fn follow_log(&self, pod: &PodName, container: &str, from: LogStart) -> LogFollower {
        LogFollower {
            cluster: self.clone(),
            pod: pod.clone(),
            container: container.to_owned(),
            from,
            stream: None,
            newest: None,
            seen: BTreeSet::new(),
            pause: FIRST_PAUSE,
            opened_once: false,
            ended: false,
        }
    }
}

impl LogFollower {
    /// The next event. Cancel-safe: an event that was not returned comes at the next call.
    pub async fn next(&mut self) -> LogEvent {
        loop {
            if self.ended {
                std::future::pending::<()>().await;
            }
            if self.stream.is_none() {
                if let Some(event) = self.open().await {
                    return event;
                }
                continue;
            }
            let line = match self.stream.as_mut() {
                Some(stream) => stream.next().await,
                None => continue,
            };
            match line {
                Some(raw) => {
                    self.pause = FIRST_PAUSE;
                    if let Some(line) = self.take(&raw) {
                        return LogEvent::Line(line);
                    }
                }
                // A clean end is normal (rotation, idle time-out): it is opened again from the newest second on.
                None => self.stream = None,
            }
        }
    }

    fn path(&self) -> String {
        let start = match (&self.newest, self.from) {
            // The server compares whole seconds; what it repeats is dropped by `take`.
            (Some(second), _) => format!("sinceTime={}", encode(&format!("{second}Z"))),
            (None, LogStart::Now) if !self.opened_once => "tailLines=0".to_owned(),
            // Nothing came before the cut: what came during it must not be lost.
            (None, LogStart::Now) => "sinceSeconds=15".to_owned(),
            (None, LogStart::Tail(lines)) => format!("tailLines={lines}"),
        };
        format!(
            "/api/v1/namespaces/{}/pods/{}/log?container={}&follow=true&timestamps=true&{start}",
            encode(&self.pod.namespace),
            encode(&self.pod.name),
            encode(&self.container)
        )
    }

    async fn open(&mut self) -> Option<LogEvent> {
        match self.cluster.open(self.path(), &format!("read the log of container {} in pod {}", self.container, self.pod)).await {
            Ok(body) => {
                self.stream = Some(Lines::new(body));
                let again = self.opened_once;
                self.opened_once = true;
                if again { None } else { Some(LogEvent::Opened) }
            }
            Err(error) => {
                let reference = ObjectReference::namespaced(kinds::pod(), &self.pod.namespace, &self.pod.name);
                let temporary = error.code() == ExitCode::TimedOut || error.message().contains("answered 5") || error.message().contains("cannot be reached") || error.causes().iter().any(|cause| cause.contains("ContainerCreating") || cause.contains("PodInitializing"));
                if !temporary {
                    self.ended = true;
                    return Some(match self.cluster.get(&reference).await {
                        Ok(None) => LogEvent::Ended,
                        _ => LogEvent::Failed(error),
                    });
                }
                tokio::time::sleep(self.pause).await;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                None
            }
        }
    }

    /// Takes a line with its timestamp; `None` if it was told before the cut.
    fn take(&mut self, raw: &[u8]) -> Option<Vec<u8>> {
        let split = raw.iter().position(|byte| *byte == b' ')?;
        let (stamp, line) = (&raw[..split], &raw[split + 1..]);
        let second = String::from_utf8_lossy(stamp.get(..19)?).into_owned();
        let mut known = raw.to_vec();
        known.truncate(LONGEST_LINE);
        if self.newest.as_ref().is_none_or(|newest| second > *newest) {
            self.newest = Some(second);
            self.seen.clear();
        }
        if !self.seen.insert(known) {
            return None;
        }
        if self.seen.len() > REMEMBERED {
            self.seen.pop_first();
        }
        Some(line[..line.len().min(LONGEST_LINE)].to_vec())
    }
}
