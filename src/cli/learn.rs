//! Commands for learning and for looking things up.

use super::value::{self, choice};
use clap::Args;
use std::fmt;

/// `tutorial`: the whole story, narrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
#[command(after_help = "Example:
  kubectl egress tutorial --sandbox")]
pub struct Tutorial {
    /// Which story: passthrough
    #[arg(value_name = "STORY", default_value = "passthrough", hide_default_value = true, value_parser = choice(Story::ALL))]
    pub story: Story,
    /// Play it on the embedded cluster: simulated, needs no cluster, changes nothing
    #[arg(long)]
    pub sandbox: bool,
}

/// A story that the tutorial tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Story {
    /// TLS of the application end to end.
    #[default]
    Passthrough,
}

impl Story {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::Passthrough];
}

impl fmt::Display for Story {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passthrough => formatter.pad("passthrough"),
        }
    }
}

/// `sandbox`: serves the embedded cluster on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
#[command(after_help = "Example:
  kubectl egress sandbox --port 8001
  kubectl egress sandbox --platform kyma")]
pub struct SandboxServer {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    pub port: u16,
    /// What the cluster is: Istio with an egress gateway, or Kyma with its Istio module
    #[arg(long, value_name = "istio|kyma", default_value = "istio", hide_default_value = true, value_parser = choice(Platform::ALL))]
    pub platform: Platform,
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

/// `explain`: the article of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example:
  kubectl egress explain EGR-101")]
pub struct Explain {
    /// Code of a finding, in capitals when it gets here; whether it exists is the catalogue's affair
    #[arg(value_name = "EGR-nnn", value_parser = value::finding_code, help = "Code of a finding")]
    pub code: String,
}

/// `version`: build facts, or the JSON Schema of a document.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example:
  kubectl egress version -o json")]
pub struct Version {
    /// Print the JSON Schema of a document that we print or read instead, by its kind
    #[arg(long, value_name = "NAME")]
    pub schema: Option<String>,
}
