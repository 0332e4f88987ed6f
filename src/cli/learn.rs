//! Commands for learning and for looking things up.

use super::target::TargetCluster;
use super::value::{self, ProbeTarget, WorkloadArgument, choice};
use clap::{ArgGroup, Args};
use std::fmt;

/// `tutorial`: a whole story, narrated.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example:
  kubectl egress tutorial --sandbox
  kubectl egress tutorial istio --sandbox --only http
  kubectl egress tutorial mtls --target-context NAME")]
pub struct Tutorial {
    /// Which story: passthrough (TLS of the application end to end), mtls (mutual TLS to another cluster), or istio (Istio's own tutorials, section by section)
    #[arg(value_name = "passthrough|mtls|istio", default_value = "passthrough", hide_default_value = true, value_parser = choice(Story::ALL))]
    pub story: Story,
    /// Wait for Enter before each section is played; needs a terminal
    #[arg(long)]
    pub pause: bool,
    /// Tell only this section; what it needs is done without a word
    #[arg(long, value_name = "SECTION")]
    pub only: Option<String>,
    /// List the sections of the story, and do nothing
    #[arg(long)]
    pub list: bool,
    /// The other cluster of the story mtls.
    #[command(flatten)]
    pub target: TargetCluster,
}

/// A story that the tutorial tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Story {
    /// TLS of the application end to end.
    #[default]
    Passthrough,
    /// Mutual TLS from one cluster to another.
    Mtls,
    /// Istio's own egress tutorials.
    Istio,
}

impl Story {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::Passthrough, Self::Mtls, Self::Istio];
}

impl fmt::Display for Story {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Passthrough => "passthrough",
            Self::Mtls => "mtls",
            Self::Istio => "istio",
        })
    }
}

/// `explain`: a host's way, a finding, a log, curl's exit code; nothing lists the findings.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(group = ArgGroup::new("asked").args(["target", "exit_code"]))]
#[command(after_help = "Examples:
  kubectl egress explain kyma-project.io -n demo
  kubectl egress explain http://edition.cnn.com:80 -f manifests/ --from meshed
  kubectl egress explain EGR-101
  kubectl logs -n istio-system -l istio=egressgateway --tail=-1 --prefix | kubectl egress explain --log
  kubectl egress explain --exit-code 35 --from meshed

Where a cluster answers, --log also names the objects behind what it explains. Without anything it lists all findings.")]
pub struct Explain {
    /// Code of a finding, or a host whose way is to be followed; none lists all findings
    #[arg(value_name = "EGR-nnn|HOST[:PORT]", value_parser = value::explain_target, conflicts_with_all = ["log", "exit_code"])]
    pub target: Option<ExplainTarget>,
    /// Explain a line of a proxy's access log, or with - or nothing a whole log from standard input
    #[arg(long, value_name = "LINE", num_args = 0..=1, default_missing_value = "-", conflicts_with = "exit_code", allow_hyphen_values = true)]
    pub log: Option<String>,
    /// The log's own format, as in meshConfig.accessLogFormat: text, or JSON with a text for each label
    #[arg(long, value_name = "FORMAT", requires = "log")]
    pub log_format: Option<String>,
    /// Ask no cluster
    #[arg(long, requires = "log")]
    pub offline: bool,
    /// Say what curl's exit code can and cannot prove
    #[arg(long, value_name = "N", value_parser = value::exit_code)]
    pub exit_code: Option<u8>,
    /// Where the request starts, or where curl ran: a pod with a sidecar, one without, or a workload to be looked at
    #[arg(long, value_name = "meshed|bare|deploy/NAME|sts/NAME|pod/NAME", requires = "asked", conflicts_with = "log", value_parser = value::source)]
    pub from: Option<SourceArgument>,
    /// Follow the request through the objects of these files or directories instead of a cluster's; - is standard input
    #[arg(short = 'f', long = "filename", value_name = "FILE", requires = "target", conflicts_with_all = ["log", "exit_code"])]
    pub files: Vec<std::path::PathBuf>,
}

/// What is to be explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExplainTarget {
    /// The code of a finding, in capitals; whether it exists is the catalogue's affair.
    Code(String),
    /// A host whose way is to be followed.
    Host {
        /// The request.
        target: ProbeTarget,
        /// Whether a port or scheme was typed; otherwise https and http are asked about.
        port_named: bool,
    },
}

/// What curl ran in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceArgument {
    /// A pod with a sidecar.
    Meshed,
    /// A pod without one.
    Bare,
    /// A workload, which is looked at.
    Workload(WorkloadArgument),
}

/// `version`: build facts, or the JSON Schema of a document.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example:
  kubectl egress version -o json
  kubectl egress version --schema report")]
pub struct Version {
    /// Print the JSON Schema of a document that we print instead, by its kind; without one lists them
    #[arg(long, value_name = "KIND", num_args = 0..=1, default_missing_value = "")]
    pub schema: Option<String>,
}
