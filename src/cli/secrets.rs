//! `secrets`: puts certificates where a gateway, or our source, finds them.

use super::shared::{ChangeFlags, PlanFlags};
use super::value::{self, choice};
use clap::Args;
use std::fmt;
use std::path::PathBuf;

/// `secrets`: the client's Secret in the gateway's namespace, or the source's.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Examples:
  kubectl egress secrets --cert certs/client.crt --key certs/client.key --ca certs/root.crt -n demo
  kubectl egress secrets --for curl --cert certs/client.crt --key certs/client.key --ca certs/root.crt -n demo

Everything is checked before anything is applied; `kubectl egress cleanup` takes the Secret away again.")]
pub struct Secrets {
    /// Who uses it: the gateway, in its own namespace, or our source (`curl-secret`, mounted by --curl-secret of setup)
    #[arg(long = "for", value_name = "gateway|curl", default_value = "gateway", hide_default_value = true, value_parser = choice(SecretUser::ALL))]
    pub used_by: SecretUser,
    /// Certificate of the client, with intermediate ones behind it (PEM)
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Its key (PEM, without a passphrase)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// CA that the server's certificate is compared with (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub ca: Option<PathBuf>,
    /// Name of the Secret [default: client-credential, for curl curl-secret]
    #[arg(long, value_name = "NAME", value_parser = value::object_name)]
    pub name: Option<String>,
    /// Plan.
    #[command(flatten)]
    pub plan: PlanFlags,
    /// Dry run and conflicts.
    #[command(flatten)]
    pub change: ChangeFlags,
}

/// Who uses a Secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SecretUser {
    /// The egress gateway, as `credentialName`.
    #[default]
    Gateway,
    /// Our source, mounted.
    Curl,
}

impl SecretUser {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::Gateway, Self::Curl];
}

impl fmt::Display for SecretUser {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Gateway => "gateway",
            Self::Curl => "curl",
        })
    }
}

/// Files of `setup` from which the client's Secret is made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Client certificate")]
pub struct ClientFiles {
    /// Certificate that the gateway shows to the server (PEM); its Secret is made in the gateway's namespace
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub client_cert: Option<PathBuf>,
    /// Its key (PEM, without a passphrase)
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub client_key: Option<PathBuf>,
    /// CA that the gateway compares the server's certificate with (PEM); alone, for mode tls-origination, its Secret is
    /// made in the gateway's namespace
    #[arg(long, value_name = "FILE")]
    pub server_ca: Option<PathBuf>,
}
