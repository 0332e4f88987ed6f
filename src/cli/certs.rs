//! `certs`: makes certificates, and looks at them.

use super::shared::{PlanFlags, ProbeFlags};
use super::value::{self, GatewayArgument, HostArgument, PlanArgument};
use crate::vocabulary::HostName;
use crate::vocabulary::names::DEFAULT_PLAN;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `certs`: a CA, a certificate per server and one for the client; or a look at certificates that are there.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:
  kubectl egress certs partner.example.com --out certs
  kubectl egress certs partner.example.com --out certs --ca-cert certs/root.crt --ca-key certs/root.key
  kubectl egress certs partner.example.com --out new --keep-trust certs/root.crt
  kubectl egress certs inspect certs/client.crt

Files are made for your eyes only (mode 0600); none is overwritten without your word."
)]
pub struct Certs {
    /// Look at certificates instead of making them
    #[command(subcommand)]
    pub inspect: Option<CertsCommand>,
    /// Host that a server's certificate is made for (several: one certificate for all)
    #[arg(value_name = "HOST", required = true, value_parser = value::host_name)]
    pub hosts: Vec<HostName>,
    /// Folder for the files; it is made if it does not exist
    #[arg(long, value_name = "DIR", required = true)]
    pub out: Option<PathBuf>,
    /// Name of the client, also of its files
    #[arg(long, value_name = "NAME", default_value = "client", value_parser = value::object_name)]
    pub client_name: String,
    /// For how many days they are valid
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub days: u32,
    /// Organization in their subjects
    #[arg(long, value_name = "NAME")]
    pub organization: Option<String>,
    /// CA that issues them (PEM), instead of a new one
    #[arg(long, value_name = "FILE", requires = "ca_key")]
    pub ca_cert: Option<PathBuf>,
    /// Its key (PEM; ECDSA or RSA). Without --ca-cert, a new CA is made with this key
    #[arg(long, value_name = "FILE")]
    pub ca_key: Option<PathBuf>,
    /// CA that is still to be trusted beside the new one (PEM); both are written into trust.crt
    #[arg(long, value_name = "FILE", conflicts_with = "ca_cert")]
    pub keep_trust: Option<PathBuf>,
    /// Key of your own for the server (PEM; ECDSA or RSA), instead of a new one
    #[arg(long, value_name = "FILE")]
    pub server_key: Option<PathBuf>,
    /// Key of your own for the client (PEM; ECDSA or RSA), instead of a new one
    #[arg(long, value_name = "FILE")]
    pub client_key: Option<PathBuf>,
}

/// What `certs` does besides making.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum CertsCommand {
    /// Show a file's certificates, a server's, or the gateway's
    Inspect(Box<CertsInspect>),
}

/// `certs inspect`: a file, a host as the source sees it, or the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Examples:
  kubectl egress certs inspect certs/client.crt --key certs/client.key --ca certs/root.crt
  kubectl egress certs inspect kyma-project.io -n demo
  kubectl egress certs inspect --gateway -n demo

Exits 0 if the certificates are good, 1 if not.")]
pub struct CertsInspect {
    /// File with certificates (PEM; - is standard input), or a host that the source asks for its own
    #[arg(
        value_name = "FILE|HOST[:PORT]",
        required_unless_present = "gateway",
        conflicts_with = "gateway"
    )]
    pub target: Option<String>,
    /// The certificates that the egress gateway holds, its mesh identity among them; NAMESPACE/NAME names its Service
    #[arg(long, value_name = "NAMESPACE/NAME", num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = gateway)]
    pub gateway: Option<GatewayChoice>,
    /// Server name that is asked for, if it is not the host
    #[arg(long, value_name = "NAME", value_parser = value::host_name, conflicts_with = "gateway")]
    pub sni: Option<HostName>,
    /// Key that must fit a file's certificate (PEM)
    #[arg(long, value_name = "FILE", conflicts_with = "gateway")]
    pub key: Option<PathBuf>,
    /// CA that must have issued them (PEM, a file of this machine)
    #[arg(long = "ca", value_name = "FILE", conflicts_with = "gateway")]
    pub authority: Option<PathBuf>,
    /// The plan, if it is not the namespace's `default`
    #[arg(long = "plan", value_name = "[NAMESPACE/]NAME", default_value = DEFAULT_PLAN, hide_default_value = true, value_parser = value::plan)]
    pub plan: PlanArgument,
    /// Where from.
    #[command(flatten)]
    pub probe: ProbeFlags,
}

impl CertsInspect {
    /// The flags of a plan that this command has.
    pub fn plan_flags(&self) -> PlanFlags {
        PlanFlags {
            plan: self.plan.clone(),
            gateway: match &self.gateway {
                Some(GatewayChoice::Named(gateway)) => Some(gateway.clone()),
                _ => None,
            },
            timeout: std::time::Duration::from_secs(180),
        }
    }
}

/// Which gateway is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatewayChoice {
    /// The plan's, or the only one there is.
    Found,
    /// The one that is named.
    Named(GatewayArgument),
}

fn gateway(typed: &str) -> Result<GatewayChoice, String> {
    if typed.is_empty() {
        return Ok(GatewayChoice::Found);
    }
    value::gateway(typed).map(GatewayChoice::Named)
}

/// A host with a port, as `certs inspect` takes it when there is no such file.
///
/// # Errors
/// If it is no host name; the text says what is wrong.
pub fn inspected_host(typed: &str) -> Result<HostArgument, String> {
    value::host(typed)
}
