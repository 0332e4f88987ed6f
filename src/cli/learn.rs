//! Commands for learning and for looking things up.

use super::value::{self, choice};
use clap::Args;
use std::fmt;

/// `tutorial`: a whole story, narrated.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example:
  kubectl egress tutorial --sandbox
  kubectl egress tutorial istio --sandbox --only http")]
pub struct Tutorial {
    /// Which story: passthrough (TLS of the application end to end), or istio (Istio's own tutorials, section by section)
    #[arg(value_name = "passthrough|istio", default_value = "passthrough", hide_default_value = true, value_parser = choice(Story::ALL))]
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
}

/// A story that the tutorial tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Story {
    /// TLS of the application end to end.
    #[default]
    Passthrough,
    /// Istio's own egress tutorials.
    Istio,
}

impl Story {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::Passthrough, Self::Istio];
}

impl fmt::Display for Story {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Passthrough => "passthrough",
            Self::Istio => "istio",
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
