//! One probe: its outcome, its way, and who saw it.

use super::findings;
use crate::evidence::{Expected, ProbeResult};
use crate::report::columns::columns;
use crate::report::style::{Mark, Style, Tone};
use crate::vocabulary::{Hop, Outcome, Receipt};
use std::fmt::Write;

/// How a probe went, measured by what was expected of it.
///
/// What gets out although nothing locks it is a warning here: whether it fails is for the claim `enforced` to say.
pub fn probe_mark(result: &ProbeResult) -> Mark {
    match (result.expected, result.outcome) {
        (Expected::Routed, Outcome::Routed)
        | (Expected::NotReachable, Outcome::Blocked)
        | (Expected::Reachable, Outcome::Routed | Outcome::Direct | Outcome::Bypassed)
        | (Expected::Nothing, Outcome::Routed | Outcome::Direct) => Mark::Good,
        // That nobody answers proves no block.
        (_, Outcome::Inconclusive) | (Expected::NotReachable, Outcome::Unreachable) => Mark::Open,
        (Expected::Routed, Outcome::Direct)
        | (Expected::NotReachable, _)
        | (Expected::Nothing, Outcome::Bypassed | Outcome::Blocked | Outcome::Unreachable) => Mark::Warning,
        (Expected::Routed | Expected::Reachable, _) => Mark::Bad,
    }
}

/// One line: mark, host and port, outcome, and the expectation where it was not met.
pub fn probe_line(result: &ProbeResult, style: &Style) -> String {
    let mark = probe_mark(result);
    let tone = match mark {
        Mark::Good => Tone::Good,
        Mark::Bad => Tone::Bad,
        _ => Tone::Warning,
    };
    let mut outcome = result.outcome.to_string();
    if let Some(by) = result.blocked_by {
        let _ = write!(outcome, " by {by}");
    }
    let mut line = format!(
        "{} {}{}  {}",
        style.mark(mark),
        style.paint(Tone::Strong, &format!("{}:{}", result.host, result.port)),
        if result.meshed { "" } else { " without sidecar" },
        style.color_only(tone, &outcome),
    );
    if result.expected == Expected::Routed && result.outcome == Outcome::Direct {
        line.push_str(", as planned");
    } else if mark != Mark::Good
        && let Some(expected) = expectation(result.expected)
    {
        let _ = write!(line, ", expected: {expected}");
    }
    line
}

/// The line, the source, the hops with their witnesses, the findings; with `-v` every receipt word for word.
pub fn probe(result: &ProbeResult, style: &Style) -> String {
    let mut text = probe_line(result, style) + "\n";
    let from = format!("{} from {}", result.scheme, result.source);
    let _ = writeln!(text, "{}", style.wrap(&from, 4));
    for hop in &result.hops {
        text.push_str(&hop_lines(hop, style));
    }
    if style.verbosity > 0
        && let Some(curl) = &result.curl
    {
        let _ = writeln!(text, "{}", style.wrap(&format!("curl: {}", curl.sentence()), 4));
    }
    for finding in &result.findings {
        text.push_str(&findings::headline(finding, 4, style));
    }
    text
}

fn hop_lines(hop: &Hop, style: &Style) -> String {
    let way = format!("{} {} {}", hop.from, style.arrow(), hop.to);
    let mut witnesses: Vec<String> = hop
        .receipts
        .iter()
        .map(|receipt| receipt.witness.to_string())
        .collect();
    witnesses.dedup();
    let seen = if witnesses.is_empty() {
        "seen by nobody".to_owned()
    } else {
        format!("seen by {}", enumerated(&witnesses))
    };
    let state = match hop.failed {
        Some(_) => style.color_only(Tone::Bad, &format!("{:<9}", "failed")),
        None => format!("{:<9}", hop.encryption),
    };
    let fits = style
        .width
        .is_none_or(|width| 4 + 21 + 2 + 9 + 2 + columns(&seen) <= width);
    let between = if fits { "  " } else { "\n      " };
    let state = if fits { state } else { state.trim_end().to_owned() };
    let mut text = format!(
        "    {way:<21}  {state}{between}{}\n",
        style.color_only(Tone::Quiet, &seen)
    );
    if let Some(why) = &hop.failed {
        let _ = writeln!(text, "{}", style.wrap(why, 6));
    }
    if let Some(pod) = &hop.pod {
        let by = format!("by {pod}");
        let _ = writeln!(text, "{}", style.wrap_painted(Tone::Quiet, &by, 6));
    }
    if style.verbosity > 0 {
        for receipt in &hop.receipts {
            let line = format!("{}: {}", said_by(receipt), receipt.text);
            let _ = writeln!(text, "      {}", style.paint(Tone::Quiet, &line));
        }
    }
    text
}

/// `a`, `a and b`, `a, b and c`.
fn enumerated(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// `WITNESS of NAMESPACE/POD CONTAINER at TIME`, as far as known.
pub(super) fn said_by(receipt: &Receipt) -> String {
    let mut said = format!("{} of {}", receipt.witness, receipt.pod);
    if let Some(container) = &receipt.container {
        let _ = write!(said, " {container}");
    }
    if let Some(time) = &receipt.time {
        let _ = write!(said, " at {time}");
    }
    said
}

/// What was expected, in words; nothing where somebody only looked.
pub(super) fn expectation(expected: Expected) -> Option<&'static str> {
    match expected {
        Expected::Routed => Some("routed"),
        Expected::NotReachable => Some("must not get out"),
        Expected::Reachable => Some("reachable"),
        Expected::Nothing => None,
    }
}
