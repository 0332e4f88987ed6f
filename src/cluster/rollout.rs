//! Whether a Deployment is rolled out, and why not yet. Pure; the watching is in `wait_rollout`.
//!
//! kube's `is_deployment_completed` does not look at `observedGeneration`, so right after an apply it is true for the
//! rollout before.

use crate::vocabulary::{Object, names::PROXY_CONTAINER};
use serde_json::Value;

/// How far a rollout is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rollout {
    /// Done; the ready pods of the current ReplicaSet.
    Ready(Vec<Object>),
    /// Not yet, and why.
    Not(String),
    /// It will never be, and why.
    Failed(String),
}

/// Restarts after which a crashing container is given up.
const CRASHES: u64 = 3;

/// Judges a Deployment by itself, its ReplicaSets and its pods.
pub(super) fn judge(
    deployment: &Object,
    replica_sets: &[&Object],
    pods: &[&Object],
    expect_sidecar: bool,
) -> Rollout {
    let number = |pointer: &str| deployment.at(pointer).as_i64().unwrap_or_default();
    if number("/status/observedGeneration") < number("/metadata/generation") {
        return Rollout::Not("the Deployment's controller has not seen the change yet".into());
    }
    if let Some(failed) = failed_condition(deployment) {
        return failed;
    }
    let current = current_pods(deployment, replica_sets, pods);
    for pod in &current {
        match pod_state(pod, expect_sidecar) {
            PodState::Fatal(why) => return Rollout::Failed(format!("pod {}: {why}", pod.name())),
            PodState::Ready | PodState::Pending(_) => {}
        }
    }
    let wanted = deployment.at("/spec/replicas").as_i64().unwrap_or(1);
    let counts = ["updatedReplicas", "replicas", "availableReplicas"];
    let complete = counts
        .iter()
        .all(|name| number(&format!("/status/{name}")) == wanted);
    let ready: Vec<Object> = current
        .iter()
        .filter(|pod| pod_state(pod, expect_sidecar) == PodState::Ready)
        .map(|pod| (*pod).clone())
        .collect();
    if complete && i64::try_from(ready.len()).unwrap_or_default() >= wanted {
        return Rollout::Ready(ready);
    }
    Rollout::Not(why_not(deployment, &current, expect_sidecar, wanted))
}

fn why_not(deployment: &Object, current: &[&Object], expect_sidecar: bool, wanted: i64) -> String {
    let number = |name: &str| {
        deployment
            .at(&format!("/status/{name}"))
            .as_i64()
            .unwrap_or_default()
    };
    let pending = current
        .iter()
        .find_map(|pod| match pod_state(pod, expect_sidecar) {
            PodState::Pending(why) => Some(format!("pod {}: {why}", pod.name())),
            _ => None,
        });
    if let Some(pending) = pending {
        return pending;
    }
    let (updated, all, available) = (
        number("updatedReplicas"),
        number("replicas"),
        number("availableReplicas"),
    );
    if updated < wanted {
        format!("{updated} of {wanted} new pods exist")
    } else if all > updated {
        format!("{} old pods are still there", all - updated)
    } else if available >= wanted {
        "its pods are being looked up".to_owned()
    } else {
        format!("{available} of {wanted} pods are available")
    }
}

fn condition<'object>(object: &'object Object, kind: &str) -> Option<&'object Value> {
    object
        .items("/status/conditions")
        .iter()
        .find(|condition| condition["type"] == kind)
}

fn text<'value>(value: &'value Value, field: &str) -> &'value str {
    value[field].as_str().unwrap_or_default()
}

/// Pods that the API server refuses to create show only here, in a copy of the ReplicaSet's condition.
fn failed_condition(deployment: &Object) -> Option<Rollout> {
    let progress = condition(deployment, "Progressing");
    let failure = condition(deployment, "ReplicaFailure").filter(|condition| condition["status"] == "True");
    if let Some(failure) = failure {
        let message = text(failure, "message");
        let why = refusal(message);
        // A webhook that does not answer may come back (istiod restarting); a refusal stands.
        let final_refusal = ["exceeded quota", "violates PodSecurity", "denied the request"];
        return Some(if final_refusal.iter().any(|sign| message.contains(sign)) {
            Rollout::Failed(why)
        } else {
            Rollout::Not(why)
        });
    }
    let progress = progress?;
    (text(progress, "reason") == "ProgressDeadlineExceeded").then(|| {
        Rollout::Failed(format!(
            "its progress deadline has passed: {}",
            text(progress, "message")
        ))
    })
}

fn refusal(message: &str) -> String {
    let what = if message.contains("exceeded quota") {
        "a quota forbids its pods"
    } else if message.contains("violates PodSecurity") {
        "the namespace's Pod Security Standard forbids its pods"
    } else if message.contains("failed calling webhook") {
        "an admission webhook that its pods need does not work"
    } else if message.contains("admission webhook") {
        "an admission webhook refuses its pods"
    } else {
        "its pods cannot be created"
    };
    format!("{what}: {message}")
}

/// The living pods of the current ReplicaSet: the one with the Deployment's revision. Pods without a ReplicaSet as owner
/// count too, as there is nothing else to tell them by.
fn current_pods<'object>(
    deployment: &Object,
    replica_sets: &[&Object],
    pods: &[&'object Object],
) -> Vec<&'object Object> {
    const REVISION: &str = "deployment.kubernetes.io/revision";
    let owned_by = |object: &Object, uid: &str| {
        let owners = object.items("/metadata/ownerReferences").iter();
        owners.into_iter().any(|owner| owner["uid"] == uid)
    };
    let revision = deployment.annotation(REVISION);
    let current = replica_sets
        .iter()
        .find(|set| owned_by(set, deployment.uid()) && set.annotation(REVISION) == revision);
    let belongs = |pod: &Object| {
        let owners = pod.items("/metadata/ownerReferences").iter();
        let mut sets = owners.filter(|owner| owner["kind"] == "ReplicaSet").peekable();
        match (sets.peek().is_some(), current) {
            (false, _) => true,
            (true, Some(set)) => sets.any(|owner| owner["uid"] == set.uid()),
            (true, None) => false,
        }
    };
    pods.iter()
        .copied()
        .filter(|pod| pod.text("/metadata/deletionTimestamp").is_empty() && belongs(pod))
        .collect()
}

#[derive(Debug, PartialEq, Eq)]
enum PodState {
    Ready,
    Pending(String),
    Fatal(String),
}

fn pod_state(pod: &Object, expect_sidecar: bool) -> PodState {
    if expect_sidecar && !has_sidecar(pod) {
        return PodState::Fatal(
            "it has no sidecar: the namespace and the pod's labels do not ask for injection, or the injector refused it"
                .into(),
        );
    }
    let scheduled = condition(pod, "PodScheduled").filter(|condition| condition["status"] == "False");
    if let Some(unscheduled) = scheduled {
        // Not final: an autoscaler may be adding a node at this moment.
        return PodState::Pending(format!("no node takes it: {}", text(unscheduled, "message")));
    }
    if pod.text("/status/phase") == "Failed" {
        let why = [pod.text("/status/reason"), pod.text("/status/message")].join(" ");
        return PodState::Pending(format!("it has failed: {}", why.trim()));
    }
    let statuses = pod
        .items("/status/initContainerStatuses")
        .iter()
        .chain(pod.items("/status/containerStatuses"));
    let mut pending = None;
    for status in statuses {
        match container_state(status) {
            Some(fatal @ PodState::Fatal(_)) => return fatal,
            Some(other) => pending = pending.or(Some(other)),
            None => {}
        }
    }
    if condition(pod, "Ready").is_some_and(|condition| condition["status"] == "True") {
        return PodState::Ready;
    }
    pending.unwrap_or_else(|| PodState::Pending("it is not ready yet".into()))
}

/// Native sidecars sit among the init containers.
fn has_sidecar(pod: &Object) -> bool {
    ["/spec/containers", "/spec/initContainers"]
        .iter()
        .any(|pointer| {
            pod.items(pointer)
                .iter()
                .any(|container| container["name"] == PROXY_CONTAINER)
        })
}

/// What keeps a container from running, if anything does.
fn container_state(status: &Value) -> Option<PodState> {
    let name = text(status, "name");
    let waiting = &status["state"]["waiting"];
    let (reason, message) = (text(waiting, "reason"), text(waiting, "message"));
    let image = text(status, "image");
    let explained = |what: String| match message {
        "" => what,
        message => format!("{what}: {message}"),
    };
    match reason {
        "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => Some(PodState::Fatal(explained(
            format!("the image {image} of container {name} cannot be pulled ({reason})"),
        ))),
        "ErrImagePull" => Some(PodState::Pending(explained(format!(
            "the image {image} of container {name} could not be pulled at the first attempt"
        )))),
        "CrashLoopBackOff" => Some(crashing(status, name)),
        "" if status["state"]["running"].is_object() && status["ready"] == false => {
            Some(PodState::Pending(format!("container {name} is not ready yet")))
        }
        "" => None,
        "PodInitializing" | "ContainerCreating" => {
            Some(PodState::Pending(format!("container {name} is being created")))
        }
        other => Some(PodState::Pending(explained(format!(
            "container {name} cannot start ({other})"
        )))),
    }
}

fn crashing(status: &Value, name: &str) -> PodState {
    let last = &status["lastState"]["terminated"];
    let restarts = status["restartCount"].as_u64().unwrap_or_default();
    let code = last["exitCode"]
        .as_i64()
        .map_or("an unknown exit code".to_owned(), |code| {
            format!("exit code {code}")
        });
    let why = [text(last, "reason"), text(last, "message")].join(" ");
    let what = format!(
        "container {name} crashes: {restarts} restarts, last with {code} {}",
        why.trim()
    );
    if restarts >= CRASHES {
        PodState::Fatal(what)
    } else {
        PodState::Pending(what)
    }
}

/// The selector of a Deployment as the text that lists and watches take.
pub(super) fn selector(deployment: &Object) -> String {
    let mut terms = Vec::new();
    if let Some(labels) = deployment.at("/spec/selector/matchLabels").as_object() {
        for (name, value) in labels {
            terms.push(format!("{name}={}", value.as_str().unwrap_or_default()));
        }
    }
    for expression in deployment.items("/spec/selector/matchExpressions") {
        let key = text(expression, "key");
        let values: Vec<&str> = expression["values"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        terms.push(match text(expression, "operator") {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    terms.join(",")
}
