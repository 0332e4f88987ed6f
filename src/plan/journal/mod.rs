//! The journal: what a plan changed and what was there before, kept in the cluster; and what undoing it means.
//!
//! It is written before anything is changed. It is not trusted: anybody in the namespace can edit it. What an entry
//! may name, and what the live object has to bear, is decided in `allowed`; what is undone of a journal that somebody
//! has tampered with, in `salvage`.

mod allowed;
mod bypass;
mod entry;
mod salvage;

pub use super::lock::LockRecord;
pub use allowed::{Standing, standing};
pub use bypass::BypassRecord;
pub use entry::Entry;
pub use salvage::Salvaged;

use super::{GatewayTarget, Plan};
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::vocabulary::{Object, ObjectReference, PlanIdentity};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

/// Format of this journal; a newer one is refused, not guessed.
pub const VERSION: u32 = 1;

/// What a plan changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Journal {
    /// [`VERSION`].
    pub version: u32,
    /// The plan as it is set up, or was meant to be.
    pub plan: Plan,
    /// The gateway that it uses.
    pub gateway: GatewayTarget,
    /// Image of the source, for pods that `verify` makes.
    pub image: String,
    /// Labels that a pod must carry to be let in by the gateway's network policies, for pods that `verify` makes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub client_labels: BTreeMap<String, String>,
    /// Each change, in the order in which it was made.
    pub entries: Vec<Entry>,
    /// The locks that use the plan's gateway, each with what it was derived from. Their objects are entries as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<LockRecord>,
    /// What `verify --bypass` saw before a lock, by namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bypass: Vec<BypassRecord>,
    /// The other cluster that the plan works with, which has a journal of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetRecord>,
    /// Whether the run that wrote it came to its end.
    pub complete: bool,
    /// Which stored journal this one continues.
    #[serde(skip)]
    pub stored: StoredVersion,
}

/// `metadata.resourceVersion` that a journal was read or written with; `None` for one that was never stored. It says
/// nothing about what is in the journal, so all are equal.
#[derive(Debug, Clone, Default)]
pub struct StoredVersion(pub Option<String>);

impl PartialEq for StoredVersion {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for StoredVersion {}

/// The cluster that a plan's hosts lead to, where we set that up as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetRecord {
    /// Its context in the kubeconfig of whoever set it up. The plan has the same name there.
    pub context: String,
    /// UID of the plan's namespace there: whoever can only write this journal cannot name another cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_uid: Option<String>,
}

/// What to do to undo one entry, all of one wave side by side, waves one after the other.
pub type Waves = Vec<Vec<Entry>>;

impl Journal {
    /// Name of the ConfigMap that holds a plan's journal.
    pub fn object_name(plan: &PlanIdentity) -> String {
        format!("kubectl-egress-{}", plan.name)
    }

    /// Names the ConfigMap that holds a plan's journal.
    pub fn reference_of(plan: &PlanIdentity) -> ObjectReference {
        ObjectReference::namespaced(kinds::config_map(), &plan.namespace, Self::object_name(plan))
    }

    /// An empty journal of a plan.
    pub fn new(plan: Plan, gateway: GatewayTarget, image: String) -> Self {
        Self {
            version: VERSION,
            plan,
            gateway,
            image,
            client_labels: BTreeMap::new(),
            entries: Vec::new(),
            locks: Vec::new(),
            bypass: Vec::new(),
            target: None,
            complete: false,
            stored: StoredVersion::default(),
        }
    }

    /// Adds an entry unless an entry for the same object (and field) is there; the oldest knows what was before.
    pub fn record(&mut self, entry: Entry) {
        let same = |old: &Entry| match (old, &entry) {
            (
                Entry::Field {
                    reference: a,
                    pointer: p,
                    ..
                },
                Entry::Field {
                    reference: b,
                    pointer: q,
                    ..
                },
            ) => a == b && p == q,
            (Entry::Object { reference: a, .. }, Entry::Object { reference: b, .. }) => a == b,
            (Entry::Namespace { name: a, .. }, Entry::Namespace { name: b, .. }) => a == b,
            _ => false,
        };
        if !self.entries.iter().any(same) {
            self.entries.push(entry);
        }
    }

    /// Replaces an entry for the same object and field: what was noted once no longer holds, as the plan lost the field
    /// meanwhile.
    pub fn record_anew(&mut self, entry: Entry) {
        if let Entry::Field {
            reference: of,
            pointer: at,
            ..
        } = &entry
        {
            self.entries.retain(|old| {
                !matches!(old, Entry::Field { reference, pointer, .. } if reference == of && pointer == at)
            });
        }
        self.record(entry);
    }

    /// Notes the UID of an applied object.
    pub fn note_uid(&mut self, object: &ObjectReference, new_uid: &str) {
        for entry in &mut self.entries {
            if let Entry::Object { reference, uid, .. } = entry
                && reference == object
            {
                *uid = Some(new_uid.to_owned());
            }
        }
    }

    /// Forgets an object that is gone; a lock with its record.
    pub fn forget(&mut self, object: &ObjectReference) {
        self.entries.retain(|entry| entry.reference() != *object);
        self.locks.retain(|lock| lock.reference() != *object);
    }

    /// Objects of this journal that `kept` does not hold: left over from an earlier, larger plan.
    pub fn obsolete(&self, kept: &[ObjectReference]) -> Vec<Entry> {
        let gone =
            |entry: &&Entry| matches!(entry, Entry::Object { reference, .. } if !kept.contains(reference));
        self.entries.iter().filter(gone).cloned().collect()
    }

    /// The ConfigMap's content.
    ///
    /// # Errors
    /// Only if serialising fails, which is a bug.
    pub fn to_data(&self) -> Result<serde_json::Value> {
        let journal = serde_json::to_string_pretty(self)
            .map_err(|error| Error::bug(format!("cannot write the journal: {error}")))?;
        Ok(json!({"data": {"journal": journal, "plan": super::to_file(&self.plan)?}}))
    }

    /// Reads the ConfigMap, trusting nothing: the plan must be the one asked for and every entry within the closed lists.
    ///
    /// # Errors
    /// If it cannot be read, is of a newer version, or names a kind or field that undo may not touch.
    pub fn from_object(object: &Object, plan: &PlanIdentity) -> Result<Self> {
        let at = Self::reference_of(plan);
        let refuse = |cause: String| {
            Error::usage(format!("the journal {at} cannot be used"))
                .because(cause)
                .hint(format!(
                    "look at it: kubectl get configmap {} -n {} -o yaml",
                    at.name, plan.namespace
                ))
                .hint(format!(
                    "undo what is honest in it: kubectl egress cleanup -n {} --plan {}",
                    plan.namespace, plan.name
                ))
        };
        let mut journal: Self =
            serde_json::from_str(object.text("/data/journal")).map_err(|error| refuse(error.to_string()))?;
        if journal.version != VERSION {
            return Err(refuse(format!(
                "it has version {}, this program reads version {VERSION}",
                journal.version
            )));
        }
        if journal.plan.identity != *plan {
            return Err(refuse(format!(
                "it says that it is of plan {}",
                journal.plan.identity
            )));
        }
        for entry in &journal.entries {
            entry.check(plan).map_err(refuse)?;
        }
        for lock in &journal.locks {
            lock.check().map_err(refuse)?;
        }
        journal.stored = StoredVersion(Some(object.resource_version().to_owned()));
        Ok(journal)
    }

    /// What undoing means: the reverse of the safe order, so that nothing is reachable directly that was not before.
    pub fn undo(&self) -> Waves {
        let wave = |entry: &Entry| match entry {
            Entry::Object { reference, .. } => match reference.kind.kind.as_str() {
                "ServiceEntry" => 0,
                "VirtualService" | "APIRule" => 1,
                "DestinationRule" | "Gateway" => 2,
                // When nothing is routed any more. A switch goes with its lock: all it could do is take it away.
                "NetworkPolicy" | "Job" => 3,
                // Before what their pods use: one that is just being made waits for a ServiceAccount that is gone, and
                // its end waits for that.
                "Deployment" | "Pod" => 4,
                // The module refuses to go while objects of Istio's kinds are there.
                "Istio" => 6,
                _ => 5,
            },
            Entry::Field { .. } => 5,
            Entry::Namespace { .. } => 7,
        };
        let mut waves: Waves = vec![Vec::new(); 8];
        for entry in &self.entries {
            waves[wave(entry)].push(entry.clone());
        }
        waves.retain(|wave| !wave.is_empty());
        waves
    }
}

#[cfg(test)]
mod tests;
