//! Commands that only look.

use super::duration;
use super::mode::ModeFlags;
use super::shared::{PlanFlags, ProbeFlags};
use super::value::{self, HostArgument, PlanFile, ProbeTarget, choice};
use crate::vocabulary::{Circumstance, Claim, ClusterCommand, HostName, Outcome};
use clap::Args;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

const CLAIMS: &[Claim] = &[Claim::Routed, Claim::Enforced];
const OUTCOMES: &[Outcome] = &[
    Outcome::Routed,
    Outcome::Direct,
    Outcome::Bypassed,
    Outcome::Blocked,
    Outcome::Unreachable,
    Outcome::Inconclusive,
];
/// What `--attempts` takes.
const ATTEMPTS: &[&str] = &["default", "all"];
const METHODS: &[&str] = &["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];

/// `verify`: no host means every host of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Examples:
  kubectl egress verify -n demo
  kubectl egress verify kyma-project.io --from deploy/shop --require enforced -o json
  kubectl egress verify --bypass -n demo")]
pub struct Verify {
    /// Hosts of the plan to verify; none means all, without a port all its ports
    #[arg(value_name = "HOST[:PORT]", value_parser = value::host)]
    pub hosts: Vec<HostArgument>,
    /// Host that must not be reachable (repeat for several) [default: www.google.com]
    #[arg(long, value_name = "HOST", value_parser = value::host_name)]
    pub forbidden: Vec<HostName>,
    /// Claim that must be proven: routed or enforced (repeat for both)
    #[arg(long, value_name = "routed|enforced", value_parser = choice(CLAIMS))]
    pub require: Vec<Claim>,
    /// Image for the pod without sidecar and for ephemeral containers
    #[arg(long, value_name = "IMAGE", value_parser = value::image)]
    pub image: Option<String>,
    /// Do not probe from a pod without sidecar
    #[arg(long)]
    pub skip_unmeshed: bool,
    /// Try to get out without the gateway, from throw-away pods, and show what stops each attempt
    #[arg(long, conflicts_with = "skip_unmeshed")]
    pub bypass: bool,
    /// Which attempts: all also makes pods in another namespace and on the host's network
    #[arg(long, value_name = "default|all", requires = "bypass", default_value = "default", value_parser = choice(ATTEMPTS))]
    pub attempts: &'static str,
    /// Resolver outside that is asked (UDP 53), pinged and connected to (TCP 853)
    #[arg(long, value_name = "ADDRESS", requires = "bypass", default_value = "8.8.8.8")]
    pub outside_resolver: IpAddr,
    /// Path at which the hosts answer with the headers that they saw, such as /headers of httpbin
    #[arg(long, value_name = "PATH", value_parser = value::request_path)]
    pub echo: Option<String>,
    /// Probes.
    #[command(flatten)]
    pub probe: ProbeFlags,
    /// Plan.
    #[command(flatten)]
    pub plan: PlanFlags,
}

/// `probe`: single requests, each judged.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own that can be typed"
)]
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Examples:
  kubectl egress probe kyma-project.io
  kubectl egress probe https://edition.cnn.com/politics --show-headers --expect routed")]
pub struct Probe {
    /// What to request
    #[arg(value_name = "HOST|URL", required = true, value_parser = value::probe_target)]
    pub targets: Vec<ProbeTarget>,
    /// Path to request, where the URL has none [default: /]
    #[arg(long, value_name = "PATH", value_parser = value::request_path)]
    pub path: Option<String>,
    /// Method of the request
    #[arg(long, value_name = "METHOD", default_value = "GET", value_parser = choice(METHODS))]
    pub method: &'static str,
    /// Follow redirects; each is a probe of its own
    #[arg(long)]
    pub follow: bool,
    /// Show the answer's headers
    #[arg(long)]
    pub show_headers: bool,
    /// Show the answer's body
    #[arg(long)]
    pub show_body: bool,
    /// Outcome to expect; another one exits 1
    #[arg(long, value_name = "OUTCOME", value_parser = choice(OUTCOMES))]
    pub expect: Option<Outcome>,
    /// Probe from a pod without sidecar
    #[arg(long, conflicts_with = "from")]
    pub unmeshed: bool,
    /// Where from.
    #[command(flatten)]
    pub probe: ProbeFlags,
    /// Plan.
    #[command(flatten)]
    pub plan: PlanFlags,
}

/// `logs`: the access log of every gateway pod.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example:
  kubectl egress logs -f --host kyma-project.io
  kubectl egress logs --file access.log --host kyma-project.io")]
pub struct Logs {
    /// Read a log that was saved, instead of the gateway's pods; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["follow", "tail", "since", "plan"])]
    pub file: Option<PathBuf>,
    /// Go on as lines come
    #[arg(short, long)]
    pub follow: bool,
    /// Only lines for this host (repeat for several)
    #[arg(long = "host", value_name = "HOST", value_parser = value::host_name)]
    pub hosts: Vec<HostName>,
    /// The lines as the gateway wrote them
    #[arg(long)]
    pub raw: bool,
    /// Last lines of each pod to begin with [default: all, with --follow 10]
    #[arg(long, value_name = "N")]
    pub tail: Option<u32>,
    /// Only lines younger than this
    #[arg(long, value_name = "DURATION", value_parser = duration::duration)]
    pub since: Option<Duration>,
    /// Plan.
    #[command(flatten)]
    pub plan: PlanFlags,
}

/// `status`: every object of the plan, its health, its drift.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example:
  kubectl egress status -n demo --watch")]
pub struct Status {
    /// Show it again whenever it changes
    #[arg(short, long)]
    pub watch: bool,
    /// Plan.
    #[command(flatten)]
    pub plan: PlanFlags,
}

/// `render`: manifests without ownership labels; needs no cluster if the gateway is named.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Examples:
  kubectl egress render kyma-project.io -n demo --gateway istio-system/istio-egressgateway
  kubectl egress render --rbac verify -n demo")]
pub struct Render {
    /// Hosts to route; without a port the mode's own (443 or 80)
    #[arg(value_name = "HOST[:PORT]", value_parser = value::host, conflicts_with = "file")]
    pub hosts: Vec<HostArgument>,
    /// The whole plan as a file (kind EgressPlan); - is standard input
    #[arg(short, long, value_name = "FILE", value_parser = value::plan_file)]
    pub file: Option<PlanFile>,
    /// The Roles that a command needs, with a ServiceAccount, instead of the plan
    #[arg(long, value_name = "COMMAND", value_parser = choice(ClusterCommand::ALL))]
    pub rbac: Option<ClusterCommand>,
    /// With --rbac: what else is so (repeat): create-gateway, client-secret, kyma, locked, armed, leftovers, bypass
    #[arg(long = "rbac-with", value_name = "CIRCUMSTANCE", requires = "rbac", value_parser = choice(Circumstance::ALL))]
    pub rbac_with: Vec<Circumstance>,
    /// How the hosts leave.
    #[command(flatten)]
    pub mode: ModeFlags,
    /// Plan.
    #[command(flatten)]
    pub plan: PlanFlags,
}

/// `diff`: what `setup` with the same arguments would change.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example:
  kubectl egress diff -f plan.yaml

Exits 0 without a difference, 1 with one.")]
pub struct Diff {
    /// Hosts to add to the stored plan; without a port the mode's own (443 or 80)
    #[arg(value_name = "HOST[:PORT]", value_parser = value::host, conflicts_with = "file")]
    pub hosts: Vec<HostArgument>,
    /// The whole plan as a file (kind EgressPlan); - is standard input
    #[arg(short, long, value_name = "FILE", value_parser = value::plan_file)]
    pub file: Option<PlanFile>,
    /// How the hosts leave.
    #[command(flatten)]
    pub mode: ModeFlags,
    /// Plan.
    #[command(flatten)]
    pub plan: PlanFlags,
}
