//! Completion: for the shells, for kubectl, and the two hidden commands that answer them.

use super::value::choice;
use clap::{Args, Subcommand};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// `completion`: scripts for a shell, or the executable that kubectl asks.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:
  kubectl egress completion install
  source <(kubectl-egress completion bash)   kubectl-egress <TAB>
  kubectl-egress completion fish | source"
)]
pub struct Completion {
    /// What for.
    #[command(subcommand)]
    pub target: CompletionTarget,
}

/// What is to be completed.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum CompletionTarget {
    /// Print the script for bash
    Bash,
    /// Print the script for zsh
    Zsh,
    /// Print the script for fish
    Fish,
    /// Make the executable `kubectl_complete-egress`, which kubectl asks on `kubectl egress <TAB>`
    #[command(after_help = "Example:
  kubectl egress completion install --directory ~/bin")]
    Install {
        /// Folder for it, one of PATH [default: the one in which kubectl-egress is found]
        #[arg(long, value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

/// `__complete`: kubectl's protocol. The last word is the one to be completed.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(disable_help_flag = true)]
pub struct Complete {
    /// The words after `kubectl egress`
    #[arg(value_name = "WORD", trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<OsString>,
}

/// `__values`: what may be typed in one place, one a line, silently nothing if it is not known.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Values {
    /// What
    #[arg(value_name = "WHAT", value_parser = choice(ValueKind::ALL))]
    pub kind: ValueKind,
    /// Plan.
    #[command(flatten)]
    pub plan: super::PlanFlags,
}

/// What may be typed in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// Namespaces of the cluster.
    Namespaces,
    /// Contexts of the kubeconfig.
    Contexts,
    /// Clusters of the kubeconfig.
    Clusters,
    /// Users of the kubeconfig.
    Users,
    /// Hosts of the plan.
    Hosts,
    /// Services of egress gateways.
    Gateways,
    /// Plans of the namespace.
    Plans,
    /// Workloads of the namespace.
    Workloads,
}

impl ValueKind {
    /// Every value.
    pub const ALL: &'static [Self] = &[
        Self::Namespaces,
        Self::Contexts,
        Self::Clusters,
        Self::Users,
        Self::Hosts,
        Self::Gateways,
        Self::Plans,
        Self::Workloads,
    ];
}

impl fmt::Display for ValueKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Namespaces => "namespaces",
            Self::Contexts => "contexts",
            Self::Clusters => "clusters",
            Self::Users => "users",
            Self::Hosts => "hosts",
            Self::Gateways => "gateways",
            Self::Plans => "plans",
            Self::Workloads => "workloads",
        })
    }
}
