//! Commands that change something.

use super::mode::ModeFlags;
use super::secrets::ClientFiles;
use super::shared::{ChangeFlags, GatewayFlags, PlanFlags, ProbeFlags, SourceFlags};
use super::target::{TargetCluster, TargetFlags};
use super::value::{self, HostArgument, PlanFile};
use crate::vocabulary::AddressRange;
use clap::Args;

/// `setup`: hosts are merged into the stored plan, `-f` is the whole plan, neither is the stored plan again.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Examples:
  kubectl egress setup kyma-project.io -n demo --create-namespace
  kubectl egress setup edition.cnn.com -n demo --mode tls-origination
  kubectl egress setup -f plan.yaml --dry-run=server")]
pub struct Setup {
    /// Hosts to route; without a port the mode's own (443 or 80). They are added to the stored plan
    #[arg(value_name = "HOST[:PORT]", value_parser = value::host, conflicts_with = "file")]
    pub hosts: Vec<HostArgument>,
    /// The whole plan as a file (kind EgressPlan); - is standard input
    #[arg(short, long, value_name = "FILE", value_parser = value::plan_file)]
    pub file: Option<PlanFile>,
    /// Undo everything if a step fails; else it stays and can be continued
    #[arg(long)]
    pub atomic: bool,
    /// Do not probe the hosts at the end
    #[arg(long)]
    pub no_probe: bool,
    /// Addresses that the workload of --from reaches past its sidecar, unrouted and unseen (repeat for several)
    #[arg(long, value_name = "CIDR", requires = "from", value_parser = value::address_range)]
    pub exclude_ranges: Vec<AddressRange>,
    /// How the hosts leave.
    #[command(flatten)]
    pub mode: ModeFlags,
    /// Files of the client's certificate.
    #[command(flatten)]
    pub client_files: ClientFiles,
    /// Plan.
    #[command(flatten)]
    pub plan: PlanFlags,
    /// Dry run and conflicts.
    #[command(flatten)]
    pub change: ChangeFlags,
    /// Gateway.
    #[command(flatten)]
    pub gateway: GatewayFlags,
    /// Source.
    #[command(flatten)]
    pub source: SourceFlags,
    /// The other cluster.
    #[command(flatten)]
    pub target: TargetFlags,
    /// Probes at the end.
    #[command(flatten)]
    pub probe: ProbeFlags,
}

/// `cleanup`: undoes what the plan's journal records.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example:
  kubectl egress cleanup -n demo --verify")]
pub struct Cleanup {
    /// Prove afterwards that nothing of ours is left
    #[arg(long)]
    pub verify: bool,
    /// Keep the namespace, also if setup created it
    #[arg(long)]
    pub keep_namespace: bool,
    /// The other cluster, if the journal does not name it.
    #[command(flatten)]
    pub target: TargetCluster,
    /// Plan.
    #[command(flatten)]
    pub plan: PlanFlags,
    /// Dry run and conflicts.
    #[command(flatten)]
    pub change: ChangeFlags,
}

/// `enable-gateway`: the gateway and its access log alone.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example:
  kubectl egress enable-gateway -n demo --create-gateway --node-selector pool=egress")]
pub struct EnableGateway {
    /// Gateway.
    #[command(flatten)]
    pub gateway: GatewayFlags,
    /// Plan.
    #[command(flatten)]
    pub plan: PlanFlags,
    /// Dry run and conflicts.
    #[command(flatten)]
    pub change: ChangeFlags,
}

/// `deploy-curl`: the source and its access log alone.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example:
  kubectl egress deploy-curl -n demo --inject pod")]
pub struct DeployCurl {
    /// Source.
    #[command(flatten)]
    pub source: SourceFlags,
    /// Plan.
    #[command(flatten)]
    pub plan: PlanFlags,
    /// Dry run and conflicts.
    #[command(flatten)]
    pub change: ChangeFlags,
}

/// `route`: the routing objects alone; at least one host to add or to remove.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Examples:
  kubectl egress route kyma-project.io edition.cnn.com:443
  kubectl egress route --remove kyma-project.io --yes")]
pub struct Route {
    /// Hosts to route; without a port the mode's own (443 or 80)
    #[arg(value_name = "HOST[:PORT]", value_parser = value::host, required_unless_present = "remove")]
    pub hosts: Vec<HostArgument>,
    /// Host to take out of the plan; without a port all its ports (repeat for several)
    #[arg(long, value_name = "HOST[:PORT]", value_parser = value::host)]
    pub remove: Vec<HostArgument>,
    /// How the hosts leave.
    #[command(flatten)]
    pub mode: ModeFlags,
    /// Plan.
    #[command(flatten)]
    pub plan: PlanFlags,
    /// Dry run and conflicts.
    #[command(flatten)]
    pub change: ChangeFlags,
}
