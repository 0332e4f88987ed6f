//! One file per subcommand, each reading top to bottom as its story. Here all parts are put together.

mod certs;
mod certs_inspect;
mod check;
mod cleanup;
mod completion;
mod connection;
mod deploy_target;
mod diff;
mod document;
mod embedded;
mod explain;
mod hosts;
mod learn;
mod lockdown;
mod log_lines;
mod logs;
mod object_files;
mod output_file;
mod probe;
mod render;
mod report;
mod route;
mod sandbox;
mod secrets;
mod setup;
mod source;
mod status;
mod tutorial;
mod two_clusters;
mod unlock;
mod verify;
mod version;

pub use completion::answers_shell;

use crate::cli::{Command, Invocation};
use crate::error::{Error, Result};
use crate::report::{Printer, unheard};
use crate::sandbox::Sandbox;
use crate::vocabulary::ExitCode;

/// Does what was asked.
///
/// # Errors
/// Whatever the command says; the message is printed by `main`, once.
pub async fn run(invocation: Invocation, printer: &Printer) -> Result<ExitCode> {
    let Invocation {
        connection, command, ..
    } = invocation;
    match command {
        Command::Setup(settings) => setup::setup(&connection, *settings, printer).await,
        Command::EnableGateway(settings) => setup::enable_gateway(&connection, settings, printer).await,
        Command::DeployCurl(settings) => setup::deploy_curl(&connection, settings, printer).await,
        Command::DeployTarget(settings) => {
            deploy_target::deploy_target(&connection, *settings, printer).await
        }
        Command::Route(settings) => route::route(&connection, settings, printer).await,
        Command::Certs(settings) => certs::certs(&connection, *settings, printer).await,
        Command::Secrets(settings) => secrets::secrets(&connection, *settings, printer).await,
        Command::Verify(settings) => verify::verify(&connection, *settings, printer).await,
        Command::Report(settings) => report::report(&connection, *settings, printer).await,
        Command::Lockdown(settings) => lockdown::lockdown(&connection, *settings, printer).await,
        Command::Unlock(settings) => unlock::unlock(&connection, settings, printer).await,
        Command::Probe(settings) => probe::probe(&connection, *settings, printer).await,
        Command::Cleanup(settings) => cleanup::cleanup(&connection, settings, printer).await,
        Command::Logs(settings) => logs::logs(&connection, settings, printer).await,
        Command::Check(settings) => check::check(&connection, settings, printer).await,
        Command::Learn(settings) => learn::learn(&connection, settings, printer).await,
        Command::Status(settings) => status::status(&connection, settings, printer).await,
        Command::Render(settings) => render::render(&connection, settings, printer).await,
        Command::Diff(settings) => diff::diff(&connection, settings, printer).await,
        Command::Tutorial(settings) => tutorial::tutorial(&connection, settings, printer).await,
        Command::Sandbox(settings) => sandbox::sandbox(&connection, settings, printer).await,
        Command::Explain(settings) => explain::explain(&connection, settings, printer).await,
        Command::Completion(settings) => completion::completion(&settings, printer),
        Command::Complete(settings) => Ok(completion::complete_for_kubectl(settings, printer)),
        Command::Values(settings) => Ok(completion::values(&connection, settings, printer).await),
        Command::Version(settings) => version::version(&settings, printer),
    }
}

/// The same for a process of its own: it ends as soon as somebody wants it to, wherever nothing is to be taken back.
///
/// # Errors
/// As [`run`].
pub async fn run_obediently(invocation: Invocation, printer: &Printer) -> Result<ExitCode> {
    tokio::select! {
        biased;
        () = unheard() => Err(Error::interrupted()
            .because("what was changed by then, and not taken back, is in the plan's journal")
            .hint("what is there: kubectl egress status; take it back: kubectl egress cleanup")),
        result = run(invocation, printer) => result,
    }
}

/// The same, where `--sandbox` means these two embedded clusters instead of fresh ones: a test looks at what a command
/// does to them, and breaks them meanwhile. The second one is the context `target`.
///
/// # Errors
/// As [`run`].
pub async fn run_embedded(
    invocation: Invocation,
    printer: &Printer,
    sandbox: &Sandbox,
    target: &Sandbox,
) -> Result<ExitCode> {
    let clusters = embedded::Clusters {
        sandbox: sandbox.clone(),
        target: target.clone(),
    };
    embedded::within(clusters, run(invocation, printer)).await
}
