//! What happens when a pod's containers start: they run, end, wait for their image, or for a proxy that gets no
//! configuration.

use super::pods::{LISTS, condition, container_names, is_ready, pull_failure, statuses_of};
use super::programs::Program;
use super::{Timer, time_text};
use crate::sandbox::network::reach;
use crate::sandbox::state::{Inner, State};
use crate::sandbox::store::Key;
use crate::vocabulary::names::PROXY_CONTAINER;
use serde_json::{Value, json};
use std::time::Duration;

/// A pod's containers start, or fail to.
pub(super) fn start(inner: &Inner, state: &mut State, key: &Key) {
    let Some(mut pod) = state.store.get(key).cloned() else {
        return;
    };
    let ended = pod["status"]["phase"] == "Succeeded" || pod["status"]["phase"] == "Failed";
    if !pod["metadata"]["deletionTimestamp"].is_null() || ended {
        return;
    }
    let time = time_text(inner.now());
    let begun = pod["status"]["startTime"].as_str().unwrap_or(&time).to_owned();
    let was_ready = is_ready(&pod);
    if pod["status"]["podIP"].is_null() {
        let address = state.next_address();
        // Policies on its start look at the pod as it is kept.
        pod["status"]["podIP"] = json!(address);
        pod["status"]["podIPs"] = json!([{"ip": address}]);
        pod = state.store.put(key.clone(), pod);
    }
    let has_proxy = container_names(&pod).any(|name| name == PROXY_CONTAINER);
    // A proxy that has its configuration keeps it, whatever policies come.
    let starved = has_proxy && !was_ready && !reach::proxy_can_start(inner, state, &pod);
    for (list, statuses) in LISTS {
        let of_list = statuses_of(&pod, list, |container| {
            container_state(inner, &pod, list, container, starved, &begun)
        });
        if let Some(of_list) = of_list {
            pod["status"][statuses] = of_list;
        }
    }
    let status = &mut pod["status"];
    status["startTime"] = json!(begun);
    status["hostIP"] = json!(reach::NODE_ADDRESS);
    let (phase, ready) = phase_and_readiness(&pod);
    pod["status"]["phase"] = json!(phase);
    if !(was_ready && ready) {
        set_conditions(&mut pod, phase, ready, &begun, &time);
        if has_proxy {
            log_proxy(inner, state, key, ready);
        }
        wind_up_switch(inner, state, key, &pod);
    }
    state.store.put(key.clone(), pod);
}

/// State of a container that was told to start, and whether it is ready.
fn container_state(
    inner: &Inner,
    pod: &Value,
    list: &str,
    container: &Value,
    starved: bool,
    begun: &str,
) -> (Value, bool) {
    if let Some(failure) = pull_failure(inner, container) {
        return (failure, false);
    }
    let stays = container["restartPolicy"] == "Always";
    if list == "initContainers" && !stays {
        return (
            json!({"terminated": {"exitCode": 0, "reason": "Completed"}}),
            true,
        );
    }
    let running = json!({"running": {"startedAt": begun}});
    if container["name"] == PROXY_CONTAINER {
        return (running, !starved);
    }
    // A native sidecar comes first; a proxy beside them keeps nobody waiting.
    let behind_sidecar = super::is_meshed(pod) && list == "containers";
    if starved && behind_sidecar {
        return (json!({"waiting": {"reason": "PodInitializing"}}), false);
    }
    let policy = pod["spec"]["restartPolicy"].as_str().unwrap_or("Always");
    match Program::of(container) {
        Program::Ends(code) if list == "containers" && policy != "Always" => {
            if code != 0 && policy == "OnFailure" {
                return (json!({"waiting": {"reason": "CrashLoopBackOff"}}), false);
            }
            let reason = if code == 0 { "Completed" } else { "Error" };
            let ended = json!({"exitCode": code, "reason": reason, "startedAt": begun, "finishedAt": begun});
            (json!({"terminated": ended}), false)
        }
        _ => (running, true),
    }
}

fn phase_and_readiness(pod: &Value) -> (&'static str, bool) {
    let list = |name: &str| pod["status"][name].as_array().cloned().unwrap_or_default();
    let containers = list("containerStatuses");
    let has = |name: &str| containers.iter().all(|status| !status["state"][name].is_null());
    if has("terminated") {
        let failed = containers
            .iter()
            .any(|status| status["state"]["terminated"]["exitCode"] != 0);
        return (if failed { "Failed" } else { "Succeeded" }, false);
    }
    // Ephemeral containers have no part in readiness.
    let ready = containers
        .iter()
        .chain(&list("initContainerStatuses"))
        .all(|status| status["ready"] == true);
    (if has("running") { "Running" } else { "Pending" }, ready)
}

fn set_conditions(pod: &mut Value, phase: &str, ready: bool, begun: &str, time: &str) {
    let initialized = phase != "Pending" || ready;
    let mut conditions = vec![
        condition("PodScheduled", true, begun),
        condition("Initialized", initialized, begun),
    ];
    if !initialized {
        conditions[1]["reason"] = json!("ContainersNotInitialized");
    }
    let done = phase == "Succeeded" || phase == "Failed";
    for name in ["ContainersReady", "Ready"] {
        let mut condition = condition(name, ready, time);
        if !ready {
            let reason = if done {
                "PodCompleted"
            } else {
                "ContainersNotReady"
            };
            condition["reason"] = json!(reason);
        }
        conditions.push(condition);
    }
    pod["status"]["conditions"] = Value::Array(conditions);
}

fn log_proxy(inner: &Inner, state: &mut State, key: &Key, ready: bool) {
    let now = inner.now();
    let text = if ready {
        "info\tEnvoy proxy is ready"
    } else {
        "warn\tEnvoy proxy is NOT ready: config not received from XDS server (is Istiod running?): cds updates: 0 successful, 0 rejected; lds updates: 0 successful, 0 rejected"
    };
    let line = format!("{}\t{text}", now.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"));
    state.log(now, &key.namespace, &key.name, PROXY_CONTAINER, &line);
}

/// Sets the timer of a dead-man's switch that runs from now on.
fn wind_up_switch(inner: &Inner, state: &mut State, key: &Key, pod: &Value) {
    let Some(container) = super::switch::container(pod) else {
        return;
    };
    let deadline = super::switch::deadline(container).unwrap_or(0);
    let left = u64::try_from(deadline - inner.now().as_second()).unwrap_or(0);
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    state
        .timers
        .push(Timer::switch(Duration::from_secs(left), key.clone(), uid));
}

/// Pods that did not become ready try again: what they lacked may be there now.
pub(super) fn try_again(inner: &Inner, state: &mut State) {
    let waiting: Vec<Key> = state
        .store
        .list("", "pods", None)
        .filter(|(_, pod)| !is_ready(pod) && pod["status"]["podIP"].is_string())
        .map(|(key, _)| key.clone())
        .collect();
    for key in waiting {
        state.timers.push(Timer::start(inner.settings.pod_start, key));
    }
}

/// A container of a pod ends, and with it the pod.
pub(super) fn finish(inner: &Inner, state: &mut State, key: &Key, exit: i32, message: &str) {
    let Some(mut pod) = state.store.get(key).cloned() else {
        return;
    };
    let time = time_text(inner.now());
    let begun = pod["status"]["startTime"].as_str().unwrap_or(&time).to_owned();
    let reason = if exit == 0 { "Completed" } else { "Error" };
    let ended = json!({
        "exitCode": exit, "reason": reason, "message": message, "startedAt": begun, "finishedAt": time,
    });
    let statuses = statuses_of(&pod, "containers", |_| (json!({"terminated": ended}), false));
    pod["status"]["containerStatuses"] = statuses.unwrap_or_default();
    let phase = if exit == 0 { "Succeeded" } else { "Failed" };
    pod["status"]["phase"] = json!(phase);
    set_conditions(&mut pod, phase, false, &begun, &time);
    state.store.put(key.clone(), pod);
}
