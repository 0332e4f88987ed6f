//! Which Istio CR is looked at when, without anything new about it: after failures and warnings.
//! Source: the rate limiter's defaults in `cmd/main.go`, and `internal/controller/istio_controller.go`, of the module.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::watch::Key;

/// After a `Warning` the module looks again by itself.
const AFTER_WARNING: Duration = Duration::from_secs(60 * 60);
/// After an `Error` it looks again after this, and twice as long each time.
const AFTER_ERROR: Duration = Duration::from_secs(1);
/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(1000);

/// When a CR is to be looked at again without a new generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Never.
    Settled,
    /// After the pause that follows a warning.
    Later,
    /// Soon, and less soon each time.
    Again,
}

/// Which CR is looked at when.
#[derive(Debug, Default)]
pub(super) struct Queue {
    due: BTreeMap<Key, Instant>,
    failures: BTreeMap<Key, u32>,
}

impl Queue {
    /// Plans a CR for now, whatever was planned for it.
    pub(super) fn at_once(&mut self, key: Key) {
        self.due.insert(key, Instant::now());
    }

    /// How long nothing is due.
    pub(super) fn pause(&self) -> Duration {
        let first = self.due.values().min();
        first.map_or(AFTER_WARNING, |due| due.saturating_duration_since(Instant::now()))
    }

    /// Takes the CR that is due longest.
    pub(super) fn due(&mut self) -> Option<Key> {
        let now = Instant::now();
        let (key, _) = self
            .due
            .iter()
            .min_by_key(|(_, due)| **due)
            .filter(|(_, due)| **due <= now)?;
        let key = key.clone();
        self.due.remove(&key);
        Some(key)
    }

    /// Plans the next look at a CR.
    pub(super) fn plan(&mut self, key: Key, next: Next) {
        if next != Next::Again {
            self.failures.remove(&key);
        }
        let pause = match next {
            Next::Settled => return,
            Next::Later => AFTER_WARNING,
            Next::Again => {
                let failures = self.failures.entry(key.clone()).or_default();
                *failures += 1;
                AFTER_ERROR
                    .saturating_mul(1 << (*failures - 1).min(10))
                    .min(LONGEST_PAUSE)
            }
        };
        self.due.insert(key, Instant::now() + pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_tried_again_less_and_less_often() {
        let mut queue = Queue::default();
        let key = ("a".to_owned(), "b".to_owned());
        let mut pause = |next| {
            queue.plan(key.clone(), next);
            let pause = queue.pause() + Duration::from_millis(500);
            queue.due.clear();
            pause.as_secs()
        };
        assert_eq!(
            [pause(Next::Again), pause(Next::Again), pause(Next::Again)],
            [1, 2, 4]
        );
        assert_eq!(pause(Next::Later), 3600);
        assert_eq!(pause(Next::Again), 1);
    }

    #[test]
    fn many_changes_are_one_reconciliation() {
        let mut queue = Queue::default();
        let key = ("a".to_owned(), "b".to_owned());
        queue.at_once(key.clone());
        queue.at_once(key.clone());
        assert_eq!(queue.due(), Some(key));
        assert_eq!(queue.due(), None);
    }
}
