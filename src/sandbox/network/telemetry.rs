//! Whether a proxy writes an access log, and in which format: mesh configuration and Telemetry objects.
//!
//! Rule: the Telemetry closest to the workload decides (its selector, its namespace, the root namespace), then
//! the mesh configuration (Istio's Telemetry reference).

use crate::sandbox::state::State;
use crate::vocabulary::names::ISTIO_NAMESPACE;
use serde_json::Value;

/// How a proxy logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogFormat {
    Text,
    Json,
}

/// The format of a pod's proxy; `None` if it writes nothing.
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
    let by_file = mesh["accessLogFile"]
        .as_str()
        .is_some_and(|file| !file.is_empty());
    match closest(state, pod) {
        None => by_file.then_some(encoding),
        Some(logging) => of_entries(&logging, &mesh, encoding),
    }
}

/// The `accessLogging` that decides on a pod.
fn closest(state: &State, pod: &Value) -> Option<Vec<Value>> {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let labels = &pod["metadata"]["labels"];
    let mut found: Option<(u8, String, Vec<Value>)> = None;
    for (key, telemetry) in state.store.list("telemetry.istio.io", "telemetries", None) {
        let Some(logging) = telemetry["spec"]["accessLogging"].as_array() else {
            continue;
        };
        let selector = telemetry["spec"]["selector"]["matchLabels"].as_object();
        let level = match selector {
            Some(wanted) if !wanted.is_empty() => {
                let fits = wanted.iter().all(|(name, value)| labels.get(name) == Some(value));
                if !fits || key.namespace != namespace {
                    continue;
                }
                2
            }
            _ if key.namespace == namespace => 1,
            _ if key.namespace == ISTIO_NAMESPACE => 0,
            _ => continue,
        };
        let age = telemetry["metadata"]["creationTimestamp"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let better = found
            .as_ref()
            .is_none_or(|(known, created, _)| level > *known || (level == *known && age < *created));
        if better {
            found = Some((level, age, logging.clone()));
        }
    }
    found.map(|(_, _, logging)| logging)
}

fn of_entries(logging: &[Value], mesh: &Value, encoding: LogFormat) -> Option<LogFormat> {
    for entry in logging {
        if entry["disabled"] == true {
            continue;
        }
        for provider in entry["providers"].as_array().into_iter().flatten() {
            let name = provider["name"].as_str().unwrap_or_default();
            let known = mesh["extensionProviders"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|known| known["name"] == name);
            if known.is_none() && name == "envoy" {
                return Some(encoding);
            }
            if let Some(file) = known.and_then(|known| known.get("envoyFileAccessLog")) {
                let labels = file["logFormat"].get("labels").is_some();
                return Some(if labels { LogFormat::Json } else { LogFormat::Text });
            }
        }
        if entry["providers"].as_array().is_none_or(Vec::is_empty) {
            return mesh["accessLogFile"]
                .as_str()
                .is_some_and(|file| !file.is_empty())
                .then_some(encoding);
        }
    }
    None
}
