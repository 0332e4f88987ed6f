//! What a command changed or would change.

use crate::report::escape;
use crate::report::style::{Style, Tone};
use crate::vocabulary::{Change, ObjectReference};
use std::fmt::Write;

/// One object as kubectl says it, with its namespace: `serviceentry/egress-default created in demo (dry run)`.
pub fn change_line(object: &ObjectReference, change: Change, dry_run: bool, style: &Style) -> String {
    let tone = match change {
        Change::Created => Tone::Good,
        Change::Configured => Tone::Warning,
        Change::Deleted => Tone::Bad,
        Change::Unchanged => Tone::Quiet,
    };
    let name = format!("{}/{}", object.kind.kind.to_ascii_lowercase(), object.name);
    let mut line = format!(
        "{} {}",
        escape::visible(&name),
        style.color_only(tone, &change.to_string())
    );
    if let Some(namespace) = &object.namespace {
        let word = if change == Change::Deleted { "from" } else { "in" };
        let _ = write!(line, " {word} {}", escape::visible(namespace));
    }
    if dry_run {
        line.push_str(" (dry run)");
    }
    line
}

/// All changes of a run, one a line.
pub fn changes<'a>(
    changed: impl IntoIterator<Item = (&'a ObjectReference, Change)>,
    dry_run: bool,
    style: &Style,
) -> String {
    changed
        .into_iter()
        .map(|(object, change)| change_line(object, change, dry_run, style) + "\n")
        .collect()
}

/// A unified diff in colour.
pub fn diff(unified: &str, style: &Style) -> String {
    let mut text = String::new();
    for line in unified.lines() {
        let tone = if line.starts_with("+++") || line.starts_with("---") {
            Tone::Strong
        } else if line.starts_with("@@") {
            Tone::Literal
        } else if line.starts_with('+') {
            Tone::Good
        } else if line.starts_with('-') {
            Tone::Bad
        } else {
            Tone::Plain
        };
        let _ = writeln!(text, "{}", style.paint(tone, line));
    }
    text
}
