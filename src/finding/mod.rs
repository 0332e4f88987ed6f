//! Diagnosed faults: a stable code, how bad it is, the cause, the fix, the objects.

pub mod catalogue;
pub mod guides;

pub use catalogue::{Article, article};
pub use guides::Guide;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How bad a finding is. Only errors make a command fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// What the user wanted does not hold.
    Error,
    /// It holds, but not as the user may think.
    Warning,
    /// Worth knowing.
    Info,
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        })
    }
}

/// One diagnosed fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Stable code, `EGR-nnn`; `kubectl egress explain EGR-nnn` prints its article.
    pub code: String,
    /// How bad.
    pub severity: Severity,
    /// What is wrong here, naming the objects.
    pub message: String,
    /// What to do, as one sentence or command.
    pub fix: String,
    /// The objects concerned, as `Kind namespace/name`.
    pub objects: Vec<String>,
}

impl Finding {
    /// A finding of the catalogue; severity and fix come from its article.
    ///
    /// `code` is one of the constants of the catalogue, so that every finding has an article.
    pub fn new(article: &'static Article, message: impl Into<String>) -> Self {
        Self {
            code: article.code.to_owned(),
            severity: article.severity,
            message: message.into(),
            fix: article.fix.to_owned(),
            objects: Vec::new(),
        }
    }

    /// Names an object concerned.
    #[must_use]
    pub fn about(mut self, object: impl fmt::Display) -> Self {
        self.objects.push(object.to_string());
        self
    }

    /// A fix that is more exact than the article's.
    #[must_use]
    pub fn fixed_by(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }
}
