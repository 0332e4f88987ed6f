//! What undoing left, and why.

use crate::error::Error;
use crate::plan::journal::Journal;
use crate::vocabulary::{ObjectReference, PlanIdentity};

/// What undoing left, and why; empty when all is as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remains {
    /// What stays for a reason that is none of this plan's; a sentence each.
    pub kept: Vec<String>,
    /// What somebody changed meanwhile and is theirs now; a sentence each. There is nothing more to undo about it.
    pub left: Vec<String>,
    /// What the journal says and nothing confirms; a clause each.
    pub refused: Vec<String>,
    /// What was deleted and does not go.
    pub stuck: Vec<Stuck>,
    /// Objects that were not there; not worth a word unless their kind is gone.
    pub(super) missing: Vec<ObjectReference>,
}

/// An object that is marked for deletion and stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Which.
    pub object: ObjectReference,
    /// What it waits for.
    pub finalizers: Vec<String>,
    /// What it says itself, if it has no finalizers.
    pub why: String,
}

impl Remains {
    /// One thing that stays.
    pub(super) fn kept(why: String) -> Self {
        Self {
            kept: vec![why],
            ..Self::default()
        }
    }

    /// One thing that is refused.
    pub(super) fn refused(why: String) -> Self {
        Self {
            refused: vec![why],
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, more: Self) {
        self.kept.extend(more.kept);
        self.left.extend(more.left);
        self.refused.extend(more.refused);
        self.stuck.extend(more.stuck);
        self.missing.extend(more.missing);
    }

    /// Whether all is as it was.
    pub fn is_empty(&self) -> bool {
        self.is_settled() && self.left.is_empty()
    }

    /// Whether nothing is left to be done, so that the journal may go.
    pub(super) fn is_settled(&self) -> bool {
        self.kept.is_empty() && self.refused.is_empty() && self.stuck.is_empty()
    }

    /// All of it, a sentence each.
    pub fn sentences(&self) -> Vec<String> {
        let stuck = self.stuck.iter().map(Stuck::to_string);
        let refused = self.refused.iter().map(|why| format!("refused: {why}"));
        let plain = self.kept.iter().chain(&self.left).cloned();
        plain.chain(refused).chain(stuck).collect()
    }

    /// The error with which a clean-up ends that could not do all: exit 6 if something does not go, else exit 5 if the
    /// journal says what nothing confirms.
    pub fn error(&self, plan: &PlanIdentity) -> Option<Error> {
        let at = Journal::reference_of(plan);
        let refused = |mut error: Error| {
            for why in &self.refused {
                error = error.because(why.clone());
            }
            error
        };
        if !self.stuck.is_empty() {
            let mut error =
                Error::timed_out("what was deleted does not go; all else was undone as far as it may be");
            for stuck in &self.stuck {
                error = error.because(stuck.to_string()).hint(stuck.hint());
            }
            return Some(refused(error).hint(format!(
                "then again: kubectl egress cleanup -n {} --plan {}",
                plan.namespace, plan.name
            )));
        }
        if self.refused.is_empty() {
            return None;
        }
        let error = Error::consent(format!(
            "the journal {at} says what nothing on the objects confirms; that was not done, all else was"
        ));
        Some(
            refused(error)
                .hint(format!(
                    "look at it: kubectl get configmap {} -n {} -o yaml",
                    at.name, plan.namespace
                ))
                .hint(format!(
                    "if nothing of it is to be undone: kubectl delete configmap {} -n {}, then cleanup again, which then finds what is ours by its marks",
                    at.name, plan.namespace
                )),
        )
    }
}

impl std::fmt::Display for Stuck {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} is marked for deletion and stays: ", self.object)?;
        match self.finalizers.as_slice() {
            [] => write!(formatter, "{}", self.why),
            [only] => write!(formatter, "it waits for the finalizer {only}"),
            several => write!(formatter, "it waits for the finalizers {}", several.join(", ")),
        }
    }
}

impl Stuck {
    fn hint(&self) -> String {
        let ObjectReference {
            kind,
            namespace,
            name,
        } = &self.object;
        let kind = if kind.group.is_empty() {
            kind.plural.clone()
        } else {
            format!("{}.{}", kind.plural, kind.group)
        };
        let namespace = namespace
            .as_ref()
            .map_or_else(String::new, |namespace| format!(" -n {namespace}"));
        if self.finalizers.is_empty() {
            return format!("look at it: kubectl describe {kind} {name}{namespace}");
        }
        format!(
            "whoever set {} has to take it off; if that is gone for good: kubectl patch {kind} {name}{namespace} --type=merge -p '{{\"metadata\":{{\"finalizers\":null}}}}'",
            self.finalizers.join(", ")
        )
    }
}
