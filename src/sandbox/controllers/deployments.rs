//! Deployments to ReplicaSets to pods, and their statuses.

use super::{admission, is_ready, owner_reference, owner_uid, suffix, time_text};
use crate::istio::kinds;
use crate::sandbox::api;
use crate::sandbox::state::{Inner, State};
use crate::sandbox::store::Key;
use serde_json::{Value, json};

/// Label by which a ReplicaSet finds its pods.
const HASH: &str = "pod-template-hash";

pub(super) fn reconcile(inner: &Inner, state: &mut State) {
    for (key, deployment) in all(state, "deployments") {
        if deployment["metadata"]["deletionTimestamp"].is_null() {
            one(inner, state, &key, deployment);
        }
    }
    for (key, replica_set) in all(state, "replicasets") {
        if replica_set["metadata"]["deletionTimestamp"].is_null() {
            scale_pods(inner, state, &key, replica_set);
        }
    }
    for (key, deployment) in all(state, "deployments") {
        update_status(inner, state, key, deployment);
    }
}

fn all(state: &State, plural: &str) -> Vec<(Key, Value)> {
    state
        .store
        .list("apps", plural, None)
        .map(|(key, object)| (key.clone(), object.clone()))
        .collect()
}

fn owned(state: &State, group: &str, plural: &str, owner: &Value) -> Vec<(Key, Value)> {
    let uid = owner["metadata"]["uid"].as_str();
    let namespace = owner["metadata"]["namespace"].as_str();
    state
        .store
        .list(group, plural, namespace)
        .filter(|(_, object)| owner_uid(object) == uid)
        .map(|(key, object)| (key.clone(), object.clone()))
        .collect()
}

/// The ReplicaSet of the current template is there and scaled; those of old templates shrink when it is ready.
fn one(inner: &Inner, state: &mut State, key: &Key, deployment: Value) {
    let template = &deployment["spec"]["template"];
    let hash = suffix(template, 10);
    let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
    let mut current_ready = false;
    let mut found = false;
    let sets = owned(state, "apps", "replicasets", &deployment);
    for (set_key, mut set) in sets.clone() {
        if set["metadata"]["labels"][HASH] == hash.as_str() {
            found = true;
            current_ready = set["status"]["readyReplicas"].as_u64().unwrap_or(0) >= wanted;
            if set["spec"]["replicas"] != wanted {
                set["spec"]["replicas"] = json!(wanted);
                bump(&mut set);
                state.store.put(set_key, set);
            }
        }
    }
    if !found {
        let name = format!("{}-{hash}", key.name);
        let mut labels = template["metadata"]["labels"].clone();
        labels[HASH] = json!(hash);
        let mut selector = deployment["spec"]["selector"].clone();
        selector["matchLabels"][HASH] = json!(hash);
        let mut template = template.clone();
        template["metadata"]["labels"][HASH] = json!(hash);
        let revision = (sets.len() + 1).to_string();
        let set = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": name, "namespace": key.namespace, "uid": state.next_uid(), "generation": 1,
                "creationTimestamp": time_text(inner.now()), "labels": labels,
                "annotations": {"deployment.kubernetes.io/revision": revision},
                "ownerReferences": owner_reference(&deployment),
            },
            "spec": {"replicas": wanted, "selector": selector, "template": template},
            "status": {"replicas": 0},
        });
        let set_key = Key::new("apps", "replicasets", &key.namespace, &name);
        state.store.put(set_key, set);
        let mut deployment = deployment;
        deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!(revision);
        state.store.put(key.clone(), deployment);
        return;
    }
    if current_ready {
        for (set_key, mut set) in sets {
            if set["metadata"]["labels"][HASH] != hash.as_str() && set["spec"]["replicas"] != 0 {
                set["spec"]["replicas"] = json!(0);
                bump(&mut set);
                state.store.put(set_key, set);
            }
        }
    }
}

fn bump(object: &mut Value) {
    let generation = object["metadata"]["generation"].as_u64().unwrap_or(0) + 1;
    object["metadata"]["generation"] = json!(generation);
}

/// As many pods as the ReplicaSet says, and its status.
fn scale_pods(inner: &Inner, state: &mut State, key: &Key, mut set: Value) {
    let wanted = usize::try_from(set["spec"]["replicas"].as_u64().unwrap_or(1)).unwrap_or(usize::MAX);
    let mut pods = owned(state, "", "pods", &set);
    pods.retain(|(_, pod)| pod["metadata"]["deletionTimestamp"].is_null());
    let mut failure = None;
    for _ in pods.len()..wanted {
        match create_pod(inner, state, key, &set) {
            Ok(created) => pods.push(created),
            Err(why) => {
                failure = Some(why);
                break;
            }
        }
    }
    // Pods that are not ready go first, as with the real controller.
    pods.sort_by_key(|(_, pod)| !is_ready(pod));
    for (pod_key, _) in pods.drain(wanted.min(pods.len())..) {
        api::remove_object(inner, state, &pod_key, None);
    }
    let ready = pods.iter().filter(|(_, pod)| is_ready(pod)).count();
    let mut status = json!({
        "replicas": pods.len(), "fullyLabeledReplicas": pods.len(), "readyReplicas": ready,
        "availableReplicas": ready, "observedGeneration": set["metadata"]["generation"],
    });
    if let Some(why) = failure {
        status["conditions"] = json!([{
            "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": why,
            "lastTransitionTime": set["metadata"]["creationTimestamp"],
        }]);
    }
    set["status"] = status;
    state.store.put(key.clone(), set);
}

fn create_pod(inner: &Inner, state: &mut State, key: &Key, set: &Value) -> Result<(Key, Value), String> {
    let template = &set["spec"]["template"];
    let name = format!("{}-{}", key.name, suffix(state.next_number(), 5));
    admission::pod(state, &key.namespace, &name, &template["spec"])?;
    let mut metadata = template["metadata"].clone();
    metadata["name"] = json!(name);
    metadata["generateName"] = json!(format!("{}-", key.name));
    metadata["namespace"] = json!(key.namespace);
    metadata["uid"] = json!(state.next_uid());
    metadata["creationTimestamp"] = json!(time_text(inner.now()));
    metadata["ownerReferences"] = owner_reference(set);
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]});
    super::fill_in(inner, state, &kinds::pod(), &mut pod);
    let pod_key = Key::new("", "pods", &key.namespace, &name);
    let pod = state.store.put(pod_key.clone(), pod);
    Ok((pod_key, pod))
}

fn update_status(inner: &Inner, state: &mut State, key: Key, mut deployment: Value) {
    let hash = suffix(&deployment["spec"]["template"], 10);
    let sets = owned(state, "apps", "replicasets", &deployment);
    let count = |set: &Value, field: &str| set["status"][field].as_u64().unwrap_or(0);
    let sum = |field: &str| sets.iter().map(|(_, set)| count(set, field)).sum::<u64>();
    let current = sets
        .iter()
        .find(|(_, set)| set["metadata"]["labels"][HASH] == hash.as_str())
        .map(|(_, set)| set);
    let updated = current.map_or(0, |set| count(set, "replicas"));
    let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
    let available = sum("availableReplicas");
    let done = updated == wanted && available == wanted && sum("replicas") == wanted;
    let time = time_text(inner.now());
    let mut conditions = vec![
        condition(
            "Available",
            available >= wanted,
            ["MinimumReplicasAvailable", "MinimumReplicasUnavailable"],
        ),
        json!({
            "type": "Progressing", "status": "True",
            "reason": if done { "NewReplicaSetAvailable" } else { "ReplicaSetUpdated" },
        }),
    ];
    let failure = current.and_then(|set| set["status"]["conditions"].get(0).cloned());
    conditions.extend(failure);
    let before = deployment["status"]["conditions"].as_array().cloned();
    for condition in &mut conditions {
        let known = before.iter().flatten().find(|old| {
            old["type"] == condition["type"]
                && old["status"] == condition["status"]
                && old["reason"] == condition["reason"]
        });
        let since = known.map_or_else(|| json!(time), |old| old["lastUpdateTime"].clone());
        condition["lastUpdateTime"] = since.clone();
        condition["lastTransitionTime"] = since;
    }
    deployment["status"] = json!({
        "observedGeneration": deployment["metadata"]["generation"], "replicas": sum("replicas"),
        "updatedReplicas": updated, "readyReplicas": sum("readyReplicas"), "availableReplicas": available,
        "unavailableReplicas": wanted.saturating_sub(available), "conditions": conditions,
    });
    state.store.put(key, deployment);
}

fn condition(name: &str, holds: bool, reasons: [&str; 2]) -> Value {
    let (status, reason) = if holds {
        ("True", reasons[0])
    } else {
        ("False", reasons[1])
    };
    json!({"type": name, "status": status, "reason": reason})
}
