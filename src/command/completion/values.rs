//! `__values`: what may be typed in one place, one a line. Whatever goes wrong, it prints nothing and exits 0.

use crate::cli::{Connection, ValueKind, Values};
use crate::cluster::Cluster;
use crate::command::connection::{plan_of, settings};
use crate::engine::facts::gateway_names;
use crate::engine::journal_store;
use crate::istio::kinds;
use crate::report::Printer;
use crate::vocabulary::{ExitCode, Object, names};
use std::sync::Arc;
use std::time::Duration;

/// Less than who asks waits, so that a credential plugin ends with us.
const DEADLINE: Duration = Duration::from_millis(900);

/// Prints them.
pub(in crate::command) async fn values(
    connection: &Connection,
    asked: Values,
    printer: &Printer,
) -> ExitCode {
    let found = tokio::time::timeout(DEADLINE, find(connection, &asked)).await;
    let mut found = found.ok().flatten().unwrap_or_default();
    found.sort();
    found.dedup();
    for value in found.iter().filter(|value| !value.contains(char::is_control)) {
        printer.data(&format!("{value}\n"));
    }
    ExitCode::Success
}

async fn find(connection: &Connection, asked: &Values) -> Option<Vec<String>> {
    let wanted = settings(connection);
    match asked.kind {
        ValueKind::Contexts => {
            return Cluster::kubeconfig_names(&wanted)
                .ok()
                .map(|names| names.contexts);
        }
        ValueKind::Clusters => {
            return Cluster::kubeconfig_names(&wanted)
                .ok()
                .map(|names| names.clusters);
        }
        ValueKind::Users => return Cluster::kubeconfig_names(&wanted).ok().map(|names| names.users),
        _ => {}
    }
    let cluster = Cluster::connect(&wanted, Arc::new(|_| {})).await.ok()?;
    let namespace = connection
        .namespace
        .as_deref()
        .unwrap_or(cluster.default_namespace());
    let listed = |objects: Vec<Object>| objects.iter().map(|object| object.name().to_owned()).collect();
    match asked.kind {
        ValueKind::Namespaces => cluster
            .list(&kinds::namespace(), None, None)
            .await
            .ok()
            .map(listed),
        ValueKind::Hosts => {
            let plan = plan_of(namespace, &asked.plan.plan).ok()?;
            let journal = journal_store::read(&cluster, &plan).await.ok()??;
            Some(
                journal
                    .plan
                    .hosts
                    .iter()
                    .map(|planned| planned.host.to_string())
                    .collect(),
            )
        }
        ValueKind::Gateways => gateway_names(&cluster).await.ok(),
        ValueKind::Plans => {
            let selector = format!("{}=journal", names::ROLE_LABEL);
            let journals = cluster
                .list(&kinds::config_map(), Some(namespace), Some(&selector))
                .await
                .ok()?;
            let plans = journals
                .iter()
                .filter_map(|journal| journal.label(names::PLAN_LABEL));
            Some(plans.map(str::to_owned).collect())
        }
        _ => workloads(&cluster, namespace).await,
    }
}

async fn workloads(cluster: &Cluster, namespace: &str) -> Option<Vec<String>> {
    let (deployments, stateful_sets) = (kinds::deployment(), kinds::stateful_set());
    let (one, other) = futures::future::join(
        cluster.list(&deployments, Some(namespace), None),
        cluster.list(&stateful_sets, Some(namespace), None),
    )
    .await;
    let named = |kind: &str, objects: Vec<Object>| -> Vec<String> {
        objects
            .iter()
            .map(|object| format!("{kind}/{}", object.name()))
            .collect()
    };
    let mut all = named("deploy", one.ok()?);
    all.extend(named("sts", other.unwrap_or_default()));
    Some(all)
}
