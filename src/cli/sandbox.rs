//! The embedded cluster: as a server, and what goes wrong in it on request.

use super::value::choice;
use clap::Args;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// `sandbox`: serves the embedded cluster on 127.0.0.1.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example:
  kubectl egress sandbox --write-kubeconfig sandbox.yaml
  kubectl egress sandbox -- sh -c 'kubectl egress setup kyma-project.io -n demo --create-namespace; kubectl get pods -A'
  kubectl egress sandbox --platform kyma --fault quota")]
pub struct SandboxServer {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    pub port: u16,
    /// What the cluster is: Istio with an egress gateway, or Kyma with its Istio module
    #[arg(long, value_name = "istio|kyma", default_value = "istio", hide_default_value = true, value_parser = choice(Platform::ALL))]
    pub platform: Platform,
    /// Write the kubeconfig to this file instead of printing it; asks before it overwrites one
    #[arg(long, value_name = "FILE")]
    pub write_kubeconfig: Option<PathBuf>,
    /// What goes wrong in it (repeat for several): slow-rollout, image-pull, denied, dropped-stream, quota
    #[arg(long = "fault", value_name = "FAULT", value_parser = choice(SandboxFault::ALL))]
    pub faults: Vec<SandboxFault>,
    /// Command to run with KUBECONFIG set; the cluster ends with it, and so does this program, with its exit code
    #[arg(value_name = "COMMAND", last = true)]
    pub command: Vec<OsString>,
}

/// What an embedded cluster is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Platform {
    /// Istio with an egress gateway.
    #[default]
    Istio,
    /// Kyma with its Istio module.
    Kyma,
}

impl Platform {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::Istio, Self::Kyma];
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Istio => "istio",
            Self::Kyma => "kyma",
        })
    }
}

/// Something that goes wrong in the embedded cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxFault {
    /// New pods take twenty seconds to start.
    SlowRollout,
    /// The image of our source cannot be pulled.
    ImagePull,
    /// VirtualServices may not be written.
    Denied,
    /// The first stream of each kind breaks off: watch, log, exec, port-forward.
    DroppedStream,
    /// A quota lets no pod into the namespace that is worked in.
    Quota,
}

impl SandboxFault {
    /// Every value.
    pub const ALL: &'static [Self] = &[
        Self::SlowRollout,
        Self::ImagePull,
        Self::Denied,
        Self::DroppedStream,
        Self::Quota,
    ];
}

impl fmt::Display for SandboxFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::SlowRollout => "slow-rollout",
            Self::ImagePull => "image-pull",
            Self::Denied => "denied",
            Self::DroppedStream => "dropped-stream",
            Self::Quota => "quota",
        })
    }
}
