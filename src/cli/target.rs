//! The other cluster of a command that works in two.

use super::value::{self, GatewayArgument};
use clap::Args;
use std::path::PathBuf;

/// Which cluster the target is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Target cluster")]
pub struct TargetCluster {
    /// Context of another cluster that works together with this one: what hosts lead to
    #[arg(long, value_name = "NAME")]
    pub target_context: Option<String>,
    /// Its kubeconfig, if it is not this cluster's
    #[arg(long, value_name = "PATH")]
    pub target_kubeconfig: Option<PathBuf>,
}

/// What `setup` deploys there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Target cluster")]
pub struct TargetFlags {
    /// Which cluster.
    #[command(flatten)]
    pub cluster: TargetCluster,
    /// Service of its ingress gateway; found if there is only one
    #[arg(
        long,
        value_name = "NAMESPACE/NAME",
        requires = "target_context",
        hide_short_help = true,
        value_parser = value::gateway
    )]
    pub ingress_gateway: Option<GatewayArgument>,
    /// Image of the workload there, an httpbin that listens on port 8080
    #[arg(
        long,
        value_name = "IMAGE",
        requires = "target_context",
        hide_short_help = true,
        value_parser = value::image
    )]
    pub target_image: Option<String>,
    /// Name in the client's certificate
    #[arg(
        long,
        value_name = "NAME",
        requires = "target_context",
        default_value = "client",
        hide_short_help = true,
        value_parser = value::object_name
    )]
    pub client_name: String,
}
