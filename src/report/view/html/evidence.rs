//! The probes with their ways and receipts, and the attempts to get out without the gateway.

use super::findings;
use super::path_picture::pictures;
use super::state::{badge, of_attempt};
use super::words::words;
use crate::engine::report_document::ReportDocument;
use crate::evidence::{AttemptResult, Expected, ProbeResult};
use crate::report::style::Mark;
use crate::report::view::probes::{expectation, probe_mark, said_by};
use crate::vocabulary::{AttemptOutcome, Hop, Outcome};
use maud::{Markup, html};

/// With more probes than this, the receipts of those that went as expected are folded.
const FEW: usize = 4;

/// Every probe: picture, receipts, findings.
pub(super) fn probes(document: &ReportDocument) -> Markup {
    let few = document.verification.probes.len() <= FEW;
    html! {
        section id="probes" aria-labelledby="probes-title" {
            h2 id="probes-title" { "Probes, their ways and receipts" }
            p.quiet {
                "Lines: thick is mutual TLS, plain is TLS, dashed is plaintext, dotted is not known, crossed is failed. "
                "Each hop counts because somebody saw it: the receipts say who, when and what."
            }
            @for (index, probe) in document.verification.probes.iter().enumerate() { (one(probe, index + 1, few)) }
        }
    }
}

fn one(result: &ProbeResult, number: usize, few: bool) -> Markup {
    let mark = probe_mark(result);
    let open = few || mark != Mark::Good;
    html! {
        article.probe aria-labelledby={ "probe-" (number) } {
            h3 id={ "probe-" (number) } {
                span { (result.host) ":" (result.port) }
                (badge(mark, &outcome(result)))
            }
            p.quiet {
                (result.scheme) " from " (result.source)
                @if !result.meshed { ", without sidecar" }
                @if let Some(expected) = expectation(result.expected) { "; expected: " (expected) }
                @if let Some(curl) = &result.curl { "; " (curl.time_total_ms) " ms" }
            }
            @if !result.hops.is_empty() {
                figure { (pictures(result, number)) figcaption { (caption(result)) } }
                details.receipts open=[open.then_some("")] { summary { (summary(result)) } (hops(result)) }
            } @else { (pictures(result, number)) }
            @if let Some(curl) = &result.curl { p { strong { "curl: " } (curl.sentence()) } }
            (findings::of_probe(&result.findings))
        }
    }
}

fn outcome(result: &ProbeResult) -> String {
    match result.blocked_by {
        Some(by) => format!("{} by {by}", result.outcome),
        None if (result.expected, result.outcome) == (Expected::Routed, Outcome::Direct) => {
            format!("{}, as planned", result.outcome)
        }
        None => result.outcome.to_string(),
    }
}

/// The way in words, under the picture.
fn caption(result: &ProbeResult) -> String {
    let first = result.hops.first().map(|hop| hop.from.to_string());
    let legs = result.hops.iter().map(|hop| match &hop.failed {
        Some(_) => format!("{} not reached", hop.to),
        None => format!("{} by {}", hop.to, hop.encryption),
    });
    first.into_iter().chain(legs).collect::<Vec<_>>().join(", then ")
}

fn summary(result: &ProbeResult) -> String {
    let count = |number: usize, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
    let receipts = result.hops.iter().map(|hop| hop.receipts.len()).sum();
    format!(
        "{} with {}",
        count(result.hops.len(), "hop"),
        count(receipts, "receipt")
    )
}

fn hops(result: &ProbeResult) -> Markup {
    html! {
        table {
            caption { "Hops of the probe to " (result.host) ":" (result.port) ", with who saw them" }
            thead { tr { th scope="col" { "Hop" } th scope="col" { "Protection" } th scope="col" { "Receipts" } } }
            tbody { @for hop in &result.hops { (hop_row(hop)) } }
        }
    }
}

fn hop_row(hop: &Hop) -> Markup {
    html! {
        tr {
            th scope="row" {
                (hop.from) " → " (hop.to)
                @if let Some(pod) = &hop.pod { p.quiet { "by " (pod) } }
            }
            td data-label="Protection" {
                @match &hop.failed {
                    Some(why) => { (badge(Mark::Bad, "failed")) p { (why) } }
                    None => (hop.encryption),
                }
            }
            td data-label="Receipts" {
                @if hop.receipts.is_empty() { span.quiet { "seen by nobody" } }
                @else {
                    ul class="plain receipts" { @for receipt in &hop.receipts {
                        li { (said_by(receipt)) code { (receipt.text) } }
                    } }
                }
            }
        }
    }
}

/// The matrix of attempts, and what no lock closes.
pub(super) fn bypass(document: &ReportDocument) -> Markup {
    html! {
        section id="bypass" aria-labelledby="bypass-title" {
            h2 id="bypass-title" { "Ways round the gateway" }
            @match &document.verification.bypass {
                None => p { "Not tried in this run: " code { "kubectl egress report --bypass" } " tries them from throw-away pods." },
                Some(rows) => (matrix(rows)),
            }
        }
    }
}

fn matrix(rows: &[AttemptResult]) -> Markup {
    let with_before = rows.iter().any(|row| row.before.is_some());
    let tried = rows
        .iter()
        .filter(|row| row.outcome != AttemptOutcome::OpenByDesign);
    let by_design = rows
        .iter()
        .filter(|row| row.outcome == AttemptOutcome::OpenByDesign);
    html! {
        table {
            caption { "Attempts to get out without the gateway" }
            thead { tr {
                th scope="col" { "Attempt" }
                @if with_before { th scope="col" { "Before the lock" } }
                th scope="col" { "Now" } th scope="col" { "Stopped by" } th scope="col" { "What was seen" }
                th scope="col" { "What closes it" }
            } }
            tbody { @for row in tried { (attempt(row, with_before)) } }
        }
        h3 { "Open by design, under any lock" }
        ul { @for row in by_design { li { strong { (row.attempt) } ": " (row.title) ". Closed by: " (row.closed_by) } } }
    }
}

fn attempt(row: &AttemptResult, with_before: bool) -> Markup {
    html! {
        tr {
            th scope="row" { (row.attempt) p.quiet { (row.title) } }
            @if with_before {
                td data-label="Before the lock" {
                    @if let Some(before) = row.before { (before) } @else { span.quiet { "not known" } }
                }
            }
            td data-label="Now" { (badge(of_attempt(row.outcome), &row.outcome.to_string())) }
            td data-label="Stopped by" {
                @match (row.stopped_by, row.outcome) {
                    (Some(by), _) => (by),
                    (None, AttemptOutcome::Out) => "nobody",
                    (None, _) => span.quiet { "–" },
                }
            }
            td data-label="What was seen" {
                (words(&row.why))
                @if let Some(source) = &row.source { p.quiet { "from " (source) } }
            }
            td data-label="What closes it" { (words(&row.closed_by)) }
        }
    }
}
