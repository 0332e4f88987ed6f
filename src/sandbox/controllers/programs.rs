//! What a container's command does: nearly all run until they are stopped.

use serde_json::Value;

/// Script of the dead-man's switch, as its ConfigMap names it.
const SWITCH_SCRIPT: &str = "switch.sh";

/// What a container's main process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// It runs until it is stopped.
    Runs,
    /// It ends at once, with this exit code.
    Ends(i32),
    /// The dead-man's switch: it waits for its deadline.
    Switch,
}

impl Program {
    /// What a container of this specification does.
    pub(super) fn of(container: &Value) -> Self {
        let words: Vec<&str> = ["command", "args"]
            .into_iter()
            .flat_map(|list| container[list].as_array().into_iter().flatten())
            .filter_map(Value::as_str)
            .collect();
        match words.as_slice() {
            ["true"] => Self::Ends(0),
            ["false"] => Self::Ends(1),
            ["sh", script, "wait"] if is_switch(script) => Self::Switch,
            _ => Self::Runs,
        }
    }
}

/// Whether a path names the script of the dead-man's switch.
pub(in crate::sandbox) fn is_switch(path: &str) -> bool {
    path.rsplit('/').next() == Some(SWITCH_SCRIPT)
}
