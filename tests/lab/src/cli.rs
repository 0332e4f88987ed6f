//! What can be typed: `cargo lab COMMAND`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::build;
use crate::component::kyma::{API_GATEWAY_COMMAND, COMMAND as KYMA_COMMAND};
use crate::component::world::COMMAND;
use crate::component::{node_dns, policy};
use crate::down::down;
use crate::kyma::{self, ApiGatewayArguments, Platform, PlatformArguments, ServeArguments};
use crate::lab::{DEFAULT_NAME, Lab};
use crate::layout::ClusterLayout;
use crate::output;
use crate::policy::PolicyEngine;
use crate::release::{self, ManifestArguments};
use crate::shell::command;
use crate::state::{Options, OutboundPolicy};
use crate::status::status;
use crate::traffic::{self, Traffic};
use crate::unavailable::{EXIT_CODE_SKIPPED, Unavailable};
use crate::up::up;

/// Makes a real Kubernetes with a real Istio on this machine. Exits with 75 where that cannot be.
#[derive(Parser)]
#[command(name = "cargo lab", bin_name = "cargo lab")]
struct Cli {
    /// Which lab.
    #[arg(long, global = true, default_value = DEFAULT_NAME)]
    name: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build what is missing, start everything, wait for it, print the kubeconfig's path.
    Up(UpArguments),
    /// Remove the lab: processes, mounts, namespaces, links, cgroups, files.
    Down,
    /// Show what is up.
    Status {
        /// How.
        #[arg(short, long, value_enum, default_value = "text")]
        output: Format,
    },
    /// Run a command with KUBECONFIG set, and exit with its code.
    Run {
        /// The command and its arguments.
        #[arg(last = true, required = true)]
        words: Vec<String>,
    },
    /// Only build and download what is missing.
    Build,
    /// Change a running lab.
    Set(SetArguments),
    /// Show which NetworkPolicies are in force.
    Policies {
        /// Wait until all of them are, for all pods, half a minute at most.
        #[arg(long)]
        wait: bool,
    },
    /// Other clients of the gateway, in the background.
    #[command(subcommand)]
    Traffic(TrafficCommand),
    /// Print krew's manifest, filled in for a release.
    Manifest(ManifestArguments),
    /// Play the outside world.
    #[command(name = COMMAND, hide = true)]
    ServeWorld {
        #[arg(long)]
        folder: PathBuf,
        #[arg(long)]
        log: PathBuf,
    },
    /// Enforce NetworkPolicies.
    #[command(name = policy::COMMAND, hide = true)]
    EnforcePolicies(policy::Arguments),
    /// Play Kyma's Istio module.
    #[command(name = KYMA_COMMAND, hide = true)]
    ServeKyma(ServeArguments),
    /// Play Kyma's API Gateway module.
    #[command(name = API_GATEWAY_COMMAND, hide = true)]
    ServeApiGateway(ApiGatewayArguments),
    /// Pass questions for names on.
    #[command(name = node_dns::COMMAND, hide = true)]
    RelayDns {
        #[arg(long)]
        address: SocketAddr,
        #[arg(long)]
        upstream: SocketAddr,
    },
    /// Tell the policy engine of a new pod.
    #[command(name = policy::PLUGIN_COMMAND, hide = true)]
    AnnouncePod {
        #[arg(long)]
        folder: PathBuf,
    },
}

#[derive(Args)]
struct UpArguments {
    /// Whether the egress gateway is installed [default: true, with Kyma false].
    #[arg(long, action = ArgAction::Set, value_name = "true|false")]
    egress_gateway: Option<bool>,
    /// What the mesh does with hosts that it does not know.
    #[arg(long, value_enum, default_value = "ALLOW_ANY")]
    outbound_policy: OutboundPolicy,
    /// How NetworkPolicies are enforced.
    #[arg(long, value_enum, default_value_t)]
    policy_engine: PolicyEngine,
    /// Whether pods ask a resolver on the node, as with NodeLocal DNS.
    #[arg(long)]
    node_local_dns: bool,
    /// How many clusters: with 2 there is another one behind the outside world, with an ingress gateway, as the
    /// kubeconfig's context `target`.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    clusters: u8,
    #[command(flatten)]
    platform: PlatformArguments,
}

impl UpArguments {
    fn options(&self) -> Options {
        let PlatformArguments {
            platform,
            kyma_profile,
        } = self.platform;
        Options {
            egress_gateway: self.egress_gateway.unwrap_or(platform == Platform::Istio),
            outbound_policy: self.outbound_policy,
            policy_engine: self.policy_engine,
            node_local_dns: self.node_local_dns,
            platform,
            kyma_profile,
        }
    }
}

#[derive(Args)]
#[group(required = true, multiple = true)]
struct SetArguments {
    /// What the mesh does with hosts that it does not know.
    #[arg(long, value_enum)]
    outbound_policy: Option<OutboundPolicy>,
    /// How NetworkPolicies are enforced.
    #[arg(long, value_enum)]
    policy_engine: Option<PolicyEngine>,
    /// Whether pods that start from now on ask a resolver on the node, as with NodeLocal DNS.
    #[arg(long, action = ArgAction::Set, value_name = "true|false")]
    node_local_dns: Option<bool>,
}

#[derive(Subcommand)]
enum TrafficCommand {
    /// Start a meshed pod that asks for a host through the gateway, again and again.
    Start {
        /// Its namespace, removed by `stop`.
        #[arg(long, default_value = "other")]
        namespace: String,
        /// The host, one of the outside world's.
        #[arg(long, default_value = "noise.test")]
        host: String,
        /// Requests in a second, at most.
        #[arg(long, default_value_t = 5.0)]
        rate: f64,
    },
    /// Stop all of it.
    Stop,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Runs the command line and says how it went.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            output::error(&error);
            let unavailable = error.downcast_ref::<Unavailable>().is_some();
            if unavailable {
                ExitCode::from(EXIT_CODE_SKIPPED)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode> {
    let layout = ClusterLayout::new(&cli.name)?;
    match cli.command {
        Command::Up(arguments) => {
            up(&layout, arguments.options(), arguments.clusters)?;
            output::data(&layout.kubeconfig().display().to_string());
        }
        Command::Down => down(&layout)?,
        Command::Status { output } => show(&layout, output)?,
        Command::Run { words } => return run(&layout, &words),
        Command::Build => drop(build::all()?),
        Command::Manifest(arguments) => release::print(&arguments)?,
        Command::Set(arguments) => set(&mut running(&layout)?, &arguments)?,
        Command::Policies { wait } => {
            let lab = running(&layout)?;
            let status = if wait {
                lab.wait_for_policies(Duration::from_secs(30))
            } else {
                lab.policy_status()
            };
            output::data(&serde_json::to_string_pretty(&status?)?);
        }
        Command::Traffic(TrafficCommand::Start {
            namespace,
            host,
            rate,
        }) => {
            traffic::start(
                &running(&layout)?,
                &Traffic {
                    namespace,
                    host,
                    rate,
                },
            )?;
        }
        Command::Traffic(TrafficCommand::Stop) => traffic::stop(&running(&layout)?)?,
        Command::ServeWorld { folder, log } => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(crate::world::serve(&folder, &log))?;
        }
        Command::RelayDns { address, upstream } => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(crate::dns_relay::serve(address, upstream))?;
        }
        Command::AnnouncePod { folder } => crate::policy::plugin(&folder)?,
        Command::EnforcePolicies(arguments) => crate::policy::run(&arguments.into_settings())?,
        Command::ServeKyma(arguments) => kyma::serve(arguments),
        Command::ServeApiGateway(arguments) => kyma::serve_api_gateway(arguments),
    }
    Ok(ExitCode::SUCCESS)
}

fn set(lab: &mut Lab, arguments: &SetArguments) -> Result<()> {
    if let Some(policy) = arguments.outbound_policy {
        lab.set_outbound_policy(policy)?;
    }
    if let Some(engine) = arguments.policy_engine {
        lab.set_policy_engine(engine)?;
        output::note(&format!("the policy engine {engine} is in force"));
    }
    if let Some(node_local) = arguments.node_local_dns {
        lab.set_node_local_dns(node_local)?;
        output::note("pods that start from now on have the other resolver");
    }
    Ok(())
}

fn running(layout: &ClusterLayout) -> Result<Lab> {
    Lab::running_as(layout.lab())?.context("no lab is up; `cargo lab up` makes one")
}

fn show(layout: &ClusterLayout, format: Format) -> Result<()> {
    let status = status(layout);
    match format {
        Format::Json => output::data(&serde_json::to_string_pretty(&status)?),
        Format::Text => status.lines().iter().for_each(|line| output::data(line)),
    }
    Ok(())
}

fn run(layout: &ClusterLayout, words: &[String]) -> Result<ExitCode> {
    let lab = running(layout)?;
    let (program, arguments) = words.split_first().context("no command")?;
    let status = command(program)
        .args(arguments)
        .env("KUBECONFIG", lab.kubeconfig())
        .status()
        .with_context(|| format!("cannot start {program}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_of_up_are_spelled_as_istio_spells_them() {
        let cli = Cli::try_parse_from([
            "lab",
            "up",
            "--egress-gateway",
            "false",
            "--outbound-policy",
            "REGISTRY_ONLY",
        ]);
        let Ok(Cli {
            command: Command::Up(arguments),
            ..
        }) = cli
        else {
            panic!("not understood")
        };
        assert!(!arguments.options().egress_gateway);
        assert_eq!(arguments.outbound_policy, OutboundPolicy::RegistryOnly);
    }

    #[test]
    fn only_kyma_begins_without_the_gateway() {
        let options = |words: &[&str]| {
            let cli = Cli::try_parse_from([&["lab", "up"], words].concat());
            let Ok(Cli {
                command: Command::Up(arguments),
                ..
            }) = cli
            else {
                panic!("not understood")
            };
            arguments.options()
        };
        assert!(options(&[]).egress_gateway);
        let kyma = options(&["--platform", "kyma"]);
        assert_eq!((kyma.platform, kyma.egress_gateway), (Platform::Kyma, false));
        assert!(options(&["--platform", "kyma", "--egress-gateway", "true"]).egress_gateway);
    }
}
