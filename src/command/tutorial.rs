//! `tutorial`: the whole story, told step by step.

use crate::cli::{Connection, Tutorial};
use crate::error::{Error, Result};
use crate::report::Printer;
use crate::vocabulary::ExitCode;

/// Tells it.
pub(super) async fn tutorial(
    _connection: &Connection,
    _settings: Tutorial,
    _printer: &Printer,
) -> Result<ExitCode> {
    Err(Error::usage("waiting for the sandbox"))
}
