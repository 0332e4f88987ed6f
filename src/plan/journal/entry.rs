//! One change of a plan.

use crate::istio::kinds;
use crate::plan::field_owner::FieldOwner;
use crate::plan::foreign_field::{Before, ForeignField};
use crate::plan::ownership::Manifest;
use crate::vocabulary::ObjectReference;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
        /// What it was set to, so that a change by somebody else can be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        set: Option<Value>,
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

    /// A field of a foreign object that is to be set.
    pub fn of_field(
        field: &ForeignField,
        reference: ObjectReference,
        manager: String,
        before: Before,
        set: Option<Value>,
    ) -> Self {
        Self::Field {
            reference,
            manager,
            pointer: field.pointer.to_owned(),
            before: before.value,
            owners: before.owners,
            set,
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
