//! The only place that prints: data on stdout, everything else on stderr.
#![expect(
    clippy::print_stderr,
    reason = "the one module of the measurements that prints"
)]

use std::io::Write;

/// Prints a line of data on stdout.
pub(crate) fn data(line: &str) {
    // A reader that has seen enough, as in `… | head`, is no fault of ours.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints what is being done on stderr.
pub(crate) fn note(line: &str) {
    eprintln!("measure: {line}");
}

/// Prints an error with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
