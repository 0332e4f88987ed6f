//! What the attempts to get out without the gateway came to before a lock: with it they are compared under the lock.
//! It is shown, and taken for a control; nothing is undone by it.

use super::Journal;
use crate::vocabulary::AttemptOutcome;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One run of `verify --bypass` in a namespace without a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BypassRecord {
    /// Where the pods were.
    pub namespace: String,
    /// When, by the API server's clock, in RFC 3339.
    pub at: String,
    /// Outcomes by the attempt's name.
    pub attempts: BTreeMap<String, AttemptOutcome>,
}

impl Journal {
    /// What was seen in a namespace before its lock.
    pub fn bypass_of(&self, namespace: &str) -> Option<&BypassRecord> {
        self.bypass.iter().find(|record| record.namespace == namespace)
    }

    /// Notes a run, in the place of an older one in the same namespace.
    pub fn record_bypass(&mut self, record: BypassRecord) {
        self.bypass.retain(|old| old.namespace != record.namespace);
        self.bypass.push(record);
    }
}
