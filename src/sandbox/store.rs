//! Objects with revisions, and the history that watches read.

use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// How many changes are remembered for watches.
const HISTORY: usize = 20_000;

/// Where an object is: the version is left out because one object is served under several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// API group; empty for the core group.
    pub(super) group: String,
    /// Plural.
    pub(super) plural: String,
    /// Namespace; empty for objects of the whole cluster.
    pub(super) namespace: String,
    /// Name.
    pub(super) name: String,
}

impl Key {
    pub(super) fn new(group: &str, plural: &str, namespace: &str, name: &str) -> Self {
        Self {
            group: group.into(),
            plural: plural.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

/// What a change did to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChangeType {
    Added,
    Modified,
    Deleted,
}

/// One change, as watches see it.
#[derive(Debug, Clone)]
pub(super) struct StoredChange {
    pub(super) revision: u64,
    pub(super) change: ChangeType,
    pub(super) key: Key,
    pub(super) object: Value,
    /// The object before, for selectors that it no longer fits.
    pub(super) previous: Option<Value>,
}

/// All objects.
#[derive(Debug, Default)]
pub(super) struct Store {
    objects: BTreeMap<Key, Value>,
    revision: u64,
    history: VecDeque<StoredChange>,
    /// Changes up to this revision are forgotten.
    forgotten: u64,
}

impl Store {
    /// The revision of the latest change.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Changes up to and with this revision are no longer known.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }

    /// Objects of a resource in a namespace, or in all, by namespace and name.
    pub(super) fn list<'store>(
        &'store self,
        group: &'store str,
        plural: &'store str,
        namespace: Option<&'store str>,
    ) -> impl Iterator<Item = (&'store Key, &'store Value)> {
        self.objects
            .range(Key::new(group, plural, namespace.unwrap_or(""), "")..)
            .take_while(move |(key, _)| {
                key.group == group
                    && key.plural == plural
                    && namespace.is_none_or(|namespace| key.namespace == namespace)
            })
    }

    /// Every object.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.objects.iter()
    }

    /// Writes an object; gives the stored one. An equal object is not written, so its revision stays.
    pub(super) fn put(&mut self, key: Key, mut object: Value) -> Value {
        let mut previous = None;
        if let Some(stored) = self.objects.get(&key) {
            object["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"].clone();
            if *stored == object {
                return object;
            }
            previous = Some(stored.clone());
        }
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let change = if previous.is_some() {
            ChangeType::Modified
        } else {
            ChangeType::Added
        };
        self.record(change, key.clone(), object.clone(), previous);
        self.objects.insert(key, object.clone());
        object
    }

    /// Removes an object; gives it as it was.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Value> {
        let mut object = self.objects.remove(key)?;
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        self.record(ChangeType::Deleted, key.clone(), object.clone(), None);
        Some(object)
    }

    fn record(&mut self, change: ChangeType, key: Key, object: Value, previous: Option<Value>) {
        if self.history.len() == HISTORY
            && let Some(oldest) = self.history.pop_front()
        {
            self.forgotten = oldest.revision;
        }
        self.history.push_back(StoredChange {
            revision: self.revision,
            change,
            key,
            object,
            previous,
        });
    }

    /// Changes after a revision, oldest first.
    pub(super) fn changes_after(&self, revision: u64) -> impl Iterator<Item = &StoredChange> {
        let start = self.history.partition_point(|change| change.revision <= revision);
        self.history.range(start..)
    }

    /// Forgets the history.
    pub(super) fn compact(&mut self) {
        self.history.clear();
        self.forgotten = self.revision;
    }
}
