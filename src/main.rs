//! The binary: parse, run, print the error once, exit code.

use anyhow::Context;
use kubectl_egress::cli::{self, Invocation, Screen, Stop};
use kubectl_egress::error::{Error, Result};
use kubectl_egress::report::{self, Printer, ReportSettings};
use kubectl_egress::vocabulary::ExitCode;

/// A command's future lives on the stack and is large; Windows gives the first thread 1 MiB, of which it needs more.
const STACK_BYTES: usize = 16 << 20;

fn main() -> std::process::ExitCode {
    report::end_on_panic(&Printer::new(ReportSettings::default()));
    let thread = std::thread::Builder::new().name("main".to_owned());
    match thread.stack_size(STACK_BYTES).spawn(whole) {
        Ok(thread) => thread.join().unwrap_or_else(|_| ExitCode::Bug.into()),
        Err(_) => whole(),
    }
}

fn whole() -> std::process::ExitCode {
    if kubectl_egress::command::answers_shell(std::env::args_os()) {
        return ExitCode::Success.into();
    }
    let (printer, result) = match cli::parse(std::env::args_os()) {
        Ok(invocation) => {
            let printer = Printer::new(settings(&invocation.screen));
            report::end_on_panic(&printer);
            let ran = run(invocation, &printer);
            (printer, ran)
        }
        Err(Stop::Text(text)) => {
            let printer = Printer::new(ReportSettings::default());
            printer.styled(&text);
            (printer, Ok(ExitCode::Success))
        }
        Err(Stop::Usage(error)) => (Printer::new(ReportSettings::default()), Err(error)),
    };
    let written = printer.finish();
    match result.and_then(|code| written.map(|()| code)) {
        Ok(code) => code.into(),
        Err(error) => {
            printer.error(&error);
            error.code().into()
        }
    }
}

fn run(invocation: Invocation, printer: &Printer) -> Result<ExitCode> {
    // Fails only if a provider is there already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime =
        runtime().map_err(|error| Error::bug(error.to_string()).because(error.root_cause().to_string()))?;
    let result = runtime.block_on(kubectl_egress::command::run_obediently(invocation, printer));
    // A thread that waits for an answer on standard input would never end by itself.
    runtime.shutdown_background();
    result
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

fn settings(screen: &Screen) -> ReportSettings {
    ReportSettings {
        output: screen.output,
        progress: screen.progress,
        verbosity: screen.verbosity,
        quiet: screen.quiet,
        color: screen.color,
        assume_yes: screen.assume_yes,
    }
}
