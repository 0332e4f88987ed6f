//! `unlock`: takes the lock of a namespace away.

use crate::cli::{self, Connection};
use crate::error::{Error, Result};
use crate::report::Printer;
use crate::vocabulary::ExitCode;

/// Filled in by the engine's lockdown.
#[expect(clippy::unused_async, reason = "the signature that all commands have")]
pub(super) async fn unlock(
    _connection: &Connection,
    _settings: cli::Unlock,
    _printer: &Printer,
) -> Result<ExitCode> {
    Err(Error::bug("not there yet"))
}
