//! `report`: verifies and makes one page of everything; or a support archive.

use super::connection::{connect, or_interrupted};
use super::output_file::OutputFile;
use super::verify;
use crate::cli::{self, Connection};
use crate::engine::bundle;
use crate::engine::report_document::ReportDocument;
use crate::error::{Error, Result};
use crate::report::{Printer, view};
use crate::vocabulary::{ExitCode, OutputFormat};
use std::path::Path;

/// Writes what was asked for; without a file and a form, says what it would write.
pub(super) async fn report(
    connection: &Connection,
    settings: cli::Report,
    printer: &Printer,
) -> Result<ExitCode> {
    if let Some(path) = &settings.bundle {
        return archive(connection, &settings, path, printer).await;
    }
    let output = printer.settings().output;
    let Some(path) = &settings.write else {
        if output == OutputFormat::Text {
            return Ok(offer(printer));
        }
        let (document, code) = verify::report_document(connection, settings.verify, printer).await?;
        print(&document, printer)?;
        return Ok(code);
    };
    let file = OutputFile::new(path, settings.force)?;
    let (document, code) = verify::report_document(connection, settings.verify, printer).await?;
    let content = match output {
        OutputFormat::Json => serde_json::to_string_pretty(&document)
            .map_err(|error| Error::bug("cannot write the report").because(error.to_string()))?,
        _ => view::page(&document)?,
    };
    file.write(content.as_bytes())?;
    let name = path.display();
    printer.note(&format!("{name} is written: {}", document.verification.verdict));
    printer.next(&view::next_after_verification(&document.verification));
    Ok(code)
}

/// The report on standard output.
pub(super) fn print(document: &ReportDocument, printer: &Printer) -> Result<()> {
    if printer.settings().output == OutputFormat::Html {
        printer.data(&view::page(document)?);
        return Ok(());
    }
    printer.document(document, |_| String::new())
}

fn offer(printer: &Printer) -> ExitCode {
    printer.data(
        "A report verifies the plan and puts into one page: the verdict, the addresses that a firewall sees, the way of
every probe with its receipts, the ways round the gateway (--bypass), certificates, manifests and findings.
Nothing is written without a file:

  kubectl egress report --write egress.html            the page
  kubectl egress report -o html | -o json              the page, or its data, on standard output
  kubectl egress report --bundle egress-support.tar.gz a support archive without secrets; sends no probe
",
    );
    printer.next("kubectl egress report --write egress.html");
    ExitCode::Success
}

async fn archive(
    connection: &Connection,
    settings: &cli::Report,
    path: &Path,
    printer: &Printer,
) -> Result<ExitCode> {
    let file = OutputFile::new(path, settings.force)?;
    let connected = connect(connection, &settings.verify.plan, printer).await?;
    let gathering = bundle::of_plan(&connected.cluster, &connected.plan, &connected.namespace);
    let bundle = or_interrupted(gathering, &connected.plan).await?;
    file.write(&bundle.archive()?)?;
    let document = bundle.contents();
    printer.document(&document, |_| {
        format!(
            "{}: {} files, {} values removed; MANIFEST.txt in it lists both\n",
            path.display(),
            document.files.len(),
            document.removed.len()
        )
    })?;
    printer.next(&format!("tar -tzf {}", path.display()));
    Ok(ExitCode::Success)
}
