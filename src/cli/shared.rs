//! Flags that several commands share.

use super::duration;
use super::scheduling::{self, NodeSelector, Toleration};
use super::value::{self, GatewayArgument, PlanArgument, WorkloadArgument, choice};
use crate::vocabulary::names::DEFAULT_PLAN;
use crate::vocabulary::{ColorChoice, OutputFormat, ProgressStyle};
use clap::Args;
use std::fmt;
use std::time::Duration;

/// What the screen shows.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Output")]
pub struct Screen {
    /// Form of the data on standard output
    #[arg(short, long, global = true, value_name = "text|json|yaml", default_value = "text", hide_default_value = true, value_parser = choice(OutputFormat::ALL))]
    pub output: OutputFormat,
    /// How progress is shown on standard error
    #[arg(long, global = true, value_name = "auto|live|plain|none", default_value = "auto", hide_default_value = true, hide_short_help = true, value_parser = choice(ProgressStyle::ALL))]
    pub progress: ProgressStyle,
    /// Only warnings, errors and data
    #[arg(short, long, global = true, conflicts_with = "verbosity")]
    pub quiet: bool,
    /// More: receipts, unchanged objects, retries (repeat for requests)
    #[arg(short = 'v', long = "verbose", global = true, action = clap::ArgAction::Count)]
    pub verbosity: u8,
    /// When to use colour
    #[arg(long, global = true, value_name = "auto|always|never", default_value = "auto", hide_default_value = true, hide_short_help = true, value_parser = choice(ColorChoice::ALL))]
    pub color: ColorChoice,
    /// Answer yes to every question
    #[arg(short = 'y', long = "yes", global = true)]
    pub assume_yes: bool,
}

/// Which plan, and how long its work may take.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Plan")]
pub struct PlanFlags {
    /// The plan, if it is not the namespace's `default`; NAMESPACE/NAME for one of another namespace
    #[arg(long = "plan", value_name = "[NAMESPACE/]NAME", default_value = DEFAULT_PLAN, hide_default_value = true, value_parser = value::plan)]
    pub plan: PlanArgument,
    /// Service of the egress gateway; found if there is only one
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = value::gateway)]
    pub gateway: Option<GatewayArgument>,
    /// How long to wait for each thing that has to become ready
    #[arg(long, value_name = "DURATION", default_value = "3m", value_parser = duration::duration)]
    pub timeout: Duration,
}

/// How far a change goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
#[command(next_help_heading = "Plan")]
pub struct ChangeFlags {
    /// Show what would change: `client` asks nothing to be written, `server` lets the API server check it
    #[arg(long, value_name = "none|client|server", default_value = "none", hide_default_value = true, value_parser = choice(DryRun::ALL))]
    pub dry_run: DryRun,
    /// Take over fields that another manager owns
    #[arg(long)]
    pub force_conflicts: bool,
}

/// Whether changes are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DryRun {
    /// They are made.
    #[default]
    None,
    /// They are only shown.
    Client,
    /// The API server goes through them without storing anything.
    Server,
}

impl DryRun {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::None, Self::Client, Self::Server];
}

impl fmt::Display for DryRun {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::None => "none",
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

/// How a gateway comes to be, if there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Gateway")]
pub struct GatewayFlags {
    /// Create an egress gateway if there is none (else you are asked)
    #[arg(long)]
    pub create_gateway: bool,
    /// On Kyma, create the Istio custom resource if there is none; the module then installs Istio
    #[arg(long = "create-istio-cr")]
    pub create_istio_cr: bool,
    /// Label that the gateway's nodes must have (repeat for several)
    #[arg(long = "node-selector", value_name = "KEY=VALUE", value_parser = scheduling::node_selector)]
    pub node_selectors: Vec<NodeSelector>,
    /// Taint that the gateway's pods tolerate (repeat for several)
    #[arg(long = "toleration", value_name = "KEY[=VALUE][:EFFECT]", value_parser = scheduling::toleration)]
    pub tolerations: Vec<Toleration>,
}

/// How our source comes to be.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Source")]
pub struct SourceFlags {
    /// Create the namespace if it does not exist
    #[arg(long)]
    pub create_namespace: bool,
    /// Label the whole namespace for sidecar injection, or only our pod
    #[arg(long, value_name = "namespace|pod", default_value = "namespace", hide_default_value = true, value_parser = choice(Inject::ALL))]
    pub inject: Inject,
    /// Image of our source; needs curl 7.75 or newer
    #[arg(long, value_name = "IMAGE", value_parser = value::image)]
    pub image: Option<String>,
    /// Secret to mount into our source at /etc/curl
    #[arg(long, value_name = "NAME", value_parser = value::object_name)]
    pub curl_secret: Option<String>,
}

/// What is labelled so that Istio injects a sidecar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Inject {
    /// The namespace.
    #[default]
    Namespace,
    /// Our pod alone.
    Pod,
}

impl Inject {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::Namespace, Self::Pod];
}

impl fmt::Display for Inject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Namespace => "namespace",
            Self::Pod => "pod",
        })
    }
}

/// From where a probe leaves, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Probe")]
pub struct ProbeFlags {
    /// Workload to probe from, instead of our source; `setup` switches its access log on
    #[arg(long, value_name = "deploy/NAME|sts/NAME|pod/NAME", value_parser = value::workload)]
    pub from: Vec<WorkloadArgument>,
    /// Container of that workload
    #[arg(short, long, value_name = "NAME", requires = "from", value_parser = value::object_name)]
    pub container: Option<String>,
    /// File with a CA that curl trusts; a path in the source's container
    #[arg(long = "cacert", visible_alias = "ca-cert", value_name = "PATH")]
    pub ca_certificate: Option<String>,
    /// Longest that one request may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 12, value_parser = value::max_time)]
    pub max_time: u32,
}
