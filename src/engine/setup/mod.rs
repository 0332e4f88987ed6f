//! Sets a plan up: namespace, journal, gateway, source, routing side by side; waits until both proxies have it.

mod gateway;
mod proxies;
mod routing;
mod source;

use super::event::{Event, Events};
use super::graph::{self, Step, StepEnd};
use super::journal_store;
use super::lease::Lease;
use super::prepare::{DryRun, Prepared};
use crate::cluster::{Applied, ApplyOptions, Cluster};
use crate::error::Result;
use crate::plan::journal::{Entry, Journal};
use crate::plan::ownership::Manifest;
use crate::plan::secrets::SecretManifest;
use crate::vocabulary::{Change, ObjectReference, PodName, names};
use futures::future::try_join_all;
use std::sync::{Mutex, OnceLock};

/// Names what would be done without doing it.
///
/// # Errors
/// With [`DryRun::Server`]: what the server refuses.
pub async fn dry_run(cluster: &Cluster, prepared: &Prepared, events: &Events) -> Result<()> {
    let missing_namespace = prepared.facts.namespace.is_none();
    let namespace = missing_namespace.then(|| prepared.namespace_manifest());
    let manifests = namespace.iter().chain(prepared.manifests());
    for manifest in manifests {
        let inside = manifest.reference.namespace.as_deref() == Some(&prepared.plan.identity.namespace);
        // Without Istio the server knows none of its kinds yet.
        let unknown = !prepared.facts.istio && manifest.reference.kind.group.ends_with(".istio.io");
        let unasked = prepared.settings.dry_run == DryRun::Client || (missing_namespace && inside) || unknown;
        let change = if unasked {
            Change::Configured
        } else {
            apply(cluster, manifest, prepared, true).await?.change
        };
        changed(events, "dry-run", &manifest.reference, change, true);
    }
    if missing_namespace && prepared.settings.dry_run == DryRun::Server {
        events(Event::Note(format!(
            "the server could not be asked about objects in namespace {}, which is not there yet",
            prepared.plan.identity.namespace
        )));
    }
    for manifest in prepared
        .secrets
        .readers
        .iter()
        .chain(prepared.secrets.secrets.iter().map(SecretManifest::manifest))
    {
        let inside = manifest.reference.namespace.as_deref() == Some(&prepared.plan.identity.namespace);
        let unasked = prepared.settings.dry_run == DryRun::Client || (missing_namespace && inside);
        let change = if unasked {
            Change::Configured
        } else {
            apply(cluster, manifest, prepared, true).await?.change
        };
        changed(events, "dry-run", &manifest.reference, change, true);
    }
    for entry in &prepared.obsolete {
        changed(events, "dry-run", &entry.reference(), Change::Deleted, true);
    }
    Ok(())
}

/// Does it. On failure everything stays, journalled, so that it can be looked at, continued or cleaned up.
///
/// # Errors
/// The first failure; exit 5 if another run works on this plan or a field belongs to somebody else.
pub async fn run(cluster: &Cluster, prepared: Prepared, events: &Events) -> Result<Prepared> {
    let namespace_uid = make_namespace(cluster, &prepared, events).await?;
    let lease = Lease::acquire(cluster, &prepared.plan.identity).await?;
    let result = run_locked(cluster, prepared, namespace_uid, events).await;
    let released = lease.release().await;
    let prepared = result?;
    released?;
    Ok(prepared)
}

async fn make_namespace(cluster: &Cluster, prepared: &Prepared, events: &Events) -> Result<Option<String>> {
    if prepared.facts.namespace.is_some() {
        return Ok(None);
    }
    let manifest = prepared.namespace_manifest();
    let applied = apply(cluster, &manifest, prepared, false).await?;
    changed(events, "namespace", &manifest.reference, applied.change, false);
    Ok(Some(applied.object.uid().to_owned()))
}

async fn run_locked(
    cluster: &Cluster,
    mut prepared: Prepared,
    namespace_uid: Option<String>,
    events: &Events,
) -> Result<Prepared> {
    let before = prepared.facts.journal.clone();
    if let Some(uid) = namespace_uid {
        prepared.journal.record(Entry::Namespace {
            name: prepared.plan.identity.namespace.clone(),
            uid,
        });
    }
    // A run that repeats a finished one has nothing to announce.
    if before.as_ref() != Some(&prepared.journal) {
        prepared.journal.complete = false;
        journal_store::write(cluster, &mut prepared.journal).await?;
    }
    let journal = Mutex::new(prepared.journal.clone());
    let rolled_out = OnceLock::new();
    let run = Run {
        cluster,
        prepared: &prepared,
        journal: &journal,
        rolled_out: &rolled_out,
        events,
    };
    let result = graph::run(run.steps(), events).await;
    let mut journal = journal
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if result.is_ok() {
        journal.complete = true;
    }
    // UIDs are worth keeping also after a failure: undo then knows exactly what was made.
    if before.as_ref() != Some(&journal) {
        let written = journal_store::write(cluster, &mut journal).await;
        if result.is_ok() {
            written?;
        }
    }
    result?;
    prepared.journal = journal;
    Ok(prepared)
}

/// What every step of one run shares. Cheap to copy: only references.
#[derive(Clone, Copy)]
struct Run<'run> {
    cluster: &'run Cluster,
    prepared: &'run Prepared,
    journal: &'run Mutex<Journal>,
    /// The source's pods, once they are ready.
    rolled_out: &'run OnceLock<Vec<PodName>>,
    events: &'run Events,
}

impl<'run> Run<'run> {
    fn steps(self) -> Vec<Step<'run>> {
        let prepared = self.prepared;
        let mut steps = Vec::new();
        if !prepared.facts.istio {
            let title = "Istio, installed by the Kyma module".to_owned();
            steps.push(Self::step("istio", title, &[], self.istio()));
        }
        if prepared.settings.parts.gateway {
            steps.push(Self::step(
                "gateway",
                format!("egress gateway {}", prepared.gateway),
                &["istio"],
                self.gateway(),
            ));
        }
        let secrets = !prepared.secrets.secrets.is_empty() || !prepared.secrets.readers.is_empty();
        if secrets {
            let title = match prepared.secrets.secrets.as_slice() {
                [] => "the gateway may read Secrets".to_owned(),
                [only] => only.manifest().reference.to_string(),
                many => count(many.len(), "Secret"),
            };
            steps.push(Self::step("secrets", title, &[], self.secrets()));
        }
        if prepared.settings.parts.source {
            let namespace = &prepared.plan.identity.namespace;
            steps.push(Self::step(
                "injection",
                format!("sidecar injection in {namespace}"),
                &["istio"],
                self.injection(),
            ));
            steps.push(Self::step(
                "source",
                format!("source {namespace}/{}", names::SOURCE),
                &["istio", "injection"],
                self.source(),
            ));
        }
        if let Some(change) = &prepared.exempted {
            let title = format!(
                "{} past its sidecar to {}",
                change.manifest.reference, change.value
            );
            steps.push(Self::step("exempt", title, &["istio"], self.exempt(change)));
        }
        if prepared.settings.parts.routing {
            let hosts = match prepared.plan.hosts.as_slice() {
                [only] => only.host_port().to_string(),
                many => format!("{} hosts", many.len()),
            };
            steps.push(Self::step(
                "routing",
                format!("routing of {hosts}"),
                // A route whose Secret is missing fails for as long as the proxy does not ask again.
                if secrets {
                    &["istio", "secrets"]
                } else {
                    &["istio"]
                },
                self.routing(),
            ));
            let needs: &[&str] = &["gateway", "source", "exempt", "routing"];
            steps.push(Self::step(
                "proxies",
                "both proxies have the route".to_owned(),
                needs,
                self.proxies(),
            ));
        }
        steps
    }

    fn step(
        id: &'static str,
        title: String,
        needs: &'static [&'static str],
        action: impl Future<Output = Result<StepEnd>> + Send + 'run,
    ) -> Step<'run> {
        Step {
            id,
            title,
            needs,
            action: Box::pin(action),
        }
    }

    /// First what lets the gateway's account read them: istiod, once refused, does not ask again (truth.md 11).
    async fn secrets(self) -> Result<StepEnd> {
        let changes = &self.prepared.secrets;
        self.apply_all("secrets", &changes.readers.iter().collect::<Vec<_>>())
            .await?;
        let secrets: Vec<&Manifest> = changes.secrets.iter().map(SecretManifest::manifest).collect();
        self.apply_all("secrets", &secrets).await?;
        Ok(StepEnd::Done(None))
    }

    async fn apply_all(self, step: &str, manifests: &[&Manifest]) -> Result<()> {
        let work = manifests
            .iter()
            .map(|manifest| async move { self.apply_one(step, manifest).await });
        try_join_all(work).await.map(drop)
    }

    async fn apply_one(self, step: &str, manifest: &Manifest) -> Result<Applied> {
        let applied = apply(self.cluster, manifest, self.prepared, false).await?;
        self.journal
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .note_uid(&manifest.reference, applied.object.uid());
        changed(self.events, step, &manifest.reference, applied.change, false);
        Ok(applied)
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

async fn apply(
    cluster: &Cluster,
    manifest: &Manifest,
    prepared: &Prepared,
    dry_run: bool,
) -> Result<Applied> {
    // The user was asked about the value that is replaced.
    let agreed = prepared
        .module
        .as_ref()
        .is_some_and(|module| module.replaces.is_some() && module.manifest.reference == manifest.reference);
    let options = ApplyOptions {
        force: agreed || prepared.settings.force_conflicts,
        dry_run,
        ..ApplyOptions::new(&manifest.reference, &manifest.manager)
    };
    cluster.apply(&manifest.object, &options).await
}

fn changed(events: &Events, step: &str, object: &ObjectReference, change: Change, dry_run: bool) {
    events(Event::ObjectChanged {
        id: step.to_owned(),
        object: object.clone(),
        change,
        dry_run,
    });
}

fn count(number: usize, what: &str) -> String {
    if number == 1 {
        format!("1 {what}")
    } else {
        format!("{number} {what}s")
    }
}
