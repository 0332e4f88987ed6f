//! Findings, and the articles behind their codes.

use crate::finding::{Article, Finding, Severity, catalogue};
use crate::report::escape;
use crate::report::style::{Style, Tone};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// One finding: what is wrong, where, and what to do.
pub fn finding(finding: &Finding, style: &Style) -> String {
    let mut text = headline(finding, 0, style);
    if !finding.objects.is_empty() {
        let _ = writeln!(text, "{}", style.wrap(&finding.objects.join(", "), 4));
    }
    let _ = writeln!(text, "{}", style.wrap_item(&format!("fix: {}", finding.fix), 4));
    text
}

/// Severity, code and message behind an indent.
pub(super) fn headline(finding: &Finding, indent: usize, style: &Style) -> String {
    let tone = match finding.severity {
        Severity::Error => Tone::Bad,
        Severity::Warning => Tone::Warning,
        Severity::Info => Tone::Quiet,
    };
    let plain = format!("{}: {} {}", finding.severity, finding.code, finding.message);
    let wrapped = style.wrap_item(&plain, indent);
    let severity = finding.severity.to_string();
    wrapped.replacen(&severity, &style.color_only(tone, &severity), 1) + "\n"
}

/// What to do about many findings, each fix once, behind the codes that it mends.
fn fixes<'a>(findings: impl IntoIterator<Item = &'a Finding>, style: &Style) -> String {
    let mut by_fix: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for finding in findings {
        by_fix.entry(&finding.fix).or_default().insert(&finding.code);
    }
    let mut items: Vec<(Vec<&str>, &str)> = by_fix
        .into_iter()
        .map(|(fix, codes)| (codes.into_iter().collect(), fix))
        .collect();
    items.sort();
    let mut text = String::new();
    for (codes, fix) in items {
        let _ = writeln!(
            text,
            "{}",
            style.wrap_item(&format!("{}: {fix}", codes.join(", ")), 2)
        );
    }
    text
}

/// The fixes under a headline of their own; nothing if there is nothing to do.
pub fn what_to_do<'a>(findings: impl IntoIterator<Item = &'a Finding>, style: &Style) -> String {
    let fixes = fixes(findings, style);
    if fixes.is_empty() {
        return fixes;
    }
    format!("\n{}\n{fixes}", style.color_only(Tone::Strong, "What to do"))
}

/// The article of a code, as `explain` prints it.
pub fn article(article: &Article, style: &Style) -> String {
    let title = format!("{} ({}): {}", article.code, article.severity, article.title);
    let mut text = format!("{}\n", style.paint(Tone::Strong, &title));
    let mut section = |heading: &str, body: String| {
        let _ = write!(text, "\n{}\n{body}\n", style.color_only(Tone::Strong, heading));
    };
    let guide = article.guide();
    if let Some(guide) = guide {
        section("How it shows", style.wrap(&escape::visible(guide.symptom), 2));
    }
    section("Why it happens", style.wrap(&escape::visible(article.cause), 2));
    if let Some(guide) = guide {
        // Commands stay whole, to be copied.
        let lines: Vec<String> = guide
            .by_hand
            .iter()
            .map(|command| format!("  {}", style.paint(Tone::Literal, command)))
            .collect();
        section("How to see it by hand", lines.join("\n"));
    }
    section("What to do", style.wrap(&escape::visible(article.fix), 2));
    if let Some(guide) = guide {
        let lines: Vec<String> = guide
            .references
            .iter()
            .map(|name| style.wrap_item(name, 2))
            .collect();
        section("References", lines.join("\n"));
    }
    text
}

/// Every code with its title, as `explain` alone prints them.
pub fn articles(style: &Style) -> String {
    let mut text = String::new();
    for article in catalogue::all() {
        let code = style.color_only(Tone::Strong, article.code);
        let _ = writeln!(text, "{code}  {:7}  {}", article.severity, article.title);
    }
    text
}
