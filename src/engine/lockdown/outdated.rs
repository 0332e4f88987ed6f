//! Whether a lock would still be derived as it was: the gateway's ports, DNS and istiod may have moved since.

use super::observe::{Known, observe, with_used_ports};
use crate::cluster::Cluster;
use crate::error::Result;
use crate::finding::{Finding, catalogue};
use crate::istio::kinds;
use crate::istio::mesh_configuration;
use crate::plan::journal::Journal;
use crate::plan::lock::{self, LockRecord, Observed, Peer};
use crate::vocabulary::{InCluster, Object, ObjectReference, names};
use futures::future::try_join3;
use serde_json::Value;
use std::fmt::Write as _;

/// What has changed, if anything has. What cannot be read is not known, and says nothing.
pub(super) async fn outdated(cluster: &Cluster, journal: &Journal, record: &LockRecord) -> Option<Finding> {
    if record.resolv_conf.is_empty() {
        return None;
    }
    let observed = look(cluster, journal, record).await.ok()?;
    let what = match lock::derive(&observed, &record.settings) {
        Ok(peers) => difference(record, &peers)?,
        Err(error) => format!("it could not be derived any more: {error}"),
    };
    let LockRecord { name, namespace, .. } = record;
    Some(
        Finding::new(
            &catalogue::LOCK_OUTDATED,
            format!("the lock {name} of {namespace} was derived from what has changed since: {what}"),
        )
        .about(format!("NetworkPolicy {namespace}/{name}"))
        .fixed_by(format!("renew and prove it: {}", command(journal, record))),
    )
}

async fn look(cluster: &Cluster, journal: &Journal, record: &LockRecord) -> Result<Observed> {
    let mesh = ObjectReference::namespaced(kinds::config_map(), names::ISTIO_NAMESPACE, "istio");
    let namespace = ObjectReference::cluster(kinds::namespace(), &record.namespace);
    let (services, mesh, namespace) = try_join3(
        cluster.list(&kinds::service(), None, None),
        cluster.get(&mesh),
        cluster.get(&namespace),
    )
    .await?;
    let mesh: Value = mesh.and_then(|map| mesh_configuration(&map)).unwrap_or_default();
    let root = mesh["rootNamespace"].as_str().unwrap_or(names::ISTIO_NAMESPACE);
    let used = with_used_ports(journal);
    let known = Known {
        namespace: &record.namespace,
        object: namespace.as_ref(),
        resolv_conf: record.resolv_conf.clone(),
        services,
        gateway: &used,
        root_namespace: root,
    };
    observe(cluster, known).await
}

/// What a lock of today lets through and this one does not, and how much of this one is for what is gone.
fn difference(record: &LockRecord, peers: &[Peer]) -> Option<String> {
    let now = lock::policy_spec(&record.settings, peers);
    if now == record.spec {
        return None;
    }
    let rules = |spec: &Value| Object(spec.clone()).items("/egress").to_vec();
    let (now, then) = (rules(&now), rules(&record.spec));
    let closed = peers.iter().zip(&now).filter(|(_, rule)| !then.contains(rule));
    let mut parts: Vec<String> = closed
        .map(|(peer, _)| format!("it does not let through {}", peer.explain()))
        .collect();
    let gone = then.iter().filter(|rule| !now.contains(rule)).count();
    match gone {
        0 => {}
        1 => parts.push("one of its rules is for what is not there any more".to_owned()),
        more => parts.push(format!("{more} of its rules are for what is not there any more")),
    }
    Some(parts.join("; "))
}

/// The command that makes the same lock of what is there now.
fn command(journal: &Journal, record: &LockRecord) -> String {
    let plan = &journal.plan.identity;
    let namespace = &record.namespace;
    let mut command = format!(
        "kubectl egress lockdown -n {namespace} --plan {}",
        plan.seen_from(namespace)
    );
    if record.settings.in_cluster == InCluster::Allow {
        command.push_str(" --in-cluster allow");
    }
    if !record.settings.selector.requirements.is_empty() {
        let _ = write!(command, " --selector '{}'", record.settings.selector);
    }
    if record.settings.api_server {
        command.push_str(" --allow-api-server");
    }
    command
}
