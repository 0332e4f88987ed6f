//! Fields of other people's objects that a plan sets: a closed list, the note of what was there before, and what
//! giving one back means. Pure.
//!
//! What a value replaced is known twice: the journal says it, and a note (an annotation) on the object itself. The
//! journal stands where a tenant may write; the note stands where only those can write who could change the field as
//! well. So a value is written back only if the note says it; with the journal gone the note is enough.
//!
//! | the field is | and before was | then |
//! |---|---|---|
//! | ours alone | nothing | it goes with our ownership |
//! | ours alone | a value, noted | that value is written, and belongs to those who had it |
//! | ours alone | a value that no note confirms | refused, and left |
//! | ours and another plan's | | our share goes |
//! | ours and somebody else's too | | our share goes; they want it as it is |
//! | no longer ours | what it is now | our note goes |
//! | no longer ours | something else | somebody changed it: said, and left |

use super::field_owner::{FieldOwner, owners_of};
use super::ownership::is_our_manager;
use super::past_sidecar::EXCLUDED_RANGES_FIELD;
use crate::istio::{kinds, kyma};
use crate::vocabulary::{Object, ObjectReference, PlanIdentity, names};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A field that a plan may set on an object of somebody else's.
#[derive(Debug)]
pub struct ForeignField {
    /// Where it is, as JSON pointer.
    pub pointer: &'static str,
    /// What it is called towards the user.
    pub name: &'static str,
    /// What tells its note from those of other fields; see [`Self::note`].
    word: &'static str,
    /// Whether a value can have stood there.
    fits: fn(&Value) -> bool,
}

/// Label of a namespace that switches injection on or off.
pub const INJECTION: ForeignField = ForeignField {
    pointer: "/metadata/labels/istio-injection",
    name: "label istio-injection",
    word: "istio-injection",
    fits: is_label,
};

/// Label of a namespace that chooses a revision of Istio.
pub const REVISION: ForeignField = ForeignField {
    pointer: "/metadata/labels/istio.io~1rev",
    name: "label istio.io/rev",
    word: "istio-rev",
    fits: is_label,
};

/// The switch of Kyma's Istio module for the egress gateway.
pub const GATEWAY_SWITCH: ForeignField = ForeignField {
    pointer: kyma::GATEWAY_SWITCH,
    name: "spec.components.egressGateway.enabled",
    word: "egress-gateway",
    fits: Value::is_boolean,
};

/// Ranges that a workload reaches past its sidecar.
pub const EXCLUDED_RANGES: ForeignField = ForeignField {
    pointer: EXCLUDED_RANGES_FIELD,
    name: "annotation traffic.sidecar.istio.io/excludeOutboundIPRanges of its pods",
    word: "excluded-ranges",
    fits: is_ranges,
};

/// The fields that a plan may set on an object that is not its own; none on most.
pub fn fields_of(object: &ObjectReference, plan: &PlanIdentity) -> &'static [ForeignField] {
    let workloads = [kinds::deployment(), kinds::stateful_set(), kinds::daemon_set()];
    if *object == ObjectReference::cluster(kinds::namespace(), &plan.namespace) {
        &[INJECTION, REVISION]
    } else if object.kind == kinds::istio_module() && object.namespace.as_deref() == Some(kyma::NAMESPACE) {
        &[GATEWAY_SWITCH]
    } else if workloads.contains(&object.kind) && object.namespace.as_deref() == Some(&plan.namespace) {
        &[EXCLUDED_RANGES]
    } else {
        &[]
    }
}

fn is_label(value: &Value) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    value
        .as_str()
        .is_some_and(|text| text.len() <= 63 && text.bytes().all(plain))
}

fn is_ranges(value: &Value) -> bool {
    let plain = |byte: u8| byte.is_ascii_hexdigit() || b".:/,* ".contains(&byte);
    value
        .as_str()
        .is_some_and(|text| text.len() <= 4096 && text.bytes().all(plain))
}

/// What a field was before any plan set it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Before {
    /// Its value; absent: it was not there, or somebody else keeps it as it is.
    #[serde(default)]
    pub value: Option<Value>,
    /// Who owned it.
    #[serde(default)]
    pub owners: Vec<FieldOwner>,
}

impl ForeignField {
    /// Name of the annotation that notes what was before.
    pub fn note(&self) -> String {
        format!("{}{}", names::BEFORE_ANNOTATION_PREFIX, self.word)
    }

    /// The annotation as JSON pointer.
    pub fn note_pointer(&self) -> String {
        format!("/metadata/annotations/{}", self.note().replace('/', "~1"))
    }

    /// Whether a value can have stood in this field.
    pub fn fits(&self, value: &Value) -> bool {
        (self.fits)(value)
    }

    /// What the note on an object says; `None` also if it is none that this program writes.
    pub fn noted(&self, live: &Object) -> Option<Before> {
        let before: Before = serde_json::from_str(live.annotation(&self.note())?).ok()?;
        before
            .value
            .as_ref()
            .is_some_and(|value| self.fits(value))
            .then_some(before)
    }

    /// Adds the note to what is applied, if there was a value. All plans that share a field write the same, so that
    /// the note goes with the last of them.
    pub fn add_note(&self, manifest: &mut Object, before: &Before) {
        if before.value.is_some() {
            manifest.0["metadata"]["annotations"][self.note()] = json!(json!(before).to_string());
        }
    }
}

/// What a plan says of a field that it set: its journal, or without one what the object bears.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'entry> {
    /// Which field.
    pub field: &'static ForeignField,
    /// Of which object.
    pub reference: &'entry ObjectReference,
    /// As which field manager.
    pub manager: &'entry str,
    /// What it was before.
    pub before: Option<&'entry Value>,
    /// What it was set to, if that is known.
    pub set: Option<&'entry Value>,
}

/// What is to be done with a field.
#[derive(Debug, Clone, PartialEq)]
pub enum GivingBack {
    /// Our ownership goes, and with it what is ours alone.
    LetGo,
    /// This is written, and handed over.
    Write(Before),
    /// Nothing: the journal says something that nothing confirms.
    Refuse(String),
}

/// What is to be done, and what the user should know.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What is to be done.
    pub what: GivingBack,
    /// Said of a field that is left as somebody else set it.
    pub left: Option<String>,
    /// Said of a journal that contradicts the object.
    pub contradicted: Option<String>,
}

impl Claim<'_> {
    /// Decides by the live object; see the table above.
    pub fn decide(&self, live: &Object) -> Decision {
        let found = live.at(self.field.pointer);
        let noted = self.field.noted(live);
        let owners = owners_of(live, self.field.pointer);
        let mine = owners.iter().any(|owner| owner.manager == self.manager);
        let other_plan = owners
            .iter()
            .any(|owner| is_our_manager(&owner.manager) && owner.manager != self.manager);
        let others: Vec<&str> = owners
            .iter()
            .map(|owner| owner.manager.as_str())
            .filter(|manager| !is_our_manager(manager))
            .collect();
        let noted_value = noted.as_ref().and_then(|noted| noted.value.clone());
        let before = noted_value.as_ref().or(self.before);
        let as_before = before.unwrap_or(&Value::Null) == found;
        let mut decision = Decision {
            what: GivingBack::LetGo,
            left: None,
            contradicted: self.contradicted(noted.as_ref()),
        };
        if other_plan {
            return decision;
        }
        let alone = mine && others.is_empty();
        let orphaned = owners.is_empty() && noted.is_some() && self.set.is_none_or(|set| set == found);
        match (noted, before) {
            (Some(noted), Some(_)) if alone || orphaned && !as_before => {
                decision.what = GivingBack::Write(noted);
            }
            (None, Some(_)) if alone => decision.what = GivingBack::Refuse(self.unconfirmed()),
            _ if alone || as_before => {}
            // It is not known that this plan ever set it; or they wanted the same from the beginning.
            (None, None) if mine || self.set.is_none() => {}
            _ => decision.left = Some(self.left(found, before, &others)),
        }
        decision
    }

    fn contradicted(&self, noted: Option<&Before>) -> Option<String> {
        let noted = noted?.value.as_ref()?;
        (self.before != Some(noted)).then(|| {
            format!(
                "of {} of {} the journal says that it was {} before, the note on the object says {noted}: the note counts",
                self.field.name,
                self.reference,
                or_nothing(self.before)
            )
        })
    }

    fn unconfirmed(&self) -> String {
        format!(
            "{} of {}: the journal says that it was {} before, and no note of ours on the object ({}) says so. It is left as it is; if you know what it was, set it: {}",
            self.field.name,
            self.reference,
            or_nothing(self.before),
            self.field.note(),
            self.by_hand()
        )
    }

    fn left(&self, found: &Value, before: Option<&Value>, others: &[&str]) -> String {
        let found = or_nothing(Some(found).filter(|found| !found.is_null()));
        let by = if others.is_empty() {
            String::new()
        } else {
            format!(" by {}", others.join(", "))
        };
        let ours = self
            .set
            .map_or_else(String::new, |set| format!("; this plan had set {set}"));
        format!(
            "{} of {} was changed meanwhile: it is {found} now{by}{ours}; before the plan it was {}. It is left as it is; to have it as before: {}",
            self.field.name,
            self.reference,
            or_nothing(before),
            self.by_hand()
        )
    }

    /// The command for the user. The value is theirs to fill in: one from a journal is not for a shell.
    fn by_hand(&self) -> String {
        let ObjectReference {
            kind,
            namespace,
            name,
        } = self.reference;
        match namespace {
            None => {
                let label = self.field.name.trim_start_matches("label ");
                format!(
                    "kubectl label {} {name} --overwrite {label}=VALUE",
                    kind.kind.to_lowercase()
                )
            }
            Some(namespace) => format!(
                "kubectl edit {}.{} {name} -n {namespace}",
                kind.plural, kind.group
            ),
        }
    }
}

fn or_nothing(value: Option<&Value>) -> String {
    value.map_or_else(|| "not set".to_owned(), Value::to_string)
}

#[cfg(test)]
mod tests;
