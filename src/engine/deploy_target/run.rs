//! Does at the target what was prepared, journalled step by step.

use super::PreparedTarget;
use crate::cluster::{ApplyOptions, Cluster, Waited};
use crate::engine::event::{Event, Events};
use crate::engine::graph::{self, Step, StepEnd};
use crate::engine::lease::Lease;
use crate::engine::prepare::DryRun;
use crate::engine::{journal_store, namespace};
use crate::error::Result;
use crate::istio::kinds;
use crate::plan::journal::{Entry, Journal};
use crate::plan::ownership::Manifest;
use crate::plan::target_workload::{self, Exposure};
use crate::vocabulary::{Change, Object, ObjectReference};
use std::sync::{Mutex, PoisonError};

/// Names what would be done without doing it.
///
/// # Errors
/// With [`DryRun::Server`]: what the server refuses.
pub async fn dry_run(cluster: &Cluster, prepared: &PreparedTarget, events: &Events) -> Result<()> {
    let own = &prepared.settings.plan.namespace;
    for manifest in prepared.manifests() {
        let missing = !prepared.has_namespace && manifest.reference.namespace.as_ref() == Some(own);
        let change = if missing || prepared.settings.dry_run == DryRun::Client {
            Change::Configured
        } else {
            let options = ApplyOptions {
                dry_run: true,
                force: prepared.settings.force_conflicts,
                ..ApplyOptions::new(&manifest.reference, &manifest.manager)
            };
            cluster.apply(&manifest.object, &options).await?.change
        };
        changed(events, "dry-run", &manifest.reference, change, true);
    }
    Ok(())
}

/// Does it. On failure everything stays, journalled, so that it can be continued or cleaned up.
///
/// # Errors
/// The first failure; exit 5 if another run works on this plan there, or a field belongs to somebody else.
pub async fn run(cluster: &Cluster, mut prepared: PreparedTarget, events: &Events) -> Result<PreparedTarget> {
    let plan = prepared.settings.plan.clone();
    if !prepared.has_namespace {
        let manifest = namespace::manifest(&plan);
        let options = ApplyOptions::new(&manifest.reference, &manifest.manager);
        let made = cluster.apply(&manifest.object, &options).await?;
        changed(
            events,
            "target-namespace",
            &manifest.reference,
            made.change,
            false,
        );
        prepared.journal.record(Entry::Namespace {
            name: plan.namespace.clone(),
            uid: made.object.uid().to_owned(),
        });
    }
    let lease = Lease::acquire(cluster, &plan).await?;
    let result = run_locked(cluster, &mut prepared, events).await;
    let released = lease.release().await;
    result?;
    released?;
    Ok(prepared)
}

async fn run_locked(cluster: &Cluster, prepared: &mut PreparedTarget, events: &Events) -> Result<()> {
    let before = prepared.journal_before.clone();
    if before.as_ref() != Some(&prepared.journal) {
        prepared.journal.complete = false;
        journal_store::write(cluster, &mut prepared.journal).await?;
    }
    let journal = Mutex::new(prepared.journal.clone());
    let run = Run {
        cluster,
        prepared,
        journal: &journal,
        events,
    };
    let result = graph::run(run.steps(), events).await;
    let mut journal = journal.into_inner().unwrap_or_else(PoisonError::into_inner);
    journal.complete = result.is_ok();
    if before.as_ref() != Some(&journal) {
        let written = journal_store::write(cluster, &mut journal).await;
        if result.is_ok() {
            written?;
        }
    }
    prepared.journal = journal;
    result
}

fn changed(events: &Events, step: &str, object: &ObjectReference, change: Change, dry_run: bool) {
    events(Event::ObjectChanged {
        id: step.to_owned(),
        object: object.clone(),
        change,
        dry_run,
    });
}

/// What every step shares.
#[derive(Clone, Copy)]
struct Run<'run> {
    cluster: &'run Cluster,
    prepared: &'run PreparedTarget,
    journal: &'run Mutex<Journal>,
    events: &'run Events,
}

impl<'run> Run<'run> {
    fn steps(self) -> Vec<Step<'run>> {
        let settings = &self.prepared.settings;
        let step = |id, title: String, needs, action| Step {
            id,
            title,
            needs,
            action,
        };
        vec![
            step(
                "target-injection",
                format!("target: sidecar injection in {}", settings.plan.namespace),
                &[],
                Box::pin(self.injection()),
            ),
            step(
                "target-workload",
                format!(
                    "target: workload {}/{}",
                    settings.plan.namespace,
                    target_workload::NAME
                ),
                &["target-injection"],
                Box::pin(self.workload()),
            ),
            step(
                "target-gateway",
                format!(
                    "target: {} behind the ingress gateway {}",
                    settings.host, self.prepared.ingress.target
                ),
                // The API Gateway module looks for the Service.
                &["target-workload"],
                Box::pin(self.expose()),
            ),
        ]
    }

    async fn injection(self) -> Result<StepEnd> {
        let Some(label) = &self.prepared.injection_label else {
            return Ok(StepEnd::Skipped("already so".to_owned()));
        };
        let manifest = label.manifest(&self.prepared.settings.plan);
        // The user agreed to replacing what was there.
        self.apply("target-injection", &manifest, label.before.value.is_some())
            .await?;
        Ok(StepEnd::Done(None))
    }

    async fn workload(self) -> Result<StepEnd> {
        for manifest in &self.prepared.workload {
            self.apply("target-workload", manifest, false).await?;
        }
        let namespace = &self.prepared.settings.plan.namespace;
        let deployment = ObjectReference::namespaced(kinds::deployment(), namespace, target_workload::NAME);
        let timeout = self.prepared.settings.timeout;
        self.cluster
            .wait_rollout(&deployment, timeout, true, &self.progress("target-workload"))
            .await?;
        Ok(StepEnd::Done(None))
    }

    /// The certificate first: a Gateway without its Secret resets every connection.
    async fn expose(self) -> Result<StepEnd> {
        let secret = self.prepared.secret.manifest();
        for manifest in std::iter::once(secret).chain(&self.prepared.exposing) {
            self.apply("target-gateway", manifest, false).await?;
        }
        if self.prepared.exposure == Exposure::ApiRule {
            self.wait_for_rule().await?;
        }
        Ok(StepEnd::Done(None))
    }

    async fn wait_for_rule(self) -> Result<()> {
        let namespace = &self.prepared.settings.plan.namespace;
        let rule = ObjectReference::namespaced(kinds::api_rule(), namespace, target_workload::NAME);
        let ready = |live: Option<&Object>| match live {
            None => Waited::Not("it does not exist".to_owned()),
            Some(live) => match (live.text("/status/state"), live.text("/status/description")) {
                ("Ready", _) => Waited::Done,
                ("", _) => Waited::Not("the API Gateway module has not looked at it yet".to_owned()),
                (state, description) => Waited::Not(format!("its state is {state}: {description}")),
            },
        };
        let timeout = self.prepared.settings.timeout;
        self.cluster
            .wait(&rule, timeout, &ready, &self.progress("target-gateway"))
            .await
            .map(drop)
    }

    async fn apply(self, step: &str, manifest: &Manifest, agreed: bool) -> Result<()> {
        let options = ApplyOptions {
            force: agreed || self.prepared.settings.force_conflicts,
            ..ApplyOptions::new(&manifest.reference, &manifest.manager)
        };
        let applied = self.cluster.apply(&manifest.object, &options).await?;
        self.journal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .note_uid(&manifest.reference, applied.object.uid());
        changed(self.events, step, &manifest.reference, applied.change, false);
        Ok(())
    }

    fn progress(self, step: &'static str) -> impl Fn(&str) + Send + Sync + 'run {
        let events = self.events;
        move |on: &str| {
            events(Event::StepWaiting {
                id: step.to_owned(),
                on: on.to_owned(),
            });
        }
    }
}
