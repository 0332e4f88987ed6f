//! JUnit's XML, as CI systems read it, within what Jenkins' own schema (junit-10.xsd) allows.
//!
//! Something fails here exactly if the command fails: a warning is a note in a test that passed.

use super::probes::{expectation, probe_mark};
use crate::engine::check::{Findings, Placed};
use crate::evidence::{AttemptResult, Expected, ProbeResult, Verification};
use crate::finding::{Finding, Severity};
use crate::report::style::Mark;
use crate::vocabulary::{AttemptOutcome, Claim, ClaimState};
use std::fmt::Write;

/// A group of test cases.
struct Suite {
    name: String,
    cases: Vec<Case>,
    /// What could not be looked at.
    notes: Vec<String>,
}

/// One test.
struct Case {
    class: String,
    name: String,
    milliseconds: Option<u64>,
    end: End,
    /// What is worth knowing besides, line by line.
    notes: Vec<String>,
}

/// How a test ended.
enum End {
    Passed,
    Skipped(String),
    /// It is shown not to hold: type and message.
    Failed(String, String),
    /// Nothing is shown.
    Undecided(String, String),
}

/// What `check` found: one test for each finding, failed where it is an error. Without findings there is one test that
/// passed, so that a report is never empty.
pub fn junit(findings: &Findings, name: &str) -> String {
    let mut cases: Vec<Case> = findings.findings.iter().map(of_finding).collect();
    if cases.is_empty() {
        cases.push(Case {
            class: "check".to_owned(),
            name: format!("no findings in {} objects", findings.objects),
            milliseconds: None,
            end: End::Passed,
            notes: Vec::new(),
        });
    }
    document(&[Suite {
        name: format!("kubectl egress check: {name}"),
        cases,
        notes: findings.unread.clone(),
    }])
}

/// What `verify` showed: a suite of the claims, one of the probes, and one of the attempts where they were made.
pub fn verification_junit(verification: &Verification) -> String {
    let claims = &verification.claims;
    let suite = |what: &str, cases: Vec<Case>| Suite {
        name: format!(
            "kubectl egress verify: {what} (namespace {}, plan {})",
            verification.namespace, verification.plan
        ),
        cases,
        notes: Vec::new(),
    };
    let mut of_claims = vec![
        of_claim(Claim::Routed, claims.routed),
        of_claim(Claim::Enforced, claims.enforced),
    ];
    of_claims[1].notes.extend(verification.findings.iter().map(line));
    let probes = verification.probes.iter();
    let of_probes = probes.map(|probe| of_probe(probe, [claims.routed, claims.enforced]));
    let mut suites = vec![suite("claims", of_claims), suite("probes", of_probes.collect())];
    if let Some(rows) = &verification.bypass {
        let rows = rows.iter().map(|row| of_attempt(row, claims.enforced));
        suites.push(suite("attempts to get out", rows.collect()));
    }
    document(&suites)
}

fn of_finding(placed: &Placed) -> Case {
    let finding = &placed.finding;
    let mut notes = placed.places.clone();
    notes.push(format!("fix: {}", finding.fix));
    let end = match finding.severity {
        Severity::Error => End::Failed(finding.code.clone(), finding.message.clone()),
        // Warnings do not fail `check`, and must not fail CI.
        Severity::Warning | Severity::Info => {
            notes.insert(0, format!("{}: {}", finding.severity, finding.message));
            End::Passed
        }
    };
    Case {
        class: finding.code.clone(),
        name: finding.objects.join(", "),
        milliseconds: None,
        end,
        notes,
    }
}

fn of_claim(claim: Claim, state: ClaimState) -> Case {
    let message = format!("the claim `{claim}` is {state}");
    Case {
        class: "claim".to_owned(),
        name: claim.to_string(),
        milliseconds: None,
        end: match state {
            ClaimState::Proven => End::Passed,
            ClaimState::NotRequired => End::Skipped(message),
            ClaimState::Disproven => End::Failed(state.to_string(), message),
            ClaimState::Inconclusive => End::Undecided(state.to_string(), message),
        },
        notes: Vec::new(),
    }
}

/// A probe counts as far as the claim does that it belongs to.
fn of_probe(probe: &ProbeResult, [routed, enforced]: [ClaimState; 2]) -> Case {
    let counts = match probe.expected {
        Expected::Routed => matches!(routed, ClaimState::Disproven | ClaimState::Inconclusive),
        Expected::NotReachable => matches!(enforced, ClaimState::Disproven | ClaimState::Inconclusive),
        Expected::Reachable | Expected::Nothing => false,
    };
    let expected = expectation(probe.expected).unwrap_or("nothing");
    let message = format!("{}, expected: {expected}", probe.outcome);
    let (kind, mark) = (probe.outcome.to_string(), probe_mark(probe));
    let mut notes = vec![message.clone()];
    notes.extend(probe.curl.iter().map(|curl| format!("curl: {}", curl.sentence())));
    for hop in &probe.hops {
        let state = hop.failed.clone().unwrap_or_else(|| hop.encryption.to_string());
        notes.push(format!("{} to {}: {state}", hop.from, hop.to));
    }
    notes.extend(probe.findings.iter().map(line));
    Case {
        class: "probe".to_owned(),
        name: format!(
            "{}://{}:{} from {}",
            probe.scheme, probe.host, probe.port, probe.source
        ),
        milliseconds: probe.curl.as_ref().map(|curl| curl.time_total_ms),
        end: match mark {
            Mark::Bad | Mark::Warning if counts => End::Failed(kind, message),
            Mark::Open if counts => End::Undecided(kind, message),
            _ => End::Passed,
        },
        notes,
    }
}

fn of_attempt(row: &AttemptResult, enforced: ClaimState) -> Case {
    let end = match row.outcome {
        AttemptOutcome::NotTried | AttemptOutcome::OpenByDesign => {
            End::Skipped(format!("{}: {}", row.outcome, row.why))
        }
        AttemptOutcome::Out if enforced == ClaimState::Disproven => End::Failed(
            row.outcome.to_string(),
            format!("{} got out: {}", row.title, row.why),
        ),
        _ => End::Passed,
    };
    Case {
        class: "attempt".to_owned(),
        name: row.attempt.clone(),
        milliseconds: None,
        end,
        notes: vec![
            format!("{}: {}", row.outcome, row.why),
            format!("closed by: {}", row.closed_by),
        ],
    }
}

fn line(finding: &Finding) -> String {
    format!(
        "{}: {} {}; fix: {}",
        finding.severity, finding.code, finding.message, finding.fix
    )
}

fn document(suites: &[Suite]) -> String {
    let of_all = |wanted: fn(&End) -> bool| suites.iter().map(|suite| suite.count(wanted)).sum::<usize>();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"{}\" failures=\"{}\" errors=\"{}\">\n",
        of_all(|_| true),
        of_all(End::is_failed),
        of_all(End::is_undecided),
    );
    for suite in suites {
        suite.write(&mut text);
    }
    text.push_str("</testsuites>\n");
    text
}

impl End {
    fn is_failed(&self) -> bool {
        matches!(self, Self::Failed(..))
    }

    fn is_undecided(&self) -> bool {
        matches!(self, Self::Undecided(..))
    }

    fn is_skipped(&self) -> bool {
        matches!(self, Self::Skipped(_))
    }
}

impl Suite {
    fn count(&self, wanted: fn(&End) -> bool) -> usize {
        self.cases.iter().filter(|case| wanted(&case.end)).count()
    }

    fn write(&self, text: &mut String) {
        let _ = writeln!(
            text,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">",
            escaped(&self.name),
            self.cases.len(),
            self.count(End::is_failed),
            self.count(End::is_undecided),
            self.count(End::is_skipped),
        );
        for case in &self.cases {
            case.write(text);
        }
        for note in &self.notes {
            let _ = writeln!(text, "    <system-err>{}</system-err>", escaped(note));
        }
        text.push_str("  </testsuite>\n");
    }
}

impl Case {
    fn write(&self, text: &mut String) {
        let time = self.milliseconds.map_or_else(String::new, |all| {
            format!(" time=\"{}.{:03}\"", all / 1000, all % 1000)
        });
        let (class, name) = (escaped(&self.class), escaped(&self.name));
        let _ = writeln!(text, "    <testcase classname=\"{class}\" name=\"{name}\"{time}>");
        let notes = escaped(&self.notes.join("\n"));
        let _ = match &self.end {
            End::Passed if notes.is_empty() => Ok(()),
            End::Passed => writeln!(text, "      <system-out>{notes}</system-out>"),
            End::Skipped(why) => writeln!(text, "      <skipped message=\"{}\"/>", escaped(why)),
            End::Failed(kind, message) => write_end(text, "failure", kind, message, &notes),
            End::Undecided(kind, message) => write_end(text, "error", kind, message, &notes),
        };
        text.push_str("    </testcase>\n");
    }
}

fn write_end(text: &mut String, element: &str, kind: &str, message: &str, notes: &str) -> std::fmt::Result {
    let (kind, message) = (escaped(kind), escaped(message));
    writeln!(
        text,
        "      <{element} type=\"{kind}\" message=\"{message}\">{notes}</{element}>"
    )
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
        assert!(text.contains("dir/a.yaml:12&#10;fix: "), "{text}");
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
