//! `status`, `scale` and `ephemeralcontainers`.

use super::objects::Target;
use super::{Call, Refusal, Reply, json_reply, patch as patches, writes};
use crate::sandbox::controllers;
use crate::sandbox::state::Inner;
use http::{Method, StatusCode};
use serde_json::{Value, json};

pub(super) fn answer(inner: &Inner, call: &Call, target: &Target) -> Result<Reply, Refusal> {
    match (target.subresource.as_deref(), &call.method) {
        (Some("status"), &Method::GET) => {
            let state = inner.lock();
            let object = state
                .store
                .get(&target.key(target.name()))
                .ok_or_else(|| Refusal::not_found(&target.kind, target.name()))?;
            Ok(json_reply(StatusCode::OK, &call.present(&target.kind, object)))
        }
        (Some("status"), &Method::PUT) => writes::replace(inner, call, target),
        (Some("status"), &Method::PATCH) => writes::patch(inner, call, target),
        (Some("scale"), _) => scale(inner, call, target),
        (Some("ephemeralcontainers"), &Method::PATCH) if target.kind.plural == "pods" => {
            ephemeral(inner, call, target)
        }
        (Some(known @ ("attach" | "binding" | "eviction" | "proxy" | "resize" | "token")), _) => {
            Err(Refusal::not_simulated(&format!("{}/{known}", target.kind.plural)))
        }
        _ => Err(Refusal::no_such_resource()),
    }
}

fn scale_of(object: &Value) -> Value {
    let metadata = &object["metadata"];
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "spec": {"replicas": object["spec"]["replicas"]},
        "status": {"replicas": object["status"]["replicas"].as_u64().unwrap_or(0)},
    })
}

fn scale(inner: &Inner, call: &Call, target: &Target) -> Result<Reply, Refusal> {
    let name = target.name();
    let live = inner
        .lock()
        .store
        .get(&target.key(name))
        .cloned()
        .ok_or_else(|| Refusal::not_found(&target.kind, name))?;
    let mut wanted = scale_of(&live);
    match call.method {
        Method::GET => return Ok(json_reply(StatusCode::OK, &wanted)),
        Method::PUT => wanted = call.json()?,
        _ => patches::merge(&mut wanted, &call.json()?),
    }
    // The scale is a write of the owner's `spec.replicas`, tracked as such.
    let parent = Target {
        subresource: None,
        ..target.clone()
    };
    let state = inner.lock();
    writes::update(inner, state, call, &parent, |live| {
        let mut object = live.clone();
        object["spec"]["replicas"] = wanted["spec"]["replicas"].clone();
        Ok(object)
    })?;
    let state = inner.lock();
    let object = state.store.get(&target.key(name)).unwrap_or(&live);
    Ok(json_reply(StatusCode::OK, &scale_of(object)))
}

fn ephemeral(inner: &Inner, call: &Call, target: &Target) -> Result<Reply, Refusal> {
    let body = call.json()?;
    let parent = Target {
        subresource: None,
        ..target.clone()
    };
    let state = inner.lock();
    let reply = writes::update(inner, state, call, &parent, |live| {
        let mut object = live.clone();
        let mut added = live["spec"]["ephemeralContainers"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        for container in body["spec"]["ephemeralContainers"]
            .as_array()
            .into_iter()
            .flatten()
        {
            if !added.iter().any(|known| known["name"] == container["name"]) {
                added.push(container.clone());
            }
        }
        object["spec"]["ephemeralContainers"] = Value::Array(added);
        Ok(object)
    })?;
    let key = target.key(target.name());
    inner
        .lock()
        .timers
        .push(controllers::Timer::start(inner.settings.pod_start, key));
    Ok(reply)
}
