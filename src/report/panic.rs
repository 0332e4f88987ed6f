//! Panics: a bug of ours, told in one short error instead of a Rust trace, and the end of the process.

use super::Printer;
use crate::error::Error;
use crate::vocabulary::ExitCode;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// Whether one is being told.
static TOLD: AtomicBool = AtomicBool::new(false);
/// Time for telling it: a thread may panic while it holds what is needed to print.
const PATIENCE: Duration = Duration::from_secs(1);

/// From now on a panic of any thread ends the process, told by this printer, with [`ExitCode::Bug`].
///
/// What is shipped does not unwind (`panic = "abort"` in Cargo.toml), so nothing of a command runs after this; what it
/// leaves is what a killed one leaves. The process exits rather than aborts: a core file would hold keys.
pub fn end_on_panic(printer: &Printer) {
    let printer = printer.clone();
    std::panic::set_hook(Box::new(move |panic| {
        if TOLD.swap(true, Ordering::SeqCst) {
            // Whoever was first ends the process.
            loop {
                std::thread::park();
            }
        }
        let error = error_of(panic);
        let (told, waiting) = mpsc::channel();
        let printer = printer.clone();
        let _ = std::thread::Builder::new().spawn(move || {
            // What was printed so far comes first; that it cannot be written is not worth a word now.
            let _ = printer.finish();
            printer.error(&error);
            let _ = told.send(());
        });
        let _ = waiting.recv_timeout(PATIENCE);
        end();
    }));
}

#[expect(clippy::exit, reason = "there is nobody to return to")]
fn end() -> ! {
    std::process::exit(ExitCode::Bug.number().into())
}

fn error_of(panic: &PanicHookInfo<'_>) -> Error {
    let place = panic.location().map_or_else(String::new, |place| {
        format!("{}:{}: ", place.file(), place.line())
    });
    let message = panic.payload();
    let message = message
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| message.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Error::bug("kubectl-egress stopped because of a bug of its own")
        .because(format!("{place}{message}"))
        .hint("please report it, with this text, the command line and the output of kubectl egress version")
        .hint("what was changed so far is recorded: kubectl egress cleanup undoes it")
}
