//! What `explain` says about lines of a log and about curl's exit codes.

use crate::evidence::explanation::{ExitCodeMeaning, Explanation, LogGroup, LogSummary, SourceKind};
use crate::report::style::{Mark, Style, Tone};
use std::fmt::Write;

/// A line: what happened, who says so, each field in plain words, and the objects behind it.
pub fn explanation(
    explanation: &Explanation,
    context: Option<&str>,
    objects: &[String],
    style: &Style,
) -> String {
    let mut text = headline(explanation, style);
    let _ = writeln!(text, "{}", style.wrap_item(&explanation.who, 2));
    text.push_str(&fields(explanation, style));
    text.push_str(&object_lines(context, objects, style));
    text
}

/// A log: its groups, the worst first; what all is well in one line each.
pub fn log_summary(
    summary: &LogSummary,
    context: Option<&str>,
    objects: &[Vec<String>],
    style: &Style,
) -> String {
    let mut text = format!(
        "{} of an access log{}\n",
        count(summary.lines, "line"),
        match summary.other_lines {
            0 => String::new(),
            other => format!(", {}", count(other, "other line")),
        }
    );
    for (group, said) in summary.groups.iter().zip(objects) {
        text.push('\n');
        text.push_str(&log_group(group, context, said, style));
    }
    if summary.not_kept_apart > 0 {
        let note = format!(
            "{} about further hosts of the same kind are not kept apart",
            count(summary.not_kept_apart, "line")
        );
        let _ = writeln!(text, "\n{}", style.wrap(&note, 0));
    }
    text
}

fn log_group(group: &LogGroup, context: Option<&str>, objects: &[String], style: &Style) -> String {
    let mut text = headline(&group.explanation, style);
    let times = match (&group.first, &group.last) {
        (Some(first), Some(last)) if first != last => format!(", {first} to {last}"),
        (Some(first), _) => format!(", {first}"),
        _ => String::new(),
    };
    let _ = writeln!(
        text,
        "{}",
        style.wrap_item(&format!("{}{times}", times_of(group.count)), 2)
    );
    if group.explanation.verdict.is_good() {
        return text;
    }
    text.push_str(&fields(&group.explanation, style));
    text.push_str(&object_lines(context, objects, style));
    let _ = writeln!(text, "  {}", style.paint(Tone::Quiet, &group.example));
    text
}

fn headline(explanation: &Explanation, style: &Style) -> String {
    let mark = if explanation.verdict.is_good() {
        Mark::Good
    } else if explanation.code.is_some() {
        Mark::Bad
    } else {
        Mark::Warning
    };
    let code = explanation
        .code
        .map(|code| format!("{code} "))
        .unwrap_or_default();
    let wrapped = style.wrap_item(&format!("{code}{}", explanation.what), 2);
    format!("{} {}\n", style.mark(mark), wrapped.trim_start())
}

fn fields(explanation: &Explanation, style: &Style) -> String {
    let mut text = String::new();
    for field in &explanation.fields {
        let line = format!("{} {}: {}", field.field, field.value, field.meaning);
        let _ = writeln!(text, "{}", style.wrap_item(&line, 4));
    }
    text
}

fn object_lines(context: Option<&str>, objects: &[String], style: &Style) -> String {
    let Some(context) = context.filter(|_| !objects.is_empty()) else {
        return String::new();
    };
    let mut text = format!(
        "  {}\n",
        style.paint(Tone::Strong, &format!("In the cluster of context {context}"))
    );
    for object in objects {
        let _ = writeln!(text, "{}", style.wrap_item(object, 4));
    }
    text
}

/// A code: what curl means by it, what it proves, and what it says in each situation.
pub fn exit_code(meaning: &ExitCodeMeaning, style: &Style) -> String {
    let title = format!("curl's exit {} ({})", meaning.code, meaning.name);
    let mut text = format!(
        "{}: {}\n\n{}\n",
        style.paint(Tone::Strong, &title),
        meaning.meaning,
        style.wrap(meaning.proves, 0)
    );
    let mut before = None;
    for situation in &meaning.situations {
        if before.replace(situation.from) != Some(situation.from) {
            let from = match situation.from {
                SourceKind::Meshed => "From a pod with a sidecar",
                SourceKind::Bare => "From a pod without a sidecar",
            };
            let _ = writeln!(text, "\n{}", style.paint(Tone::Strong, from));
        }
        let line = format!("{}: {}", situation.situation, situation.says);
        let _ = writeln!(text, "{}", style.wrap_item(&line, 2));
    }
    text
}

fn times_of(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
