//! How a lock stands: whether there is one, whether it is still the one that was proven, and what undermines it.

use super::holes;
use super::outdated::outdated;
use crate::cluster::Cluster;
use crate::error::Result;
use crate::finding::{Finding, catalogue};
use crate::istio::kinds;
use crate::plan::journal::Journal;
use crate::plan::lock::{LockRecord, ReachedBefore};
use crate::vocabulary::{Object, names};
use futures::future::{try_join_all, try_join4};
use serde_json::Value;

/// The lock of a namespace as it stands now.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The record of the lock, if the plan locked the namespace.
    pub record: Option<LockRecord>,
    /// Whether its NetworkPolicy is there.
    pub is_there: bool,
    /// What is wrong with it, and what opens a way out beside it.
    pub findings: Vec<Finding>,
}

impl Standing {
    /// Whether a pod with these labels is among those that the lock selects; without a lock it is as if it were.
    pub fn holds(&self, labels: &Value) -> bool {
        self.record
            .as_ref()
            .is_none_or(|record| record.settings.selector.matches(labels))
    }

    /// What answered before the lock.
    pub fn reached_before(&self) -> &[ReachedBefore] {
        self.record.as_ref().map_or(&[], |record| &record.reached_before)
    }
}

/// Reads it; without a record no request is sent.
///
/// # Errors
/// If the cluster refuses.
pub async fn standing(cluster: &Cluster, journal: &Journal, namespace: &str) -> Result<Standing> {
    let Some(record) = journal.lock_of(namespace) else {
        return Ok(Standing::default());
    };
    let around = [
        journal.gateway.namespace.as_str(),
        names::ISTIO_NAMESPACE,
        names::DNS_NAMESPACE,
    ];
    let reference = record.reference();
    let (live, policies, pods, outdated) = try_join4(
        cluster.get(&reference),
        holes::read(cluster, namespace),
        try_join_all(around.map(|namespace| async move {
            // Pods that may not be listed are not known; then more counts as a way out, never less.
            cluster
                .list_as_permitted(&kinds::pod(), Some(namespace), None)
                .await
        })),
        async { Ok(outdated(cluster, journal, record).await) },
    )
    .await?;
    let mut findings: Vec<Finding> = fault(record, live.as_ref(), namespace).into_iter().collect();
    let pods: Vec<Object> = pods.into_iter().flatten().collect();
    let proxies: Vec<Object> = pods
        .iter()
        .filter(|pod| pod.namespace() != Some(names::DNS_NAMESPACE))
        .cloned()
        .collect();
    let allowed = holes::allowed_by(&record.spec, &pods);
    findings.extend(holes::ways_out(
        &policies,
        std::slice::from_ref(&reference),
        &allowed,
        &proxies,
    ));
    if live.is_some() {
        findings.extend(holes::not_held(&policies, &record.settings.selector));
        findings.extend(outdated);
    }
    Ok(Standing {
        record: Some(record.clone()),
        is_there: live.is_some(),
        findings,
    })
}

fn fault(record: &LockRecord, live: Option<&Object>, namespace: &str) -> Option<Finding> {
    let name = &record.name;
    let what = match live {
        _ if !record.confirmed => {
            return Some(
                Finding::new(
                    &catalogue::LOCK_NOT_CONFIRMED,
                    format!("the lock {name} of {namespace} is not confirmed"),
                )
                .about(format!("NetworkPolicy {namespace}/{name}")),
            );
        }
        None => "is gone",
        Some(live) if live.uid() != record.uid => "was deleted and made again by somebody",
        Some(live) if *live.at("/spec") != record.spec => "has another spec than the one that was proven",
        Some(_) => return None,
    };
    Some(
        Finding::new(
            &catalogue::LOCK_CHANGED,
            format!("the lock {name} of {namespace} {what}"),
        )
        .about(format!("NetworkPolicy {namespace}/{name}")),
    )
}
