//! A workload of the user's without curl is probed from an ephemeral container, with consent: it can never be
//! removed from its pod, only goes with it.

use super::probe::ProbeSource;
use super::{pods, sentinel};
use crate::cluster::{Cluster, ExecEnd, Waited};
use crate::error::{Error, Result};
use crate::evidence::says_no_curl;
use crate::istio::kinds;
use crate::vocabulary::{Object, ObjectReference};
use serde_json::json;
use std::time::Duration;

/// Name of the container; the same each time, so that a second run finds it.
const CONTAINER: &str = "kubectl-egress-curl";
/// How the names of containers begin that run as the proxy's user.
const EVADING: &str = "kubectl-egress-evading-";
/// The user of the curl image.
const IMAGE_USER: u32 = 100;
/// The user that Istio's proxies run as, and whose traffic is not redirected (Istio documentation, Application
/// Requirements).
pub(super) const PROXY_USER: u32 = 1337;

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
    let running = pod.filter(|pod| is_running(pod, CONTAINER));
    Ok(running.map(|_| in_container(from, CONTAINER)))
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
    let container = Container {
        name: CONTAINER.to_owned(),
        image,
        user: IMAGE_USER,
        command: &["/bin/sleep", "infinity"],
    };
    put(cluster, from, &container, deadline, progress).await
}

/// Puts a container into the source's pod that runs as the proxy's user, so that Istio does not redirect its traffic,
/// and waits until it runs. It is a way past the sidecar as long as it runs: [`end`] it; it ends by itself after five
/// minutes.
///
/// # Errors
/// As [`add`].
pub(super) async fn add_as_proxy_user(
    cluster: &Cluster,
    from: &ProbeSource,
    image: &str,
    deadline: Duration,
) -> Result<ProbeSource> {
    let container = Container {
        // A name can be used once in a pod's life.
        name: format!("{EVADING}{}", sentinel::nonce()),
        image,
        user: PROXY_USER,
        command: &["/bin/sh", "-c", "trap 'exit 0' TERM; sleep 300 & wait"],
    };
    put(cluster, from, &container, deadline, &|_| {}).await
}

/// Ends a container of [`add_as_proxy_user`]. It stays listed in its pod, as ended.
///
/// # Errors
/// If it could not be told to end; then it runs for five minutes.
pub(super) async fn end(cluster: &Cluster, source: &ProbeSource) -> Result<()> {
    let command = ["/bin/sh", "-c", "kill -TERM 1"].map(str::to_owned);
    let told = cluster.exec(
        &source.pod,
        Some(&source.container),
        &command,
        Duration::from_secs(15),
    );
    told.await.map(|_| ())
}

/// A container that is put into a running pod.
struct Container<'a> {
    name: String,
    image: &'a str,
    user: u32,
    command: &'a [&'a str],
}

async fn put(
    cluster: &Cluster,
    from: &ProbeSource,
    container: &Container<'_>,
    deadline: Duration,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<ProbeSource> {
    let name = &container.name;
    let reference = ObjectReference::namespaced(kinds::pod(), &from.pod.namespace, &from.pod.name);
    let patch = json!({"spec": {"ephemeralContainers": [{
        "name": name,
        "image": container.image,
        "imagePullPolicy": "IfNotPresent",
        "command": container.command,
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": true,
            "runAsUser": container.user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }]}});
    cluster
        .patch_subresource(&reference, "ephemeralcontainers", &patch)
        .await?;
    let running = |pod: Option<&Object>| match pod {
        None => Waited::Failed("the pod was deleted".to_owned()),
        Some(pod) if is_running(pod, name) => Waited::Done,
        Some(pod) => Waited::Not(
            status(pod, name)
                .and_then(|status| status["state"]["waiting"]["reason"].as_str())
                .map_or_else(
                    || "the container to start".to_owned(),
                    |reason| format!("the container to start ({reason})"),
                ),
        ),
    };
    cluster.wait(&reference, deadline, &running, progress).await?;
    Ok(in_container(from, name))
}

fn in_container(from: &ProbeSource, name: &str) -> ProbeSource {
    ProbeSource {
        container: name.to_owned(),
        ..from.clone()
    }
}

fn is_running(pod: &Object, name: &str) -> bool {
    pods::is_ready(pod) && status(pod, name).is_some_and(|status| !status["state"]["running"].is_null())
}

fn status<'a>(pod: &'a Object, name: &str) -> Option<&'a serde_json::Value> {
    pod.items("/status/ephemeralContainerStatuses")
        .iter()
        .find(|status| status["name"] == name)
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
            .filter_map(|container| container["name"].as_str())
            .any(|name| name == CONTAINER || name.starts_with(EVADING))
    };
    Ok(all
        .iter()
        .filter(carries)
        .map(|pod| pods::name(pod).to_string())
        .collect())
}
