//! One change of a plan, and the closed lists within which undo believes it.

use crate::istio::{kinds, kyma};
use crate::plan::field_owner::FieldOwner;
use crate::plan::lock::check_name;
use crate::plan::ownership::{Manifest, touchable_kinds};
use crate::plan::past_sidecar::EXCLUDED_RANGES_FIELD;
use crate::vocabulary::{ObjectReference, PlanIdentity, names};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    } else if [kinds::deployment(), kinds::stateful_set(), kinds::daemon_set()].contains(&object.kind)
        && object.namespace.as_deref() == Some(&plan.namespace)
    {
        (&[EXCLUDED_RANGES_FIELD], Value::is_string)
    } else {
        (&[], |_| false)
    }
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

impl Entry {
    pub(super) fn check(&self, plan: &PlanIdentity) -> std::result::Result<(), String> {
        let ours = |manager: &str| manager == names::MANAGER || manager == plan.shared_manager();
        match self {
            Self::Object {
                reference, manager, ..
            } => {
                let elsewhere = reference.kind == kinds::istio_module()
                    && reference.namespace.as_deref() != Some(kyma::NAMESPACE);
                // Kubernetes keeps names that begin like this for itself; no gateway is there.
                let reserved = reference.kind == kinds::secret()
                    && reference
                        .namespace
                        .as_deref()
                        .is_none_or(|name| name.starts_with("kube-"));
                if reserved {
                    return Err(format!(
                        "it names {reference}, where this program never makes one"
                    ));
                }
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
