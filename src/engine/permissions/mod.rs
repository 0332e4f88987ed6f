//! What a run will need to be allowed to do, asked for before it begins: one review of rules per namespace, exact ones
//! where that is not enough. What is needed is in [`crate::plan::permissions`].

mod setup;
mod target;

use super::client_secret::SecretWish;
use super::journal_store;
use super::prepare::Parts;
use crate::cluster::{Answer, Cluster, Rules};
use crate::error::{Error, Result};
use crate::plan::GatewayTarget;
use crate::plan::istio_module::ModuleChange;
use crate::plan::journal::{Entry, Journal};
use crate::plan::ownership::Manifest;
use crate::plan::permissions::{self, Permission, Scope};
use crate::plan::routing;
use crate::plan::target_workload::Exposure;
use crate::vocabulary::{Circumstance, ClusterCommand, ExitCode, Kind, ObjectReference, PlanIdentity, names};
use futures::future::try_join_all;
use std::collections::{BTreeMap, BTreeSet};

/// What a run that sets up wants to do.
#[derive(Debug, Clone, Copy)]
pub struct Wants<'run> {
    /// Which parts.
    pub parts: Parts,
    /// Whether the server only goes through it: no journal and no Lease is written.
    pub rehearsed: bool,
    /// Whether the namespace is to be labelled for injection.
    pub label: bool,
    /// What it changes at the Kyma module.
    pub module: Option<&'run ModuleChange>,
    /// Its routing objects.
    pub routing: &'run [Manifest],
    /// Secrets that it makes.
    pub secrets: &'run [SecretWish],
}

/// What a run wants to do at the other end of two-cluster mTLS.
#[derive(Debug, Clone, Copy)]
pub struct TargetWants<'run> {
    /// Namespace of the ingress gateway.
    pub ingress: &'run str,
    /// How the workload is exposed.
    pub exposure: Exposure,
    /// Whether the namespace, which is there, is to be labelled for injection.
    pub label: bool,
    /// What exposes it.
    pub objects: &'run [Manifest],
}

/// A permission, and what is lost without it.
struct Need {
    permission: Permission,
    purpose: Purpose,
}

/// What a permission is for. Without the essential ones a run does not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Purpose {
    /// It is changed.
    Change,
    /// It is a receipt.
    Proof,
    /// It is looked at.
    Look,
    /// It belongs to others, and is compared with.
    Others,
    /// It is to be taken away later.
    CleanUp,
}

impl Need {
    fn of(permission: Permission) -> Self {
        let verb = permission.verb.as_str();
        let purpose = match permission.resource.as_str() {
            "pods/exec" | "pods/log" | "pods/portforward" => Purpose::Proof,
            // Deleting what is there needs the word of who deletes; being told of an end does not.
            _ if ["create", "patch", "delete"].contains(&verb) => Purpose::Change,
            _ if permission.namespace.is_none() => Purpose::Others,
            _ => Purpose::Look,
        };
        Self { permission, purpose }
    }
}

/// Checks everything that a run which sets up will need.
///
/// # Errors
/// If something essential is not allowed; all of it is named at once. What is only useful comes back as remarks.
pub async fn check(
    cluster: &Cluster,
    plan: &PlanIdentity,
    gateway: &GatewayTarget,
    wants: Wants<'_>,
) -> Result<Vec<String>> {
    ask(cluster, &plan.namespace, &setup::needs(plan, gateway, wants)).await
}

/// Checks what the other end of two-cluster mTLS needs, in its cluster.
///
/// # Errors
/// As [`check`].
pub async fn check_target(
    cluster: &Cluster,
    plan: &PlanIdentity,
    wants: TargetWants<'_>,
) -> Result<Vec<String>> {
    ask(cluster, &plan.namespace, &target::needs(plan, wants)).await
}

/// Checks what a command needs of a plan that is stored, in the namespace that is probed or locked.
///
/// # Errors
/// As [`check`]; also if the server cannot be reached.
pub async fn check_command(
    cluster: &Cluster,
    command: ClusterCommand,
    plan: &PlanIdentity,
    namespace: &str,
    circumstances: &[Circumstance],
) -> Result<Vec<String>> {
    let journal = match journal_store::read(cluster, plan).await {
        Err(error) if error.code() == ExitCode::Cluster => return Err(error),
        // Without a plan the command itself says so, and of a journal that cannot be used it says more.
        other => other.ok().flatten(),
    };
    let mut circumstances = circumstances.to_vec();
    let (mut gateway, mut routes, mut secrets) = (names::ISTIO_NAMESPACE, Vec::new(), Vec::new());
    if let Some(journal) = &journal {
        gateway = &journal.gateway.namespace;
        routes = kinds_of(journal.entries.iter().map(Entry::reference), plan);
        secrets = secrets_of(journal);
        circumstances.extend(circumstances_of(journal, namespace));
    }
    let scope = Scope {
        command,
        plan,
        namespace,
        gateway,
        routing: routes,
        secrets,
        circumstances,
    };
    let needs = permissions::of(&scope).into_iter().map(Need::of);
    let needs: Vec<Need> = needs
        .filter(|need| command != ClusterCommand::Cleanup || is_undone(journal.as_ref(), need))
        .collect();
    ask(cluster, namespace, &needs).await
}

/// Whether a clean-up comes to this: it changes what the journal names, and nothing else.
fn is_undone(journal: Option<&Journal>, need: &Need) -> bool {
    let asked = &need.permission;
    if need.purpose != Purpose::Change || asked.name.is_some() || asked.verb == "create" {
        return true;
    }
    let entries = journal.into_iter().flat_map(|journal| &journal.entries);
    entries.into_iter().any(|entry| {
        let reference = entry.reference();
        let place = reference.namespace.as_deref().unwrap_or(&reference.name);
        reference.kind.plural == asked.resource && Some(place) == asked.namespace.as_deref()
    })
}

fn circumstances_of(journal: &Journal, namespace: &str) -> Vec<Circumstance> {
    let own_namespace = journal
        .entries
        .iter()
        .any(|entry| matches!(entry, Entry::Namespace { .. }));
    let switch = |reference: &ObjectReference| {
        reference.kind.kind == "Job" && reference.namespace.as_deref() == Some(namespace)
    };
    let armed = journal.entries.iter().any(|entry| switch(&entry.reference()));
    let facts = [
        (Circumstance::OwnNamespace, own_namespace),
        (Circumstance::Armed, armed),
        (Circumstance::CreateGateway, journal.gateway.created),
        (Circumstance::Locked, journal.lock_of(namespace).is_some()),
        (Circumstance::ClientSecret, !secrets_of(journal).is_empty()),
    ];
    facts
        .into_iter()
        .filter(|fact| fact.1)
        .map(|fact| fact.0)
        .collect()
}

fn secrets_of(journal: &Journal) -> Vec<String> {
    let references = journal.entries.iter().map(Entry::reference);
    let secrets = references.filter(|reference| {
        reference.kind.kind == "Secret" && reference.namespace.as_ref() == Some(&journal.gateway.namespace)
    });
    secrets.map(|reference| reference.name.clone()).collect()
}

/// The kinds of routing objects among some, each once for each namespace.
fn kinds_of(
    references: impl IntoIterator<Item = impl std::borrow::Borrow<ObjectReference>>,
    plan: &PlanIdentity,
) -> Vec<(Kind, String)> {
    let mut found: Vec<(Kind, String)> = Vec::new();
    for reference in references {
        let reference: &ObjectReference = reference.borrow();
        let namespace = reference.namespace.as_deref().unwrap_or(&plan.namespace);
        let known =
            |(kind, place): &(Kind, String)| kind.plural == reference.kind.plural && place == namespace;
        if routing::is_routing(&reference.kind.kind) && !found.iter().any(known) {
            found.push((reference.kind.clone(), namespace.to_owned()));
        }
    }
    found
}

async fn ask(cluster: &Cluster, own: &str, needs: &[Need]) -> Result<Vec<String>> {
    let rules = cluster.rules(own).await?;
    if rules.allow_everything() && cluster.may("*", "*", "*", None).await? {
        return Ok(Vec::new());
    }
    let further: BTreeSet<&str> = needs
        .iter()
        .filter_map(|need| need.permission.namespace.as_deref())
        .filter(|namespace| *namespace != own)
        .collect();
    let reads = further
        .into_iter()
        .map(|namespace| async move { Ok::<_, Error>((namespace, cluster.rules(namespace).await?)) });
    let mut known: BTreeMap<&str, Rules> = try_join_all(reads).await?.into_iter().collect();
    known.insert(own, rules);
    let answers = needs
        .iter()
        .map(|need| allowed(cluster, &known, &need.permission));
    let answers = try_join_all(answers).await?;
    let missing = needs.iter().zip(answers).filter(|(_, allowed)| !allowed);
    conclude(own, missing.map(|(need, _)| need))
}

async fn allowed(cluster: &Cluster, known: &BTreeMap<&str, Rules>, asked: &Permission) -> Result<bool> {
    let namespace = asked.namespace.as_deref();
    let rules = namespace.and_then(|namespace| known.get(namespace));
    let answer = rules.map_or(Answer::Unknown, |rules| {
        rules.allows(&asked.verb, &asked.group, &asked.resource, asked.name.as_deref())
    });
    match answer {
        Answer::Yes => Ok(true),
        Answer::No => Ok(false),
        Answer::Unknown => {
            cluster
                .may(&asked.verb, &asked.group, &asked.resource, namespace)
                .await
        }
    }
}

/// What is essential is refused, all of it at once; the rest is a remark for each namespace and purpose.
fn conclude<'need>(own: &str, missing: impl Iterator<Item = &'need Need>) -> Result<Vec<String>> {
    let mut essential = Vec::new();
    let mut rest: BTreeMap<(Purpose, String), Vec<String>> = BTreeMap::new();
    for Need { permission, purpose } in missing {
        let what = match purpose {
            Purpose::Change => {
                essential.push(permission.to_string());
                continue;
            }
            Purpose::CleanUp => permission.full_resource(),
            _ => format!("{} {}", permission.verb, permission.full_resource()),
        };
        rest.entry((*purpose, permission.place())).or_default().push(what);
    }
    if let Some((first, others)) = essential.split_first() {
        let mut error = Error::cluster(format!("you may not {first}"));
        if !others.is_empty() {
            error = error.because(format!("nor: {}", others.join("; ")));
        }
        return Err(error
            .hint(format!(
                "ask the cluster's administrator; check with: kubectl auth can-i --list -n {own}"
            ))
            .hint("what a command needs, as manifests: kubectl egress render --rbac COMMAND"));
    }
    let remark = |((purpose, place), what): ((Purpose, String), Vec<String>)| {
        let what = what.join(", ");
        match purpose {
            Purpose::CleanUp => {
                format!("you may not delete {what} {place}; `cleanup` could not take away what is set up now")
            }
            Purpose::Proof => format!("you may not {what} {place}; without it less can be proven"),
            Purpose::Others => {
                format!("you may not {what} {place}; what is in other namespaces is not compared")
            }
            _ => format!("you may not {what} {place}; what depends on it is not known"),
        }
    };
    Ok(rest.into_iter().map(remark).collect())
}
