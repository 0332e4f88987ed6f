//! What switches access logs on, only as far as they are off: for the gateway, the source, and a workload of the user's.

use super::facts::Facts;
use super::pods;
use super::workload::Workload;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::plan::access_log::{self, AccessLog};
use crate::plan::ownership::Manifest;
use crate::vocabulary::{Object, PlanIdentity};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A workload of the user's that is to be a witness: one with a sidecar, which is not our own source.
#[derive(Debug, Clone)]
pub struct Witnessed {
    /// The workload.
    pub workload: Workload,
    pod: Object,
}

impl Witnessed {
    /// The workload that `from` names; `None` if it has no sidecar, or is ours.
    ///
    /// # Errors
    /// If there is no such workload, or it has no ready pod.
    pub(super) async fn find(cluster: &Cluster, namespace: &str, from: &str) -> Result<Option<Self>> {
        let workload = Workload::find(cluster, namespace, from).await?;
        let pod = workload.ready_pod(cluster).await?;
        let counts = pods::has_sidecar(&pod) && !workload.is_ours();
        Ok(counts.then_some(Self { workload, pod }))
    }

    /// The Telemetry for it, if its log is off.
    ///
    /// # Errors
    /// As [`telemetry`].
    pub(super) fn telemetry(&self, plan: &PlanIdentity, facts: &Facts) -> Result<Option<Manifest>> {
        let reference = &self.workload.reference;
        let kind = reference.kind.kind.to_lowercase();
        let labels = self.pod.at("/metadata/labels");
        let selected = access_log::Workload {
            namespace: &plan.namespace,
            labels,
        };
        let name = format!("kubectl-egress-{kind}-{}", reference.name);
        telemetry(
            plan,
            facts,
            &selected,
            &name,
            self.workload.lasting_labels(&self.pod),
        )
    }
}

/// The Telemetry for the gateway, or our own source, whose pods have these labels.
///
/// # Errors
/// As [`telemetry`].
pub(super) fn for_labels(
    plan: &PlanIdentity,
    facts: &Facts,
    namespace: &str,
    name: &str,
    labels: &BTreeMap<String, String>,
) -> Result<Option<Manifest>> {
    let of_pods: Value = json!(labels);
    let selected = access_log::Workload {
        namespace,
        labels: &of_pods,
    };
    telemetry(plan, facts, &selected, name, labels.clone())
}

/// The Telemetry that selects by `selector`, if the log of the pods with these labels is off.
///
/// # Errors
/// If somebody else's Telemetry decides and leaves it off, or no provider writes to standard output.
fn telemetry(
    plan: &PlanIdentity,
    facts: &Facts,
    pods: &access_log::Workload<'_>,
    name: &str,
    selector: BTreeMap<String, String>,
) -> Result<Option<Manifest>> {
    let namespace = pods.namespace;
    let (telemetries, root, mesh) = (&facts.telemetries, facts.root_namespace(), &facts.mesh);
    match access_log::state(pods, telemetries, root, mesh) {
        AccessLog::On(_) => Ok(None),
        AccessLog::Off => {
            let provider = access_log::provider(mesh).ok_or_else(no_provider)?;
            let beside = access_log::beside(provider, pods, telemetries, root, mesh);
            Ok(Some(access_log::telemetry(
                plan, namespace, name, selector, provider, beside,
            )))
        }
        AccessLog::Held(holder) => {
            let provider = access_log::provider(mesh).unwrap_or(access_log::BUILT_IN_PROVIDER);
            Err(Error::consent(format!(
                "{holder} decides the access log of these pods: it is off, or not every line is written"
            ))
            .because("somebody wanted it so for exactly these pods, and a proof needs every line")
            .hint(format!(
                "set its spec.accessLogging to [{{providers: [{{name: {provider}}}]}}]: kubectl edit telemetry {} -n {namespace}",
                holder.name
            )))
        }
    }
}

fn no_provider() -> Error {
    Error::usage(
        "no provider of the mesh configuration writes an access log to standard output that can be read",
    )
    .because("`envoy`, which does elsewhere, has another meaning in its extensionProviders")
    .hint("add one: {name: stdout-json, envoyFileAccessLog: {path: /dev/stdout, logFormat: {labels: {}}}}")
}
