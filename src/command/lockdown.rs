//! `lockdown`: locks a namespace and proves it, or rolls back.

use crate::cli::{self, Connection};
use crate::error::{Error, Result};
use crate::report::Printer;
use crate::vocabulary::ExitCode;

/// Filled in by the engine's lockdown.
#[expect(clippy::unused_async, reason = "the signature that all commands have")]
pub(super) async fn lockdown(
    _connection: &Connection,
    _settings: cli::Lockdown,
    _printer: &Printer,
) -> Result<ExitCode> {
    Err(Error::bug("not there yet"))
}
