//! Sets up the other end of two-cluster mTLS, in the cluster that is the target: a workload behind the ingress gateway,
//! which lets in only clients with a certificate of the right CA. Journalled there, and undone there by `cleanup`.

pub mod direct;
pub mod ingress;
pub mod proof;
mod reads_on;
mod run;
pub mod standing;
pub mod through;

use super::adoption;
use super::client_secret::refuse_errors;
use super::facts::Facts;
use super::injection::{self, InjectionLabel};
use super::permissions::{self, TargetWants};
use super::prepare::DryRun;
use crate::certificate::{self, Bundle, Use};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::journal::{Entry, Journal};
use crate::plan::ownership::{self, Manifest};
use crate::plan::secrets::{self, Credential};
use crate::plan::target_workload::{self, Exposure, TargetWorkload};
use crate::plan::{Plan, PlanSettings};
use crate::vocabulary::{HostName, Object, ObjectReference, PlanIdentity};
use ingress::Ingress;
pub use run::{dry_run, run};
use secrecy::ExposeSecret;
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
    /// What the user should know beforehand, in sentences.
    pub remarks: Vec<String>,
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
/// is no ingress gateway, the host or an object of a name of ours belongs to somebody else there, or the user may not do
/// something that it takes.
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
    let workload = target_workload::workload(&plan, &objects);
    let exposing = target_workload::exposure(&plan, &objects);
    adoption::check(cluster, &facts, workload.iter().chain(&exposing)).await?;
    let place = &ingress.target.namespace;
    let mut prepared = PreparedTarget {
        workload,
        secret: secrets::server_credential(&plan, place, secrets::SERVER_CREDENTIAL, &settings.credential),
        exposing,
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
        remarks: Vec::new(),
        settings,
    };
    prepared.write_intentions(facts.namespace.as_ref());
    let wants = TargetWants {
        ingress: &prepared.ingress.target.namespace,
        exposure: prepared.exposure,
        label: prepared.has_namespace && prepared.injection_label.is_some(),
        objects: &prepared.exposing,
    };
    prepared.remarks = permissions::check_target(cluster, &plan, wants)
        .await
        .map_err(|error| error.while_doing("asking what you may do in the target cluster"))?;
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
    pub fn shown(&self) -> Vec<Manifest> {
        let workload = self.workload.iter().chain(&self.exposing);
        workload.cloned().chain([self.secret.masked()]).collect()
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
