//! Server-side apply: who owns which field, and what follows.
//!
//! The rules are those of Kubernetes' structured-merge-diff; the lists that merge by key are named in `schema`.

mod field_set;
mod managed;
mod merge;
mod schema;

pub(super) use managed::{Manager, apply, track_update};

use crate::vocabulary::Kind;
use serde_json::Value;

/// Strategic merge patch: as merging for an apply, and `null` removes. `$patch` directives are not understood.
pub(super) fn strategic_merge(kind: &Kind, live: &Value, patch: &Value) -> Value {
    merge::merge(kind, live, patch)
}
