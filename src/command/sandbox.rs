//! `sandbox`: serves the embedded cluster.

use crate::cli::SandboxServer;
use crate::error::{Error, Result};
use crate::report::Printer;
use crate::vocabulary::ExitCode;

/// Serves it until Ctrl-C.
pub(super) async fn sandbox(_settings: SandboxServer, _printer: &Printer) -> Result<ExitCode> {
    Err(Error::usage("waiting for the sandbox"))
}
