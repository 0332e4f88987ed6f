//! What `check` found, for people.

use crate::engine::check::Findings;
use crate::finding::Severity;
use crate::report::escape;
use crate::report::style::{Mark, Style, Tone};
use std::fmt::Write;

/// All findings, and a last line with their number.
pub fn checked(findings: &Findings, style: &Style) -> String {
    let mut text = String::new();
    for placed in &findings.findings {
        text.push_str(&super::findings::finding(&placed.finding, style));
        if !placed.places.is_empty() {
            let places = format!("at {}", placed.places.join(", "));
            let _ = writeln!(text, "{}", style.wrap_item(&escape::visible(&places), 4));
        }
        text.push('\n');
    }
    let count = |severity| {
        let of = findings
            .findings
            .iter()
            .filter(|placed| placed.finding.severity == severity);
        of.count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let mark = match (errors, warnings) {
        (0, 0) => Mark::Good,
        (0, _) => Mark::Warning,
        _ => Mark::Bad,
    };
    let said = if findings.findings.is_empty() {
        "no findings".to_owned()
    } else {
        let infos = count(Severity::Info);
        format!(
            "{}, {}, {}",
            number(errors, "error"),
            number(warnings, "warning"),
            number(infos, "info")
        )
    };
    let objects = number(findings.objects, "object");
    let _ = writeln!(
        text,
        "{} {}",
        style.mark(mark),
        style.paint(Tone::Plain, &format!("{said}; {objects} looked at"))
    );
    for (code, times) in &findings.suppressed {
        let _ = writeln!(
            text,
            "{}",
            style.paint(
                Tone::Quiet,
                &format!("  {code} suppressed, found {}", number(*times, "time"))
            )
        );
    }
    text
}

fn number(count: usize, what: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {what}{ending}")
}
