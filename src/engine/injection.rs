//! How the source gets its sidecar: by the namespace's label, or by one of its own.

use super::facts::Facts;
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::field_owner::owners_of;
use crate::plan::foreign_field::{self, Before, ForeignField};
use crate::plan::journal::Entry;
use crate::plan::ownership::{Manifest, is_our_manager};
use crate::plan::source::Injection;
use crate::vocabulary::{Object, ObjectReference, PlanIdentity};
use serde_json::json;

/// A label of the namespace that switches injection on.
#[derive(Debug, Clone)]
pub struct InjectionLabel {
    /// Which of the fields that a plan may set.
    pub field: &'static ForeignField,
    /// Its name.
    pub label: &'static str,
    /// What it is set to.
    pub value: String,
    /// What it was before, and whose.
    pub before: Before,
}

impl InjectionLabel {
    /// The label as an object to apply.
    pub(super) fn manifest(&self, plan: &PlanIdentity) -> Manifest {
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": plan.namespace, "labels": {self.label: self.value}},
        });
        let mut object = Object(object);
        self.field.add_note(&mut object, &self.before);
        Manifest {
            object,
            reference: ObjectReference::cluster(kinds::namespace(), &plan.namespace),
            manager: plan.shared_manager(),
            shared: true,
        }
    }

    /// What the journal says of it.
    pub(super) fn entry(&self, plan: &PlanIdentity) -> Entry {
        Entry::of_field(
            self.field,
            ObjectReference::cluster(kinds::namespace(), &plan.namespace),
            plan.shared_manager(),
            self.before.clone(),
            Some(json!(self.value)),
        )
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
        return Ok((
            Injection::Namespace,
            namespace.and_then(|namespace| shared_with(plan, namespace)),
        ));
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
    let (field, label, value) = match revision {
        Some(revision) if disabled.is_none() => (&foreign_field::REVISION, REVISION, revision),
        _ => (&foreign_field::INJECTION, INJECTION, "enabled".to_owned()),
    };
    let owners = namespace.map_or_else(Vec::new, |namespace| owners_of(namespace, field.pointer));
    Ok((
        Injection::Namespace,
        Some(InjectionLabel {
            field,
            label,
            value,
            before: Before {
                value: disabled.map(Into::into),
                owners,
            },
        }),
    ))
}

/// The label that another plan of the namespace set and this one does not own yet: with it as a second owner the label
/// stays until both plans are cleaned up.
fn shared_with(plan: &PlanIdentity, namespace: &Object) -> Option<InjectionLabel> {
    let labels = [
        (&foreign_field::INJECTION, INJECTION),
        (&foreign_field::REVISION, REVISION),
    ];
    labels.into_iter().find_map(|(field, label)| {
        let owners = owners_of(namespace, field.pointer);
        let of_plans = !owners.is_empty() && owners.iter().all(|owner| is_our_manager(&owner.manager));
        let owned = owners.iter().any(|owner| owner.manager == plan.shared_manager());
        (of_plans && !owned).then(|| InjectionLabel {
            field,
            label,
            value: namespace.label(label).unwrap_or_default().to_owned(),
            before: field.noted(namespace).unwrap_or_default(),
        })
    })
}
