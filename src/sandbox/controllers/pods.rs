//! Pods: scheduling, images, readiness.

use super::{Timer, time_text};
use crate::sandbox::state::{Inner, State};
use crate::sandbox::store::Key;
use crate::vocabulary::names::PROXY_CONTAINER;
use serde_json::{Value, json};

/// Whether a pod is ready.
pub(in crate::sandbox) fn is_ready(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_null()
        && pod["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Names of a pod's containers: of all kinds.
pub(in crate::sandbox) fn container_names(pod: &Value) -> impl Iterator<Item = &str> {
    ["containers", "initContainers", "ephemeralContainers"]
        .into_iter()
        .flat_map(|list| pod["spec"][list].as_array().into_iter().flatten())
        .filter_map(|container| container["name"].as_str())
}

/// Whether a pod has a sidecar beside an application.
pub(in crate::sandbox) fn is_meshed(pod: &Value) -> bool {
    pod["metadata"]["labels"]["security.istio.io/tlsMode"] == "istio"
        && container_names(pod).any(|name| name == PROXY_CONTAINER)
}

pub(super) fn condition(name: &str, holds: bool, time: &str) -> Value {
    let status = if holds { "True" } else { "False" };
    json!({"type": name, "status": status, "lastTransitionTime": time, "lastProbeTime": null})
}

/// A new pod: scheduled or not, and waiting for its start.
pub(super) fn admit(inner: &Inner, state: &mut State, pod: &mut Value) {
    let time = time_text(inner.now());
    let node = find_node(state, &pod["spec"]["nodeSelector"]);
    let mut scheduled = condition("PodScheduled", node.is_some(), &time);
    if let Some(node) = node {
        pod["spec"]["nodeName"] = json!(node);
    } else {
        scheduled["reason"] = json!("Unschedulable");
        scheduled["message"] = json!(
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        );
    }
    pod["status"] = json!({"phase": "Pending", "qosClass": "Burstable", "conditions": [scheduled]});
    if pod["spec"]["nodeName"].is_string() {
        for (list, statuses) in LISTS {
            let waiting = statuses_of(pod, list, |_| {
                (json!({"waiting": {"reason": "ContainerCreating"}}), false)
            });
            if let Some(waiting) = waiting {
                pod["status"][statuses] = waiting;
            }
        }
        let metadata = &pod["metadata"];
        let text = |name: &str| metadata[name].as_str().unwrap_or_default();
        let key = Key::new("", "pods", text("namespace"), text("name"));
        state.timers.push(Timer::start(inner.settings.pod_start, key));
    }
}

fn find_node(state: &State, selector: &Value) -> Option<String> {
    let mut nodes = state.store.list("", "nodes", None);
    nodes.find_map(|(key, node)| {
        let labels = &node["metadata"]["labels"];
        let fits = selector
            .as_object()
            .is_none_or(|wanted| wanted.iter().all(|(name, value)| labels.get(name) == Some(value)));
        fits.then(|| key.name.clone())
    })
}

/// Lists of containers and of their statuses.
pub(super) const LISTS: [(&str, &str); 3] = [
    ("containers", "containerStatuses"),
    ("initContainers", "initContainerStatuses"),
    ("ephemeralContainers", "ephemeralContainerStatuses"),
];

/// Statuses of a list of containers; `state` gives each container's state and whether it is ready.
pub(super) fn statuses_of(pod: &Value, list: &str, state: impl Fn(&Value) -> (Value, bool)) -> Option<Value> {
    let containers = pod["spec"][list].as_array()?;
    let statuses = containers.iter().map(|container| {
        let (state, ready) = state(container);
        let running = !state["running"].is_null();
        json!({
            "name": container["name"], "image": container["image"], "imageID": container["image"], "restartCount": 0,
            "ready": ready, "started": running && ready, "state": state,
        })
    });
    Some(Value::Array(statuses.collect()))
}

/// Why an image cannot be pulled.
pub(super) fn pull_failure(inner: &Inner, container: &Value) -> Option<Value> {
    let image = container["image"].as_str().unwrap_or_default();
    // `auto` is a placeholder that only injection replaces (truth.md 11).
    let missing = image == "auto"
        || inner
            .settings
            .missing_images
            .iter()
            .any(|missing| missing == image);
    missing.then(|| {
        let message = format!(
            "Back-off pulling image \"{image}\": ErrImagePull: failed to pull and unpack image \"{image}\": not found"
        );
        json!({"waiting": {"reason": "ImagePullBackOff", "message": message}})
    })
}
