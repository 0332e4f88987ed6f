//! How hosts leave: the same words as of a port in a plan file.

use super::value::{self, choice};
use crate::vocabulary::{HostName, HostPort, Mode, OutboundPolicy, Place};
use clap::Args;
use std::net::IpAddr;

/// How the hosts that are typed beside it leave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Mode")]
pub struct ModeFlags {
    /// How the hosts' traffic leaves
    #[arg(long, value_name = "passthrough|http|tls-origination|mtls-origination|direct", value_parser = choice(Mode::ALL))]
    pub mode: Option<Mode>,
    /// Which proxy originates TLS
    #[arg(long, value_name = "gateway|sidecar", value_parser = choice(Place::ALL))]
    pub at: Option<Place>,
    /// Protect the leg to the gateway by Istio's mutual TLS [default: for modes that carry HTTP]
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub mesh_mtls: Option<bool>,
    /// Port of the host outside [default: 443 for origination, else the application's]
    #[arg(long, value_name = "PORT", value_parser = value::port, hide_short_help = true)]
    pub target_port: Option<u16>,
    /// Secret with the client certificate (tls.crt, tls.key, ca.crt) in the gateway's namespace; or --client-cert
    #[arg(long, value_name = "NAME", value_parser = value::object_name)]
    pub client_secret: Option<String>,
    /// Secret with the authority (ca.crt) that the gateway trusts for the host [default: the system's authorities]
    #[arg(long, value_name = "NAME", value_parser = value::object_name)]
    pub ca_secret: Option<String>,
    /// File with the authorities that an originating sidecar trusts, a path in its container
    #[arg(long, value_name = "PATH", hide_short_help = true)]
    pub ca_file: Option<String>,
    /// Leave in the headers by which Istio tells the host who called
    #[arg(long, hide_short_help = true)]
    pub keep_headers: bool,
    /// Only this namespace, beside the plan's own, may use the hosts (repeat for several)
    #[arg(long, value_name = "NAMESPACE", value_parser = value::namespace)]
    pub allow_from: Vec<String>,
    /// Namespace whose workloads use the plan's routing too (repeat for several)
    #[arg(long, value_name = "NAMESPACE", value_parser = value::namespace)]
    pub export_to: Vec<String>,
    /// The one server that answers for all names of a wildcard (`--server` is kubectl's flag for the API server)
    #[arg(long, value_name = "HOST", value_parser = value::host_name, hide_short_help = true)]
    pub wildcard_server: Option<HostName>,
    /// Let the sidecar resolve each name of a wildcard when it is asked for
    #[arg(long, value_name = "dynamic", value_parser = ["dynamic"], hide_short_help = true)]
    pub resolution: Option<String>,
    /// The name of a wildcard that is probed
    #[arg(long, value_name = "HOST", value_parser = value::host_name, hide_short_help = true)]
    pub sample: Option<HostName>,
    /// Kubernetes Service by which the host is called
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = value::gateway, hide_short_help = true)]
    pub service: Option<value::GatewayArgument>,
    /// External HTTPS proxy (CONNECT) by which the host is reached
    #[arg(long, value_name = "HOST:PORT", value_parser = value::host_port, hide_short_help = true)]
    pub proxy: Option<HostPort>,
    /// Let the sidecar (mode direct) or the gateway (passthrough) speak CONNECT to that proxy in the application's place
    #[arg(long, requires = "proxy", hide_short_help = true)]
    pub tunnel: bool,
    /// An address of --proxy, or of an endpoint of a headless --service (repeat for all) [default: looked up]
    #[arg(long = "address", value_name = "IP", hide_short_help = true)]
    pub addresses: Vec<IpAddr>,
    /// What sidecars of the namespace do with hosts that the mesh does not know
    #[arg(long, value_name = "allow-any|registry-only", value_parser = choice(OutboundPolicy::ALL))]
    pub outbound_policy: Option<OutboundPolicy>,
}
