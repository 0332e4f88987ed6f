//! What the other end of two-cluster mTLS needs to be allowed to do, in its cluster.

use super::setup::{permission, writes};
use super::{Need, Purpose};
use crate::istio::kinds;
use crate::plan::ownership::Manifest;
use crate::vocabulary::PlanIdentity;
use std::collections::BTreeSet;

/// The journal and the Lease, the objects themselves, and reading of the Secret, which may be somebody else's.
pub(super) fn needs<'need>(
    plan: &'need PlanIdentity,
    objects: impl Iterator<Item = &'need Manifest>,
) -> Vec<Need> {
    let own = plan.namespace.as_str();
    let mut needs = Vec::new();
    let mut asked = BTreeSet::new();
    let bookkeeping = [kinds::config_map(), kinds::lease()].map(|kind| (kind, own));
    let of_objects = objects.map(|manifest| &manifest.reference).map(|reference| {
        let namespace = reference.namespace.as_deref().unwrap_or(own);
        (reference.kind.clone(), namespace)
    });
    for (kind, namespace) in bookkeeping.into_iter().chain(of_objects) {
        if kind == kinds::secret() {
            needs.push(Need {
                permission: permission("get", &kind, namespace),
                purpose: Purpose::Change,
            });
        }
        if asked.insert((kind.plural.clone(), namespace)) {
            needs.extend(writes(&kind, namespace));
            needs.push(Need {
                permission: permission("delete", &kind, namespace),
                purpose: Purpose::CleanUp,
            });
        }
    }
    needs
}
