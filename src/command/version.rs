//! `version`: build facts; with `--schema` the JSON Schema of a document.

use crate::cli::Version;
use crate::engine::check::Findings;
use crate::engine::learn::Learned;
use crate::engine::lockdown::Lockdown;
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
        Some(name) => {
            let schema = schema(name).ok_or_else(|| {
                Error::usage(format!("there is no schema `{name}`"))
                    .hint("there are: verification, lockdown, learned, findings")
            })?;
            let text =
                serde_json::to_string_pretty(&schema).map_err(|error| Error::bug(error.to_string()))?;
            printer.document(&schema, |_| format!("{text}\n"))?;
        }
    }
    Ok(ExitCode::Success)
}

/// By the kind of the document.
fn schema(name: &str) -> Option<schemars::Schema> {
    match name.to_ascii_lowercase().as_str() {
        "verification" => Some(Verification::schema()),
        "lockdown" => Some(Lockdown::schema()),
        "findings" => Some(Findings::schema()),
        "learned" => Some(Learned::schema()),
        _ => None,
    }
}
