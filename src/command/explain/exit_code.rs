//! `explain --exit-code N`: what curl's exit code can and cannot prove.

use crate::cli::{Connection, SourceArgument};
use crate::command::connection::cluster as connect;
use crate::engine::probe::find_source;
use crate::error::{Error, Result};
use crate::evidence::explanation::{SourceKind, exit_code_meaning};
use crate::report::{Printer, view};
use crate::vocabulary::ExitCode;

/// Prints what it means for this source, or for all.
pub(super) async fn explain(
    connection: &Connection,
    code: u8,
    from: Option<&SourceArgument>,
    printer: &Printer,
) -> Result<ExitCode> {
    let from = match from {
        None => None,
        Some(SourceArgument::Meshed) => Some(SourceKind::Meshed),
        Some(SourceArgument::Bare) => Some(SourceKind::Bare),
        Some(SourceArgument::Workload(workload)) => {
            Some(kind_of(connection, &workload.to_string(), printer).await?)
        }
    };
    let meaning =
        exit_code_meaning(code, from).ok_or_else(|| Error::usage(format!("curl has no exit code {code}")))?;
    printer.document(&meaning, |style| view::exit_code(&meaning, style))?;
    printer.next(meaning.next);
    Ok(ExitCode::Success)
}

/// Whether a workload's pod has a sidecar.
async fn kind_of(connection: &Connection, workload: &str, printer: &Printer) -> Result<SourceKind> {
    let cluster = connect(connection, printer).await?;
    let namespace = connection
        .namespace
        .clone()
        .unwrap_or_else(|| cluster.default_namespace().to_owned());
    let source = find_source(&cluster, &namespace, Some(workload), None).await?;
    let (kind, what) = if source.meshed {
        (SourceKind::Meshed, "a sidecar")
    } else {
        (SourceKind::Bare, "no sidecar")
    };
    printer.note(&format!("{} has {what}", source.pod));
    Ok(kind)
}
