//! What a story is made of: sections of prose, the commands by hand, the command that replaces them, and the work.

use crate::vocabulary::Mode;

/// A section of a story. `NAMESPACE` in its texts stands for the story's namespace, `CONTEXT` for the other cluster's context.
pub(super) struct Section {
    /// What `--only` calls it.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// What is done and why.
    pub(super) prose: &'static str,
    /// What one would type without this program.
    pub(super) by_hand: &'static [&'static str],
    /// What one types with it.
    pub(super) command: &'static str,
    pub(super) work: &'static [Work],
    /// What the result shows, told after the work.
    pub(super) shows: &'static str,
    /// The section needs what the one before did; else it stands for itself, and is undone at its end.
    pub(super) continues: bool,
}

/// What is done in a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// A host is set up, and probed.
    SetUp(Way),
    /// A host is served in the other cluster, set up here, and both ends are proven.
    TwoClusters(&'static str),
    /// Everything is probed, what is forbidden as well.
    Verify,
    /// The namespace is locked, and the lock proven.
    Lock,
    /// Everything is put back as it was.
    CleanUp,
}

/// How a host leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) host: &'static str,
    pub(super) port: u16,
    pub(super) mode: Mode,
    /// `None` is the mode's default.
    pub(super) mesh_mtls: Option<bool>,
}
