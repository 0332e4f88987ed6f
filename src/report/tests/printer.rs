//! Streams, documents, questions.

use super::*;
use crate::error::Error;
use crate::report::printer::is_yes;
use crate::report::streams::{Buffer, Streams};
use crate::report::{Printer, ReportSettings, view};
use crate::vocabulary::{ExitCode, OutputFormat};
use std::io::{ErrorKind, Write};
use std::sync::Arc;

fn printed(output: OutputFormat, value: &Verification) -> String {
    let (printer, captured) = Printer::captured_with(ReportSettings {
        output,
        ..ReportSettings::default()
    });
    printer
        .document(value, |style| view::verification(value, style))
        .unwrap();
    assert_eq!(captured.stderr(), "");
    captured.stdout()
}

#[test]
fn one_document_in_three_forms() {
    let value = document(vec![routed()], Verdict::Proven, ClaimState::Proven);
    assert!(printed(OutputFormat::Text, &value).starts_with("✔ kyma-project.io:443"));
    let json = printed(OutputFormat::Json, &value);
    assert_eq!(serde_json::from_str::<Verification>(&json).unwrap(), value);
    assert!(json.ends_with("}\n"));
    let yaml = printed(OutputFormat::Yaml, &value);
    assert!(yaml.starts_with("apiVersion:") && yaml.ends_with('\n'), "{yaml}");
    assert_eq!(serde_saphyr::from_str::<Verification>(&yaml).unwrap(), value);
}

#[test]
fn hostile_texts_survive_documents_without_harm() {
    let mut value = document(vec![routed()], Verdict::Proven, ClaimState::Proven);
    value.probes[0].hops[0].receipts[0].text = HOSTILE.into();
    for format in [OutputFormat::Json, OutputFormat::Yaml] {
        let text = printed(format, &value);
        is_harmless(&text);
        assert_eq!(
            serde_saphyr::from_str::<Verification>(&text).unwrap(),
            value,
            "{text}"
        );
    }
}

#[test]
fn records_are_one_line_of_json_each() {
    let (printer, captured) = Printer::captured_with(ReportSettings {
        output: OutputFormat::Json,
        ..ReportSettings::default()
    });
    printer.record(&["a\nb"], |_| String::new()).unwrap();
    printer.record(&["c"], |_| String::new()).unwrap();
    assert_eq!(captured.stdout(), "[\"a\\nb\"]\n[\"c\"]\n");
}

#[test]
fn next_and_notes_go_to_standard_error_and_hush_when_quiet() {
    let (printer, captured) = Printer::captured();
    printer.note("a");
    printer.note("a");
    printer.warning("b");
    printer.next("kubectl egress verify -n demo");
    assert_eq!(
        captured.stderr(),
        "note: a\nwarning: b\nnext: kubectl egress verify -n demo\n"
    );
    let (printer, captured) = Printer::captured_with(ReportSettings {
        quiet: true,
        ..ReportSettings::default()
    });
    printer.note("a");
    printer.warning("b");
    printer.next("c");
    assert_eq!(captured.stderr(), "warning: b\n");
    assert_eq!(captured.stdout(), "");
}

#[tokio::test]
async fn consent_needs_a_terminal_or_the_flag() {
    let (printer, _) = Printer::captured();
    let error = printer.confirm("Create an egress gateway?").await.unwrap_err();
    assert_eq!(error.code(), ExitCode::Consent);
    assert!(error.message().contains("Create an egress gateway?"));
    assert!(error.hints()[0].contains("--yes"));
    let (printer, captured) = Printer::captured_with(ReportSettings {
        assume_yes: true,
        ..ReportSettings::default()
    });
    assert!(printer.confirm("Create an egress gateway?").await.unwrap());
    assert!(
        captured
            .stderr()
            .contains("Create an egress gateway? yes (--yes)")
    );
}

#[test]
fn everything_but_yes_is_no() {
    assert!(["y\n", "Y", " yes \r\n", "YES"].into_iter().all(is_yes));
    assert!(!["", "\n", "n", "yeah", "yes please"].into_iter().any(is_yes));
}

struct Failing(ErrorKind);

impl Write for Failing {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn after_failing(kind: ErrorKind) -> (bool, Result<(), Error>) {
    let streams = Arc::new(Streams::new(Box::new(Failing(kind)), Box::new(Buffer::default())));
    let printer = Printer::over(ReportSettings::default(), streams, 80);
    assert!(!printer.output_is_closed());
    printer.data("x");
    printer.data("y");
    (printer.output_is_closed(), printer.finish())
}

#[test]
fn a_reader_that_leaves_is_no_failure_and_a_full_disk_is() {
    assert_eq!(after_failing(ErrorKind::BrokenPipe), (true, Ok(())));
    let (closed, result) = after_failing(ErrorKind::StorageFull);
    assert!(closed);
    let error = result.unwrap_err();
    assert_eq!(error.code(), ExitCode::Inconclusive);
    assert!(error.message().contains("standard output"));
}
