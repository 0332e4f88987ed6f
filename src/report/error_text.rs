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
        prose(error.message(), "error: ", 2, style)
    );
    for cause in error.causes() {
        let _ = writeln!(text, "  because: {}", prose(cause, "  because: ", 4, style));
    }
    if !error.hints().is_empty() {
        text.push('\n');
    }
    for hint in error.hints() {
        let _ = writeln!(
            text,
            "{} {}",
            style.color_only(Tone::Literal, "hint:"),
            style.instruction(hint, "hint: ")
        );
    }
    text
}

/// A text broken at the terminal's width behind what it begins with. One of several lines was laid out by somebody else
/// (a parser that points at a column), and what is not for a terminal is left whole, to be searched.
fn prose(text: &str, begins: &str, indent: usize, style: &Style) -> String {
    let text = text.trim_end();
    if style.width.is_none() || text.contains('\n') {
        return indented(text, indent);
    }
    let wrapped = style.wrap_item(&format!("{}{text}", begins.trim_start()), indent - 2);
    let first = begins.trim_start();
    wrapped
        .trim_start()
        .strip_prefix(first)
        .unwrap_or(text)
        .to_owned()
}

/// Further lines of a text are indented, so that they cannot pass for lines of ours.
fn indented(text: &str, indent: usize) -> String {
    let lines: Vec<_> = text.trim_end().split('\n').map(escape::visible).collect();
    lines.join(&format!("\n{:indent$}", ""))
}
