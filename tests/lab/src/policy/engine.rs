//! How real policy engines differ, as far as it changes what a policy's author sees.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::shell::write_atomically;

/// Which kind of engine the lab plays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyEngine {
    /// Rules see pods and their ports, after kube-proxy has replaced a Service's address. Refused packets are dropped,
    /// established connections stay. What most engines do.
    #[default]
    AfterDnat,
    /// Rules see a Service's address and port, as kube-proxy replaces them later.
    BeforeDnat,
    /// An `ipBlock` never finds an address of a node, as with Cilium. Otherwise as after-dnat.
    NoNodeBlocks,
    /// A new, changed or deleted policy takes effect six seconds late. Otherwise as after-dnat.
    Late,
    /// What is not allowed is refused by a TCP reset or an ICMP message, not dropped. Otherwise as after-dnat.
    Reject,
    /// Rules hold for established connections too: those of a newly isolated pod that it may not make any more are cut.
    /// Otherwise as after-dnat.
    Cut,
    /// Nothing is enforced, as where the network plugin knows no policies.
    None,
}

/// The file in the engine's folder that says which one is wanted.
const WISH: &str = "engine.json";
/// kube-proxy replaces Service addresses at -100.
const AFTER_DNAT: i32 = -90;
const BEFORE_DNAT: i32 = -110;
/// How late `late` is.
const LATE: Duration = Duration::from_secs(6);

impl PolicyEngine {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::AfterDnat,
        Self::BeforeDnat,
        Self::NoNodeBlocks,
        Self::Late,
        Self::Reject,
        Self::Cut,
        Self::None,
    ];

    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AfterDnat => "after-dnat",
            Self::BeforeDnat => "before-dnat",
            Self::NoNodeBlocks => "no-node-blocks",
            Self::Late => "late",
            Self::Reject => "reject",
            Self::Cut => "cut",
            Self::None => "none",
        }
    }

    /// Which one the engine's folder asks for.
    pub(super) fn wanted(folder: &Path) -> Self {
        let text = std::fs::read(folder.join(WISH)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Asks for this one in the engine's folder, which is made where it is missing.
    ///
    /// # Errors
    /// The folder is not writable.
    pub(crate) fn ask(self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)?;
        write_atomically(&folder.join(WISH), &serde_json::to_vec(&self)?)
    }

    /// Whether an `ipBlock` can find a node's address.
    pub(super) fn blocks_find_nodes(self) -> bool {
        self != Self::NoNodeBlocks
    }

    /// Whether it does anything.
    pub(super) fn enforces(self) -> bool {
        self != Self::None
    }

    /// How long a change of policies takes until it is in force.
    pub fn delay(self) -> Duration {
        if self == Self::Late { LATE } else { Duration::ZERO }
    }

    /// Whether rules hold for connections that were there before them.
    pub(super) fn cuts(self) -> bool {
        self == Self::Cut
    }

    /// Whether what is not allowed is told so.
    pub(super) fn answers(self) -> bool {
        self == Self::Reject
    }

    /// Where in the kernel's `prerouting` hook packets that leave a pod are judged.
    pub(super) fn egress_priority(self) -> i32 {
        match self {
            Self::BeforeDnat => BEFORE_DNAT,
            _ => AFTER_DNAT,
        }
    }
}

impl fmt::Display for PolicyEngine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn an_engine_is_spelled_alike_everywhere() {
        for engine in PolicyEngine::ALL {
            let word = engine.as_str();
            assert_eq!(engine.to_possible_value().unwrap().get_name(), word);
            assert_eq!(serde_json::to_value(engine).unwrap(), word);
        }
        assert_eq!(PolicyEngine::ALL.len(), PolicyEngine::value_variants().len());
    }
}
