//! Whether a proxy writes an access log, and in which format: mesh configuration and Telemetry objects.

use crate::istio::log_merge::{self, LogMode};
use crate::sandbox::state::State;
use crate::vocabulary::{Object, names::ISTIO_NAMESPACE};
use serde_json::Value;

/// How a proxy logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogFormat {
    Text,
    Json,
}

/// The format of a pod's proxy; `None` if it writes nothing. Filters are not simulated: what has one writes nothing.
pub(super) fn format(state: &State, pod: &Value) -> Option<LogFormat> {
    let mesh: Value = state
        .object("", "configmaps", ISTIO_NAMESPACE, "istio")
        .and_then(|map| serde_saphyr::from_str(map["data"]["mesh"].as_str()?).ok())
        .unwrap_or_default();
    let encoding = if mesh["accessLogEncoding"] == "JSON" {
        LogFormat::Json
    } else {
        LogFormat::Text
    };
    let listed = state.store.list("telemetry.istio.io", "telemetries", None);
    let telemetries: Vec<Object> = listed.map(|(_, telemetry)| Object(telemetry.clone())).collect();
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let labels = &pod["metadata"]["labels"];
    let speaking = log_merge::speaking(&telemetries, namespace, labels, ISTIO_NAMESPACE);
    let defaults = log_merge::default_providers(&mesh);
    let effective = log_merge::merged(&speaking, &defaults, LogMode::Client);
    let by_file = mesh["accessLogFile"]
        .as_str()
        .is_some_and(|file| !file.is_empty());
    if effective.is_empty() {
        return by_file.then_some(encoding);
    }
    let mut whole = effective
        .iter()
        .filter(|(_, writing)| !writing.disabled && writing.filter.is_none());
    whole.find_map(|(name, _)| of_provider(name, &mesh, encoding))
}

fn of_provider(name: &str, mesh: &Value, encoding: LogFormat) -> Option<LogFormat> {
    let mut configured = mesh["extensionProviders"].as_array().into_iter().flatten();
    let Some(provider) = configured.find(|provider| provider["name"] == name) else {
        return (name == "envoy").then_some(encoding);
    };
    let labels = provider.get("envoyFileAccessLog")?["logFormat"].get("labels");
    Some(if labels.is_some() {
        LogFormat::Json
    } else {
        LogFormat::Text
    })
}
