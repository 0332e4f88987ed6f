//! What a lock is derived from, asked for side by side; nothing is changed here.

use crate::cluster::{Cluster, ExecEnd};
use crate::engine::probe::ProbeSource;
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::journal::Journal;
use crate::plan::lock::{Observed, namespaces_to_observe};
use crate::plan::{GatewayTarget, routing};
use crate::vocabulary::{Object, ObjectReference};
use futures::future::{try_join_all, try_join4};
use std::collections::BTreeSet;
use std::time::Duration;

/// Where kubelet writes the addresses of a pod's nameservers.
const RESOLV_CONF: &str = "/etc/resolv.conf";
const READ_DEADLINE: Duration = Duration::from_secs(10);
/// Service and EndpointSlice that stand for the API server.
const API_SERVER: &str = "kubernetes";

/// What is known already when the rest is asked for.
pub(super) struct Known<'known> {
    /// The namespace of the lock.
    pub(super) namespace: &'known str,
    /// It itself, if it can be read: its label names a revision of istiod.
    pub(super) object: Option<&'known Object>,
    /// `/etc/resolv.conf` of one of its pods.
    pub(super) resolv_conf: String,
    /// All Services of the cluster.
    pub(super) services: Vec<Object>,
    /// The plan's gateway.
    pub(super) gateway: &'known GatewayTarget,
    /// Istio's root namespace.
    pub(super) root_namespace: &'known str,
}

/// Asks for everything else.
///
/// # Errors
/// If the cluster refuses.
pub(super) async fn observe(cluster: &Cluster, known: Known<'_>) -> Result<Observed> {
    let Known {
        namespace,
        object,
        resolv_conf,
        services,
        gateway,
        root_namespace,
    } = known;
    let mut namespaces = namespaces_to_observe(&resolv_conf, &services, gateway, root_namespace);
    namespaces.insert(namespace.to_owned());
    let (pod, slice) = (kinds::pod(), kinds::endpoint_slice());
    let pods = try_join_all(
        namespaces
            .iter()
            .map(|namespace| cluster.list(&pod, Some(namespace), None)),
    );
    let slices = try_join_all(
        namespaces
            .iter()
            .map(|namespace| cluster.list(&slice, Some(namespace), None)),
    );
    let (pods, slices, daemon_sets, api_server) = try_join4(
        pods,
        slices,
        async {
            // Only for a cache of the node, which not every cluster has nor every user may see.
            cluster
                .list_as_permitted(&kinds::daemon_set(), Some("kube-system"), None)
                .await
        },
        api_server(cluster),
    )
    .await?;
    let pods: Vec<Object> = pods.into_iter().flatten().collect();
    Ok(Observed {
        namespace: namespace.to_owned(),
        resolv_conf,
        services,
        endpoint_slices: slices.into_iter().flatten().collect(),
        revisions: revisions(object, &pods, namespace),
        pods,
        daemon_sets,
        gateway: gateway.clone(),
        root_namespace: root_namespace.to_owned(),
        api_server,
    })
}

/// The file of a pod: with `cat`, or with curl where there is none: a source is known to have that.
///
/// # Errors
/// If neither can read it.
pub(super) async fn read_resolv_conf(cluster: &Cluster, source: &ProbeSource) -> Result<String> {
    let ways: [&[&str]; 2] = [
        &["cat", RESOLV_CONF],
        &[
            "curl",
            "--silent",
            "--show-error",
            "--disable",
            "file:///etc/resolv.conf",
        ],
    ];
    let mut cause = String::new();
    for way in ways {
        let command: Vec<String> = way.iter().map(|word| (*word).to_owned()).collect();
        let output = cluster
            .exec(&source.pod, Some(&source.container), &command, READ_DEADLINE)
            .await;
        match output {
            Ok(output) if output.end == ExecEnd::Exited(0) && !output.stdout.is_empty() => {
                return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
            }
            Ok(output) => {
                cause = format!("`{}`: {}", way[0], String::from_utf8_lossy(&output.stderr).trim());
            }
            Err(error) => cause = error.to_string(),
        }
    }
    Err(unread(source, cause))
}

fn unread(source: &ProbeSource, cause: String) -> Error {
    Error::cluster(format!("/etc/resolv.conf of pod {} cannot be read", source.pod))
        .because(cause)
        .hint("the lock must let through what resolves names, so it cannot be derived without it")
}

async fn api_server(cluster: &Cluster) -> Result<Vec<Object>> {
    let service = ObjectReference::namespaced(kinds::service(), "default", API_SERVER);
    let slices = format!("kubernetes.io/service-name={API_SERVER}");
    let slice = kinds::endpoint_slice();
    let (service, slices) = futures::future::try_join(
        cluster.get(&service),
        cluster.list(&slice, Some("default"), Some(&slices)),
    )
    .await?;
    Ok(service.into_iter().chain(slices).collect())
}

/// The revisions that the namespace's label and its running sidecars name.
fn revisions(namespace: Option<&Object>, pods: &[Object], name: &str) -> BTreeSet<String> {
    const REVISION: &str = "istio.io/rev";
    let of_pods = pods
        .iter()
        .filter(|pod| pod.namespace() == Some(name))
        .filter_map(|pod| pod.label(REVISION).or_else(|| pod.annotation(REVISION)));
    namespace
        .and_then(|namespace| namespace.label(REVISION))
        .into_iter()
        .chain(of_pods)
        .map(str::to_owned)
        .collect()
}

/// The gateway, without the port that no host of the plan uses.
pub(super) fn with_used_ports(journal: &Journal) -> GatewayTarget {
    let gateway = journal.gateway.clone();
    GatewayTarget {
        http: gateway.http.filter(|_| routing::uses_http_port(&journal.plan)),
        ..gateway
    }
}
