//! How a plan stands: each object of its journal, against what the plan renders.

use super::gateway_counters::{self, HostCounters};
use super::peer_authentication::{self, EffectivePeerAuthentication};
use super::verify::stored_plan;
use super::{lockdown, pods};
use crate::cluster::{Cluster, PodChange};
use crate::error::Result;
use crate::finding::{Finding, Severity, catalogue};
use crate::istio::{kinds, kyma};
use crate::plan::journal::{Entry, Journal, LockRecord};
use crate::plan::ownership::Manifest;
use crate::plan::routing;
use crate::vocabulary::{Kind, Object, ObjectReference, PlanIdentity, names};
use futures::future::try_join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;

/// How one object stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Health {
    /// It is as the plan wants it.
    Good,
    /// A field differs from the plan.
    Drifted,
    /// It is not there.
    Missing,
    /// It is there, and does not work.
    Bad,
}

/// One object of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusRow {
    /// `Kind namespace/name`.
    pub object: String,
    /// How it stands.
    pub health: Health,
    /// What is wrong, or worth a word.
    pub detail: String,
}

/// What `status -o json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Version of the document.
    pub api_version: String,
    /// Always `Status`.
    pub kind: String,
    /// Name of the plan.
    pub plan: String,
    /// Namespace of the plan.
    pub namespace: String,
    /// How it stands.
    #[serde(flatten)]
    pub standing: Standing,
}

impl Status {
    /// Puts the document together.
    pub fn new(plan: &PlanIdentity, standing: Standing) -> Self {
        Self {
            api_version: names::API_VERSION.to_owned(),
            kind: "Status".to_owned(),
            plan: plan.name.clone(),
            namespace: plan.namespace.clone(),
            standing,
        }
    }
}

/// How a plan stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Each object.
    pub objects: Vec<StatusRow>,
    /// What the proxies at both ends of the leg to the gateway ask of those who connect to them.
    pub peer_authentication: Vec<EffectivePeerAuthentication>,
    /// What the gateway counted for the plan's hosts.
    pub counters: Vec<HostCounters>,
}

/// Reads all objects of a plan side by side.
///
/// # Errors
/// If there is no plan, or the cluster refuses.
pub async fn read(cluster: &Cluster, plan: &PlanIdentity) -> Result<Standing> {
    let journal = stored_plan(cluster, plan).await?;
    let locks = journal
        .locks
        .iter()
        .map(|record| lock_row(cluster, &journal, record));
    let (mut rows, locks, peer_authentication, counters) = futures::future::try_join4(
        of(cluster, &journal),
        try_join_all(locks),
        peer_authentication::of_plan(cluster, &journal),
        gateway_counters::of_plan(cluster, &journal),
    )
    .await?;
    rows.extend(locks);
    Ok(Standing {
        objects: rows,
        peer_authentication,
        counters,
    })
}

/// A lock, with whatever is wrong with it or undermines it.
async fn lock_row(cluster: &Cluster, journal: &Journal, record: &LockRecord) -> Result<StatusRow> {
    let standing = lockdown::standing(cluster, journal, &record.namespace).await?;
    let faults: Vec<String> = standing
        .findings
        .iter()
        .map(|finding| format!("{} {}", finding.code, finding.message))
        .collect();
    let bad = standing
        .findings
        .iter()
        .any(|finding| finding.severity == Severity::Error);
    Ok(StatusRow {
        object: format!("lock {}", record.reference()),
        health: if bad { Health::Bad } else { Health::Good },
        detail: if faults.is_empty() {
            "as it was proven".to_owned()
        } else {
            faults.join("; ")
        },
    })
}

/// Reads the objects of a journal that is known already, but for its locks.
pub(super) async fn of(cluster: &Cluster, journal: &Journal) -> Result<Vec<StatusRow>> {
    let rendered = routing::objects(&journal.plan, &journal.gateway);
    let shown = |entry: &&Entry| {
        matches!(entry, Entry::Object { .. }) || entry.reference().kind == kinds::istio_module()
    };
    let references: Vec<ObjectReference> = journal
        .entries
        .iter()
        .filter(shown)
        .map(Entry::reference)
        .filter(|reference| journal.locks.iter().all(|lock| lock.reference() != *reference))
        .collect();
    let lives = try_join_all(references.iter().map(|reference| cluster.get(reference))).await?;
    let mut rows = vec![gateway_row(cluster, &journal.gateway).await?];
    rows.extend(references.iter().zip(&lives).map(|(reference, live)| {
        let wanted = rendered.iter().find(|manifest| manifest.reference == *reference);
        row(reference, live.as_ref(), wanted)
    }));
    if !journal.complete {
        rows.push(StatusRow {
            object: format!("set-up of the plan {}", journal.plan.identity),
            health: Health::Bad,
            detail: "it did not come to its end; run setup again".to_owned(),
        });
    }
    Ok(rows)
}

/// What is wrong with the objects themselves, whatever the probes showed.
pub(super) fn findings(rows: &[StatusRow]) -> Vec<Finding> {
    let finding = |row: &StatusRow| {
        let article = match row.health {
            Health::Missing => &catalogue::OBJECT_MISSING,
            Health::Drifted => &catalogue::OBJECT_DRIFTED,
            // Whether what is there works, the probes tell.
            Health::Good | Health::Bad => return None,
        };
        let message = format!("{}: {}", row.object, row.detail);
        Some(Finding::new(article, message).about(&row.object))
    };
    rows.iter().filter_map(finding).collect()
}

async fn gateway_row(cluster: &Cluster, gateway: &crate::plan::GatewayTarget) -> Result<StatusRow> {
    let found = cluster
        .list(
            &kinds::pod(),
            Some(&gateway.namespace),
            Some(&gateway.label_selector()),
        )
        .await?;
    let ready = found.iter().filter(|pod| pods::is_ready(pod)).count();
    let health = if ready == 0 { Health::Bad } else { Health::Good };
    Ok(StatusRow {
        object: format!("gateway {gateway}"),
        health,
        detail: format!("{ready} of {} pods ready", found.len()),
    })
}

fn row(reference: &ObjectReference, live: Option<&Object>, wanted: Option<&Manifest>) -> StatusRow {
    let (health, detail) = match live {
        None => (Health::Missing, "somebody deleted it".to_owned()),
        Some(live) => match wanted
            .and_then(|wanted| first_difference(wanted.object.at("/spec"), live.at("/spec"), "spec"))
        {
            Some(field) => (Health::Drifted, format!("{field} differs from the plan")),
            None if reference.kind == kinds::deployment() => deployment_health(live),
            None if reference.kind == kinds::istio_module() => module_health(live),
            None => (Health::Good, String::new()),
        },
    };
    StatusRow {
        object: reference.to_string(),
        health,
        detail,
    }
}

fn deployment_health(live: &Object) -> (Health, String) {
    let wanted = live.at("/spec/replicas").as_u64().unwrap_or(1);
    let available = live.at("/status/availableReplicas").as_u64().unwrap_or(0);
    let health = if available == 0 || available < wanted {
        Health::Bad
    } else {
        Health::Good
    };
    (health, format!("{available} of {wanted} pods available"))
}

/// A `Warning` stays for reasons that are none of ours.
fn module_health(live: &Object) -> (Health, String) {
    let status = kyma::Status::read(live.at("/status"));
    if !super::module::wants_gateway(live) {
        let detail = "spec.components.egressGateway.enabled is not true any more".to_owned();
        return (Health::Drifted, detail);
    }
    match status.state {
        kyma::State::Error | kyma::State::Deleting => (Health::Bad, status.to_string()),
        kyma::State::Ready => (Health::Good, "egress gateway switched on".to_owned()),
        _ => (Health::Good, format!("egress gateway switched on; {status}")),
    }
}

/// The first field of `wanted` that `live` has otherwise. What only `live` has are defaults.
fn first_difference(wanted: &Value, live: &Value, at: &str) -> Option<String> {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => wanted.iter().find_map(|(field, value)| {
            first_difference(
                value,
                live.get(field).unwrap_or(&Value::Null),
                &format!("{at}.{field}"),
            )
        }),
        (Value::Array(wanted), Value::Array(live)) if wanted.len() == live.len() => wanted
            .iter()
            .zip(live)
            .enumerate()
            .find_map(|(index, (wanted, live))| first_difference(wanted, live, &format!("{at}[{index}]"))),
        (wanted, live) => (wanted != live).then(|| at.to_owned()),
    }
}

/// Says when something changed that [`read`] may show: the plan's objects, wherever they are, and the pods of gateway
/// and source.
///
/// # Errors
/// If there is no plan.
pub async fn watch(cluster: &Cluster, plan: &PlanIdentity) -> Result<mpsc::Receiver<()>> {
    let journal = stored_plan(cluster, plan).await?;
    let (sender, receiver) = mpsc::channel(1);
    let mut watches = Vec::new();
    watches.push(cluster.watch_pods(&journal.gateway.namespace, &journal.gateway.label_selector()));
    watches.push(cluster.watch_pods(&plan.namespace, &crate::plan::source::label_selector()));
    for (kind, namespace) in watched(&journal) {
        watches.push(cluster.watch_objects(&kind, &namespace));
    }
    let of_module = |entry: &Entry| entry.reference().kind == kinds::istio_module();
    if journal.entries.iter().any(of_module) {
        watches.push(cluster.watch_objects(&kinds::istio_module(), kyma::NAMESPACE));
    }
    for mut changes in watches {
        let sender = sender.clone();
        tokio::spawn(async move {
            while let Some(change) = changes.recv().await {
                if matches!(change, PodChange::Synced) {
                    continue;
                }
                // A full channel holds a word already that something changed.
                if matches!(sender.try_send(()), Err(mpsc::error::TrySendError::Closed(()))) {
                    return;
                }
            }
        });
    }
    Ok(receiver)
}

/// Each kind with each namespace that the journal names, once.
fn watched(journal: &Journal) -> Vec<(Kind, String)> {
    let mut watched = Vec::new();
    for entry in &journal.entries {
        let ObjectReference { kind, namespace, .. } = entry.reference();
        let Some(namespace) = namespace else { continue };
        let target = (kind, namespace);
        if !watched.contains(&target) {
            watched.push(target);
        }
    }
    watched
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_warning_of_the_module_is_shown_and_an_error_is_bad() {
        let module = |enabled: bool, state: &str| {
            let live = json!({"spec": {"components": {"egressGateway": {"enabled": enabled}}},
                "status": {"state": state, "description": "what happened"}});
            module_health(&Object(live))
        };
        assert_eq!(module(true, "Ready").0, Health::Good);
        let (health, detail) = module(true, "Warning");
        assert!(
            health == Health::Good && detail.contains("what happened"),
            "{detail}"
        );
        assert_eq!(module(true, "Error").0, Health::Bad);
        assert_eq!(module(false, "Ready").0, Health::Drifted);
    }

    #[test]
    fn defaults_of_the_server_are_no_drift_and_a_changed_field_is_named() {
        let wanted = json!({"hosts": ["a"], "ports": [{"number": 443}]});
        assert_eq!(
            first_difference(
                &wanted,
                &json!({"hosts": ["a"], "ports": [{"number": 443, "x": 1}], "y": 2}),
                "spec"
            ),
            None
        );
        assert_eq!(
            first_difference(
                &wanted,
                &json!({"hosts": ["a"], "ports": [{"number": 80}]}),
                "spec"
            )
            .as_deref(),
            Some("spec.ports[0].number")
        );
    }
}
