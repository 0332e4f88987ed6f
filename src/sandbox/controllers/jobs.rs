//! Jobs to pods, and their statuses, as far as Jobs of one pod at a time go.
//!
//! Rules: Kubernetes' documentation of Jobs. A pod that fails, or that somebody deletes, is replaced until the limit
//! of failures is reached; a finished Job is removed after `ttlSecondsAfterFinished`.

use super::{Timer, admission, suffix, time_text};
use crate::istio::kinds;
use crate::sandbox::api;
use crate::sandbox::state::{Inner, State};
use crate::sandbox::store::Key;
use serde_json::{Value, json};
use std::time::Duration;

/// Labels that the API server puts on a Job's pods: the current ones, and those of before 1.27.
const UID_LABELS: [&str; 2] = ["batch.kubernetes.io/controller-uid", "controller-uid"];
const NAME_LABELS: [&str; 2] = ["batch.kubernetes.io/job-name", "job-name"];

/// What the API server fills in.
pub(super) fn fill_in(job: &mut Value) {
    let (uid, name) = (job["metadata"]["uid"].clone(), job["metadata"]["name"].clone());
    let specification = &mut job["spec"];
    for (field, value) in [
        ("parallelism", json!(1)),
        ("completions", json!(1)),
        ("backoffLimit", json!(6)),
        ("completionMode", json!("NonIndexed")),
        ("podReplacementPolicy", json!("TerminatingOrFailed")),
        ("suspend", json!(false)),
        ("selector", json!({"matchLabels": {UID_LABELS[0]: uid}})),
    ] {
        if specification[field].is_null() {
            specification[field] = value;
        }
    }
    let labels = &mut specification["template"]["metadata"]["labels"];
    for (names, value) in [(UID_LABELS, uid), (NAME_LABELS, name)] {
        for label in names {
            labels[label] = value.clone();
        }
    }
}

pub(super) fn reconcile(inner: &Inner, state: &mut State) {
    let jobs: Vec<(Key, Value)> = state
        .store
        .list("batch", "jobs", None)
        .filter(|(_, job)| job["metadata"]["deletionTimestamp"].is_null() && !is_finished(job))
        .map(|(key, job)| (key.clone(), job.clone()))
        .collect();
    for (key, job) in jobs {
        one(inner, state, key, job);
    }
}

fn is_finished(job: &Value) -> bool {
    let conditions = job["status"]["conditions"].as_array().into_iter().flatten();
    conditions
        .into_iter()
        .any(|condition| condition["type"] == "Complete" || condition["type"] == "Failed")
}

fn one(inner: &Inner, state: &mut State, key: Key, mut job: Value) {
    let uid = job["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let mut pods: Vec<Value> = state
        .store
        .list("", "pods", Some(&key.namespace))
        .filter(|(_, pod)| super::owner_uid(pod) == Some(&uid))
        .map(|(_, pod)| pod.clone())
        .collect();
    let count = |pods: &[Value], phases: &[&str]| {
        let of_phase = |pod: &&Value| phases.iter().any(|phase| pod["status"]["phase"] == *phase);
        let living = pods
            .iter()
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        living.filter(of_phase).count()
    };
    let succeeded = count(&pods, &["Succeeded"]);
    let failed = count(&pods, &["Failed"]);
    let number =
        |field: &str| usize::try_from(job["spec"][field].as_u64().unwrap_or(1)).unwrap_or(usize::MAX);
    let completions = number("completions");
    let exhausted = failed > number("backoffLimit");
    let wanted = number("parallelism").min(completions.saturating_sub(succeeded));
    if !exhausted && job["spec"]["suspend"] != true {
        for _ in count(&pods, &["Pending", "Running"])..wanted {
            match create_pod(inner, state, &key, &job) {
                Ok(pod) => pods.push(pod),
                Err(why) => {
                    report_failure(inner, state, &job, &why);
                    break;
                }
            }
        }
    }
    let time = time_text(inner.now());
    let ready = pods.iter().filter(|pod| super::is_ready(pod)).count();
    let start = job["status"]["startTime"].as_str().unwrap_or(&time).to_owned();
    let mut status = json!({
        "active": count(&pods, &["Pending", "Running"]), "ready": ready, "terminating": 0,
        "succeeded": succeeded, "failed": failed, "startTime": start, "uncountedTerminatedPods": {},
    });
    if succeeded >= completions {
        status["completionTime"] = json!(time);
        let message = "Reached expected number of succeeded pods";
        status["conditions"] = conditions(
            ["SuccessCriteriaMet", "Complete"],
            "CompletionsReached",
            message,
            &time,
        );
    } else if exhausted {
        let message = "Job has reached the specified backoff limit";
        status["conditions"] = conditions(
            ["FailureTarget", "Failed"],
            "BackoffLimitExceeded",
            message,
            &time,
        );
    }
    job["status"] = status;
    if is_finished(&job)
        && let Some(seconds) = job["spec"]["ttlSecondsAfterFinished"].as_u64()
    {
        state
            .timers
            .push(Timer::expire(Duration::from_secs(seconds), key.clone()));
    }
    state.store.put(key, job);
}

fn conditions(types: [&str; 2], reason: &str, message: &str, time: &str) -> Value {
    let condition = |name: &str| {
        json!({
            "type": name, "status": "True", "reason": reason, "message": message,
            "lastProbeTime": time, "lastTransitionTime": time,
        })
    };
    Value::Array(types.map(condition).into())
}

fn create_pod(inner: &Inner, state: &mut State, key: &Key, job: &Value) -> Result<Value, String> {
    let template = &job["spec"]["template"];
    let name = format!("{}-{}", key.name, suffix(state.next_number(), 5));
    admission::pod(state, &key.namespace, &name, &template["spec"])?;
    let mut metadata = template["metadata"].clone();
    metadata["name"] = json!(name);
    metadata["generateName"] = json!(format!("{}-", key.name));
    metadata["namespace"] = json!(key.namespace);
    metadata["uid"] = json!(state.next_uid());
    metadata["creationTimestamp"] = json!(time_text(inner.now()));
    metadata["ownerReferences"] = super::owner_reference(job);
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]});
    super::fill_in(inner, state, &kinds::pod(), &mut pod);
    Ok(state.store.put(Key::new("", "pods", &key.namespace, &name), pod))
}

/// The event that says why no pod could be made: one for each Job.
fn report_failure(inner: &Inner, state: &mut State, job: &Value, why: &str) {
    let metadata = &job["metadata"];
    let text = |name: &str| metadata[name].as_str().unwrap_or_default();
    let name = format!("{}.{}", text("name"), suffix(text("uid"), 16));
    let key = Key::new("", "events", text("namespace"), &name);
    let message = format!("Error creating: {why}");
    // The name of the pod that was not made differs each time; the rest is one event.
    if state.store.get(&key).is_some() {
        return;
    }
    let time = time_text(inner.now());
    let event = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": name, "namespace": text("namespace"), "uid": state.next_uid(), "creationTimestamp": time},
        "involvedObject": {
            "apiVersion": "batch/v1", "kind": "Job", "name": text("name"), "namespace": text("namespace"),
            "uid": text("uid"),
        },
        "type": "Warning", "reason": "FailedCreate", "message": message, "count": 1,
        "firstTimestamp": time, "lastTimestamp": time,
        "source": {"component": "job-controller"}, "reportingComponent": "job-controller",
    });
    state.store.put(key, event);
}

/// Removes a Job whose time to live after its end is over.
pub(super) fn expire(inner: &Inner, state: &mut State, key: &Key) {
    if state.store.get(key).is_some_and(is_finished) {
        api::remove_object(inner, state, key, None);
    }
}
