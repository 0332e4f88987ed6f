//! The text of `lockdown`.

use super::{findings, probes, simulation, verification};
use crate::engine::lockdown::{Lockdown, LockdownEnd};
use crate::evidence::ProbeResult;
use crate::finding::Finding;
use crate::report::style::{Mark, Style, Tone};
use crate::vocabulary::Claim;
use std::fmt::Write;

/// What the lock lets through, the probes under it, what to do about findings, the claims, and how it ended last.
pub fn lockdown(document: &Lockdown, style: &Style) -> String {
    let mut text = allows(document, style);
    for (title, results) in [("Before", &document.before), ("Under the lock", &document.after)] {
        // What was found before matters to those who look closely, or if it did not come to the lock.
        let shown = title != "Before" || style.verbosity > 0 || document.after.is_empty();
        if results.is_empty() || !shown {
            continue;
        }
        let _ = writeln!(text, "\n{}", style.color_only(Tone::Strong, title));
        for (line, times) in counted(results, style) {
            let again = if times > 1 {
                format!(", {times} times")
            } else {
                String::new()
            };
            let _ = writeln!(text, "{line}{again}");
        }
    }
    if !document.findings.is_empty() {
        text.push('\n');
    }
    for finding in &document.findings {
        text.push_str(&findings::headline(finding, 0, style));
    }
    text.push_str(&findings::what_to_do(all_findings(document), style));
    if !document.after.is_empty() {
        let _ = writeln!(text, "\n{}", style.color_only(Tone::Strong, "Claims"));
        text.push_str(&verification::claim(Claim::Routed, document.claims.routed, style));
        text.push_str(&verification::claim(
            Claim::Enforced,
            document.claims.enforced,
            style,
        ));
    }
    let _ = writeln!(text, "\n{}", end(document, style));
    text
}

/// Each line once, in order, with how often it came: what must not get out is tried again after the first time.
fn counted(results: &[ProbeResult], style: &Style) -> Vec<(String, usize)> {
    let mut lines: Vec<(String, usize)> = Vec::new();
    for result in results {
        let line = probes::probe_line(result, style);
        match lines.iter_mut().find(|(told, _)| *told == line) {
            Some((_, times)) => *times += 1,
            None => lines.push((line, 1)),
        }
    }
    lines
}

/// What a dry run shows: what the lock would let through and break, and that nothing was done.
pub fn lockdown_preview(document: &Lockdown, refused: bool, style: &Style) -> String {
    let mut text = allows(document, style);
    for finding in &document.findings {
        let _ = write!(text, "\n{}", findings::finding(finding, style));
    }
    let (mark, what) = if refused {
        (
            Mark::Bad,
            "dry run: the lock would be refused; nothing was changed",
        )
    } else {
        (Mark::Skipped, "dry run: nothing was changed")
    };
    let _ = writeln!(text, "\n{} {what}", style.mark(mark));
    text
}

/// What goes through, and what was known before to break.
fn allows(document: &Lockdown, style: &Style) -> String {
    let mut text = format!("{}\n", style.color_only(Tone::Strong, "The lock lets through"));
    for line in &document.allows {
        let _ = writeln!(text, "{}", style.wrap_item(line, 2));
    }
    if let Some(simulation) = &document.simulation {
        let title = match document.end {
            LockdownEnd::Locked | LockdownEnd::Unchanged => "What the lock breaks",
            LockdownEnd::RolledBack | LockdownEnd::Refused => "What a lock would break",
        };
        let _ = write!(text, "\n{}", simulation::titled(title, simulation, style));
    }
    text
}

/// The command that a user wants next.
pub fn next_after_lockdown(document: &Lockdown) -> String {
    let (namespace, plan) = (&document.namespace, &document.plan);
    let flags = if *plan == format!("{namespace}/{}", crate::vocabulary::names::DEFAULT_PLAN) {
        format!("-n {namespace}")
    } else {
        format!("-n {namespace} --plan {plan}")
    };
    match document.end {
        LockdownEnd::Locked | LockdownEnd::Unchanged => format!("kubectl egress verify {flags}"),
        LockdownEnd::RolledBack | LockdownEnd::Refused => {
            match all_findings(document).min_by_key(|finding| finding.severity) {
                Some(finding) => format!("kubectl egress explain {}", finding.code),
                None => format!("kubectl egress verify {flags}"),
            }
        }
    }
}

fn all_findings(document: &Lockdown) -> impl Iterator<Item = &Finding> {
    let of_probes = document.after.iter().flat_map(|result| &result.findings);
    document.findings.iter().chain(of_probes)
}

fn end(document: &Lockdown, style: &Style) -> String {
    let (mark, tone, what) = match document.end {
        LockdownEnd::Locked => (Mark::Good, Tone::Good, "locked, and proven"),
        LockdownEnd::Unchanged => (
            Mark::Good,
            Tone::Good,
            "locked already, just so; nothing was changed",
        ),
        LockdownEnd::RolledBack => (Mark::Bad, Tone::Bad, "rolled back: everything is as before"),
        LockdownEnd::Refused => (Mark::Bad, Tone::Bad, "not locked: nothing is changed"),
    };
    let lock = format!(
        "namespace {}, NetworkPolicy {}",
        document.namespace, document.lock
    );
    format!(
        "{} {}\n{}",
        style.mark(mark),
        style.color_only(tone, what),
        style.wrap_item(&lock, 4)
    )
}
