//! command

use crate::cli::Invocation;
use crate::error::{Error, Result};
use crate::report::Printer;
use crate::vocabulary::ExitCode;

/// Does what was asked.
///
/// # Errors
/// Whatever the command says.
#[expect(clippy::unused_async, reason = "commands are async; they are not here yet")]
pub async fn run(_invocation: Invocation, _printer: &Printer) -> Result<ExitCode> {
    Err(Error::bug("this command is not there yet"))
}
