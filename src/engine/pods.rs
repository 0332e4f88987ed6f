//! Pods behind a selector: which are ready, which have a sidecar.

use crate::cluster::{Cluster, PodChange};
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::vocabulary::{Object, PodName, names};
use std::collections::BTreeMap;
use std::time::Duration;

/// Whether a pod is ready and not on its way out.
pub fn is_ready(pod: &Object) -> bool {
    pod.at("/metadata/deletionTimestamp").is_null()
        && pod
            .items("/status/conditions")
            .iter()
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Whether all containers of a pod are ready, whatever its readiness gates say.
pub fn are_containers_ready(pod: &Object) -> bool {
    pod.at("/metadata/deletionTimestamp").is_null()
        && pod
            .items("/status/conditions")
            .iter()
            .any(|condition| condition["type"] == "ContainersReady" && condition["status"] == "True")
}

/// Whether a container of a pod has ever begun to run, so that there is a log of it.
pub fn has_begun(pod: &Object, container: &str) -> bool {
    ["/status/initContainerStatuses", "/status/containerStatuses"]
        .iter()
        .flat_map(|pointer| pod.items(pointer))
        .filter(|status| status["name"] == container)
        .any(|status| {
            let ran = |state: &str| {
                ["running", "terminated"]
                    .iter()
                    .any(|how| status[state][how].is_object())
            };
            ran("state") || ran("lastState")
        })
}

/// What a pod that is not ready waits for, in the words of its status.
pub fn why_not_ready(pod: &Object) -> String {
    let waiting = ["/status/initContainerStatuses", "/status/containerStatuses"]
        .iter()
        .flat_map(|pointer| pod.items(pointer))
        .find_map(|status| {
            let reason = status["state"]["waiting"]["reason"].as_str()?;
            let name = status["name"].as_str().unwrap_or_default();
            Some(match reason {
                "ContainerCreating" | "PodInitializing" => format!("container {name} is being created"),
                other => format!("container {name}: {other}"),
            })
        });
    let not_ready = || {
        pod.items("/status/initContainerStatuses")
            .iter()
            .chain(pod.items("/status/containerStatuses"))
            .find(|status| status["ready"] == false && !status["state"]["running"].is_null())
            .map(|status| {
                format!(
                    "container {} to be ready",
                    status["name"].as_str().unwrap_or_default()
                )
            })
    };
    waiting
        .or_else(not_ready)
        .unwrap_or_else(|| "the pod to be scheduled and started".to_owned())
}

/// Whether a pod has a sidecar, native (an init container that keeps running) or not.
pub fn has_sidecar(pod: &Object) -> bool {
    ["/spec/containers", "/spec/initContainers"]
        .iter()
        .any(|pointer| {
            pod.items(pointer).iter().any(|container| {
                container["name"] == names::PROXY_CONTAINER
                    && !container["args"]
                        .as_array()
                        .is_some_and(|args| args.iter().any(|arg| arg == "router"))
            })
        })
}

/// Names a pod.
pub fn name(pod: &Object) -> PodName {
    PodName::new(pod.namespace().unwrap_or_default(), pod.name())
}

/// All addresses of a pod.
pub fn addresses(pod: &Object) -> Vec<String> {
    let mut addresses: Vec<String> = pod
        .items("/status/podIPs")
        .iter()
        .filter_map(|entry| entry["ip"].as_str().map(str::to_owned))
        .collect();
    if addresses.is_empty() {
        addresses.extend(pod.at("/status/podIP").as_str().map(str::to_owned));
    }
    addresses
}

/// The ready pods behind a selector now.
///
/// # Errors
/// If the cluster refuses.
pub async fn ready(cluster: &Cluster, namespace: &str, selector: &str) -> Result<Vec<PodName>> {
    let pods = cluster
        .list(&kinds::pod(), Some(namespace), Some(selector))
        .await?;
    Ok(pods.iter().filter(|pod| is_ready(pod)).map(name).collect())
}

/// Waits by watch until at least one pod behind a selector is ready.
///
/// # Errors
/// If none is in time; the message says what they wait for.
pub async fn wait_ready(
    cluster: &Cluster,
    namespace: &str,
    selector: &str,
    what: &str,
    deadline: Duration,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<Vec<PodName>> {
    let mut changes = cluster.watch_pods(namespace, selector);
    let mut pods: BTreeMap<String, Object> = BTreeMap::new();
    let waiting = async {
        let mut all_told = false;
        while let Some(change) = changes.recv().await {
            match change {
                PodChange::Present(pod) => drop(pods.insert(pod.name().to_owned(), pod)),
                PodChange::Gone(pod) => drop(pods.remove(pod.name())),
                PodChange::Synced => all_told = true,
                PodChange::Failed(error) => return Err(error),
            }
            // Of several replicas the first to be told is not the only one.
            if !all_told {
                continue;
            }
            let ready: Vec<PodName> = pods.values().filter(|pod| is_ready(pod)).map(name).collect();
            if !ready.is_empty() {
                return Ok(ready);
            }
            progress(what);
        }
        Err(Error::cluster(format!("the watch for {what} ended")))
    };
    match tokio::time::timeout(deadline, waiting).await {
        Ok(result) => result,
        Err(_) => Err(
            Error::timed_out(format!("{what} did not appear within {} s", deadline.as_secs()))
                .because(format!(
                    "{} pods match {selector} in {namespace}, none is ready",
                    pods.len()
                ))
                .hint(format!("kubectl get pods -n {namespace} -l {selector}")),
        ),
    }
}
