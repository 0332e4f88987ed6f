//! JUnit's XML, as CI systems read it: one test case for each finding, failed where it is an error.
//!
//! Written by hand: it is four elements, and a library for it brings a dozen crates.

use crate::engine::check::{Findings, Placed};
use crate::finding::Severity;
use std::fmt::Write;

/// The whole document. Without findings there is one case that passed, so that a report is never empty.
pub fn junit(findings: &Findings, name: &str) -> String {
    let is_error = |placed: &&Placed| placed.finding.severity == Severity::Error;
    let failures = findings.findings.iter().filter(is_error).count();
    let tests = findings.findings.len().max(1);
    let name = escaped(&format!("kubectl egress check: {name}"));
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"{tests}\" failures=\"{failures}\">\n  \
         <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\">\n"
    );
    if findings.findings.is_empty() {
        let _ = writeln!(
            text,
            "    <testcase classname=\"check\" name=\"no findings in {} objects\"/>",
            findings.objects
        );
    }
    for placed in &findings.findings {
        case(&mut text, placed);
    }
    for sentence in &findings.unread {
        let _ = writeln!(text, "    <system-err>{}</system-err>", escaped(sentence));
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

fn case(text: &mut String, placed: &Placed) {
    let finding = &placed.finding;
    let (class, name) = (escaped(&finding.code), escaped(&finding.objects.join(", ")));
    let place = placed.places.first().and_then(|place| place.rsplit_once(':'));
    let file = place.map_or_else(String::new, |(file, line)| {
        format!(" file=\"{}\" line=\"{}\"", escaped(file), escaped(line))
    });
    let _ = writeln!(text, "    <testcase classname=\"{class}\" name=\"{name}\"{file}>");
    let message = escaped(&finding.message);
    let more = escaped(&format!("{}\nfix: {}", placed.places.join("\n"), finding.fix));
    let _ = match finding.severity {
        Severity::Error => writeln!(
            text,
            "      <failure type=\"{class}\" message=\"{message}\">{more}</failure>"
        ),
        // Warnings do not fail `check`, and must not fail CI.
        Severity::Warning | Severity::Info => {
            writeln!(
                text,
                "      <system-out>{}: {message} {more}</system-out>",
                finding.severity
            )
        }
    };
    text.push_str("    </testcase>\n");
}

/// Text as XML 1.0 takes it in elements and attributes; characters that it has no way to write become `?`.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            character if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => {
                escaped.push('?');
            }
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Finding, catalogue};

    fn document(findings: Vec<Placed>) -> Findings {
        Findings {
            api_version: String::new(),
            kind: String::new(),
            findings,
            unread: Vec::new(),
            objects: 3,
            suppressed: std::collections::BTreeMap::new(),
        }
    }

    #[test]
    fn an_error_is_a_failure_with_its_place_and_a_warning_is_none() {
        let error = Finding::new(&catalogue::GATEWAY_NOT_THERE, "no <Gateway> \"a\" & b\u{1b}")
            .about("VirtualService a/b");
        let warning = Finding::new(&catalogue::PORT_LEFT_OPEN, "open");
        let placed = vec![
            Placed {
                finding: error,
                places: vec!["dir/a.yaml:12".to_owned()],
            },
            Placed {
                finding: warning,
                places: Vec::new(),
            },
        ];
        let text = junit(&document(placed), "files");
        assert!(text.contains("tests=\"2\" failures=\"1\""), "{text}");
        assert!(text.contains("file=\"dir/a.yaml\" line=\"12\""), "{text}");
        assert!(
            text.contains("message=\"no &lt;Gateway&gt; &quot;a&quot; &amp; b?\""),
            "{text}"
        );
        assert_eq!(text.matches("<failure").count(), 1, "{text}");
    }

    #[test]
    fn nothing_found_is_a_test_that_passed() {
        let text = junit(&document(Vec::new()), "files");
        assert!(
            text.contains("tests=\"1\" failures=\"0\"") && text.contains("no findings in 3 objects"),
            "{text}"
        );
    }
}
