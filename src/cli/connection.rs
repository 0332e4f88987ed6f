//! kubectl's connection flags. kubectl takes no flag before a plugin's name, so they are ours and work after it.

use super::{SandboxFault, duration, value};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// Which cluster, as whom, and in which namespace. Nothing set means what the kubeconfig says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// Namespace to work in: of the source, and of the plan unless --plan says otherwise
    #[arg(short, long, global = true, value_name = "NAMESPACE", value_parser = value::namespace)]
    pub namespace: Option<String>,
    /// Context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Path of the kubeconfig; else KUBECONFIG, else ~/.kube/config
    #[arg(long, global = true, value_name = "PATH")]
    pub kubeconfig: Option<PathBuf>,
    /// Work on an embedded cluster, fresh for this command: simulated, needs no cluster, changes nothing
    ///
    /// `kubectl egress sandbox` serves one that lives from command to command.
    #[arg(long, global = true)]
    pub sandbox: bool,
    /// What goes wrong in the embedded cluster (repeat for several)
    #[arg(long = "sandbox-fault", global = true, value_name = "FAULT", hide = true, value_parser = value::choice(SandboxFault::ALL))]
    pub sandbox_faults: Vec<SandboxFault>,
    /// Cluster of the kubeconfig
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub cluster: Option<String>,
    /// User of the kubeconfig
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub user: Option<String>,
    /// User to act as
    #[arg(long = "as", global = true, value_name = "USER", hide_short_help = true)]
    pub impersonate_user: Option<String>,
    /// Group to act as (repeat for several)
    #[arg(
        long = "as-group",
        global = true,
        value_name = "GROUP",
        hide_short_help = true
    )]
    pub impersonate_groups: Vec<String>,
    /// UID to act as
    #[arg(long = "as-uid", global = true, value_name = "UID", hide_short_help = true)]
    pub impersonate_uid: Option<String>,
    /// Bearer token for the API server
    #[arg(long, global = true, value_name = "TOKEN", hide_short_help = true)]
    pub token: Option<String>,
    /// Address of the API server
    #[arg(short, long, global = true, value_name = "URL", hide_short_help = true)]
    pub server: Option<String>,
    /// File with the CA of the API server's certificate
    #[arg(long, global = true, value_name = "PATH", hide_short_help = true)]
    pub certificate_authority: Option<PathBuf>,
    /// Name to expect in the API server's certificate
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub tls_server_name: Option<String>,
    /// Do not check the API server's certificate
    #[arg(long, global = true, hide_short_help = true)]
    pub insecure_skip_tls_verify: bool,
    /// How long one request may take: 30s, 1m, plain seconds; 0 is no limit. Default 30s
    ///
    /// `Duration::MAX` stands for no limit.
    #[arg(long, global = true, value_name = "DURATION", hide_short_help = true, value_parser = duration::request_timeout)]
    #[arg(help = "How long one request may take: 30s, 1m, plain seconds; 0 is no limit [default: 30s]", long_help = None)]
    pub request_timeout: Option<Duration>,
}
