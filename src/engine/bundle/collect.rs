//! What goes into the archive: the plan, its journal, its objects and those that touch its hosts, findings, logs, events.

use super::Bundle;
use super::logs::{self, Words};
use crate::cluster::Cluster;
use crate::engine::check;
use crate::engine::inventory::{Scope, inventory};
use crate::engine::verify::stored_plan;
use crate::engine::{facts, manifests, status};
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::journal::{Entry, Journal};
use crate::vocabulary::{Object, PlanIdentity, names};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// So many events are kept, the newest.
const EVENTS: usize = 300;

/// Kinds that decide about a namespace's traffic without naming a host.
const POLICIES: &[&str] = &[
    "Sidecar",
    "EnvoyFilter",
    "AuthorizationPolicy",
    "PeerAuthentication",
    "Telemetry",
    "NetworkPolicy",
];

/// Reads it all into the bundle.
///
/// # Errors
/// If there is no plan, or the API server cannot be reached.
pub(super) async fn all(
    cluster: &Cluster,
    plan: &PlanIdentity,
    namespace: &str,
    bundle: &mut Bundle,
) -> Result<()> {
    let journal = stored_plan(cluster, plan).await?;
    let spaces = BTreeSet::from(
        [
            &plan.namespace,
            namespace,
            &journal.gateway.namespace,
            names::ISTIO_NAMESPACE,
        ]
        .map(str::to_owned),
    );
    let mut words: Vec<String> = journal
        .plan
        .hosts
        .iter()
        .map(|host| host.host.as_str().trim_start_matches('*').to_owned())
        .collect();
    documents(cluster, &journal, namespace, bundle).await?;
    let objects = objects(cluster, &journal, namespace, &spaces, &words, bundle).await?;
    let named: BTreeSet<(String, String)> = objects
        .values()
        .map(|object| (object.text("/kind").to_owned(), object.name().to_owned()))
        .collect();
    for (file, object) in objects {
        bundle.value(&file, object.0)?;
    }
    events(cluster, &spaces, &named, bundle).await?;
    logs::of_gateway(cluster, &journal.gateway, &Words(words.clone()), bundle).await;
    words.push(format!("{}/", plan.namespace));
    logs::of_istiod(cluster, &Words(words), bundle).await;
    Ok(())
}

async fn documents(cluster: &Cluster, journal: &Journal, namespace: &str, bundle: &mut Bundle) -> Result<()> {
    let plan = &journal.plan.identity;
    let scope = Scope::Namespace(namespace.to_owned());
    let (versions, standing, found, rendered) = tokio::join!(
        facts::versions(cluster),
        status::read(cluster, plan),
        check::of_cluster(cluster, &scope),
        manifests::of_journal(cluster, journal),
    );
    bundle.value("plan.yaml", json(&journal.plan)?)?;
    bundle.value("journal.yaml", json(journal)?)?;
    bundle.value("manifests.yaml", Value::from(rendered))?;
    match versions {
        Ok((kubernetes, istio)) => {
            let program = env!("CARGO_PKG_VERSION");
            let versions = json!({"kubectlEgress": program, "kubernetes": kubernetes, "istio": istio});
            bundle.value("versions.yaml", versions)?;
        }
        Err(error) => bundle.not_read("versions", &error),
    }
    match standing {
        Ok(standing) => bundle.value("status.yaml", json(&standing)?)?,
        Err(error) => bundle.not_read("the state of the plan's objects", &error),
    }
    match found {
        Ok(found) => bundle.value("findings.yaml", json(&found)?)?,
        Err(error) => bundle.not_read("what `check` finds", &error),
    }
    Ok(())
}

fn json<T: Serialize>(value: &T) -> Result<Value> {
    serde_json::to_value(value)
        .map_err(|error| Error::bug("cannot write a document").because(error.to_string()))
}

/// Objects of the plan, those that mention its hosts, the policies beside them, the gateway's pods; by file.
async fn objects(
    cluster: &Cluster,
    journal: &Journal,
    namespace: &str,
    spaces: &BTreeSet<String>,
    words: &[String],
    bundle: &mut Bundle,
) -> Result<BTreeMap<String, Object>> {
    let mut objects = BTreeMap::new();
    let scope = Scope::Namespace(namespace.to_owned());
    let found = inventory(cluster, &scope).await?;
    for unread in &found.unread {
        bundle.not_read.push(unread.sentence());
    }
    let selector = json!(journal.gateway.selector);
    for object in found.objects {
        let here = object.namespace().is_none_or(|space| spaces.contains(space));
        let kind = object.text("/kind");
        let wanted = match kind {
            "Namespace" => spaces.contains(object.name()),
            "ConfigMap" => true,
            "Pod" => {
                // The source's pods carry a role of ours and are its Deployment's.
                here && (object.labels_match("/metadata/labels", &selector)
                    || object.label(names::ROLE_LABEL).is_some()
                    || crate::plan::ownership::is_ours(&object))
            }
            _ if POLICIES.contains(&kind) => here,
            _ => mentions(&object, words) || (here && crate::plan::ownership::is_ours(&object)),
        };
        if wanted {
            objects.insert(file_of(&object), object);
        }
    }
    let references: Vec<_> = journal.entries.iter().map(Entry::reference).collect();
    let reads = references.iter().map(|reference| cluster.get(reference));
    for (reference, read) in references.iter().zip(futures::future::join_all(reads).await) {
        match read {
            Ok(Some(object)) => drop(objects.insert(file_of(&object), object)),
            Ok(None) => bundle.not_read.push(format!("{reference} is not there")),
            Err(error) => bundle.not_read(&reference.to_string(), &error),
        }
    }
    Ok(objects)
}

fn mentions(object: &Object, words: &[String]) -> bool {
    let text = object.0.to_string();
    words.iter().any(|word| text.contains(word.as_str()))
}

fn file_of(object: &Object) -> String {
    let (kind, name) = (object.text("/kind"), object.name());
    match object.namespace() {
        Some(namespace) => format!("objects/{kind}/{namespace}/{name}.yaml"),
        None => format!("objects/{kind}/{name}.yaml"),
    }
}

/// Events of the objects that are in the archive.
async fn events(
    cluster: &Cluster,
    spaces: &BTreeSet<String>,
    named: &BTreeSet<(String, String)>,
    bundle: &mut Bundle,
) -> Result<()> {
    let mut kept = Vec::new();
    for space in spaces {
        match cluster.list(&kinds::event(), Some(space), None).await {
            Ok(found) => kept.extend(found.into_iter().filter(|event| {
                let of = |pointer: &str| event.text(pointer).to_owned();
                named.contains(&(of("/involvedObject/kind"), of("/involvedObject/name")))
            })),
            Err(error) => bundle.not_read(&format!("events of {space}"), &error),
        }
    }
    kept.sort_by_key(|event| event.text("/lastTimestamp").to_owned());
    let newest = kept.split_off(kept.len().saturating_sub(EVENTS));
    let shown = newest.iter().map(|event| {
        json!({
            "type": event.at("/type"), "reason": event.at("/reason"), "message": event.at("/message"),
            "object": event.at("/involvedObject"), "count": event.at("/count"), "last": event.at("/lastTimestamp"),
        })
    });
    bundle.value("events.yaml", Value::from(shown.collect::<Vec<_>>()))
}
