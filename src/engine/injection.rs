//! How the source gets its sidecar: by the namespace's label, or by one of its own.

use super::facts::Facts;
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::field_owner::{FieldOwner, owners_of};
use crate::plan::journal::{Entry, RESTORABLE_FIELDS};
use crate::plan::ownership::Manifest;
use crate::plan::source::Injection;
use crate::vocabulary::{Object, ObjectReference, PlanIdentity};
use serde_json::json;

/// A label of the namespace that switches injection on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectionLabel {
    /// Its JSON pointer, one of the restorable fields.
    pub pointer: &'static str,
    /// Its name.
    pub label: &'static str,
    /// What it is set to.
    pub value: String,
    /// What it was before.
    pub before: Option<String>,
    /// Who owned it before, as far as it was there.
    pub owners: Vec<FieldOwner>,
}

impl InjectionLabel {
    /// The label as an object to apply.
    pub(super) fn manifest(&self, plan: &PlanIdentity) -> Manifest {
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": plan.namespace, "labels": {self.label: self.value}},
        });
        Manifest {
            object: Object(object),
            reference: ObjectReference::cluster(kinds::namespace(), &plan.namespace),
            manager: plan.shared_manager(),
            shared: true,
        }
    }

    /// What the journal says of it.
    pub(super) fn entry(&self, plan: &PlanIdentity) -> Entry {
        Entry::Field {
            reference: ObjectReference::cluster(kinds::namespace(), &plan.namespace),
            manager: plan.shared_manager(),
            pointer: self.pointer.to_owned(),
            before: self.before.clone().map(Into::into),
            owners: self.owners.clone(),
        }
    }
}

const INJECTION: &str = "istio-injection";
const REVISION: &str = "istio.io/rev";

/// Decides; what needs the user's word is added to `consents`.
///
/// # Errors
/// If there are several revisions of Istio and none is the default.
pub(super) fn choose(
    plan: &PlanIdentity,
    inject_pod_only: bool,
    facts: &Facts,
    consents: &mut Vec<String>,
) -> Result<(Injection, Option<InjectionLabel>)> {
    let namespace = facts.namespace.as_ref();
    let label = |name: &str| namespace.and_then(|namespace| namespace.label(name));
    if label(REVISION).is_some() || label(INJECTION) == Some("enabled") {
        return Ok((Injection::Namespace, None));
    }
    let has_default =
        facts.revisions.is_empty() || facts.revisions.iter().any(|revision| revision == "default");
    let revision = match facts.revisions.as_slice() {
        _ if has_default => None,
        [only] => Some(only.clone()),
        several => {
            return Err(Error::usage(format!(
                "this cluster has the Istio revisions {} and no default one",
                several.join(", ")
            ))
            .hint(format!(
                "choose one for the namespace: kubectl label namespace {} istio.io/rev={}",
                plan.namespace, several[0]
            )));
        }
    };
    let disabled = label(INJECTION).map(str::to_owned);
    if inject_pod_only && disabled.is_none() {
        return Ok((revision.map_or(Injection::Pod, Injection::PodRevision), None));
    }
    if let Some(value) = &disabled {
        consents.push(format!(
            "Namespace {} has the label istio-injection={value}. Change it to enabled until cleanup? Pods that start meanwhile get a sidecar.",
            plan.namespace
        ));
    }
    let (index, label, value) = match revision {
        Some(revision) if disabled.is_none() => (1, REVISION, revision),
        _ => (0, INJECTION, "enabled".to_owned()),
    };
    let pointer = RESTORABLE_FIELDS[index];
    Ok((
        Injection::Namespace,
        Some(InjectionLabel {
            pointer,
            label,
            value,
            before: disabled,
            owners: namespace.map_or_else(Vec::new, |namespace| owners_of(namespace, pointer)),
        }),
    ))
}
