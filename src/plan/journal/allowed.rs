//! What an entry may name at all, and what the live object has to bear before undo believes it. The one place for both.
//!
//! A tenant can write anything into the journal of their namespace, and an administrator's `cleanup` reads it. So an
//! entry is only ever a pointer to look at; what is done follows from the object:
//!
//! | entry | may name | is done only if the live object |
//! |---|---|---|
//! | object of the plan alone | the kinds of [`touchable_kinds`], applied as [`names::MANAGER`] | has our label, our entry in managedFields, the plan's labels, the UID |
//! | object that plans share | the same kinds, applied as the plan's own manager | has our label, no plan's, this plan's entry in managedFields, the UID |
//! | field | the fields of [`fields_of`] | has this plan's entry for the field; a value of before: the note ([`Claim`](crate::plan::foreign_field::Claim)) |
//! | namespace | the plan's | has this plan's labels and entry, the UID |
//!
//! None of these marks can be put on an object by somebody who could not delete or change it without us.

use super::Entry;
use crate::istio::{kinds, kyma};
use crate::plan::foreign_field::fields_of;
use crate::plan::lock::check_name;
use crate::plan::ownership::{is_our_manager, is_ours, plan_of, touchable_kinds};
use crate::vocabulary::{Object, ObjectReference, PlanIdentity, names};

impl Entry {
    /// Whether a journal of this plan may say this at all; as one clause if not.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, plan: &PlanIdentity) -> Result<(), String> {
        match self {
            Self::Object {
                reference,
                manager,
                shared,
                ..
            } => {
                check_reference(reference)?;
                let wanted = if *shared {
                    plan.shared_manager()
                } else {
                    names::MANAGER.to_owned()
                };
                check_manager(reference, manager, &wanted)?;
                check_name(reference)
            }
            Self::Field {
                reference,
                manager,
                pointer,
                before,
                set,
                ..
            } => {
                check_spelling(reference)?;
                let fields = fields_of(reference, plan);
                if fields.is_empty() {
                    return Err(format!(
                        "it names a field of {}, which this program never sets",
                        shown(&reference.to_string())
                    ));
                }
                let Some(field) = fields.iter().find(|field| field.pointer == pointer) else {
                    return Err(format!(
                        "it names the field {} of {reference}, which this program never sets",
                        shown(pointer)
                    ));
                };
                let odd = before.iter().chain(set).find(|value| !field.fits(value));
                if let Some(odd) = odd {
                    return Err(format!(
                        "it gives {} of {reference} the value {}",
                        field.name,
                        shown(&odd.to_string())
                    ));
                }
                check_manager(reference, manager, &plan.shared_manager())
            }
            Self::Namespace { name, .. } if *name != plan.namespace => {
                Err(format!("it names the namespace {}, not its own", shown(name)))
            }
            Self::Namespace { .. } => Ok(()),
        }
    }
}

fn check_reference(reference: &ObjectReference) -> Result<(), String> {
    check_spelling(reference)?;
    let namespace = reference.namespace.as_deref();
    // Kubernetes keeps names that begin like this for itself; no gateway is there.
    if reference.kind == kinds::secret() && namespace.is_none_or(|name| name.starts_with("kube-")) {
        return Err(format!(
            "it names {reference}, where this program never makes one"
        ));
    }
    let elsewhere = reference.kind == kinds::istio_module() && namespace != Some(kyma::NAMESPACE);
    let known = touchable_kinds().contains(&reference.kind) && reference.kind != kinds::namespace();
    if !known || elsewhere || reference.kind.namespaced != namespace.is_some() {
        return Err(format!(
            "it names {}, a kind that this program never creates",
            shown(&reference.to_string())
        ));
    }
    Ok(())
}

/// Names as Kubernetes takes them; nothing else is asked for or shown as it is.
fn check_spelling(reference: &ObjectReference) -> Result<(), String> {
    let plain = |name: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        !name.is_empty() && name.len() <= 253 && name.bytes().all(fits)
    };
    let kind = &reference.kind.kind;
    if plain(&reference.name) && plain(kind) && reference.namespace.as_deref().is_none_or(plain) {
        return Ok(());
    }
    Err(format!(
        "it names {}, which can be no object's name",
        shown(&reference.to_string())
    ))
}

fn check_manager(reference: &ObjectReference, manager: &str, wanted: &str) -> Result<(), String> {
    if manager == wanted {
        return Ok(());
    }
    Err(format!(
        "it names the field manager {} for {reference}, which is not this plan's",
        shown(manager)
    ))
}

/// Something that a stranger wrote: short, and harmless to a terminal.
pub(super) fn shown(text: &str) -> String {
    const LIMIT: usize = 120;
    let mut shown = String::new();
    for character in text.chars().take(LIMIT) {
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    if text.chars().nth(LIMIT).is_some() {
        shown.push('…');
    }
    shown
}

/// What a live object says to the claim that this plan made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is this plan's alone: it may be deleted.
    Alone,
    /// Another plan uses it too: our share may go.
    Shared,
    /// Nothing of this plan is on it.
    Released,
    /// It is not what the entry says; why, as one sentence.
    NotOurs(String),
}

/// Looks at the marks of a live object; see the table above.
pub fn standing(plan: &PlanIdentity, entry: &Entry, live: &Object) -> Standing {
    let Entry::Object {
        reference,
        manager,
        shared,
        uid,
    } = entry
    else {
        return Standing::Released;
    };
    let not = |why: &str| Standing::NotOurs(format!("{reference} {why}, so it is left as it is"));
    if !is_ours(live) {
        return not("carries no label or field of ours");
    }
    if uid.as_deref().is_some_and(|uid| uid != live.uid()) {
        return not("has another UID than the one that was made");
    }
    if !shared {
        return if plan_of(live).as_ref() == Some(plan) {
            Standing::Alone
        } else {
            not("says that it belongs to another plan")
        };
    }
    if live.label(names::PLAN_LABEL).is_some() {
        return not("says that it belongs to one plan alone");
    }
    if !live.managers().any(|owner| owner == manager) {
        return Standing::Released;
    }
    if live
        .managers()
        .any(|owner| is_our_manager(owner) && owner != manager)
    {
        Standing::Shared
    } else {
        Standing::Alone
    }
}
