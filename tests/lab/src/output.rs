//! The only place that prints: data on stdout, everything else on stderr.
#![expect(clippy::print_stderr, reason = "the one module of the lab that prints")]

use std::io::Write;
use std::time::Duration;

/// Prints a line of data on stdout.
pub(crate) fn data(line: &str) {
    // A reader that has seen enough, as in `… | head`, is no fault of ours.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints what is being done on stderr.
pub(crate) fn note(line: &str) {
    eprintln!("lab: {line}");
}

/// Prints an error with its causes, and a hint where there is one.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  caused by: {cause}");
    }
}

/// Prints how long a part took.
pub(crate) fn took(part: &str, duration: Duration) {
    note(&format!("{part}: {:.1} s", duration.as_secs_f64()));
}
