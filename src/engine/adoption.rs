//! Objects that were there before, under names of ours: taken over they would be deleted by `cleanup`, so they are refused
//! before anything is changed.

use super::facts::Facts;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::plan::ownership::Manifest;
use crate::vocabulary::{Kind, Object, ObjectReference, names};
use futures::stream::{self, StreamExt};
use std::collections::BTreeSet;

/// Objects that are asked for side by side.
const AT_ONCE: usize = 8;

/// Refuses objects that exist, that the plan's journal does not know, and that do not carry our label. What the facts
/// hold is not asked for again.
///
/// # Errors
/// Names the first such object (exit 5); also if the cluster cannot be asked. One that may not be read is left to the API
/// server's own conflicts.
pub(super) async fn check<'a>(
    cluster: &Cluster,
    facts: &Facts,
    manifests: impl Iterator<Item = &'a Manifest>,
) -> Result<()> {
    if facts.namespace.is_none() {
        return Ok(());
    }
    let known: BTreeSet<String> = facts
        .journal
        .iter()
        .flat_map(|journal| &journal.entries)
        .map(|entry| entry.reference().to_string())
        .collect();
    let is_new = |reference: &ObjectReference| !known.contains(&reference.to_string());
    let mut unread = Vec::new();
    for manifest in manifests {
        let reference = &manifest.reference;
        match listed(facts, &reference.kind) {
            Some(all) => {
                if let Some(found) = all.iter().find(|object| is_at(object, reference))
                    && is_new(reference)
                {
                    refuse_foreign(reference, found)?;
                }
            }
            // Those of the journal too: whether an apply changes an object can be said for sure of one that was seen.
            None => unread.push(reference),
        }
    }
    let mut reading = stream::iter(unread)
        .map(|reference| async move { (reference, cluster.get_as_permitted(reference).await) })
        .buffered(AT_ONCE);
    while let Some((reference, read)) = reading.next().await {
        if let Some(found) = read?
            && is_new(reference)
        {
            refuse_foreign(reference, &found)?;
        }
    }
    Ok(())
}

/// All objects of a kind, where the facts have them.
fn listed<'a>(facts: &'a Facts, kind: &Kind) -> Option<&'a [Object]> {
    let mut lists = facts.lists().into_iter();
    lists.find(|(listed, _)| listed == kind).map(|(_, all)| all)
}

fn is_at(object: &Object, reference: &ObjectReference) -> bool {
    object.name() == reference.name && object.namespace() == reference.namespace.as_deref()
}

fn refuse_foreign(reference: &ObjectReference, found: &Object) -> Result<()> {
    if found.label(names::MANAGED_BY_LABEL) == Some(names::MANAGER) {
        return Ok(());
    }
    let owners: BTreeSet<&str> = found.managers().collect();
    let owners: Vec<&str> = owners.into_iter().collect();
    let said = if owners.is_empty() {
        String::new()
    } else {
        format!(" (its fields are set by {})", owners.join(", "))
    };
    let namespace = reference.namespace.as_deref().unwrap_or_default();
    Err(
        Error::consent(format!("{reference} is there already, and this program did not make it{said}"))
            .because("the plan has an object of this name; it would be taken over, and deleted by `cleanup`")
            .hint(format!(
                "delete it, if nobody needs it: kubectl delete {} {} -n {namespace}; or set the plan up in another namespace",
                reference.kind.kind.to_ascii_lowercase(),
                reference.name
            )),
    )
}
