//! What this client last saw of the objects that carry fields of ours, to tell whether an apply changed anything.
//!
//! The API server does not say whether a server-side apply changed the object, and asking before and after would cost a
//! request per object. Every command lists or reads what exists before it writes, so the client remembers that.

use super::owned::digest;
use crate::vocabulary::{Change, Object, ObjectReference};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::sync::Mutex;

/// What each field manager had applied to each object, as digests.
#[derive(Default)]
pub(super) struct Seen(Mutex<HashMap<ObjectReference, HashMap<String, [u8; 32]>>>);

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
    /// Remembers an object that was read or written. Objects to which nobody applied anything are not kept.
    pub(super) fn remember(&self, reference: &ObjectReference, object: &Object) {
        let digests: HashMap<String, [u8; 32]> = object
            .managers()
            .filter_map(|manager| Some((manager.to_owned(), digest(object, manager)?)))
            .collect();
        let mut seen = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if digests.is_empty() {
            seen.remove(reference);
        } else {
            seen.insert(reference.clone(), digests);
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
    /// - Seen before: unchanged exactly if the fields that we own, and their values, are the same. What controllers and
    ///   other managers wrote meanwhile does not count.
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
            seen.get(reference)
                .and_then(|digests| digests.get(answer.manager))
                .copied()
        };
        let unchanged = match (before, entry, answer.date) {
            (Some(before), ..) => digest(object, answer.manager) == Some(before),
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
                "managedFields": [{"manager": "us", "operation": "Apply", "time": time, "fieldsV1": {"f:data": {"f:a": {}}}}]},
            "data": {"a": data}, "status": {"x": status},
        }))
    }

    fn answer(status: u16, retried: bool) -> Evidence<'static> {
        Evidence {
            status,
            retried,
            date: Some("2026-11-21T10:00:09Z".parse().unwrap()),
            manager: "us",
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
