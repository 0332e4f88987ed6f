//! What the process says to a script when it ends.

/// The exit codes of every command. Scripts rely on them; each has one meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// 0: proven, done, or no difference.
    Success,
    /// 1: a claim is disproven, there are findings of level error, or `diff` found a difference.
    Disproven,
    /// 2: what was typed, or the plan, is not valid. Nothing was changed.
    Usage,
    /// 3: the evidence does not decide.
    Inconclusive,
    /// 4: the cluster is unreachable, does not know us, or refuses.
    Cluster,
    /// 5: consent is needed, or an object or field belongs to another owner.
    Consent,
    /// 6: something awaited did not happen in time.
    TimedOut,
    /// 70: a bug of ours (`EX_SOFTWARE` of sysexits.h).
    Bug,
    /// 130: interrupted: Ctrl-C (128 + SIGINT), SIGTERM, or a closed terminal.
    Interrupted,
    /// What a command said that we ran for the user (`sandbox -- COMMAND`).
    Other(u8),
}

impl ExitCode {
    /// The number that the process ends with.
    pub const fn number(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Disproven => 1,
            Self::Usage => 2,
            Self::Inconclusive => 3,
            Self::Cluster => 4,
            Self::Consent => 5,
            Self::TimedOut => 6,
            Self::Bug => 70,
            Self::Interrupted => 130,
            Self::Other(number) => number,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}
