//! How texts look on one stream: colour, marks, width. Understandable without any of it.

use super::columns::columns;
use super::{escape, instruction};
use anstyle::{AnsiColor, Effects};
use std::fmt::Write;

/// What a stream can show. Views are rendered with it, so that nothing has to be stripped afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether colour is used.
    pub color: bool,
    /// Whether characters outside ASCII are used for marks and rules.
    pub unicode: bool,
    /// Columns of the terminal; `None` where there is none and nothing need be cut.
    pub width: Option<usize>,
    /// How often `-v` was given.
    pub verbosity: u8,
}

/// The role of a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// Success.
    Good,
    /// Failure.
    Bad,
    /// To be noticed.
    Warning,
    /// Of less interest.
    Quiet,
    /// Headings and names.
    Strong,
    /// Commands to type, hints.
    Literal,
}

/// Stands in front of a line and says how it went; differs also without colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Done, as expected.
    Good,
    /// Failed, not as expected.
    Bad,
    /// To be noticed.
    Warning,
    /// Not decided.
    Open,
    /// Not needed.
    Skipped,
    /// Going on.
    Running,
}

/// Width for prose where there is no terminal to ask.
const DEFAULT_WIDTH: usize = 80;
/// Longer lines of prose are hard to read, however wide the terminal is.
const LONGEST_PROSE: usize = 100;

impl Style {
    /// The text in its tone, with control characters made visible.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        self.color_only(tone, &escape::visible(text))
    }

    /// A mark in its colour.
    pub fn mark(&self, mark: Mark) -> String {
        let (unicode, ascii, tone) = match mark {
            Mark::Good => ("✔ ", "ok", Tone::Good),
            Mark::Bad => ("✘ ", "XX", Tone::Bad),
            Mark::Warning => ("‼ ", "!!", Tone::Warning),
            Mark::Open => ("? ", "??", Tone::Warning),
            Mark::Skipped => ("– ", "--", Tone::Quiet),
            Mark::Running => ("… ", "..", Tone::Quiet),
        };
        let text = if self.unicode { unicode.trim_end() } else { ascii };
        self.color_only(tone, text)
    }

    /// An arrow.
    pub fn arrow(&self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }

    /// What stands where text was cut.
    pub(super) fn ellipsis(&self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }

    /// Prose broken into lines, each behind `indent` blanks. Words longer than a line stay whole, and so do commands between
    /// backticks that fit into one.
    pub fn wrap(&self, text: &str, indent: usize) -> String {
        self.wrap_lines(text, indent, indent)
    }

    /// What is to be typed, with prose round it, behind what it begins with; broken so that it can be copied.
    pub(super) fn instruction(&self, text: &str, begins: &str) -> String {
        let lines: Vec<_> = text.trim_end().split('\n').map(escape::visible).collect();
        match (self.width, lines.as_slice()) {
            (Some(width), [line]) => instruction::lay_out(line, begins.len(), width),
            // Laid out by somebody else, or not for a terminal: left whole, to be searched.
            _ => lines.join("\n  "),
        }
    }

    /// Like [`Self::wrap`], with every line but the first two blanks further in, so that items can be told apart.
    pub fn wrap_item(&self, text: &str, indent: usize) -> String {
        self.wrap_lines(text, indent, indent + 2)
    }

    /// Like [`Self::wrap`], in a tone: colour is put on when the lines are made, as it would count as text before.
    pub fn wrap_painted(&self, tone: Tone, text: &str, indent: usize) -> String {
        self.in_tone(tone, &self.wrap(text, indent))
    }

    /// Like [`Self::wrap_item`], in a tone.
    pub fn wrap_item_painted(&self, tone: Tone, text: &str, indent: usize) -> String {
        self.in_tone(tone, &self.wrap_item(text, indent))
    }

    /// Each line on its own, so that nothing between them is coloured.
    pub(super) fn in_tone(&self, tone: Tone, lines: &str) -> String {
        let painted: Vec<String> = lines
            .lines()
            .map(|line| {
                let text = line.trim_start();
                format!(
                    "{}{}",
                    &line[..line.len() - text.len()],
                    self.color_only(tone, text)
                )
            })
            .collect();
        painted.join("\n")
    }

    fn wrap_lines(&self, text: &str, first: usize, rest: usize) -> String {
        let width = self
            .width
            .unwrap_or(DEFAULT_WIDTH)
            .min(LONGEST_PROSE)
            .max(rest + 20);
        let mut lines = String::new();
        let mut used = 0;
        for word in words(&escape::visible(text), width - rest) {
            let length = columns(&word);
            if used > 0 && used + 1 + length <= width {
                let _ = write!(lines, " {word}");
                used += 1 + length;
                continue;
            }
            let indent = if lines.is_empty() { first } else { rest };
            if !lines.is_empty() {
                lines.push('\n');
            }
            let _ = write!(lines, "{:indent$}{word}", "");
            used = indent + length;
        }
        lines
    }

    /// Colour alone, for texts that are already safe.
    pub(super) fn color_only(&self, tone: Tone, text: &str) -> String {
        if !self.color || text.is_empty() || tone == Tone::Plain {
            return text.to_owned();
        }
        let style = match tone {
            Tone::Plain => anstyle::Style::new(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Bad => AnsiColor::Red.on_default() | Effects::BOLD,
            Tone::Warning => AnsiColor::Yellow.on_default(),
            Tone::Quiet => Effects::DIMMED.into(),
            Tone::Strong => Effects::BOLD.into(),
            Tone::Literal => AnsiColor::Cyan.on_default(),
        };
        format!("{style}{text}{style:#}")
    }
}

/// Whether the locale's character set is UTF-8, by the order in which POSIX reads the variables.
pub(super) fn locale_is_unicode(variable: impl Fn(&str) -> Option<String>) -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(variable)
        .find(|value| !value.is_empty())
        .is_some_and(|value| {
            let value = value.to_ascii_lowercase();
            value.contains("utf-8") || value.contains("utf8")
        })
}

/// How long something took, in at most six characters: `0.4s`, `12.3s`, `2m05s`.
pub(super) fn seconds(time: std::time::Duration) -> String {
    let tenths = (time.as_millis() + 50) / 100;
    if tenths < 600 {
        format!("{}.{}s", tenths / 10, tenths % 10)
    } else {
        let seconds = time.as_secs();
        format!("{}m{:02}s", seconds / 60, seconds % 60)
    }
}

/// Words, of which what stands between backticks is one if it fits.
fn words(text: &str, room: usize) -> Vec<String> {
    let single: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let mut words = Vec::new();
    let mut left = single.as_slice();
    while let Some((word, after)) = left.split_first() {
        let opens = |word: &str| word.matches('`').count() % 2 == 1;
        let closes = after.iter().position(|word| opens(word)).filter(|_| opens(word));
        let (whole, behind) = match closes {
            Some(end) => (left[..end + 2].join(" "), &left[end + 2..]),
            None => ((*word).to_owned(), after),
        };
        if columns(&whole) <= room {
            words.push(whole);
            left = behind;
        } else {
            words.push((*word).to_owned());
            left = after;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PLAIN: Style = Style {
        color: false,
        unicode: true,
        width: Some(40),
        verbosity: 0,
    };

    #[test]
    fn marks_differ_without_colour_in_both_character_sets() {
        let all = [
            Mark::Good,
            Mark::Bad,
            Mark::Warning,
            Mark::Open,
            Mark::Skipped,
            Mark::Running,
        ];
        for unicode in [true, false] {
            let style = Style { unicode, ..PLAIN };
            let mut marks = all.map(|mark| style.mark(mark)).to_vec();
            marks.sort();
            marks.dedup();
            assert_eq!(marks.len(), all.len());
            assert_eq!(unicode, !marks.concat().is_ascii());
        }
    }

    #[test]
    fn wraps_at_the_width_and_keeps_long_words() {
        let text =
            "the gateway has no route for this host, see https://a-very-long-name.example.com/page/of/docs";
        insta::assert_snapshot!(PLAIN.wrap(text, 4), @r"
            the gateway has no route for this
            host, see
            https://a-very-long-name.example.com/page/of/docs
        ");
    }

    #[test]
    fn a_command_stays_whole_if_it_fits() {
        let text = "to see what it does type `kubectl egress status -n demo`, or else `kubectl egress cleanup -n demo --verify --plan x`";
        insta::assert_snapshot!(PLAIN.wrap(text, 4), @r"
            to see what it does type
            `kubectl egress status -n demo`, or
            else `kubectl egress cleanup -n demo
            --verify --plan x`
        ");
    }

    #[test]
    fn painted_text_carries_no_escape_of_its_own() {
        let style = Style { color: true, ..PLAIN };
        assert_eq!(
            style.paint(Tone::Good, "a\u{1b}[0mb"),
            "\u{1b}[32ma\\x1b[0mb\u{1b}[0m"
        );
        assert_eq!(PLAIN.paint(Tone::Good, "a"), "a");
    }

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        let locale = |set: &'static [(&str, &str)]| {
            locale_is_unicode(|name| {
                set.iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(locale(&[("LANG", "de_DE.UTF-8")]));
        assert!(locale(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")]));
        assert!(!locale(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]));
        assert!(!locale(&[]));
    }

    #[test]
    fn times_are_short() {
        let text = |milliseconds| seconds(Duration::from_millis(milliseconds));
        assert_eq!(text(0), "0.0s");
        assert_eq!(text(1_249), "1.2s");
        assert_eq!(text(59_960), "0m59s");
        assert_eq!(text(125_000), "2m05s");
    }
}
