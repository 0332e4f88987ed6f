//! The journal: what a plan changed and what was there before, kept in the cluster; and what undoing it means.
//!
//! It is written before anything is changed. It is not trusted: anybody in the namespace can edit it. Undo touches
//! only kinds and field paths of closed lists, and the engine deletes only what is ours by label, field manager and
//! recorded UID.

use super::field_owner::FieldOwner;
pub use super::lock::LockRecord;
use super::lock::check_name;
use super::ownership::{Manifest, touchable_kinds};
use super::{GatewayTarget, Plan};
use crate::error::{Error, Result};
use crate::istio::{kinds, kyma};
use crate::vocabulary::{Object, ObjectReference, PlanIdentity, names};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Format of this journal; a newer one is refused, not guessed.
pub const VERSION: u32 = 1;

/// JSON pointers of the only fields of the plan's namespace that undo may write.
pub const RESTORABLE_FIELDS: &[&str] = &[
    "/metadata/labels/istio-injection",
    "/metadata/labels/istio.io~1rev",
];

/// JSON pointers of the only fields of a foreign object that undo may write, and whether a value fits there: a closed
/// list per kind.
fn restorable(
    object: &ObjectReference,
    plan: &PlanIdentity,
) -> (&'static [&'static str], fn(&Value) -> bool) {
    if *object == ObjectReference::cluster(kinds::namespace(), &plan.namespace) {
        (RESTORABLE_FIELDS, Value::is_string)
    } else if object.kind == kinds::istio_module() && object.namespace.as_deref() == Some(kyma::NAMESPACE) {
        (&[kyma::GATEWAY_SWITCH], Value::is_boolean)
    } else {
        (&[], |_| false)
    }
}

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
    /// Whether the run that wrote it came to its end.
    pub complete: bool,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type", deny_unknown_fields)]
pub enum Entry {
    /// An object that we applied whole.
    Object {
        /// Which.
        reference: ObjectReference,
        /// As which field manager.
        manager: String,
        /// Whether other plans may own it too.
        shared: bool,
        /// Its UID, once it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<String>,
    },
    /// A field of a foreign object that we set.
    Field {
        /// Of which object.
        reference: ObjectReference,
        /// As which field manager.
        manager: String,
        /// Which field, as JSON pointer; one of the closed list of its kind.
        pointer: String,
        /// What it was before; absent: it was not there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Value>,
        /// Who owned it before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        owners: Vec<FieldOwner>,
    },
    /// A namespace that we created.
    Namespace {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
    },
}

impl Entry {
    /// The intention to apply an object.
    pub fn intends(manifest: &Manifest) -> Self {
        Self::Object {
            reference: manifest.reference.clone(),
            manager: manifest.manager.clone(),
            shared: manifest.shared,
            uid: None,
        }
    }

    /// The object it concerns.
    pub fn reference(&self) -> ObjectReference {
        match self {
            Self::Object { reference, .. } | Self::Field { reference, .. } => reference.clone(),
            Self::Namespace { name, .. } => ObjectReference::cluster(kinds::namespace(), name),
        }
    }
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
            complete: false,
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
        };
        let journal: Self =
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
        Ok(journal)
    }

    /// What undoing means: the reverse of the safe order, so that nothing is reachable directly that was not before.
    pub fn undo(&self) -> Waves {
        let wave = |entry: &Entry| match entry {
            Entry::Object { reference, .. } => match reference.kind.kind.as_str() {
                "ServiceEntry" => 0,
                "VirtualService" => 1,
                "DestinationRule" | "Gateway" => 2,
                // When nothing is routed any more. A switch goes with its lock: all it could do is take it away.
                "NetworkPolicy" | "Job" => 3,
                // The module refuses to go while objects of Istio's kinds are there.
                "Istio" => 5,
                _ => 4,
            },
            Entry::Field { .. } => 4,
            Entry::Namespace { .. } => 6,
        };
        let mut waves: Waves = vec![Vec::new(); 7];
        for entry in &self.entries {
            waves[wave(entry)].push(entry.clone());
        }
        waves.retain(|wave| !wave.is_empty());
        waves
    }
}

impl Entry {
    fn check(&self, plan: &PlanIdentity) -> std::result::Result<(), String> {
        let ours = |manager: &str| manager == names::MANAGER || manager == plan.shared_manager();
        match self {
            Self::Object {
                reference, manager, ..
            } => {
                let elsewhere = reference.kind == kinds::istio_module()
                    && reference.namespace.as_deref() != Some(kyma::NAMESPACE);
                if !touchable_kinds().contains(&reference.kind)
                    || reference.kind == kinds::namespace()
                    || elsewhere
                {
                    return Err(format!(
                        "it names {reference}, a kind that this program never creates"
                    ));
                }
                if !ours(manager) {
                    return Err(format!(
                        "it names the field manager {manager}, which is not this plan's"
                    ));
                }
                check_name(reference)?;
            }
            Self::Field {
                reference,
                manager,
                pointer,
                before,
                ..
            } => {
                let (fields, fits) = restorable(reference, plan);
                if fields.is_empty() {
                    return Err(format!(
                        "it names a field of {reference}, which this program never sets"
                    ));
                }
                if !fields.contains(&pointer.as_str()) {
                    return Err(format!(
                        "it names the field {pointer}, which this program never sets"
                    ));
                }
                if let Some(before) = before.as_ref().filter(|before| !fits(before)) {
                    return Err(format!("it gives the field {pointer} the value {before}"));
                }
                if !ours(manager) {
                    return Err(format!(
                        "it names the field manager {manager}, which is not this plan's"
                    ));
                }
            }
            Self::Namespace { name, .. } => {
                if *name != plan.namespace {
                    return Err(format!("it names the namespace {name}, not its own"));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{PlannedHost, gateway_workload, routing};

    fn journal() -> Journal {
        let identity = PlanIdentity::new("demo", "default").unwrap();
        let host = PlannedHost::passthrough("kyma-project.io".parse().unwrap(), 443);
        let plan = Plan::new(identity, None, vec![host]).unwrap();
        let gateway = gateway_workload::target("istio-system");
        let mut journal = Journal::new(plan.clone(), gateway.clone(), "image".to_owned());
        journal.record(Entry::Namespace {
            name: "demo".to_owned(),
            uid: "u".to_owned(),
        });
        for manifest in routing::objects(&plan, &gateway) {
            journal.record(Entry::intends(&manifest));
        }
        journal
    }

    fn stored(journal: &Journal) -> Object {
        Object(journal.to_data().unwrap())
    }

    #[test]
    fn survives_the_way_through_the_cluster() {
        let journal = journal();
        assert_eq!(
            Journal::from_object(&stored(&journal), &journal.plan.identity).unwrap(),
            journal
        );
    }

    #[test]
    fn undoes_in_the_reverse_of_the_safe_order() {
        let waves = journal().undo();
        let kinds: Vec<Vec<String>> = waves
            .iter()
            .map(|wave| wave.iter().map(|entry| entry.reference().kind.kind).collect())
            .collect();
        assert_eq!(
            kinds,
            [
                vec!["ServiceEntry"],
                vec!["VirtualService"],
                vec!["Gateway", "DestinationRule"],
                vec!["Namespace"]
            ]
        );
    }

    #[test]
    fn the_oldest_entry_knows_what_was_before() {
        let mut journal = journal();
        let field = |before: Option<&str>| Entry::Field {
            reference: ObjectReference::cluster(kinds::namespace(), "demo"),
            manager: names::MANAGER.to_owned(),
            pointer: RESTORABLE_FIELDS[0].to_owned(),
            before: before.map(|value| json!(value)),
            owners: Vec::new(),
        };
        journal.record(field(Some("disabled")));
        journal.record(field(Some("enabled")));
        assert!(journal.entries.contains(&field(Some("disabled"))));
        assert!(!journal.entries.contains(&field(Some("enabled"))));
    }

    fn switch(namespace: &str, pointer: &str, before: Option<Value>) -> Entry {
        Entry::Field {
            reference: ObjectReference::namespaced(kinds::istio_module(), namespace, "default"),
            manager: "kubectl-egress/demo/default".to_owned(),
            pointer: pointer.to_owned(),
            before,
            owners: Vec::new(),
        }
    }

    #[test]
    fn the_switch_of_the_module_with_its_value_survives_the_way_through_the_cluster() {
        let mut journal = journal();
        journal.record(switch("kyma-system", kyma::GATEWAY_SWITCH, Some(json!(false))));
        let plan = journal.plan.identity.clone();
        assert_eq!(Journal::from_object(&stored(&journal), &plan).unwrap(), journal);
        journal.record_anew(switch("kyma-system", kyma::GATEWAY_SWITCH, None));
        assert_eq!(
            journal.entries.last(),
            Some(&switch("kyma-system", kyma::GATEWAY_SWITCH, None))
        );
    }

    #[test]
    fn an_edited_journal_cannot_reach_further() {
        let plan = journal().plan.identity;
        let evil = [
            Entry::Object {
                reference: ObjectReference::namespaced(kinds::secret(), "kube-system", "x"),
                manager: names::MANAGER.to_owned(),
                shared: false,
                uid: None,
            },
            Entry::Namespace {
                name: "kube-system".to_owned(),
                uid: "u".to_owned(),
            },
            Entry::Field {
                reference: ObjectReference::cluster(kinds::namespace(), "demo"),
                manager: names::MANAGER.to_owned(),
                pointer: "/metadata/labels/pod-security.kubernetes.io~1enforce".to_owned(),
                before: None,
                owners: Vec::new(),
            },
            switch("kyma-system", "/spec/components/proxy", None),
            switch("demo", kyma::GATEWAY_SWITCH, None),
            switch("kyma-system", kyma::GATEWAY_SWITCH, Some(json!({"a": "b"}))),
            Entry::Object {
                reference: ObjectReference::namespaced(kinds::istio_module(), "demo", "default"),
                manager: names::MANAGER.to_owned(),
                shared: true,
                uid: None,
            },
            Entry::Object {
                reference: ObjectReference::namespaced(kinds::deployment(), "demo", "curl"),
                manager: "kubectl".to_owned(),
                shared: false,
                uid: None,
            },
        ];
        for entry in evil {
            let mut journal = journal();
            journal.entries.push(entry.clone());
            assert!(
                Journal::from_object(&stored(&journal), &plan).is_err(),
                "{entry:?}"
            );
        }
    }

    #[test]
    fn a_newer_journal_is_refused() {
        let mut newer = journal();
        newer.version = VERSION + 1;
        let error = Journal::from_object(&stored(&newer), &newer.plan.identity).unwrap_err();
        assert!(error.to_string().contains("version"), "{error}");
    }

    fn lock_record(namespace: &str, name: &str) -> LockRecord {
        LockRecord {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: "u".to_owned(),
            settings: crate::plan::lock::LockSettings::default(),
            spec: json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": []}),
            reached_before: Vec::new(),
            confirmed: true,
        }
    }

    fn entry(kind: crate::vocabulary::Kind, namespace: &str, name: &str) -> Entry {
        Entry::Object {
            reference: ObjectReference::namespaced(kind, namespace, name),
            manager: names::MANAGER.to_owned(),
            shared: false,
            uid: None,
        }
    }

    #[test]
    fn a_lock_of_another_namespace_goes_after_the_routing_and_before_what_its_switch_needs() {
        let mut journal = journal();
        for kind in [
            kinds::config_map(),
            kinds::role(),
            kinds::job(),
            kinds::network_policy(),
        ] {
            journal.record(entry(kind, "locked", "kubectl-egress-lock-abc"));
        }
        let lock = lock_record("locked", "kubectl-egress-lock-abc");
        journal.record_lock(lock_record("locked", "kubectl-egress-lock-abc"));
        journal.record_lock(lock.clone());
        assert_eq!(journal.lock_of("locked"), Some(&lock));
        assert_eq!(journal.lock_of("demo"), None);
        let read = Journal::from_object(&stored(&journal), &journal.plan.identity).unwrap();
        assert_eq!(read, journal);
        let kinds: Vec<Vec<String>> = read
            .undo()
            .iter()
            .skip(3)
            .map(|wave| wave.iter().map(|entry| entry.reference().kind.kind).collect())
            .collect();
        assert_eq!(
            kinds,
            [
                vec!["Job", "NetworkPolicy"],
                vec!["ConfigMap", "Role"],
                vec!["Namespace"]
            ]
        );
        journal.forget(&lock.reference());
        assert!(journal.locks.is_empty());
    }

    #[test]
    fn an_edited_journal_cannot_reach_policies_of_others() {
        let plan = journal().plan.identity;
        let kinds = [
            kinds::network_policy(),
            kinds::job(),
            kinds::role(),
            kinds::role_binding(),
        ];
        for kind in kinds {
            let mut journal = journal();
            journal.entries.push(entry(kind.clone(), "demo", "default-deny"));
            let error = Journal::from_object(&stored(&journal), &plan).unwrap_err();
            assert!(error.to_string().contains("default-deny"), "{kind:?}: {error}");
        }
        for lock in [
            lock_record("demo", "default-deny"),
            lock_record("Demo", "kubectl-egress-lock-abc"),
        ] {
            let mut journal = journal();
            journal.locks.push(lock.clone());
            assert!(
                Journal::from_object(&stored(&journal), &plan).is_err(),
                "{lock:?}"
            );
        }
    }
}
