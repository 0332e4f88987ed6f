//! Deletion: preconditions, grace periods, finalizers, propagation.

use super::objects::{Target, selector};
use super::{Call, Refusal, Reply, json_reply};
use crate::sandbox::controllers;
use crate::sandbox::state::{Inner, State};
use crate::sandbox::store::Key;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

/// What the API server warns of when a Job is deleted without a word about its pods.
const PODS_ARE_KEPT: &str = "299 - \"child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning\"";

/// Finalizer of an object that waits for what it owns.
const FOREGROUND: &str = "foregroundDeletion";

/// The options of a deletion: the body, and only without one the query, as the API server has it.
fn delete_options(call: &Call) -> Result<Value, Refusal> {
    if !call.body.is_empty() {
        return call.json();
    }
    let mut options = json!({});
    if call.dry_run() {
        options["dryRun"] = json!(["All"]);
    }
    if let Some(policy) = call.query.get("propagationPolicy") {
        options["propagationPolicy"] = json!(policy);
    }
    let seconds = call
        .query
        .get("gracePeriodSeconds")
        .and_then(|text| text.parse::<u64>().ok());
    if let Some(seconds) = seconds {
        options["gracePeriodSeconds"] = json!(seconds);
    }
    Ok(options)
}

pub(super) fn delete(inner: &Inner, call: &Call, target: &Target) -> Result<Reply, Refusal> {
    let options = delete_options(call)?;
    let name = target.name();
    let key = target.key(name);
    let mut state = inner.lock();
    let object = state
        .store
        .get(&key)
        .cloned()
        .ok_or_else(|| Refusal::not_found(&target.kind, name))?;
    check_preconditions(target, &object, &options["preconditions"])?;
    let dry_run = options["dryRun"].as_array().is_some_and(|all| !all.is_empty());
    if !dry_run {
        let asked = options["gracePeriodSeconds"].as_u64();
        let propagation = options["propagationPolicy"]
            .as_str()
            .or(default_propagation(target));
        match propagation {
            Some("Foreground") => foreground(inner, &mut state, &key, object.clone()),
            Some("Orphan") => {
                orphan(&mut state, &object);
                remove_object(inner, &mut state, &key, asked);
            }
            _ => remove_object(inner, &mut state, &key, asked),
        }
        controllers::reconcile(inner, &mut state, &target.kind);
    }
    if let Some(still_there) = state.store.get(&key).filter(|_| !dry_run) {
        return Ok(json_reply(
            StatusCode::OK,
            &call.present(&target.kind, still_there),
        ));
    }
    let silent = options["propagationPolicy"].is_string();
    let mut details = json!({"name": name, "kind": target.kind.plural, "uid": object["metadata"]["uid"]});
    if !target.kind.group.is_empty() {
        details["group"] = json!(target.kind.group);
    }
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
    });
    let mut reply = json_reply(StatusCode::OK, &body);
    if default_propagation(target).is_some() && !silent {
        reply
            .headers_mut()
            .insert(http::header::WARNING, HeaderValue::from_static(PODS_ARE_KEPT));
    }
    Ok(reply)
}

/// What happens to what an object owns if nobody says: `batch/v1` keeps a Job's pods, for compatibility.
fn default_propagation(target: &Target) -> Option<&'static str> {
    (target.kind.group == "batch" && target.kind.kind == "Job").then_some("Orphan")
}

fn check_preconditions(target: &Target, object: &Value, wanted: &Value) -> Result<(), Refusal> {
    for (field, label, pointer) in [
        ("uid", "UID", "/metadata/uid"),
        ("resourceVersion", "ResourceVersion", "/metadata/resourceVersion"),
    ] {
        let found = object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default();
        if let Some(asked) = wanted[field].as_str().filter(|asked| *asked != found) {
            let why = format!(
                "Precondition failed: {label} in precondition: {asked}, {label} in object meta: {found}"
            );
            return Err(Refusal::cannot_fulfil(&target.kind, target.name(), &why));
        }
    }
    Ok(())
}

/// Begins a deletion, as the grace period, finalizers and the kind demand.
pub(in crate::sandbox) fn remove_object(inner: &Inner, state: &mut State, key: &Key, grace: Option<u64>) {
    let Some(object) = state.store.get(key) else {
        return;
    };
    let mut object = object.clone();
    let held = is_held(state, key);
    let pod = key.group.is_empty() && key.plural == "pods";
    let namespace = key.group.is_empty() && key.plural == "namespaces";
    let grace = grace
        .or_else(|| object["spec"]["terminationGracePeriodSeconds"].as_u64())
        .unwrap_or(30);
    let waits = (pod && grace > 0) || namespace;
    if !waits && !held {
        forget(state, key);
        return;
    }
    if object["metadata"]["deletionTimestamp"].is_null() {
        object["metadata"]["deletionTimestamp"] = json!(controllers::time_text(inner.now()));
        object["metadata"]["deletionGracePeriodSeconds"] = json!(if pod { grace } else { 0 });
        if namespace {
            object["status"]["phase"] = json!("Terminating");
        }
        state.store.put(key.clone(), object);
        if waits {
            state
                .timers
                .push(controllers::Timer::end(inner.settings.pod_stop, key.clone()));
        }
    }
}

/// Removes an object for good, with its logs.
pub(in crate::sandbox) fn forget(state: &mut State, key: &Key) {
    state.store.remove(key);
    if key.plural == "pods" {
        state
            .logs
            .retain(|(namespace, pod, _), _| !(namespace == &key.namespace && pod == &key.name));
    }
}

/// Whether an object waits for the end of what it owns.
pub(in crate::sandbox) fn waits_for_owned(object: &Value) -> bool {
    let finalizers = object["metadata"]["finalizers"].as_array();
    finalizers.is_some_and(|all| all.iter().any(|finalizer| finalizer == FOREGROUND))
}

/// Whether finalizers keep an object.
pub(in crate::sandbox) fn is_held(state: &State, key: &Key) -> bool {
    let finalizers = |object: &Value| object["metadata"]["finalizers"].as_array().map_or(0, Vec::len);
    state.store.get(key).is_some_and(|object| finalizers(object) > 0)
}

/// Removes an object whose last finalizer has gone.
pub(super) fn remove_if_finalized(state: &mut State, key: &Key) {
    let leaves = state
        .store
        .get(key)
        .is_some_and(|object| !object["metadata"]["deletionTimestamp"].is_null());
    let waits_for_more = match key.plural.as_str() {
        "pods" => true,
        "namespaces" => state.store.all().any(|(other, _)| other.namespace == key.name),
        _ => false,
    };
    if leaves && !is_held(state, key) && !waits_for_more {
        forget(state, key);
    }
}

fn foreground(inner: &Inner, state: &mut State, key: &Key, mut object: Value) {
    let finalizers = &mut object["metadata"]["finalizers"];
    if !finalizers.is_array() {
        *finalizers = json!([]);
    }
    if let Some(finalizers) = finalizers.as_array_mut() {
        finalizers.push(json!(FOREGROUND));
    }
    state.store.put(key.clone(), object);
    remove_object(inner, state, key, None);
}

fn orphan(state: &mut State, owner: &Value) {
    let uid = &owner["metadata"]["uid"];
    let dependents: Vec<(Key, Value)> = state
        .store
        .all()
        .filter(|(_, object)| controllers::owner_uid(object) == uid.as_str())
        .map(|(key, object)| (key.clone(), object.clone()))
        .collect();
    for (key, mut object) in dependents {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("ownerReferences");
        }
        state.store.put(key, object);
    }
}

/// Lets go of owners that waited for what they own.
pub(in crate::sandbox) fn finish_foreground(state: &mut State) {
    let waiting: Vec<(Key, Value)> = state
        .store
        .all()
        .filter(|(_, object)| waits_for_owned(object))
        .map(|(key, object)| (key.clone(), object.clone()))
        .collect();
    for (key, mut object) in waiting {
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        if state
            .store
            .all()
            .any(|(_, other)| controllers::owner_uid(other) == Some(&uid))
        {
            continue;
        }
        if let Some(finalizers) = object["metadata"]["finalizers"].as_array_mut() {
            finalizers.retain(|finalizer| finalizer != FOREGROUND);
        }
        state.store.put(key.clone(), object);
        remove_if_finalized(state, &key);
    }
}

pub(super) fn delete_collection(inner: &Inner, call: &Call, target: &Target) -> Result<Reply, Refusal> {
    let selector = selector(call)?;
    let mut state = inner.lock();
    let doomed: Vec<Key> = state
        .store
        .list(
            &target.kind.group,
            &target.kind.plural,
            target.namespace.as_deref(),
        )
        .filter(|(_, object)| selector.matches(object))
        .map(|(key, _)| key.clone())
        .collect();
    if !call.dry_run() {
        for key in &doomed {
            if default_propagation(target) == Some("Orphan")
                && let Some(object) = state.store.get(key).cloned()
            {
                orphan(&mut state, &object);
            }
            remove_object(inner, &mut state, key, None);
        }
        controllers::reconcile(inner, &mut state, &target.kind);
    }
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
    Ok(json_reply(StatusCode::OK, &body))
}
