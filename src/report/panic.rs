//! Panics: a bug of ours, told in one short error instead of a Rust trace.

use crate::error::Error;
use std::sync::OnceLock;

static FIRST: OnceLock<String> = OnceLock::new();

/// Keeps what the first panic of any thread said, and where, instead of printing it. To be called once, early.
pub fn record_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |place| {
            format!("{}:{}: ", place.file(), place.line())
        });
        let message = panic.payload();
        let message = message
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| message.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        let _ = FIRST.set(format!("{place}{message}"));
    }));
}

/// The error for it, if there was a panic.
pub fn panic_error() -> Option<Error> {
    FIRST.get().map(|what| {
        Error::bug("kubectl-egress stopped because of a bug of its own")
            .because(what.as_str())
            .hint(
                "please report it, with this text, the command line and the output of kubectl egress version",
            )
            .hint("what was changed so far is recorded: kubectl egress cleanup undoes it")
    })
}
