//! The text of `lockdown`.

use super::{findings, probes, verification};
use crate::engine::lockdown::{Lockdown, LockdownEnd};
use crate::finding::Finding;
use crate::report::style::{Mark, Style, Tone};
use crate::vocabulary::Claim;
use std::fmt::Write;

/// What the lock lets through, the probes under it, what to do about findings, the claims, and how it ended last.
pub fn lockdown(document: &Lockdown, style: &Style) -> String {
    let mut text = allows(&document.allows, style);
    if let Some(simulation) = &document.simulation {
        let _ = write!(text, "\n{}", super::simulation(simulation, style));
    }
    for (title, results) in [("Before", &document.before), ("Under the lock", &document.after)] {
        // What was found before matters to those who look closely, or if it did not come to the lock.
        let shown = title != "Before" || style.verbosity > 0 || document.after.is_empty();
        if results.is_empty() || !shown {
            continue;
        }
        let _ = writeln!(text, "\n{}", style.color_only(Tone::Strong, title));
        for result in results {
            let _ = writeln!(text, "{}", probes::probe_line(result, style));
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

fn allows(lines: &[String], style: &Style) -> String {
    let mut text = format!("{}\n", style.color_only(Tone::Strong, "The lock lets through"));
    for line in lines {
        let _ = writeln!(text, "  {}", style.paint(Tone::Plain, line));
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
    let lock = style.paint(
        Tone::Plain,
        &format!(
            "namespace {}, NetworkPolicy {}",
            document.namespace, document.lock
        ),
    );
    format!("{} {} ({lock})", style.mark(mark), style.color_only(tone, what))
}
