//! `lockdown` and `unlock`: nothing but the gateway, and back.

use super::duration;
use super::shared::{ChangeFlags, PlanFlags, ProbeFlags};
use super::value::{self, choice};
use crate::vocabulary::{HostName, InCluster, LabelSelector};
use clap::Args;
use std::time::Duration;

/// `lockdown`: locks the namespace of `-n`, which need not be the plan's.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Examples:
  kubectl egress lockdown -n demo
  kubectl egress lockdown -n demo --learn 10m
  kubectl egress lockdown -n test-egress --plan istio-system/default --in-cluster allow

A Job in the namespace takes the lock back at the end of --confirm-within, unless the proof succeeded by then.")]
pub struct Lockdown {
    /// Whether pods may reach other pods, those of the gateway's and istiod's namespaces apart [default: as the plan says, else deny]
    #[arg(long, value_name = "deny|allow", value_parser = choice(InCluster::ALL))]
    pub in_cluster: Option<InCluster>,
    /// Pods to lock [default: as the plan says, else all]
    #[arg(short = 'l', long, value_name = "SELECTOR", value_parser = value::selector)]
    pub selector: Option<LabelSelector>,
    /// Let the pods reach the API server
    #[arg(long)]
    pub allow_api_server: bool,
    /// How long the proof may take before the lock is taken back; at least 30s
    #[arg(long, value_name = "DURATION", default_value = "3m", value_parser = duration::confirmation)]
    pub confirm_within: Duration,
    /// Host that must not be reachable afterwards (repeat for several) [default: www.google.com]
    #[arg(long, value_name = "HOST", value_parser = value::host_name)]
    pub forbidden: Vec<HostName>,
    /// Watch so long what the workloads reach, before saying what the lock would break
    #[arg(long, value_name = "DURATION", value_parser = duration::duration)]
    pub learn: Option<Duration>,
    /// Plan.
    #[command(flatten)]
    pub plan: PlanFlags,
    /// Dry run and conflicts.
    #[command(flatten)]
    pub change: ChangeFlags,
    /// Probes of the proof.
    #[command(flatten)]
    pub probe: ProbeFlags,
}

/// `unlock`: takes the lock of the namespace of `-n` away.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Examples:
  kubectl egress unlock -n demo
  kubectl egress unlock -n test-egress --plan istio-system/default")]
pub struct Unlock {
    /// Plan.
    #[command(flatten)]
    pub plan: PlanFlags,
    /// Dry run and conflicts.
    #[command(flatten)]
    pub change: ChangeFlags,
}
