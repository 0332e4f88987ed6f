//! The source, and the injection that gives it a sidecar.

use super::{Run, changed};
use crate::cluster::ApplyOptions;
use crate::engine::event::Event;
use crate::engine::graph::StepEnd;
use crate::engine::pods;
use crate::error::Result;
use crate::finding::{Finding, catalogue};
use crate::istio::kinds;
use crate::plan::past_sidecar::RangesChange;
use crate::plan::source;
use crate::vocabulary::{ObjectReference, names};
use serde_json::json;

impl Run<'_> {
    pub(super) async fn injection(self) -> Result<StepEnd> {
        let Some(manifest) = self.prepared.injection_manifest() else {
            if !self.prepared.journal.client_labels.is_empty() {
                self.name_workloads(false).await;
            }
            return Ok(StepEnd::Skipped("already so".to_owned()));
        };
        let replaces = self
            .prepared
            .injection_label
            .as_ref()
            .is_some_and(|label| label.before.value.is_some());
        let options = ApplyOptions {
            // The user agreed to replacing `disabled`; anything else that conflicts is refused.
            force: replaces || self.prepared.settings.force_conflicts,
            ..ApplyOptions::new(&manifest.reference, &manifest.manager)
        };
        let applied = self.cluster.apply(&manifest.object, &options).await?;
        changed(
            self.events,
            "injection",
            &manifest.reference,
            applied.change,
            false,
        );
        // In a namespace that this run made there is nobody yet.
        if self.prepared.facts.namespace.is_some() {
            self.name_workloads(true).await;
        }
        Ok(StepEnd::Done(None))
    }

    /// Names pods that need something of the user: those without sidecar, where injection is new, and those that the
    /// gateway's network policies would not let in.
    async fn name_workloads(self, newly_injected: bool) {
        let namespace = &self.prepared.plan.identity.namespace;
        // Only a remark: without permission to list pods there is none.
        let pods = self
            .cluster
            .list(&kinds::pod(), Some(namespace), None)
            .await
            .unwrap_or_default();
        let bare: Vec<&str> = pods
            .iter()
            .filter(|pod| !pods::has_sidecar(pod))
            .map(crate::vocabulary::Object::name)
            .collect();
        if newly_injected && !bare.is_empty() {
            (self.events)(Event::Warning(format!(
                "these pods of {namespace} have no sidecar until they are restarted, and so bypass the gateway: {}",
                bare.join(", ")
            )));
        }
        let labels = json!(self.prepared.journal.client_labels);
        let lacking: Vec<&str> = pods
            .iter()
            .filter(|pod| pods::has_sidecar(pod) && !pod.labels_match("/metadata/labels", &labels))
            // Our own get it with their next rollout, which is this run's.
            .filter(|pod| !pod.labels_match("/metadata/labels", &source::selector()))
            .map(crate::vocabulary::Object::name)
            .collect();
        if !lacking.is_empty() {
            let message = format!(
                "these pods of {namespace} may not reach the egress gateway: {}",
                lacking.join(", ")
            );
            (self.events)(Event::Found(Finding::new(
                &catalogue::GATEWAY_LABEL_MISSING,
                message,
            )));
        }
    }

    /// Lets the user's workload pass its sidecar for some addresses, and waits until its pods are those that do.
    pub(super) async fn exempt(self, change: &RangesChange) -> Result<StepEnd> {
        if change.is_there {
            return Ok(StepEnd::Skipped("already so".to_owned()));
        }
        let reference = &change.manifest.reference;
        let options = ApplyOptions {
            // The user agreed to it.
            force: true,
            ..ApplyOptions::new(reference, &change.manifest.manager)
        };
        let applied = self.cluster.apply(&change.manifest.object, &options).await?;
        changed(self.events, "exempt", reference, applied.change, false);
        if reference.kind != kinds::deployment() {
            return Ok(StepEnd::Done(Some(
                "its pods follow as its controller restarts them".to_owned(),
            )));
        }
        self.cluster
            .wait_rollout(
                reference,
                self.prepared.settings.timeout,
                true,
                &self.progress("exempt"),
            )
            .await?;
        Ok(StepEnd::Done(None))
    }

    pub(super) async fn source(self) -> Result<StepEnd> {
        let (prepared, plan) = (self.prepared, &self.prepared.plan.identity);
        self.apply_all("source", &prepared.source_objects.iter().collect::<Vec<_>>())
            .await?;
        let deployment = ObjectReference::namespaced(kinds::deployment(), &plan.namespace, names::SOURCE);
        let pods = self
            .cluster
            .wait_rollout(
                &deployment,
                prepared.settings.timeout,
                true,
                &self.progress("source"),
            )
            .await?;
        let _ = self.rolled_out.set(pods.iter().map(pods::name).collect());
        Ok(StepEnd::Done(
            pods.first().map(|pod| format!("pod {}", pod.name())),
        ))
    }
}
