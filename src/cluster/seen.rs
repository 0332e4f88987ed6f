//! What this client last saw of the objects that carry fields of ours, to tell whether an apply changed anything.
//!
//! The API server does not say whether a server-side apply changed the object, and asking before and after would cost a
//! request per object. Every command lists or reads what exists before it writes, so the client remembers that.

use crate::vocabulary::{Change, Object, ObjectReference, names::MANAGER};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Mutex;

/// Digests of objects by reference.
#[derive(Default)]
pub(super) struct Seen(Mutex<HashMap<ObjectReference, [u8; 32]>>);

/// How an apply was answered.
pub(super) struct Evidence<'answer> {
    /// 201 or 200.
    pub(super) status: u16,
    /// Whether an earlier try may have reached the server.
    pub(super) retried: bool,
    /// The server's clock when it answered.
    pub(super) date: Option<Timestamp>,
    /// Field manager of the apply.
    pub(super) manager: &'answer str,
}

impl Seen {
    /// Remembers an object that was read or written. Objects without fields of ours are not kept: applying to one of
    /// them changes it in any case, as it adds our entry to `managedFields`.
    pub(super) fn remember(&self, reference: &ObjectReference, object: &Object) {
        let ours = object.managers().any(|manager| manager.starts_with(MANAGER));
        let mut seen = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if ours {
            seen.insert(reference.clone(), digest(object));
        } else {
            seen.remove(reference);
        }
    }

    /// Forgets an object that is gone or no longer as it was seen.
    pub(super) fn forget(&self, reference: &ObjectReference) {
        let mut seen = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.remove(reference);
    }

    /// What an apply did.
    ///
    /// - 201 is created; so is a 200 after a retry if the object is as old as our own entry in it (the first try's
    ///   answer was lost).
    /// - Seen before: unchanged exactly if everything but status, version and timestamps is the same.
    /// - Never seen: the server leaves the time of our entry in `managedFields` alone if nothing changes, so an
    ///   entry older than the answer by more than the clock's grain of a second means unchanged.
    pub(super) fn judge(
        &self,
        reference: &ObjectReference,
        object: &Object,
        answer: &Evidence<'_>,
    ) -> Change {
        if answer.status == 201 {
            return Change::Created;
        }
        let entry = entry_time(object, answer.manager);
        if answer.retried && entry.is_some_and(|time| object.text("/metadata/creationTimestamp") == time) {
            return Change::Created;
        }
        let before = {
            let seen = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            seen.get(reference).copied()
        };
        let unchanged = match (before, entry, answer.date) {
            (Some(before), ..) => before == digest(object),
            (None, Some(entry), Some(date)) => entry
                .parse::<Timestamp>()
                .is_ok_and(|entry| date.duration_since(entry) > SignedDuration::from_secs(1)),
            _ => false,
        };
        if unchanged {
            Change::Unchanged
        } else {
            Change::Configured
        }
    }
}

fn entry_time<'object>(object: &'object Object, manager: &str) -> Option<&'object str> {
    let entries = object.items("/metadata/managedFields").iter();
    entries
        .filter(|entry| entry["manager"] == manager && entry["operation"] == "Apply")
        .find_map(|entry| entry["time"].as_str())
}

/// Over all that an apply can change. Controllers write status all the time, and kind and version are missing in lists.
fn digest(object: &Object) -> [u8; 32] {
    let mut value = object.0.clone();
    if let Some(fields) = value.as_object_mut() {
        for field in ["status", "kind", "apiVersion"] {
            fields.remove(field);
        }
    }
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("resourceVersion");
        if let Some(entries) = metadata.get_mut("managedFields").and_then(Value::as_array_mut) {
            entries.retain(|entry| entry["subresource"].as_str().unwrap_or_default().is_empty());
            for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
                entry.remove("time");
            }
            // The server orders entries by time; who owns what does not depend on it.
            entries.sort_by_key(ToString::to_string);
        }
    }
    Sha256::digest(value.to_string()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::istio::kinds;
    use serde_json::json;

    fn reference() -> ObjectReference {
        ObjectReference::namespaced(kinds::config_map(), "demo", "a")
    }

    fn object(version: &str, data: &str, time: &str, status: &str) -> Object {
        Object(json!({
            "metadata": {"name": "a", "resourceVersion": version, "creationTimestamp": "2026-11-21T10:00:00Z",
                "managedFields": [{"manager": MANAGER, "operation": "Apply", "time": time}]},
            "data": {"a": data}, "status": {"x": status},
        }))
    }

    fn answer(status: u16, retried: bool) -> Evidence<'static> {
        Evidence {
            status,
            retried,
            date: Some("2026-11-21T10:00:09Z".parse().unwrap()),
            manager: MANAGER,
        }
    }

    #[test]
    fn a_status_update_between_does_not_count_as_our_change() {
        let seen = Seen::default();
        seen.remember(&reference(), &object("1", "x", "2026-11-21T10:00:00Z", "old"));
        let after = object("2", "x", "2026-11-21T10:00:00Z", "new");
        assert_eq!(
            seen.judge(&reference(), &after, &answer(200, false)),
            Change::Unchanged
        );
        let changed = object("3", "y", "2026-11-21T10:00:00Z", "new");
        assert_eq!(
            seen.judge(&reference(), &changed, &answer(200, false)),
            Change::Configured
        );
    }

    #[test]
    fn without_a_sight_before_the_time_of_our_entry_decides() {
        let seen = Seen::default();
        let old = object("2", "x", "2026-11-21T10:00:05Z", "");
        assert_eq!(
            seen.judge(&reference(), &old, &answer(200, false)),
            Change::Unchanged
        );
        let new = object("2", "x", "2026-11-21T10:00:09Z", "");
        assert_eq!(
            seen.judge(&reference(), &new, &answer(200, false)),
            Change::Configured
        );
    }

    #[test]
    fn a_creation_whose_answer_was_lost_is_still_a_creation() {
        let seen = Seen::default();
        let created = object("1", "x", "2026-11-21T10:00:00Z", "");
        assert_eq!(
            seen.judge(&reference(), &created, &answer(200, true)),
            Change::Created
        );
        assert_eq!(
            seen.judge(&reference(), &created, &answer(201, false)),
            Change::Created
        );
    }
}
