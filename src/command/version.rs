//! `version`: build facts; with `--schema` the JSON Schema of a document.

use crate::cli::Version;
use crate::error::{Error, Result};
use crate::evidence::Verification;
use crate::report::Printer;
use crate::vocabulary::{ExitCode, names};
use serde_json::json;

/// Prints it.
pub(super) fn version(settings: &Version, printer: &Printer) -> Result<ExitCode> {
    match settings.schema.as_deref() {
        None => {
            let document = json!({"version": env!("CARGO_PKG_VERSION"), "apiVersion": names::API_VERSION, "sourceImage": names::SOURCE_IMAGE});
            printer.document(&document, |_| {
                format!("kubectl-egress {}\n", env!("CARGO_PKG_VERSION"))
            })?;
        }
        Some(name) if name.eq_ignore_ascii_case("verification") => {
            let schema = Verification::schema();
            let text =
                serde_json::to_string_pretty(&schema).map_err(|error| Error::bug(error.to_string()))?;
            printer.document(&schema, |_| format!("{text}\n"))?;
        }
        Some(other) => {
            return Err(Error::usage(format!("there is no schema `{other}`")).hint("there is: verification"));
        }
    }
    Ok(ExitCode::Success)
}
