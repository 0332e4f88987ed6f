//! Predicted ways, as small trees.

use super::findings;
use crate::engine::path::{Path, PathHop, PathRepair, Paths};
use crate::report::escape::visible;
use crate::report::style::{Mark, Style, Tone};
use crate::vocabulary::Outcome;
use std::fmt::Write;

/// One tree per request.
pub fn paths(document: &Paths, style: &Style) -> String {
    let source = match document.source.split_once('/') {
        // No pod's name has blanks: some pod of the namespace.
        Some((namespace, some)) if some.contains(' ') => format!("{some} in {namespace}"),
        _ => document.source.clone(),
    };
    let mut text = format!("from {}\n", style.paint(Tone::Strong, &source));
    for assumed in &document.assumed {
        let _ = writeln!(text, "{}", style.wrap_item(&format!("assumed: {assumed}"), 0));
    }
    for path in &document.paths {
        text.push('\n');
        text.push_str(&one(path, style));
    }
    text
}

fn one(path: &Path, style: &Style) -> String {
    let mark = match path.outcome {
        Outcome::Routed => Mark::Good,
        Outcome::Inconclusive => Mark::Warning,
        _ => Mark::Bad,
    };
    let by = path
        .blocked_by
        .map_or_else(String::new, |blocked| format!(" (by {blocked})"));
    let mut text = format!(
        "{} {}: {}{by}\n",
        style.mark(mark),
        style.paint(Tone::Strong, &path.url),
        path.outcome
    );
    for (index, hop) in path.hops.iter().enumerate() {
        text.push_str(&of_hop(hop, index, style));
    }
    for unknown in &path.not_modelled {
        let _ = writeln!(text, "{}", style.wrap_item(unknown, 2));
    }
    for finding in &path.findings {
        text.push_str(&findings::finding(finding, style));
    }
    for (index, repair) in path.repairs.iter().enumerate() {
        text.push_str(&of_repair(repair, index, style));
    }
    text
}

/// A change, and the command on a line of its own, so that it can be copied.
fn of_repair(repair: &PathRepair, index: usize, style: &Style) -> String {
    let place = repair
        .place
        .as_ref()
        .map_or_else(String::new, |place| format!(" ({place})"));
    let begins = if index == 0 { "patch" } else { "or" };
    let said = format!("{begins}: {}{place}: {}", repair.object, repair.says);
    format!(
        "{}\n    {}\n",
        style.wrap_item(&said, 2),
        visible(&repair.command)
    )
}

fn of_hop(hop: &PathHop, index: usize, style: &Style) -> String {
    let indent = 2 + 2 * index;
    let branch = if style.unicode { "└" } else { "-" };
    let mut line = format!("{branch} {}: {}", hop.at, hop.cluster);
    if let Some(to) = &hop.to {
        let _ = write!(line, " {} {to}", style.arrow());
    }
    if let Some(adds) = &hop.adds {
        let _ = write!(line, ", adds {adds}");
    }
    if let Some(stopped) = &hop.stopped {
        let _ = write!(line, " [{stopped}]");
    }
    let mut text = style.wrap_item(&line, indent) + "\n";
    for decision in &hop.decided_by {
        let place = decision
            .place
            .as_ref()
            .map_or_else(String::new, |place| format!(" ({place})"));
        let said = format!("{} {}{place}", decision.what, decision.object);
        let _ = writeln!(
            text,
            "{}",
            style.wrap_item_painted(Tone::Quiet, &said, indent + 4)
        );
    }
    text
}
