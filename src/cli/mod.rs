//! What can be typed. clap reads it, and checked settings without a trace of clap come out. No IO.

mod certs;
mod change;
mod check;
mod completion;
mod connection;
mod deploy_target;
mod duration;
mod help;
mod learn;
mod lock;
mod look;
mod mode;
mod observe;
mod report;
mod sandbox;
mod scheduling;
mod secrets;
mod shared;
mod target;
mod value;

#[cfg(test)]
mod tests;

pub use certs::{Certs, CertsCommand, CertsInspect, GatewayChoice, inspected_host};
pub use change::{Cleanup, DeployCurl, EnableGateway, Route, Setup};
pub use check::Check;
pub use completion::{Complete, Completion, CompletionTarget, ValueKind, Values};
pub use connection::Connection;
pub use deploy_target::DeployTarget;
pub use learn::{Explain, ExplainTarget, SourceArgument, Story, Tutorial, Version};
pub use lock::{Lockdown, Unlock};
pub use look::{Diff, Logs, Probe, Render, Status, Verify};
pub use mode::ModeFlags;
pub use observe::Learn;
pub use report::Report;
pub use sandbox::{Platform, SandboxFault, SandboxServer};
pub use scheduling::{NodeSelector, TaintEffect, Toleration};
pub use secrets::{ClientFiles, SecretUser, Secrets};
pub use shared::{ChangeFlags, DryRun, GatewayFlags, Inject, PlanFlags, ProbeFlags, Screen, SourceFlags};
pub use target::{TargetCluster, TargetFlags};
pub use value::{
    GatewayArgument, HostArgument, PlanArgument, PlanFile, ProbeTarget, WorkloadArgument, WorkloadKind,
};

use crate::error::Error;
use crate::vocabulary::OutputFormat;
use clap::{FromArgMatches, Parser, Subcommand};
use std::collections::HashSet;
use std::ffi::OsString;

/// Everything that was typed, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Which cluster, as whom, which namespace.
    pub connection: Connection,
    /// What the screen shows.
    pub screen: Screen,
    /// What to do.
    pub command: Command,
}

/// Why there is nothing to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Help or version was asked for: text for standard output, with ANSI styles; exit 0.
    Text(String),
    /// What was typed is not valid; exit 2.
    Usage(Error),
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Route hosts through the egress gateway and wait until it works
    Setup(Box<Setup>),
    /// Prove, with receipts, that hosts go through the gateway
    Verify(Box<Verify>),
    /// Put all about a plan into one page, or a support archive
    Report(Box<Report>),
    /// Let nothing out but through the gateway; prove it or roll back
    Lockdown(Box<Lockdown>),
    /// Take the lock away
    Unlock(Unlock),
    /// Undo what setup changed, exactly
    Cleanup(Cleanup),
    /// Find or create the egress gateway; switch its access log on
    EnableGateway(EnableGateway),
    /// Deploy the source that probes are sent from
    DeployCurl(DeployCurl),
    /// Deploy a server that demands client certificates, elsewhere
    DeployTarget(Box<DeployTarget>),
    /// Add hosts to the routing, or take them out
    Route(Route),
    /// Make certificates for a server and its client, or look at some
    Certs(Box<Certs>),
    /// Put a certificate where the gateway, or the source, finds it
    Secrets(Box<Secrets>),
    /// Send single requests and say which way they went
    Probe(Box<Probe>),
    /// Show the access log of all gateway pods
    Logs(Logs),
    /// Find faults in live objects, or in files
    Check(Check),
    /// Watch what leaves a namespace, and propose a plan
    Learn(Learn),
    /// Show every object of the plan and its health
    Status(Status),
    /// Print the plan's manifests
    Render(Render),
    /// Show what setup would change
    Diff(Diff),
    /// Tell the whole story, step by step
    Tutorial(Tutorial),
    /// Serve an embedded cluster on 127.0.0.1 to try things on
    Sandbox(SandboxServer),
    /// Where a request would go; what a finding or log line means
    Explain(Explain),
    /// Complete commands on TAB: in kubectl, bash, zsh and fish
    Completion(Completion),
    /// Print version and build facts
    Version(Version),
    /// What kubectl asks on TAB
    #[command(name = "__complete", hide = true)]
    Complete(Complete),
    /// What may be typed in one place
    #[command(name = "__values", hide = true)]
    Values(Values),
}

/// Sets up Istio egress-gateway routing, proves it with receipts, and undoes it.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-egress",
    bin_name = "kubectl egress",
    version,
    subcommand_required = true,
    max_term_width = 100
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    screen: Screen,
}

/// The parser itself, for completion.
pub fn parser() -> clap::Command {
    help::command()
}

/// Reads the arguments; the first is the program's own name.
///
/// No argument at all is a request for help, as kubectl has it.
///
/// # Errors
/// [`Stop::Text`] if help or version was asked for, [`Stop::Usage`] if something typed is not valid.
pub fn parse(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Invocation, Stop> {
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let mut command = help::command();
    if arguments.len() < 2 {
        return Err(Stop::Text(command.render_help().ansi().to_string()));
    }
    let typed = command
        .try_get_matches_from_mut(&arguments)
        .and_then(|matches| Arguments::from_arg_matches(&matches))
        .map_err(|error| help::stop(&error, &command, &arguments))?;
    check(&typed.command).map_err(Stop::Usage)?;
    form(typed.screen.output, &typed.command).map_err(Stop::Usage)?;
    Ok(Invocation {
        connection: typed.connection,
        screen: typed.screen,
        command: typed.command,
    })
}

/// One flag says the form of every command's data, and not every command has test results, or a page.
fn form(output: OutputFormat, command: &Command) -> Result<(), Error> {
    let writes = matches!(command, Command::Report(report) if report.write.is_some());
    let (fits, who) = match output {
        OutputFormat::Junit => (
            matches!(command, Command::Check(_) | Command::Verify(_)),
            "only `check` and `verify` give their result as junit",
        ),
        OutputFormat::Html => (
            matches!(command, Command::Verify(_)) || is_page(command),
            "only `verify` and `report` give a page",
        ),
        OutputFormat::Yaml => (!writes, "`report --write` writes a page, or its data as json"),
        OutputFormat::Text | OutputFormat::Json => (true, ""),
    };
    if fits {
        return Ok(());
    }
    Err(Error::usage(who).hint("choose one of text, json, yaml: -o json"))
}

/// Not the support archive, which is none.
fn is_page(command: &Command) -> bool {
    matches!(command, Command::Report(report) if report.bundle.is_none())
}

/// Rules over several values.
fn check(command: &Command) -> Result<(), Error> {
    match command {
        Command::Setup(setup) => no_doubles(&setup.hosts, "setup"),
        Command::Verify(verify) => no_doubles(&verify.hosts, "verify"),
        Command::Report(report) => no_doubles(&report.verify.hosts, "report"),
        Command::Render(render) => no_doubles(&render.hosts, "render"),
        Command::Diff(diff) => no_doubles(&diff.hosts, "diff"),
        Command::Route(route) => {
            no_doubles(&route.hosts, "route")?;
            no_doubles(&route.remove, "route --remove")?;
            match route.hosts.iter().find(|host| route.remove.contains(host)) {
                Some(host) => Err(
                    Error::usage(format!("`{host}` is both to be routed and to be removed"))
                        .hint(format!("name it once: kubectl egress route {host}")),
                ),
                None => Ok(()),
            }
        }
        Command::Probe(probe) => match (
            &probe.path,
            probe.targets.iter().find(|target| target.path.is_some()),
        ) {
            (Some(path), Some(target)) => Err(Error::usage(format!(
                "`--path {path}` and the path of a URL, `{}`, contradict each other",
                target.path.as_deref().unwrap_or_default()
            ))
            .hint("give the path in one of the two places")),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn no_doubles(hosts: &[HostArgument], command: &str) -> Result<(), Error> {
    let mut seen = HashSet::new();
    match hosts
        .iter()
        .find(|host| !seen.insert((&host.host, host.port.unwrap_or(443))))
    {
        Some(double) => Err(Error::usage(format!(
            "`{double}` is given twice; a host without a port has port 443"
        ))
        .hint(format!(
            "name each host and port once: kubectl egress {command} {double}"
        ))),
        None => Ok(()),
    }
}
