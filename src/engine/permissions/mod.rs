//! What a run will need to do, asked for before it begins: one review of rules per namespace, exact ones where that
//! is not enough.

mod setup;
mod target;

use super::client_secret::SecretWish;
use super::prepare::Parts;
use crate::cluster::{Answer, Cluster, Rules};
use crate::error::{Error, Result};
use crate::plan::GatewayTarget;
use crate::plan::istio_module::ModuleChange;
use crate::plan::ownership::Manifest;
use crate::vocabulary::{Kind, PlanIdentity};
use futures::future::try_join_all;
use std::collections::{BTreeMap, BTreeSet};

/// One permission: verb, API group, resource (with subresource), namespace; and what it is for.
struct Need<'need> {
    verb: &'static str,
    group: String,
    resource: String,
    /// One object, where rules may be limited to it.
    name: Option<String>,
    namespace: &'need str,
    purpose: Purpose,
}

/// What a permission is for. Without the essential ones a run does not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    SetUp,
    Proof,
    CleanUp,
}

/// What a run wants to do.
#[derive(Debug, Clone, Copy)]
pub struct Wants<'run> {
    /// Which parts.
    pub parts: Parts,
    /// What it changes at the Kyma module.
    pub module: Option<&'run ModuleChange>,
    /// Its routing objects.
    pub routing: &'run [Manifest],
    /// Secrets that it makes.
    pub secrets: &'run [SecretWish],
}

/// Checks everything that the run will need.
///
/// # Errors
/// If something essential is not allowed; all of it is named at once. What is only useful comes back as remarks.
pub async fn check(
    cluster: &Cluster,
    plan: &PlanIdentity,
    gateway: &GatewayTarget,
    wants: Wants<'_>,
) -> Result<Vec<String>> {
    ask(cluster, plan, &setup::needs(plan, gateway, wants)).await
}

/// Checks what the other end of two-cluster mTLS needs, in its cluster.
///
/// # Errors
/// As [`check`].
pub async fn check_target<'objects>(
    cluster: &Cluster,
    plan: &'objects PlanIdentity,
    objects: impl Iterator<Item = &'objects Manifest>,
) -> Result<Vec<String>> {
    ask(cluster, plan, &target::needs(plan, objects)).await
}

async fn ask(cluster: &Cluster, plan: &PlanIdentity, needs: &[Need<'_>]) -> Result<Vec<String>> {
    let namespaces: BTreeSet<&str> = needs.iter().map(|need| need.namespace).collect();
    let reads = namespaces
        .into_iter()
        .map(|namespace| async move { Ok::<_, Error>((namespace, cluster.rules(namespace).await?)) });
    let rules: BTreeMap<&str, Rules> = try_join_all(reads).await?.into_iter().collect();
    let none = Rules::default();
    let mut missing = Vec::new();
    let mut remarks = Vec::new();
    let mut kept: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for need in needs {
        let rules = rules.get(need.namespace).unwrap_or(&none);
        let allowed = match rules.allows(need.verb, &need.group, &need.resource, need.name.as_deref()) {
            Answer::Yes => true,
            Answer::No => false,
            Answer::Unknown => {
                cluster
                    .may(need.verb, &need.group, &need.resource, Some(need.namespace))
                    .await?
            }
        };
        let text = format!(
            "{} {} in namespace {}",
            need.verb,
            with_group(need),
            need.namespace
        );
        match need.purpose {
            _ if allowed => {}
            Purpose::SetUp => missing.push(text),
            Purpose::Proof => remarks.push(format!("you may not {text}; without it less can be proven")),
            Purpose::CleanUp => kept.entry(need.namespace).or_default().push(with_group(need)),
        }
    }
    remarks.extend(kept.into_iter().map(|(namespace, resources)| {
        let resources = resources.join(", ");
        format!("you may not delete {resources} in namespace {namespace}; `cleanup` could not take away what is set up now")
    }));
    if missing.is_empty() {
        return Ok(remarks);
    }
    let first = missing.remove(0);
    let mut error = Error::cluster(format!("you may not {first}"));
    if !missing.is_empty() {
        error = error.because(format!("nor: {}", missing.join("; ")));
    }
    Err(error.hint(format!(
        "ask the cluster's administrator; check with: kubectl auth can-i --list -n {}",
        plan.namespace
    )))
}

fn with_group(need: &Need<'_>) -> String {
    if need.group.is_empty() {
        need.resource.clone()
    } else {
        format!("{}.{}", need.resource, need.group)
    }
}

/// What it takes to apply objects of a kind, and to take them away again.
fn writes<'need>(kind: &Kind, namespace: &'need str) -> [Need<'need>; 3] {
    [
        ("create", Purpose::SetUp),
        ("patch", Purpose::SetUp),
        ("delete", Purpose::CleanUp),
    ]
    .map(|(verb, purpose)| Need {
        verb,
        group: kind.group.clone(),
        resource: kind.plural.clone(),
        name: None,
        namespace,
        purpose,
    })
}

/// One verb on a resource of the core group.
fn core<'need>(verb: &'static str, resource: &str, namespace: &'need str, purpose: Purpose) -> Need<'need> {
    Need {
        verb,
        group: String::new(),
        resource: resource.to_owned(),
        name: None,
        namespace,
        purpose,
    }
}
