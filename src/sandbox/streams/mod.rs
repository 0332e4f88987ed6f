//! Streams: watches, logs, exec, port-forward.

mod envoy_admin;
mod envoy_routes;
mod envoy_secrets;
mod exec;
pub(super) mod files;
mod logs;
mod port_forward;
mod tls_listener;
mod web_socket;

use super::api::{self, Call, Path, Refusal, Reply, watch};
use super::controllers;
use super::fault::FaultKind;
use super::state::Inner;
use crate::istio::kinds;
use crate::vocabulary::PodName;
use http::request::Parts;
use hyper::upgrade::OnUpgrade;
use serde_json::Value;
use std::sync::Arc;

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamKind {
    Watch,
    Log,
    Exec,
    Forward,
}

/// A request to upgrade, with the fault that is to strike the stream.
struct Upgrade<'request> {
    parts: &'request Parts,
    connection: Option<OnUpgrade>,
    fault: Option<FaultKind>,
}

impl StreamKind {
    /// The stream that a request asks for, if it is one.
    pub(super) fn of(parts: &Parts) -> Option<Self> {
        let path = parts.uri.path();
        let watches = || api::Query::parse(parts.uri.query().unwrap_or_default()).is_set("watch");
        if path.ends_with("/exec") {
            Some(Self::Exec)
        } else if path.ends_with("/portforward") {
            Some(Self::Forward)
        } else if path.ends_with("/log") {
            Some(Self::Log)
        } else if parts.method == http::Method::GET && watches() {
            Some(Self::Watch)
        } else {
            None
        }
    }

    /// Its name in the request log and in faults.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Watch => "WATCH",
            Self::Log => "LOG",
            Self::Exec => "EXEC",
            Self::Forward => "FORWARD",
        }
    }

    /// Starts it.
    pub(super) fn start(
        self,
        inner: &Arc<Inner>,
        parts: &Parts,
        call: &Call,
        upgrade: Option<OnUpgrade>,
        fault: Option<FaultKind>,
    ) -> Result<Reply, Refusal> {
        if self == Self::Watch {
            return watch::start(inner, call);
        }
        let (pod, object) = pod_of(inner, call)?;
        let upgrade = Upgrade {
            parts,
            connection: upgrade,
            fault,
        };
        match self {
            Self::Log => logs::start(inner, call, &pod, &object),
            Self::Exec => exec::start(inner, call, &object, upgrade),
            _ => port_forward::start(inner, call, &pod, &object, upgrade),
        }
    }
}

/// The pod that a stream's path names, if the caller may have the stream.
fn pod_of(inner: &Inner, call: &Call) -> Result<(PodName, Value), Refusal> {
    let Path::Objects {
        kind,
        namespace: Some(namespace),
        name: Some(name),
        subresource: Some(subresource),
    } = Path::parse(&inner.settings, &call.path)
    else {
        return Err(Refusal::no_such_path());
    };
    // Kubernetes 1.35 asks for `create` besides `get` (libraries.md 1.1); either denial refuses here.
    let verbs: &[&str] = if subresource == "log" {
        &["get"]
    } else {
        &["get", "create"]
    };
    for verb in verbs {
        api::authorize(
            inner,
            call,
            verb,
            &kind,
            Some(&subresource),
            Some(&namespace),
            &name,
        )?;
    }
    let state = inner.lock();
    let object = state
        .object("", "pods", &namespace, &name)
        .ok_or_else(|| Refusal::not_found(&kinds::pod(), &name))?;
    Ok((PodName::new(namespace, name), object.clone()))
}

/// The container that is meant: the one asked for, or the only one.
fn container(call: &Call, pod: &Value) -> Result<String, Refusal> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    if let Some(asked) = call.query.get("container").filter(|asked| !asked.is_empty()) {
        return if controllers::container_names(pod).any(|known| known == asked) {
            Ok(asked.to_owned())
        } else {
            Err(Refusal::bad_request(format!(
                "container {asked} is not valid for pod {name}"
            )))
        };
    }
    let names: Vec<&str> = pod["spec"]["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|container| container["name"].as_str())
        .collect();
    match names.as_slice() {
        [only] => Ok((*only).to_owned()),
        several => Err(Refusal::bad_request(format!(
            "a container name must be specified for pod {name}, choose one of: [{}]",
            several.join(" ")
        ))),
    }
}

/// Whether a container runs; why not, if it does not.
fn running(pod: &Value, container: &str) -> Result<(), String> {
    let statuses = [
        "containerStatuses",
        "initContainerStatuses",
        "ephemeralContainerStatuses",
    ]
    .into_iter()
    .flat_map(|list| pod["status"][list].as_array().into_iter().flatten());
    let status = statuses
        .into_iter()
        .find(|status| status["name"] == container)
        .map_or(Value::Null, |status| status["state"].clone());
    if status["running"].is_null() && status["terminated"].is_null() {
        return Err(status["waiting"]["reason"]
            .as_str()
            .unwrap_or("PodInitializing")
            .to_owned());
    }
    Ok(())
}
