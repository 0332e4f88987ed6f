//! `learn`: watches what leaves, and proposes a plan.

use super::duration;
use super::shared::PlanFlags;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// `learn`: listens to the sidecars of the namespace of `-n`; changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Examples:
  kubectl egress learn -n demo --for 10m --write plan.yaml
  kubectl egress learn -n demo --since 1h

Ctrl-C ends the window early; what came until then is shown. Sidecars tell of TCP alone, and only with their access log on.")]
pub struct Learn {
    /// How long to watch
    #[arg(long = "for", value_name = "DURATION", default_value = "1m", value_parser = duration::duration, conflicts_with = "since")]
    pub watch: Duration,
    /// Read what the logs hold of the last so long, instead of watching
    #[arg(long, value_name = "DURATION", value_parser = duration::duration)]
    pub since: Option<Duration>,
    /// Write the proposed plan there, and the lock beside it: plan.yaml and plan.networkpolicy.yaml
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// Plan.
    #[command(flatten)]
    pub plan: PlanFlags,
}
