//! Errors as the user reads them.

use super::escape;
use super::style::{Style, Tone};
use crate::error::Error;
use std::fmt::Write;

/// `error: …`, causes indented below, then after a blank line what to do next.
pub(super) fn render(error: &Error, style: &Style) -> String {
    let mut text = format!(
        "{} {}\n",
        style.color_only(Tone::Bad, "error:"),
        indented(error.message(), 2)
    );
    for cause in error.causes() {
        let _ = writeln!(text, "  because: {}", indented(cause, 4));
    }
    if !error.hints().is_empty() {
        text.push('\n');
    }
    for hint in error.hints() {
        let _ = writeln!(
            text,
            "{} {}",
            style.color_only(Tone::Literal, "hint:"),
            indented(hint, 2)
        );
    }
    text
}

/// Further lines of a text are indented, so that they cannot pass for lines of ours.
fn indented(text: &str, indent: usize) -> String {
    let lines: Vec<_> = text.trim_end().split('\n').map(escape::visible).collect();
    lines.join(&format!("\n{:indent$}", ""))
}
