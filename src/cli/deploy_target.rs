//! `deploy-target`: the other end of two-cluster mTLS.

use super::duration;
use super::shared::ChangeFlags;
use super::value::{self, GatewayArgument, PlanArgument};
use crate::vocabulary::HostName;
use crate::vocabulary::names::DEFAULT_PLAN;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// `deploy-target`: in the cluster that is to be reached, a workload that demands client certificates.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example:
  kubectl egress deploy-target partner.example.com --certs certs --context target -n demo --create-namespace

The files are those that `kubectl egress certs partner.example.com --out certs` makes. Requests from this machine, by a
port-forward to the ingress gateway, then prove that a client without certificate is refused, and ours is let in.
`kubectl egress cleanup --context target -n demo` takes everything away again.")]
pub struct DeployTarget {
    /// Host that clients ask for; it must lead to the ingress gateway of this cluster
    #[arg(value_name = "HOST", value_parser = value::host_name)]
    pub host: HostName,
    /// Folder with HOST.crt, HOST.key and root.crt for the server, and client.crt and client.key for the proof
    #[arg(long, value_name = "DIR")]
    pub certs: PathBuf,
    /// Name of the client, that of its files
    #[arg(long, value_name = "NAME", default_value = "client", value_parser = value::object_name)]
    pub client_name: String,
    /// Service of the ingress gateway; found if there is only one
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = value::gateway)]
    pub ingress_gateway: Option<GatewayArgument>,
    /// Image of the workload, an httpbin that listens on port 8080
    #[arg(long, value_name = "IMAGE", value_parser = value::image)]
    pub image: Option<String>,
    /// Create the namespace if it does not exist
    #[arg(long)]
    pub create_namespace: bool,
    /// The plan, if it is not the namespace's `default`; NAMESPACE/NAME for one of another namespace
    #[arg(long = "plan", value_name = "[NAMESPACE/]NAME", default_value = DEFAULT_PLAN, hide_default_value = true, value_parser = value::plan)]
    pub plan: PlanArgument,
    /// How long to wait for each thing that has to become ready
    #[arg(long, value_name = "DURATION", default_value = "3m", value_parser = duration::duration)]
    pub timeout: Duration,
    /// Dry run and conflicts.
    #[command(flatten)]
    pub change: ChangeFlags,
}
