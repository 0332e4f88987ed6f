//! A whole log, explained: lines with the same verdict about the same host are one group. Memory is bounded, whatever
//! comes: at most so many hosts of each verdict are kept apart, and what is kept of a line is cut.

use super::line::{Explanation, Gist};
use super::prefix::without_prefix;
use super::speaker::Speaker;
use super::verdict::Verdict;
use crate::evidence::{AccessLogLine, LogFormats};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Hosts of one verdict and proxy that are kept apart; further ones are counted together.
pub const HOSTS_OF_A_VERDICT: usize = 50;
/// Characters of a line, a field and a host that are kept.
const LONGEST_TEXT: usize = 1_500;
const LONGEST_HOST: usize = 255;
/// What stands for hosts that are not kept apart.
const OTHER_HOSTS: &str = "other hosts";

/// A log, explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogSummary {
    /// Lines of the access log.
    pub lines: u64,
    /// Lines that are something else: the proxy's own log, an application's output.
    pub other_lines: u64,
    /// The worst first, then by how often.
    pub groups: Vec<LogGroup>,
    /// Lines about hosts beyond the first of their verdict; they are counted in the group "other hosts".
    pub not_kept_apart: u64,
}

/// Lines with the same verdict about the same host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogGroup {
    /// The host, or `other hosts`.
    pub host: String,
    /// How many lines.
    pub count: u64,
    /// Time of the earliest line, by the proxies' clocks.
    pub first: Option<String>,
    /// Time of the latest line.
    pub last: Option<String>,
    /// The first line of the group, explained.
    pub explanation: Explanation,
    /// That line, word for word; a very long one is cut.
    pub example: String,
}

/// Reads a log line by line.
#[derive(Debug, Default)]
pub struct LogReader {
    formats: LogFormats,
    lines: u64,
    other_lines: u64,
    not_kept_apart: u64,
    groups: HashMap<Key, LogGroup>,
    hosts: BTreeMap<(Verdict, Speaker), usize>,
}

type Key = (Verdict, Speaker, String);

/// A line of an access log, with what stood in front of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadLine {
    /// The line.
    pub line: AccessLogLine,
    /// The pod that the prefix names.
    pub pod: Option<String>,
}

/// Reads a raw line in these formats, or Istio's own, whatever kubectl, stern or a container runtime wrote in front.
pub fn read_line(raw: &[u8], formats: &LogFormats) -> Option<ReadLine> {
    without_prefix(raw).find_map(|(rest, pod)| {
        let line = formats.parse(rest)?;
        Some(ReadLine {
            line,
            pod: pod.map(str::to_owned),
        })
    })
}

impl LogReader {
    /// A reader of lines in these formats, and in Istio's own.
    pub fn new(formats: LogFormats) -> Self {
        Self {
            formats,
            ..Self::default()
        }
    }

    /// Takes one line, without its line end. Empty lines are not counted.
    pub fn take(&mut self, raw: &[u8]) {
        if raw.trim_ascii().is_empty() {
            return;
        }
        let Some(read) = read_line(raw, &self.formats) else {
            self.other_lines += 1;
            return;
        };
        self.lines += 1;
        self.add(&read);
    }

    /// Counts a line that was too long to be read.
    pub fn skip(&mut self) {
        self.other_lines += 1;
    }

    fn add(&mut self, read: &ReadLine) {
        // Nearly every line says what an earlier one said, and then its words are not needed.
        let gist = Gist::of(&read.line);
        let mut host = gist.host.unwrap_or_else(|| "no host".to_owned());
        cut(&mut host, LONGEST_HOST);
        let kind = (gist.verdict, gist.proxy);
        let mut key = (kind.0, kind.1, host);
        if !self.groups.contains_key(&key) {
            let hosts = self.hosts.entry(kind).or_default();
            if *hosts == HOSTS_OF_A_VERDICT {
                OTHER_HOSTS.clone_into(&mut key.2);
            } else {
                *hosts += 1;
            }
        }
        if key.2 == OTHER_HOSTS {
            self.not_kept_apart += 1;
        }
        if let Some(group) = self.groups.get_mut(&key) {
            group.count += 1;
            group.see(read.line.start_time.as_deref());
            return;
        }
        let mut explanation = Explanation::of(&read.line, read.pod.as_deref());
        explanation.shorten();
        let mut group = LogGroup {
            host: key.2.clone(),
            count: 1,
            first: None,
            last: None,
            example: read.line.raw.clone(),
            explanation,
        };
        cut(&mut group.example, LONGEST_TEXT);
        group.see(group.explanation.time.clone().as_deref());
        self.groups.insert(key, group);
    }

    /// Everything that was read so far.
    pub fn summary(&self) -> LogSummary {
        let mut groups: Vec<LogGroup> = self.groups.values().cloned().collect();
        groups.sort_by(|left, right| {
            let order = |group: &LogGroup| {
                (
                    group.explanation.verdict.is_good(),
                    std::cmp::Reverse(group.count),
                )
            };
            order(left)
                .cmp(&order(right))
                .then_with(|| left.explanation.verdict.cmp(&right.explanation.verdict))
                .then_with(|| left.host.cmp(&right.host))
        });
        LogSummary {
            lines: self.lines,
            other_lines: self.other_lines,
            groups,
            not_kept_apart: self.not_kept_apart,
        }
    }
}

impl LogGroup {
    /// Times of one format sort as texts.
    fn see(&mut self, time: Option<&str>) {
        let Some(time) = time.filter(|time| time.len() <= 64) else {
            return;
        };
        if self.first.as_deref().is_none_or(|first| time < first) {
            self.first = Some(time.to_owned());
        }
        if self.last.as_deref().is_none_or(|last| time > last) {
            self.last = Some(time.to_owned());
        }
    }
}

impl Explanation {
    /// Cuts what a hostile line can make long.
    fn shorten(&mut self) {
        for text in [&mut self.who, &mut self.what] {
            cut(text, LONGEST_TEXT);
        }
        for text in [&mut self.host, &mut self.time].into_iter().flatten() {
            cut(text, LONGEST_HOST);
        }
        for field in &mut self.fields {
            cut(&mut field.value, LONGEST_TEXT);
            cut(&mut field.meaning, LONGEST_TEXT);
        }
    }
}

/// Cuts a text at a whole character, and gives its memory back.
fn cut(text: &mut String, longest: usize) {
    if text.len() > longest {
        let end = (0..=longest)
            .rev()
            .find(|end| text.is_char_boundary(*end))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
        text.shrink_to_fit();
    }
}
