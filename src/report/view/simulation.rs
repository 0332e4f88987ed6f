//! What a lock would break, by workload.

use crate::engine::learn::{NotKnown, Observed};
use crate::engine::lockdown::simulation::{Simulation, WouldBreak};
use crate::report::style::{Mark, Style, Tone};
use std::fmt::Write;

/// What would break, and of whom it is not known. Ends in a line feed.
pub fn simulation(simulation: &Simulation, style: &Style) -> String {
    titled("What a lock would break", simulation, style)
}

/// The same under another title, where there is a lock already, or was.
pub(super) fn titled(title: &str, simulation: &Simulation, style: &Style) -> String {
    let mut text = format!("{}\n", style.color_only(Tone::Strong, title));
    let by = format!("looked at: {}", heard(&simulation.observed));
    let _ = writeln!(text, "{}", style.wrap_painted(Tone::Quiet, &by, 2));
    if simulation.would_break.is_empty() {
        let nothing = if simulation.observed.sidecars == 0 {
            "not known: no sidecar told anything"
        } else {
            "nothing that was seen"
        };
        let _ = writeln!(text, "  {nothing}");
    }
    let mut workload = "";
    for broken in &simulation.would_break {
        if broken.workload != workload {
            workload = &broken.workload;
            let _ = writeln!(text, "  {}", style.paint(Tone::Strong, workload));
        }
        let what = format!(
            "{} {}",
            style.mark(Mark::Warning),
            style.wrap_item(&line(broken), 6).trim_start()
        );
        let _ = writeln!(text, "    {what}");
        if style.verbosity > 0 {
            let _ = writeln!(text, "      keep it: {}", style.paint(Tone::Literal, &broken.fix));
        }
    }
    text.push_str(&not_known(&simulation.not_known, style));
    text
}

/// One line for somebody who is about to agree.
pub fn would_break(broken: &WouldBreak) -> String {
    format!(
        "the lock would break {} to {} (to keep it: {})",
        broken.workload,
        line(broken),
        broken.fix
    )
}

/// The same where nothing would break, as far as is known.
pub fn nothing_would_break(simulation: &Simulation) -> String {
    let heard = heard(&simulation.observed);
    if simulation.observed.sidecars == 0 {
        format!("what the lock would break is not known: no sidecar told anything, {heard}")
    } else {
        format!("the lock would break nothing that was seen in {heard}")
    }
}

/// `www.google.com:443, 3 times, last 2026-11-21T02:01:19Z; 1 open now`.
fn line(broken: &WouldBreak) -> String {
    let mut line = broken.destination.clone();
    if broken.count > 0 {
        let times = if broken.count == 1 {
            "once".to_owned()
        } else {
            format!("{} times", broken.count)
        };
        let _ = write!(line, ", {times}");
    }
    if let Some(last) = &broken.last_seen {
        let _ = write!(line, ", last {}", seconds(last));
    }
    if broken.open > 0 {
        let _ = write!(line, ", {} open now", broken.open);
    }
    line
}

/// Of whom nothing, or not everything, is known; nothing if there is nobody.
pub(super) fn not_known(unknown: &[NotKnown], style: &Style) -> String {
    if unknown.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", style.color_only(Tone::Strong, "Not known"));
    for of in unknown {
        let pods = if of.pods == 1 {
            "1 pod".to_owned()
        } else {
            format!("{} pods", of.pods)
        };
        let line = format!("{} ({pods}): {}", of.workload, of.why);
        let _ = writeln!(text, "{}", style.wrap_item(&line, 2));
    }
    text
}

/// `12 lines of 3 sidecars in the 60 s that were watched`.
pub(super) fn heard(observed: &Observed) -> String {
    let mut parts = Vec::new();
    if let Some(lines) = observed.tail_lines {
        parts.push(format!("at most the last {lines} lines of each"));
    }
    if let Some(since) = observed.since_seconds {
        parts.push(format!("the last {since} s, as far as the nodes have them"));
    }
    if let Some(watched) = observed.watched_seconds {
        parts.push(format!("{watched} s watched"));
    }
    if observed.interrupted {
        parts.push("ended early".to_owned());
    }
    let (lines, sidecars) = (observed.lines, observed.sidecars);
    let count = |number: u64, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    format!(
        "{} of {}, {}",
        count(lines, "log line"),
        count(sidecars as u64, "sidecar"),
        parts.join(", ")
    )
}

/// A time without its fraction.
pub(super) fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => time.to_owned(),
    }
}
