//! The one error type: what happened, to what, why, what to do; and the exit code that follows.

use crate::vocabulary::ExitCode;
use std::fmt;

/// The result of everything that can fail towards the user.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure that a user reads.
///
/// The message is a lower-case fragment that fits behind `error: `; causes follow it, then `hint: `.
/// Boxed inside so that a `Result` stays small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    code: ExitCode,
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
}

impl Error {
    /// A failure with the exit code it ends in.
    pub fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
        }))
    }

    /// What was typed, or the plan, is not valid (exit 2).
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, message)
    }

    /// The cluster is unreachable or refuses (exit 4).
    pub fn cluster(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Cluster, message)
    }

    /// Consent is missing, or somebody else owns it (exit 5).
    pub fn consent(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Consent, message)
    }

    /// Not in time (exit 6).
    pub fn timed_out(message: impl Into<String>) -> Self {
        Self::new(ExitCode::TimedOut, message)
    }

    /// Somebody wanted this program to end (exit 130).
    pub fn interrupted() -> Self {
        Self::new(ExitCode::Interrupted, "interrupted")
    }

    /// A bug of ours (exit 70).
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Bug, message)
    }

    /// Adds why, below the message. The first cause added is the nearest.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.0.causes.push(cause.into());
        self
    }

    /// Puts a wider message on top; the message so far becomes the nearest cause.
    #[must_use]
    pub fn while_doing(mut self, message: impl Into<String>) -> Self {
        let inner = std::mem::replace(&mut self.0.message, message.into());
        self.0.causes.insert(0, inner);
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// The exit code.
    pub fn code(&self) -> ExitCode {
        self.0.code
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Why, nearest first.
    pub fn causes(&self) -> &[String] {
        &self.0.causes
    }

    /// What to do next.
    pub fn hints(&self) -> &[String] {
        &self.0.hints
    }
}

impl fmt::Display for Error {
    /// Message and causes on one line; hints are the renderer's affair.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)?;
        for cause in &self.0.causes {
            write!(formatter, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
