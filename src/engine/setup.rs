//! Sets a plan up: namespace, journal, gateway, source, routing side by side; waits until both proxies have it.

use super::event::{Event, Events};
use super::graph::{self, Step, StepEnd};
use super::lease::Lease;
use super::module::Follower;
use super::prepare::{DryRun, Prepared};
use super::proxy::{ProxyAdmin, ProxyConfiguration};
use super::undo::{self, UndoSettings};
use super::{gateway_choice, journal_store, pods};
use crate::cluster::{Applied, ApplyOptions, Cluster};
use crate::error::{Error, Result};
use crate::finding::{Finding, catalogue};
use crate::istio::kinds;
use crate::plan::istio_module::ModuleChange;
use crate::plan::journal::{Entry, Journal};
use crate::plan::ownership::Manifest;
use crate::plan::source;
use crate::vocabulary::{Change, ExitCode, ObjectReference, PodName, names};
use futures::future::try_join_all;
use serde_json::json;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Pause between two reads of a proxy's configuration, which cannot be watched. One read takes 7 ms.
const READ_PAUSE: Duration = Duration::from_millis(100);

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
        journal_store::write(cluster, &prepared.journal).await?;
    }
    let journal = Mutex::new(prepared.journal.clone());
    let run = Run {
        cluster,
        prepared: &prepared,
        journal: &journal,
        events,
    };
    let result = graph::run(run.steps(), events).await;
    let mut journal = journal
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if result.is_ok() {
        if !prepared.obsolete.is_empty() {
            remove_obsolete(cluster, &prepared, &mut journal, events).await?;
        }
        journal.complete = true;
    }
    // UIDs are worth keeping also after a failure: undo then knows exactly what was made.
    if before.as_ref() != Some(&journal) {
        let written = journal_store::write(cluster, &journal).await;
        if result.is_ok() {
            written?;
        }
    }
    result?;
    prepared.journal = journal;
    Ok(prepared)
}

async fn remove_obsolete(
    cluster: &Cluster,
    prepared: &Prepared,
    journal: &mut Journal,
    events: &Events,
) -> Result<()> {
    let settings = UndoSettings {
        dry_run: DryRun::No,
        keep_namespace: true,
        timeout: prepared.settings.timeout,
    };
    undo::remove(
        cluster,
        &prepared.plan.identity,
        &prepared.obsolete,
        settings,
        events,
    )
    .await?;
    for entry in &prepared.obsolete {
        journal.forget(&entry.reference());
    }
    Ok(())
}

/// What every step of one run shares. Cheap to copy: only references.
#[derive(Clone, Copy)]
struct Run<'run> {
    cluster: &'run Cluster,
    prepared: &'run Prepared,
    journal: &'run Mutex<Journal>,
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
        if prepared.settings.parts.routing {
            let hosts = match prepared.plan.hosts.as_slice() {
                [only] => only.host_port().to_string(),
                many => format!("{} hosts", many.len()),
            };
            steps.push(Self::step(
                "routing",
                format!("routing of {hosts}"),
                &["istio"],
                self.routing(),
            ));
            let needs: &[&str] = &["gateway", "source", "routing"];
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

    /// The resource that we make, and what the module makes of it.
    async fn istio(self) -> Result<StepEnd> {
        let (prepared, progress) = (self.prepared, self.progress("istio"));
        let Some(module) = &prepared.module else {
            return Err(Error::bug("there is no Istio, and nothing that would install it"));
        };
        let applied = self.apply_one("istio", &module.manifest).await?;
        let timeout = prepared.settings.timeout;
        Follower::of(self.cluster, None, &applied.object, timeout, &progress)
            .installed()
            .await?;
        Ok(StepEnd::Done(None))
    }

    /// Has the Kyma module make the gateway. What the gateway needs besides is applied meanwhile.
    async fn module_gateway(self, module: &ModuleChange) -> Result<()> {
        let (prepared, gateway) = (self.prepared, &self.prepared.gateway);
        let applied = self.apply_one("gateway", &module.manifest).await?;
        let (timeout, progress) = (prepared.settings.timeout, self.progress("gateway"));
        let kyma = prepared.facts.platform.kyma();
        let before = kyma.and_then(|kyma| kyma.modules.counted.as_ref());
        let follower = Follower::of(self.cluster, before, &applied.object, timeout, &progress);
        let selector = gateway.label_selector();
        if !follower.changes_something
            && !pods::ready(self.cluster, &gateway.namespace, &selector)
                .await?
                .is_empty()
        {
            return Ok(());
        }
        follower.gateway(prepared.gateway_was_there).await?;
        if prepared.gateway_was_there {
            return Ok(());
        }
        gateway_choice::confirm(self.cluster, gateway).await
    }

    async fn gateway(self) -> Result<StepEnd> {
        let (prepared, timeout) = (self.prepared, self.prepared.settings.timeout);
        let objects: Vec<&Manifest> = prepared.gateway_objects.iter().collect();
        let module = async {
            match &prepared.module {
                Some(module) => self.module_gateway(module).await,
                None => Ok(()),
            }
        };
        futures::future::try_join(self.apply_all("gateway", &objects), module).await?;
        let gateway = &prepared.gateway;
        if gateway.created {
            let deployment =
                ObjectReference::namespaced(kinds::deployment(), &gateway.namespace, &gateway.service);
            self.cluster
                .wait_rollout(&deployment, timeout, false, &self.progress("gateway"))
                .await?;
        }
        let what = format!("a ready pod of the gateway {gateway}");
        let ready = pods::wait_ready(
            self.cluster,
            &gateway.namespace,
            &gateway.label_selector(),
            &what,
            timeout,
            &self.progress("gateway"),
        )
        .await?;
        Ok(StepEnd::Done(Some(format!(
            "{} ready",
            count(ready.len(), "pod")
        ))))
    }

    async fn injection(self) -> Result<StepEnd> {
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
            .is_some_and(|label| label.before.is_some());
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
        self.name_workloads(true).await;
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

    async fn source(self) -> Result<StepEnd> {
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
        Ok(StepEnd::Done(
            pods.first().map(|pod| format!("pod {}", pod.name())),
        ))
    }

    /// In the safe order: what admits traffic to the gateway first, what makes the host known last.
    async fn routing(self) -> Result<StepEnd> {
        let of_kind = |wanted: &[&str]| -> Vec<&'run Manifest> {
            let objects = self.prepared.routing_objects.iter();
            objects
                .filter(|manifest| wanted.contains(&manifest.reference.kind.kind.as_str()))
                .collect()
        };
        for wave in [
            &["Gateway", "DestinationRule"][..],
            &["VirtualService"],
            &["ServiceEntry"],
        ] {
            self.apply_all("routing", &of_kind(wave)).await?;
        }
        Ok(StepEnd::Done(Some(count(
            self.prepared.routing_objects.len(),
            "object",
        ))))
    }

    async fn proxies(self) -> Result<StepEnd> {
        let (plan, gateway) = (&self.prepared.plan, &self.prepared.gateway);
        let mut source_pods =
            pods::ready(self.cluster, &plan.identity.namespace, &source::label_selector()).await?;
        if let Some(witnessed) = &self.prepared.witnessed {
            source_pods.extend(witnessed.workload.meshed_pods(self.cluster).await?);
        }
        let gateway_pods = pods::ready(self.cluster, &gateway.namespace, &gateway.label_selector()).await?;
        let sidecar = |configuration: &ProxyConfiguration| configuration.missing_at_sidecar(plan, gateway);
        let router = |configuration: &ProxyConfiguration| configuration.missing_at_gateway(plan);
        let sidecars = source_pods.iter().map(|pod| self.proxy_has(pod, &sidecar));
        let routers = gateway_pods.iter().map(|pod| self.proxy_has(pod, &router));
        match futures::future::try_join(try_join_all(sidecars), try_join_all(routers)).await {
            Ok(_) => Ok(StepEnd::Done(None)),
            // Reading a proxy is a convenience: without it the probe alone decides.
            Err(error) if error.code() == ExitCode::Cluster => {
                Ok(StepEnd::Skipped(format!("{error}; the probe decides")))
            }
            Err(error) => Err(error),
        }
    }

    async fn proxy_has(
        self,
        pod: &PodName,
        missing: &(dyn Fn(&ProxyConfiguration) -> Option<String> + Sync),
    ) -> Result<()> {
        let started = Instant::now();
        let mut admin = ProxyAdmin::new(self.cluster, pod);
        let mut last = String::new();
        loop {
            let Some(awaited) = missing(&admin.configuration().await?) else {
                return Ok(());
            };
            if started.elapsed() > self.prepared.settings.timeout {
                return Err(Error::timed_out(format!("waited {} s for {awaited}", started.elapsed().as_secs()))
                    .hint("`kubectl egress status` shows the objects; `istioctl analyze` and istiod's log may say why"));
            }
            if last != awaited {
                self.progress("proxies")(&awaited);
                last = awaited;
            }
            tokio::time::sleep(READ_PAUSE).await;
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
