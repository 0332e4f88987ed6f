//! Reads the outside world's log: what really arrived there, and from whom.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::event::WorldEvent;
use super::table::addresses_of;

/// A position in the log; the default one is its beginning.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// The outside world as a test sees it.
#[derive(Debug, Clone)]
pub struct World {
    folder: PathBuf,
    log: PathBuf,
}

impl World {
    pub(crate) fn new(folder: PathBuf, log: PathBuf) -> Self {
        Self { folder, log }
    }

    /// The log's path.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The certificate of the authority that signed the servers' certificates (PEM).
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Certificate and key of the authority whose client certificates `mtls.test` accepts (PEM).
    pub fn client_authority(&self) -> (PathBuf, PathBuf) {
        (
            self.folder.join("client-ca.pem"),
            self.folder.join("client-ca.key"),
        )
    }

    /// A client certificate and its key that `mtls.test` accepts (PEM).
    pub fn client_certificate(&self) -> (PathBuf, PathBuf) {
        (self.folder.join("client.pem"), self.folder.join("client.key"))
    }

    /// A client certificate and its key of an authority that no server knows (PEM).
    pub fn stranger_certificate(&self) -> (PathBuf, PathBuf) {
        (self.folder.join("stranger.pem"), self.folder.join("stranger.key"))
    }

    /// The addresses that a name has inside the lab.
    pub fn addresses(&self, host: &str) -> Vec<Ipv4Addr> {
        addresses_of(host)
    }

    /// The position after the last event so far.
    ///
    /// # Errors
    /// The log is not there.
    pub fn mark(&self) -> Result<Mark> {
        let metadata = std::fs::metadata(&self.log).with_context(|| format!("no {}", self.log.display()))?;
        Ok(Mark(metadata.len()))
    }

    /// All events after `mark`.
    ///
    /// # Errors
    /// The log is not there, or holds something else.
    pub fn since(&self, mark: Mark) -> Result<Vec<WorldEvent>> {
        let mut file = File::open(&self.log).with_context(|| format!("no {}", self.log.display()))?;
        file.seek(SeekFrom::Start(mark.0))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        // A line that is being written has no end yet; it belongs to the next look.
        let whole = text
            .rfind('\n')
            .map_or("", |end| text.get(..end).unwrap_or_default());
        whole
            .lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("not an event: {line}")))
            .collect()
    }

    /// Waits for an event after `mark` that `wanted` accepts.
    ///
    /// # Errors
    /// There is none within `deadline`; the error holds the events that there were.
    pub fn wait_for(
        &self,
        mark: Mark,
        deadline: Duration,
        mut wanted: impl FnMut(&WorldEvent) -> bool,
    ) -> Result<WorldEvent> {
        let end = Instant::now() + deadline;
        loop {
            let events = self.since(mark)?;
            if let Some(event) = events.iter().find(|event| wanted(event)) {
                return Ok(event.clone());
            }
            if Instant::now() >= end {
                bail!("no such event in the outside world within {deadline:?}; it saw {events:#?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::EventKind;
    use super::super::writer::Writer;
    use super::*;

    fn event(server: &str) -> WorldEvent {
        let any = "127.0.0.1:1".parse().unwrap();
        WorldEvent::new(server, EventKind::Request, any, any)
    }

    #[test]
    fn only_what_came_after_the_mark_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("events.jsonl");
        let writer = Writer::open(&log).unwrap();
        let world = World::new(folder.path().into(), log.clone());
        writer.write(&event("old")).unwrap();
        let mark = world.mark().unwrap();
        writer.write(&event("new")).unwrap();
        let seen: Vec<_> = world
            .since(mark)
            .unwrap()
            .into_iter()
            .map(|event| event.server)
            .collect();
        assert_eq!(seen, ["new"]);
        assert!(
            world
                .wait_for(mark, Duration::ZERO, |event| event.server == "new")
                .is_ok()
        );
        assert!(
            world
                .wait_for(mark, Duration::ZERO, |event| event.server == "old")
                .is_err()
        );
    }

    #[test]
    fn half_a_line_is_left_for_the_next_look() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("events.jsonl");
        std::fs::write(
            &log,
            format!("{}\n{{\"time\":", serde_json::to_string(&event("a")).unwrap()),
        )
        .unwrap();
        let world = World::new(folder.path().into(), log);
        assert_eq!(world.since(Mark(0)).unwrap().len(), 1);
    }
}
