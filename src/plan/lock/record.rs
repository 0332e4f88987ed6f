//! Locks in the journal. Anybody in the namespace can edit it, so that names are checked when it is read.

use super::LockSettings;
use crate::istio::kinds;
use crate::plan::journal::Journal;
use crate::vocabulary::{ObjectReference, PlanIdentity, names};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A host and port that answered before the lock: with it the silence of an undeclared host under the lock is compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReachedBefore {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// When, by the API server's clock, in RFC 3339.
    pub at: String,
}

/// A lock as it was applied: what a later look compares it with, and what a changed one goes back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockRecord {
    /// The locked namespace; need not be the plan's.
    pub namespace: String,
    /// Name of the NetworkPolicy, which its run gave it.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// What the user decided.
    pub settings: LockSettings,
    /// What answered before the lock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reached_before: Vec<ReachedBefore>,
    /// Its spec as we applied it.
    pub spec: Value,
    /// `/etc/resolv.conf` of the pod that it was derived by; empty in a record of an older version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resolv_conf: String,
    /// Whether its proof succeeded. One that is not confirmed is taken back by its switch, or is to be taken away.
    pub confirmed: bool,
}

impl LockRecord {
    /// The NetworkPolicy.
    pub fn reference(&self) -> ObjectReference {
        ObjectReference::namespaced(kinds::network_policy(), &self.namespace, &self.name)
    }

    /// Whether it can be a lock of ours, as one sentence if not.
    pub(in crate::plan) fn check(&self) -> Result<(), String> {
        PlanIdentity::new(&self.namespace, names::DEFAULT_PLAN).map_err(|error| error.to_string())?;
        check_name(&self.reference())
    }
}

/// Kinds that only a lockdown makes bear the name of a run, so that an edited journal cannot name a NetworkPolicy of
/// somebody else's.
pub(in crate::plan) fn check_name(reference: &ObjectReference) -> Result<(), String> {
    let of_locks = [
        kinds::network_policy(),
        kinds::job(),
        kinds::role(),
        kinds::role_binding(),
    ];
    if of_locks.contains(&reference.kind) && !reference.name.starts_with(names::LOCK_PREFIX) {
        return Err(format!(
            "it names {reference}, which bears no name of a lock of ours"
        ));
    }
    Ok(())
}

impl Journal {
    /// The lock of a namespace.
    pub fn lock_of(&self, namespace: &str) -> Option<&LockRecord> {
        self.locks.iter().find(|lock| lock.namespace == namespace)
    }

    /// Notes a lock, in the place of an older one of the same namespace.
    pub fn record_lock(&mut self, lock: LockRecord) {
        self.locks.retain(|old| old.namespace != lock.namespace);
        self.locks.push(lock);
    }

    /// Forgets a namespace's lock.
    pub fn forget_lock(&mut self, namespace: &str) {
        self.locks.retain(|lock| lock.namespace != namespace);
    }
}
