//! What is wrong, or worth knowing, with what to do about it.

use super::state::{badge, class, of_severity};
use super::words::words;
use crate::engine::report_document::ReportDocument;
use crate::finding::{Finding, article};
use maud::{Markup, html};

/// Findings of the probes, of the claims and of `check`, each once, by code, errors first.
pub(super) fn section(document: &ReportDocument) -> Markup {
    let groups = groups(document);
    html! {
        section id="findings" aria-labelledby="findings-title" {
            h2 id="findings-title" { "Findings" }
            @if groups.is_empty() {
                p { "Nothing was found, neither by the probes nor by " code { "kubectl egress check" } "." }
            } @else {
                ul.findings { @for group in &groups { (card(group)) } }
            }
            @if !document.not_read.is_empty() {
                h3 { "What could not be read" }
                ul { @for sentence in &document.not_read { li { (words(sentence)) } } }
            }
        }
    }
}

/// Findings of one code and severity. There is at least one.
fn groups(document: &ReportDocument) -> Vec<Vec<&Finding>> {
    let of_probes = document
        .verification
        .probes
        .iter()
        .flat_map(|probe| &probe.findings);
    let of_check = document.check.iter().flat_map(|check| &check.findings);
    let found = of_probes
        .chain(&document.verification.findings)
        .chain(of_check.map(|placed| &placed.finding));
    let mut all: Vec<&Finding> = Vec::new();
    for finding in found {
        if !all.contains(&finding) {
            all.push(finding);
        }
    }
    all.sort_by_key(|finding| (finding.severity, &finding.code));
    all.chunk_by(|left, right| (left.severity, &left.code) == (right.severity, &right.code))
        .map(<[&Finding]>::to_vec)
        .collect()
}

fn card(group: &[&Finding]) -> Markup {
    let Some(first) = group.first() else {
        return html! {};
    };
    let mark = of_severity(first.severity);
    let mut fixes: Vec<&str> = group.iter().map(|finding| finding.fix.as_str()).collect();
    fixes.dedup();
    html! {
        li class=(class(mark)) {
            h3 {
                (badge(mark, &first.severity.to_string())) " " code { (first.code) }
                @if let Some(article) = article(&first.code) { span { (article.title) } }
            }
            @if group.len() == 1 { p { (message(first)) } }
            @else { ul { @for finding in group { li { (message(finding)) } } } }
            @for fix in fixes { p.fix { strong { "Fix: " } (words(fix)) } }
            p.quiet { "Explained by " code { "kubectl egress explain " (first.code) } }
        }
    }
}

fn message(finding: &Finding) -> Markup {
    let objects: Vec<&str> = finding
        .objects
        .iter()
        .map(String::as_str)
        .filter(|object| !finding.message.contains(object))
        .collect();
    html! {
        (words(&finding.message))
        @if !objects.is_empty() { span.quiet { " (" (objects.join(", ")) ")" } }
    }
}

/// The findings of one probe in short; the fix is in their section.
pub(super) fn of_probe(findings: &[Finding]) -> Markup {
    html! {
        @if !findings.is_empty() {
            ul.plain.notes { @for finding in findings {
                li {
                    (badge(of_severity(finding.severity), &finding.severity.to_string())) " "
                    code { (finding.code) } " " (words(&finding.message))
                }
            } }
        }
    }
}
