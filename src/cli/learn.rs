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
