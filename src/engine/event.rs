//! What the engine says while it works. Reporters decide how it looks.

use crate::evidence::ProbeResult;
use crate::finding::Finding;
use crate::vocabulary::{Change, ObjectReference};
use std::sync::Arc;
use std::time::Duration;

/// Names a step within one run; stable, in lower case with dashes, for example `gateway-ready`.
pub type StepId = String;

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A step begins. Steps run side by side.
    StepStarted {
        /// Which.
        id: StepId,
        /// What it does, as a short phrase: `deploy the source`.
        title: String,
    },
    /// A step waits, and for what; comes again whenever the reason changes.
    StepWaiting {
        /// Which.
        id: StepId,
        /// What is awaited now.
        on: String,
    },
    /// An object was written or removed by a step.
    ObjectChanged {
        /// By which step.
        id: StepId,
        /// The object.
        object: ObjectReference,
        /// What happened to it.
        change: Change,
        /// Whether it was only asked for (`--dry-run`).
        dry_run: bool,
    },
    /// A step is done.
    StepFinished {
        /// Which.
        id: StepId,
        /// What came out, if it is worth a word.
        detail: Option<String>,
        /// How long it took.
        elapsed: Duration,
    },
    /// A step was not needed or not possible, and why.
    StepSkipped {
        /// Which.
        id: StepId,
        /// What it would have done.
        title: String,
        /// Why not.
        reason: String,
    },
    /// A step failed; the error itself is returned by the run.
    StepFailed {
        /// Which.
        id: StepId,
        /// The message.
        message: String,
        /// How long it took.
        elapsed: Duration,
    },
    /// A probe was judged.
    Probed(Box<ProbeResult>),
    /// A fault was found.
    Found(Finding),
    /// Worth a line, once.
    Note(String),
    /// Worth a line that should be noticed, once.
    Warning(String),
    /// A request is tried again; shown with `-v`.
    Retrying(String),
    /// A request was answered, or failed; shown with `-vv`. Method, path, status, time: nothing of what was sent.
    Requested(String),
    /// Something was worked out without the cluster; shown with `-vv`. What, from how much, and the time it took.
    WorkedOut(String),
    /// A credential plugin talks to the user: the live screen pauses.
    ScreenPaused,
    /// The plugin is done: the live screen goes on.
    ScreenResumed,
}

/// Where events go. Cheap to clone and callable from any task.
pub type Events = Arc<dyn Fn(Event) + Send + Sync>;
