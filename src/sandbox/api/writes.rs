//! create, replace, and the four kinds of patch.

use super::objects::Target;
use super::{Call, Refusal, Reply, escalation, json_reply, patch as patches, removal, validation};
use crate::sandbox::apply::{self, Manager};
use crate::sandbox::controllers;
use crate::sandbox::state::{Inner, State};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

fn manager(inner: &Inner, call: &Call, target: &Target) -> Manager {
    Manager {
        name: call.manager(),
        api_version: target.kind.api_version(),
        subresource: target.subresource.clone().unwrap_or_default(),
        time: controllers::time_text(inner.now()),
    }
}

/// The version that an object is kept in does not matter, as long as it is always the same.
fn stored(target: &Target, mut object: Value) -> Value {
    object["apiVersion"] = json!(target.kind.api_version());
    object["kind"] = json!(target.kind.kind);
    object
}

pub(super) fn create(inner: &Inner, call: &Call, target: &Target) -> Result<Reply, Refusal> {
    let mut body = call.json()?;
    let mut state = inner.lock();
    name_it(&mut state, &mut body);
    let name = body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    check_identity(target, &body, &name)?;
    if state.store.get(&target.key(&name)).is_some() {
        return Err(Refusal::already_exists(&target.kind, &name));
    }
    let mut object = new_object(inner, &mut state, target, body, &name)?;
    escalation::check(&state, call, target, &object)?;
    apply::track_update(None, &mut object, &manager(inner, call, target), &target.kind);
    Ok(finish(
        inner,
        state,
        call,
        target,
        &name,
        object,
        StatusCode::CREATED,
    ))
}

fn name_it(state: &mut State, body: &mut Value) {
    let metadata = &mut body["metadata"];
    if metadata["name"].as_str().is_none()
        && let Some(prefix) = metadata["generateName"].as_str()
    {
        let name = format!("{prefix}{}", controllers::suffix(state.next_number(), 5));
        metadata["name"] = json!(name);
    }
}

fn check_identity(target: &Target, body: &Value, name: &str) -> Result<(), Refusal> {
    if body["kind"].as_str().is_some_and(|kind| kind != target.kind.kind) {
        let found = &body["kind"];
        return Err(Refusal::bad_request(format!(
            "{found} does not match the expected kind \"{}\"",
            target.kind.kind
        )));
    }
    let namespace = body["metadata"]["namespace"].as_str();
    if namespace.is_some() && target.namespace.is_some() && namespace != target.namespace.as_deref() {
        return Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if target.name.as_deref().is_some_and(|wanted| wanted != name) {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            target.name()
        )));
    }
    Ok(())
}

/// A new object with everything that the server fills in.
fn new_object(
    inner: &Inner,
    state: &mut State,
    target: &Target,
    mut body: Value,
    name: &str,
) -> Result<Value, Refusal> {
    validation::name(&target.kind, name)?;
    validation::namespace(state, target, name)?;
    if let Some(fields) = body.as_object_mut() {
        fields.remove("status");
    }
    let metadata = &mut body["metadata"];
    metadata["name"] = json!(name);
    if let Some(namespace) = &target.namespace {
        metadata["namespace"] = json!(namespace);
    }
    metadata["uid"] = json!(state.next_uid());
    metadata["creationTimestamp"] = json!(controllers::time_text(inner.now()));
    if controllers::has_generation(&target.kind) {
        metadata["generation"] = json!(1);
    }
    let mut object = stored(target, body);
    controllers::fill_in(inner, state, &target.kind, &mut object);
    validation::object(&target.kind, name, &object)?;
    validation::admission(state, target, name, &object)?;
    Ok(object)
}

pub(super) fn replace(inner: &Inner, call: &Call, target: &Target) -> Result<Reply, Refusal> {
    let body = call.json()?;
    check_identity(target, &body, target.name())?;
    let state = inner.lock();
    update(inner, state, call, target, |_| Ok(body))
}

/// Changes an object that is there.
pub(super) fn update(
    inner: &Inner,
    mut state: std::sync::MutexGuard<'_, State>,
    call: &Call,
    target: &Target,
    change: impl FnOnce(&Value) -> Result<Value, Refusal>,
) -> Result<Reply, Refusal> {
    let name = target.name();
    let live = state
        .store
        .get(&target.key(name))
        .cloned()
        .ok_or_else(|| Refusal::not_found(&target.kind, name))?;
    let mut object = change(&live)?;
    check_versions(target, &live, &object)?;
    settle(inner, &mut state, target, &live, &mut object)?;
    apply::track_update(
        Some(&live),
        &mut object,
        &manager(inner, call, target),
        &target.kind,
    );
    Ok(finish(inner, state, call, target, name, object, StatusCode::OK))
}

/// The optimistic lock, and the UID as a precondition.
fn check_versions(target: &Target, live: &Value, object: &Value) -> Result<(), Refusal> {
    let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if !version.is_empty() && version != live["metadata"]["resourceVersion"] {
        return Err(Refusal::modified(&target.kind, target.name()));
    }
    let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
    if !uid.is_empty() && uid != live["metadata"]["uid"] {
        let (live, asked) = (&live["metadata"]["uid"], uid);
        let why = format!(
            "Precondition failed: UID in precondition: {asked}, UID in object meta: {}",
            live.as_str().unwrap_or_default()
        );
        return Err(Refusal::cannot_fulfil(&target.kind, target.name(), &why));
    }
    Ok(())
}

/// Puts back what a write may not change, and counts the generation.
fn settle(
    inner: &Inner,
    state: &mut State,
    target: &Target,
    live: &Value,
    object: &mut Value,
) -> Result<(), Refusal> {
    if target.subresource.as_deref() == Some("status") {
        let status = object["status"].take();
        let fields = object["metadata"]["managedFields"].take();
        *object = live.clone();
        object["status"] = status;
        if !fields.is_null() {
            object["metadata"]["managedFields"] = fields;
        }
        return Ok(());
    }
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "resourceVersion",
        "generation",
    ] {
        keep(&live["metadata"], &mut object["metadata"], field);
    }
    keep(live, object, "status");
    *object = stored(target, std::mem::take(object));
    controllers::fill_in(inner, state, &target.kind, object);
    validation::object(&target.kind, target.name(), object)?;
    validation::unchanged(&target.kind, target.name(), live, object)?;
    if controllers::has_generation(&target.kind) && without_metadata(live) != without_metadata(object) {
        let generation = live["metadata"]["generation"].as_u64().unwrap_or(1) + 1;
        object["metadata"]["generation"] = json!(generation);
    }
    Ok(())
}

fn keep(live: &Value, object: &mut Value, field: &str) {
    match live.get(field) {
        Some(value) => object[field] = value.clone(),
        None => {
            if let Some(fields) = object.as_object_mut() {
                fields.remove(field);
            }
        }
    }
}

fn without_metadata(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("metadata");
        fields.remove("status");
        fields.remove("apiVersion");
    }
    object
}

pub(super) fn patch(inner: &Inner, call: &Call, target: &Target) -> Result<Reply, Refusal> {
    let content_type = call.content_type.split(';').next().unwrap_or_default().trim();
    let body = call.json()?;
    let state = inner.lock();
    match content_type {
        "application/apply-patch+yaml" | "application/apply-patch+json" => {
            server_side_apply(inner, state, call, target, body)
        }
        "application/merge-patch+json" => update(inner, state, call, target, |live| {
            let mut object = live.clone();
            patches::merge(&mut object, &body);
            Ok(object)
        }),
        "application/strategic-merge-patch+json" => update(inner, state, call, target, |live| {
            Ok(apply::strategic_merge(&target.kind, live, &body))
        }),
        "application/json-patch+json" => update(inner, state, call, target, |live| {
            let mut object = live.clone();
            patches::json_patch(&mut object, &body)
                .map_err(|why| Refusal::invalid(&target.kind, target.name(), "patch", "Invalid", &why))?;
            Ok(object)
        }),
        other => Err(Refusal::new(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml (got {other})"
            ),
        )),
    }
}

fn server_side_apply(
    inner: &Inner,
    mut state: std::sync::MutexGuard<'_, State>,
    call: &Call,
    target: &Target,
    body: Value,
) -> Result<Reply, Refusal> {
    let name = target.name().to_owned();
    if call.query.get("fieldManager").is_none_or(str::is_empty) {
        let message = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
        return Err(Refusal::new(422, "Invalid", message));
    }
    if body["metadata"]
        .get("managedFields")
        .is_some_and(|fields| !fields.is_null())
    {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    let mut body = body;
    if body["metadata"]["name"].is_null() {
        body["metadata"]["name"] = json!(name);
    }
    check_identity(target, &body, &name)?;
    let live = state.store.get(&target.key(&name)).cloned();
    if let Some(live) = &live {
        check_versions(target, live, &body)?;
    } else if !body["metadata"]["uid"].is_null() {
        let why = "uid mismatch: the provided object specified a uid, and no existing object was found";
        return Err(Refusal::cannot_fulfil(&target.kind, &name, why));
    }
    if live.is_none()
        && let Some(metadata) = body["metadata"].as_object_mut()
    {
        // Seen on the lab: an apply with a version makes what is not there nevertheless.
        metadata.remove("resourceVersion");
    }
    let manager = manager(inner, call, target);
    let force = call.query.is_set("force");
    let applied = apply::apply(&target.kind, live.as_ref(), &body, &manager, force)?;
    let (object, code) = match &live {
        None => {
            let fields = applied["metadata"]["managedFields"].clone();
            let mut object = new_object(inner, &mut state, target, applied, &name)?;
            object["metadata"]["managedFields"] = fields;
            (object, StatusCode::CREATED)
        }
        Some(live) => {
            let mut object = applied;
            settle(inner, &mut state, target, live, &mut object)?;
            (object, StatusCode::OK)
        }
    };
    escalation::check(&state, call, target, &object)?;
    Ok(finish(inner, state, call, target, &name, object, code))
}

/// Writes the object unless it is a dry run, lets the controllers work, and answers.
fn finish(
    inner: &Inner,
    mut state: std::sync::MutexGuard<'_, State>,
    call: &Call,
    target: &Target,
    name: &str,
    object: Value,
    code: StatusCode,
) -> Reply {
    let warning = controllers::warning(&state, &target.kind, &object);
    let written = if call.dry_run() {
        object
    } else {
        let written = state.store.put(target.key(name), object);
        removal::remove_if_finalized(&mut state, &target.key(name));
        controllers::reconcile(inner, &mut state, &target.kind);
        written
    };
    let mut reply = json_reply(code, &call.present(&target.kind, &written));
    if let Some(value) = warning
        .and_then(|text| HeaderValue::from_str(&format!("299 - \"{}\"", text.replace('"', "\\\""))).ok())
    {
        reply.headers_mut().insert(http::header::WARNING, value);
    }
    reply
}
