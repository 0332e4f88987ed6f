//! Which lines of a reopened log are new. Pure.
//!
//! A log only grows, so a log that is read again from a moment on repeats what was read since that moment, in order.
//! If it does not repeat the last line that was read, the file is another (rotated, or the container restarted), and
//! lines between may be missing.

use jiff::{SignedDuration, Timestamp};
use std::collections::{HashMap, VecDeque};

/// Lines older than this before the last one are never repeated: reopening goes back less than two seconds.
const REMEMBERED: SignedDuration = SignedDuration::from_secs(5);

/// What has been read of a log.
#[derive(Default)]
pub(super) struct Replay {
    /// The recent lines with their timestamps, as read.
    recent: VecDeque<(Timestamp, Vec<u8>)>,
    /// How often each recent line is still expected to be repeated.
    expected: HashMap<Vec<u8>, u32>,
    /// The last line read before the reopening, while it has not been repeated.
    awaited: Option<Vec<u8>>,
    /// Whether the log was reopened although no line had been read, so that nothing can show completeness.
    blind: bool,
    /// A last line that had no line break.
    held: Option<Vec<u8>>,
}

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Read before.
    Known,
    /// New; its text without the timestamp.
    New(Vec<u8>),
    /// New, and lines before it may be missing.
    AfterGap(String, Vec<u8>),
    /// It has no timestamp: a message of the node.
    NoLogLine(String),
}

impl Replay {
    /// The timestamp of the last line.
    pub(super) fn last_time(&self) -> Option<Timestamp> {
        self.recent.back().map(|(time, _)| *time)
    }

    /// The log was reopened.
    pub(super) fn begin(&mut self) {
        self.held = None;
        self.expected.clear();
        for (_, line) in &self.recent {
            *self.expected.entry(line.clone()).or_default() += 1;
        }
        self.awaited = self.recent.back().map(|(_, line)| line.clone());
        self.blind = self.recent.is_empty();
    }

    /// Keeps the rest of a stream that ended without a line break, in case the log never goes on.
    pub(super) fn hold(&mut self, rest: Vec<u8>) {
        self.held = (!rest.is_empty()).then_some(rest);
    }

    /// The text of the held rest, if it was not repeated.
    pub(super) fn take_held(&mut self) -> Option<Vec<u8>> {
        let line = self.held.take()?;
        match self.judge(&line) {
            Verdict::New(text) | Verdict::AfterGap(_, text) => Some(text),
            Verdict::Known | Verdict::NoLogLine(_) => None,
        }
    }

    /// Judges the next line of the stream, timestamp included.
    pub(super) fn judge(&mut self, line: &[u8]) -> Verdict {
        let Some((time, text)) = split(line) else {
            return Verdict::NoLogLine(String::from_utf8_lossy(line).into_owned());
        };
        if let Some(count) = self.expected.get_mut(line).filter(|count| **count > 0) {
            *count -= 1;
            if self.awaited.as_deref() == Some(line) {
                self.awaited = None;
            }
            return Verdict::Known;
        }
        // While the last line has not come again, older lines that nobody read are the margin's, from before the
        // beginning; newer ones prove that the last line is not in this file.
        let mut gap = None;
        if self.awaited.is_some() {
            if self.last_time().is_some_and(|last| time < last) {
                return Verdict::Known;
            }
            self.awaited = None;
            gap = Some("the log was rotated, or its container restarted, while the stream was closed");
        } else if std::mem::take(&mut self.blind) {
            gap = Some("the stream was closed before its first line, so that nothing shows where it went on");
        }
        self.remember(time, line);
        match gap {
            Some(why) => Verdict::AfterGap(why.to_owned(), text),
            None => Verdict::New(text),
        }
    }

    fn remember(&mut self, time: Timestamp, line: &[u8]) {
        self.recent.push_back((time, line.to_vec()));
        while self
            .recent
            .front()
            .is_some_and(|(old, _)| time.duration_since(*old) > REMEMBERED)
        {
            self.recent.pop_front();
        }
    }
}

/// Splits `TIMESTAMP TEXT`.
fn split(line: &[u8]) -> Option<(Timestamp, Vec<u8>)> {
    let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let time = std::str::from_utf8(&line[..end]).ok()?.parse().ok()?;
    Some((time, line.get(end + 1..).unwrap_or_default().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(time: &str, text: &str) -> Vec<u8> {
        format!("2026-11-21T10:00:{time}Z {text}").into_bytes()
    }

    fn new(text: &str) -> Verdict {
        Verdict::New(text.as_bytes().to_vec())
    }

    #[test]
    fn repeated_lines_are_left_out_and_equal_lines_are_not_confused() {
        let mut replay = Replay::default();
        assert_eq!(replay.judge(&line("01.5", "a")), new("a"));
        assert_eq!(replay.judge(&line("01.5", "a")), new("a"));
        replay.begin();
        assert_eq!(replay.judge(&line("00.9", "before us")), Verdict::Known);
        assert_eq!(replay.judge(&line("01.5", "a")), Verdict::Known);
        assert_eq!(replay.judge(&line("01.5", "a")), Verdict::Known);
        assert_eq!(replay.judge(&line("01.5", "a")), new("a"));
        assert_eq!(replay.judge(&line("01.6", "a")), new("a"));
    }

    #[test]
    fn a_file_without_the_last_line_is_a_gap_once() {
        let mut replay = Replay::default();
        replay.judge(&line("01.5", "a"));
        replay.begin();
        assert!(
            matches!(replay.judge(&line("03", "c")), Verdict::AfterGap(why, _) if why.contains("rotated"))
        );
        assert_eq!(replay.judge(&line("04", "d")), new("d"));
    }

    #[test]
    fn a_log_reopened_before_its_first_line_cannot_be_sure() {
        let mut replay = Replay::default();
        replay.begin();
        assert!(matches!(replay.judge(&line("03", "c")), Verdict::AfterGap(..)));
    }

    #[test]
    fn messages_of_the_node_are_no_lines() {
        let text = "unable to retrieve container logs for containerd://1";
        assert_eq!(
            Replay::default().judge(text.as_bytes()),
            Verdict::NoLogLine(text.into())
        );
    }

    proptest! {
        /// Wherever a stream is cut, and however often, what comes out is what went in.
        #[test]
        fn cuts_lose_and_repeat_nothing(
            steps in prop::collection::vec(0_i64..1500, 1..60),
            texts in prop::collection::vec("[ab]", 60),
            cuts in prop::collection::vec(1_usize..20, 0..6),
        ) {
            let mut time: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
            let log: Vec<(Timestamp, Vec<u8>)> = steps.iter().zip(&texts).map(|(step, text)| {
                time += SignedDuration::from_millis(*step);
                (time, format!("{time} {text}").into_bytes())
            }).collect();
            let mut replay = Replay::default();
            let mut read = Vec::new();
            let mut cuts = cuts.into_iter();
            let mut from = 0;
            let mut end = 1;
            loop {
                end = (end + cuts.next().unwrap_or(log.len())).min(log.len());
                for (_, line) in &log[from..end] {
                    match replay.judge(line) {
                        Verdict::New(text) => read.push(text),
                        Verdict::Known => {}
                        other => prop_assert!(false, "{other:?}"),
                    }
                }
                if end == log.len() { break; }
                let last = replay.last_time().unwrap();
                let since = Timestamp::from_second(last.as_second() - 1).unwrap();
                from = log.iter().position(|(time, _)| *time >= since).unwrap();
                replay.begin();
            }
            let written: Vec<Vec<u8>> = texts[..log.len()].iter().map(|text| text.clone().into_bytes()).collect();
            prop_assert_eq!(read, written);
        }
    }
}
