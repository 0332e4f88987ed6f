//! A workload of the user's without curl is probed from an ephemeral container, with consent: it can never be
//! removed from its pod, only goes with it.

use super::pods;
use super::probe::ProbeSource;
use crate::cluster::{Cluster, ExecEnd, Waited};
use crate::error::{Error, Result};
use crate::evidence::says_no_curl;
use crate::istio::kinds;
use crate::vocabulary::{Object, ObjectReference};
use serde_json::json;
use std::time::Duration;

/// Name of the container; the same each time, so that a second run finds it.
const CONTAINER: &str = "kubectl-egress-curl";

/// Whether curl can be started in the source's container.
///
/// # Errors
/// If the exec is refused or lost for another reason than a missing program.
pub async fn has_curl(cluster: &Cluster, from: &ProbeSource) -> Result<bool> {
    let command = ["curl".to_owned(), "--version".to_owned()];
    let ran = cluster.exec(
        &from.pod,
        Some(&from.container),
        &command,
        Duration::from_secs(15),
    );
    match ran.await {
        Ok(output) => match output.end {
            ExecEnd::Exited(code) => Ok(code == 0),
            ExecEnd::Lost(why) if says_no_curl(&why) => Ok(false),
            // A cut connection says nothing about the container: nobody is asked to change the pod for it.
            ExecEnd::Lost(why) => Err(Error::cluster(format!(
                "cannot find out whether container {} of pod {} has curl",
                from.container, from.pod
            ))
            .because(why)
            .hint("run the command again")),
        },
        Err(error) if says_no_curl(&error.to_string()) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The container that an earlier run put into the pod, if it still runs.
pub async fn existing(cluster: &Cluster, from: &ProbeSource) -> Result<Option<ProbeSource>> {
    let reference = ObjectReference::namespaced(kinds::pod(), &from.pod.namespace, &from.pod.name);
    let pod = cluster.get(&reference).await?;
    Ok(pod.filter(is_running).map(|_| in_container(from)))
}

/// Puts a container with curl into the source's pod and waits until it runs.
///
/// # Errors
/// If the cluster refuses (`patch` on `pods/ephemeralcontainers`), or it does not start in time.
pub async fn add(
    cluster: &Cluster,
    from: &ProbeSource,
    image: &str,
    deadline: Duration,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<ProbeSource> {
    let reference = ObjectReference::namespaced(kinds::pod(), &from.pod.namespace, &from.pod.name);
    let patch = json!({"spec": {"ephemeralContainers": [{
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sleep", "infinity"],
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": true,
            "runAsUser": 100,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }]}});
    cluster
        .patch_subresource(&reference, "ephemeralcontainers", &patch)
        .await?;
    let running = |pod: Option<&Object>| match pod {
        None => Waited::Failed("the pod was deleted".to_owned()),
        Some(pod) if is_running(pod) => Waited::Done,
        Some(pod) => Waited::Not(
            status(pod)
                .and_then(|status| status["state"]["waiting"]["reason"].as_str())
                .map_or_else(
                    || "the container to start".to_owned(),
                    |reason| format!("the container to start ({reason})"),
                ),
        ),
    };
    cluster.wait(&reference, deadline, &running, progress).await?;
    Ok(in_container(from))
}

fn in_container(from: &ProbeSource) -> ProbeSource {
    ProbeSource {
        container: CONTAINER.to_owned(),
        ..from.clone()
    }
}

fn is_running(pod: &Object) -> bool {
    pods::is_ready(pod) && status(pod).is_some_and(|status| !status["state"]["running"].is_null())
}

fn status(pod: &Object) -> Option<&serde_json::Value> {
    pod.items("/status/ephemeralContainerStatuses")
        .iter()
        .find(|status| status["name"] == CONTAINER)
}

/// Pods of a namespace that still carry such a container: `cleanup` names them, as nobody can take it away.
///
/// # Errors
/// If the cluster refuses to list.
pub async fn left_in(cluster: &Cluster, namespace: &str) -> Result<Vec<String>> {
    let all = cluster.list(&kinds::pod(), Some(namespace), None).await?;
    let carries = |pod: &&Object| {
        pod.items("/spec/ephemeralContainers")
            .iter()
            .any(|container| container["name"] == CONTAINER)
    };
    Ok(all
        .iter()
        .filter(carries)
        .map(|pod| pods::name(pod).to_string())
        .collect())
}
