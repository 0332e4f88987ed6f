//! `explain`: a finding, a line of a log or a whole log, curl's exit code.

mod article;
mod exit_code;
mod host;
mod live;
mod log;

pub(super) use log::{LineExplanation, LogExplanation};

use crate::cli::{Connection, Explain, ExplainTarget};
use crate::error::Result;
use crate::report::Printer;
use crate::vocabulary::ExitCode;

/// Explains what was given; nothing given lists the findings.
pub(super) async fn explain(
    connection: &Connection,
    settings: Explain,
    printer: &Printer,
) -> Result<ExitCode> {
    if let Some(code) = settings.exit_code {
        return exit_code::explain(connection, code, settings.from.as_ref(), printer).await;
    }
    if settings.log.is_some() {
        return log::explain(connection, &settings, printer).await;
    }
    match &settings.target {
        Some(ExplainTarget::Host { target, port_named }) => {
            host::explain(connection, &settings, target, *port_named, printer).await
        }
        Some(ExplainTarget::Code(code)) => article::explain(code, printer),
        None => article::list(printer),
    }
}
