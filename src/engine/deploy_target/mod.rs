//! Sets up the other end of two-cluster mTLS, in the cluster that is the target: a workload behind the ingress gateway,
//! which lets in only clients with a certificate of the right CA. Journalled there, and undone there by `cleanup`.

pub mod direct;
pub mod ingress;
pub mod proof;
pub mod standing;
pub mod through;

use super::client_secret::refuse_errors;
use super::event::{Event, Events};
use super::facts::Facts;
use super::graph::{self, Step, StepEnd};
use super::injection::{self, InjectionLabel};
use super::lease::Lease;
use super::prepare::DryRun;
use super::{journal_store, namespace};
use crate::certificate::{self, Bundle, Use};
use crate::cluster::{ApplyOptions, Cluster, Waited};
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::journal::{Entry, Journal};
use crate::plan::ownership::{self, Manifest};
use crate::plan::secrets::{self, Credential};
use crate::plan::target_workload::{self, Exposure, TargetWorkload};
use crate::plan::{Plan, PlanSettings};
use crate::vocabulary::{Change, HostName, Object, ObjectReference, PlanIdentity};
use ingress::Ingress;
use secrecy::ExposeSecret;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What the user wants of the target.
#[derive(Debug, Clone)]
pub struct TargetSettings {
    /// Whose objects they are; the journal lies in its namespace.
    pub plan: PlanIdentity,
    /// The host that clients ask for.
    pub host: HostName,
    /// The ingress gateway, `NAMESPACE/SERVICE`; none: the only one there is.
    pub ingress: Option<String>,
    /// Image of the workload.
    pub image: String,
    /// The server's certificate and key, and the CA of the clients that are let in.
    pub credential: Credential,
    /// Whether a namespace that is not there is made.
    pub create_namespace: bool,
    /// Whether anything is changed.
    pub dry_run: DryRun,
    /// Whether fields of other managers are taken over.
    pub force_conflicts: bool,
    /// How long to wait for each thing.
    pub timeout: Duration,
}

/// What a run will do at the target.
#[derive(Debug)]
pub struct PreparedTarget {
    /// What the user wants.
    pub settings: TargetSettings,
    /// Through what clients come in.
    pub ingress: Ingress,
    /// How the workload is exposed there.
    pub exposure: Exposure,
    /// What needs the user's word, as questions.
    pub consents: Vec<String>,
    has_namespace: bool,
    injection_label: Option<InjectionLabel>,
    workload: Vec<Manifest>,
    /// The Secret, as it is sent.
    secret: secrets::SecretManifest,
    exposing: Vec<Manifest>,
    journal: Journal,
    journal_before: Option<Journal>,
}

/// Asks the target and decides; nothing is changed.
///
/// # Errors
/// If the certificate cannot be used for the host, the plan of that name routes hosts, the namespace is missing, there
/// is no ingress gateway, or the host or the Secret belongs to somebody else there.
pub async fn prepare(cluster: &Cluster, settings: TargetSettings) -> Result<PreparedTarget> {
    check_certificate(&settings)?;
    let plan = settings.plan.clone();
    let facts = Facts::gather(cluster, &plan).await?;
    if facts.namespace.is_none() && !settings.create_namespace {
        return Err(Error::usage(format!(
            "namespace {} does not exist in the target cluster",
            plan.namespace
        ))
        .hint("let it be made: --create-namespace"));
    }
    if facts
        .journal
        .as_ref()
        .is_some_and(|journal| !journal.plan.hosts.is_empty())
    {
        return Err(
            Error::usage(format!("the plan {plan} of this cluster routes hosts out of it"))
                .because("a target is what such a plan leads to, in another cluster")
                .hint("name the other cluster: --context NAME; or give the target a plan of its own: --plan NAME"),
        );
    }
    let ingress = Ingress::find(cluster, &facts, settings.ingress.as_deref()).await?;
    ingress::check_host(cluster, &plan, &ingress.target, &settings.host).await?;
    check_secret(cluster, &plan, &ingress).await?;
    let exposure = ingress::exposure(cluster).await?;
    let mut consents = Vec::new();
    let (injection, injection_label) = injection::choose(&plan, false, &facts, &mut consents)?;
    let objects = TargetWorkload {
        host: &settings.host,
        image: &settings.image,
        ingress: &ingress.target,
        exposure,
        injection: &injection,
    };
    let place = &ingress.target.namespace;
    let mut prepared = PreparedTarget {
        workload: target_workload::workload(&plan, &objects),
        secret: secrets::server_credential(&plan, place, secrets::SERVER_CREDENTIAL, &settings.credential),
        exposing: target_workload::exposure(&plan, &objects),
        journal: facts.journal.clone().unwrap_or_else(|| {
            let empty = Plan::without_hosts(plan.clone(), PlanSettings::default());
            Journal::new(empty, ingress.target.clone(), settings.image.clone())
        }),
        journal_before: facts.journal,
        has_namespace: facts.namespace.is_some(),
        injection_label,
        ingress,
        exposure,
        consents,
        settings,
    };
    prepared.write_intentions(facts.namespace.as_ref());
    Ok(prepared)
}

/// The certificate, its key and the CA are looked at before anything is sent. The CA is that of the clients, and need not
/// be the server's own.
fn check_certificate(settings: &TargetSettings) -> Result<()> {
    let credential = &settings.credential;
    let bundle = Bundle {
        certificate: credential.certificate.as_bytes(),
        key: Some(credential.key.expose_secret().as_bytes()),
        authority: credential.authority.as_deref().map(str::as_bytes),
    };
    let findings = certificate::check(
        &bundle,
        Use::Server { host: &settings.host },
        jiff::Timestamp::now(),
    );
    refuse_errors(
        &format!("the certificate cannot be used by a server of {}", settings.host),
        &findings,
    )
}

/// The Secret's name is one for all, so one that is not this plan's is left alone.
async fn check_secret(cluster: &Cluster, plan: &PlanIdentity, ingress: &Ingress) -> Result<()> {
    let namespace = &ingress.target.namespace;
    let reference = ObjectReference::namespaced(kinds::secret(), namespace, secrets::SERVER_CREDENTIAL);
    match cluster.get(&reference).await? {
        Some(live) if ownership::plan_of(&live).as_ref() != Some(plan) => Err(Error::consent(format!(
            "{reference} is there already and not of the plan {plan}"
        ))
        .because("it may be what another Gateway shows to its clients")
        .hint(format!(
            "if nobody needs it: kubectl delete secret {} -n {namespace}",
            reference.name
        ))),
        _ => Ok(()),
    }
}

impl PreparedTarget {
    /// Everything that is applied in the end, but the namespace's label.
    pub fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        let secret = std::iter::once(self.secret.manifest());
        self.workload.iter().chain(secret).chain(&self.exposing)
    }

    /// Certificates and keys that must not be shown are masked.
    pub fn shown(&self) -> Vec<Object> {
        let secret = self.secret.masked();
        let workload = self.workload.iter().chain(&self.exposing);
        let objects = workload.map(|manifest| manifest.object.clone());
        objects.chain([secret.object]).collect()
    }

    fn write_intentions(&mut self, namespace: Option<&Object>) {
        let plan = &self.settings.plan;
        // A run that failed between making the namespace and its journal left our labels on it.
        if let Some(namespace) = namespace
            && ownership::plan_of(namespace).as_ref() == Some(plan)
        {
            let (name, uid) = (namespace.name().to_owned(), namespace.uid().to_owned());
            self.journal.record(Entry::Namespace { name, uid });
        }
        self.journal.gateway = self.ingress.target.clone();
        self.journal.image.clone_from(&self.settings.image);
        if let Some(label) = &self.injection_label {
            self.journal.record(label.entry(plan));
        }
        let intended: Vec<Entry> = self.manifests().map(Entry::intends).collect();
        for entry in intended {
            self.journal.record(entry);
        }
    }
}

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
        journal_store::write(cluster, &prepared.journal).await?;
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
        let written = journal_store::write(cluster, &journal).await;
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
        self.apply("target-injection", &manifest, label.before.is_some())
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
