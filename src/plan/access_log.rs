//! Whether a proxy writes an access log, decided from the mesh configuration and Telemetry resources; and the
//! Telemetry that switches it on for one workload only.
//!
//! Source: [`log_merge`] for what Telemetries do to each other, and the mesh configuration's `accessLogFile` (which holds
//! where no provider is in effect), `defaultProviders`, `extensionProviders`.

use super::ownership::{self, Manifest, shared};
use crate::istio::access_log::LogTemplate;
use crate::istio::log_merge::{self, LogMode, Writing};
use crate::istio::{
    AccessLogging, LogFilter, LogSelector, ProviderReference, TelemetrySpec, WorkloadSelector, kinds,
};
use crate::vocabulary::{Object, ObjectReference, PlanIdentity};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Provider that is built into Istio and writes to the proxy's standard output, unless the mesh configuration gives
/// its name another meaning. Kyma's own of this name writes JSON.
pub const BUILT_IN_PROVIDER: &str = "envoy";

/// How a proxy's access log stands, ours not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    /// It is on; by whom.
    On(String),
    /// It is off, and a Telemetry of ours for this workload switches it on.
    Off,
    /// A Telemetry of somebody else for exactly this workload decides, and leaves it off, or lets only some lines through.
    Held(ObjectReference),
}

/// A workload whose log is asked for.
#[derive(Debug, Clone)]
pub struct Workload<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Labels of its pods.
    pub labels: &'a Value,
}

/// How the lines are laid out that `workload` writes to standard output as things are, our own Telemetry counted, also where
/// only some are let through; empty if it writes none.
pub fn templates(
    workload: &Workload<'_>,
    telemetries: &[Object],
    root_namespace: &str,
    mesh: &Value,
) -> Vec<LogTemplate> {
    let speaking = log_merge::speaking(telemetries, workload.namespace, workload.labels, root_namespace);
    let written = written(&speaking, mesh).into_iter();
    written.map(|written| written.template).collect()
}

/// Decides whether `workload` would write its access log to standard output without us.
///
/// `mesh` is the mesh configuration (the key `mesh` of ConfigMap `istio`, as JSON); `telemetries` are those of the
/// root namespace and the workload's.
pub fn state(
    workload: &Workload<'_>,
    telemetries: &[Object],
    root_namespace: &str,
    mesh: &Value,
) -> AccessLog {
    let all = log_merge::speaking(telemetries, workload.namespace, workload.labels, root_namespace);
    let others = without_ours(&all);
    if let Some(whole) = whole(&others, mesh) {
        return AccessLog::On(whole.by);
    }
    let mut held = in_effect(&others, mesh, LogMode::Client)
        .into_iter()
        .filter(|(name, _)| writes_to_stdout(name, mesh))
        .filter_map(|(_, writing)| writing.by)
        .find(|telemetry| log_merge::has_selector(telemetry));
    // Ours is there, and somebody's that is newer has the last word.
    if others.len() < all.len() && whole(&all, mesh).is_none() {
        held = held.or(others.last().copied());
    }
    held.map_or(AccessLog::Off, |telemetry| {
        AccessLog::Held(telemetry.reference(&kinds::telemetry()))
    })
}

/// What a Telemetry of ours has to say again, so that it takes nothing away: the other providers that are in effect for
/// `workload`, as who names providers last says which there are. Not those that write to standard output, where each line
/// is then written, once.
pub fn beside(
    provider: &str,
    workload: &Workload<'_>,
    telemetries: &[Object],
    root_namespace: &str,
    mesh: &Value,
) -> Vec<AccessLogging> {
    let all = log_merge::speaking(telemetries, workload.namespace, workload.labels, root_namespace);
    let others = without_ours(&all);
    let modes = [LogMode::Client, LogMode::Server];
    let filters = modes.map(|mode| {
        let writing = in_effect(&others, mesh, mode).into_iter();
        let on = writing.filter(|(name, writing)| {
            *name != provider && !writing.disabled && !writes_to_stdout(name, mesh)
        });
        on.map(|(name, writing)| (name, writing.filter))
            .collect::<BTreeMap<_, _>>()
    });
    let names: BTreeSet<&str> = filters
        .iter()
        .flat_map(|by_name| by_name.keys().copied())
        .collect();
    let entry = |name: &str, filter: Option<&str>, mode: Option<LogMode>| AccessLogging {
        providers: vec![ProviderReference {
            name: name.to_owned(),
        }],
        disabled: None,
        r#match: mode.map(|mode| LogSelector {
            mode: mode.word().to_owned(),
        }),
        filter: filter.map(|expression| LogFilter {
            expression: expression.to_owned(),
        }),
    };
    let mut entries = Vec::new();
    for name in names {
        let [out, within] = [0, 1].map(|mode: usize| filters[mode].get(name).copied());
        match (out, within) {
            (Some(filter), Some(same)) if filter == same => entries.push(entry(name, filter, None)),
            _ => entries.extend(
                modes
                    .into_iter()
                    .zip([out, within])
                    .filter_map(|(mode, filter)| Some(entry(name, filter?, Some(mode)))),
            ),
        }
    }
    entries
}

fn without_ours<'a>(speaking: &[&'a Object]) -> Vec<&'a Object> {
    let others = speaking.iter().copied();
    others
        .filter(|telemetry| !ownership::is_ours(telemetry))
        .collect()
}

/// The providers in effect that there are.
fn in_effect<'a>(speaking: &[&'a Object], mesh: &'a Value, mode: LogMode) -> BTreeMap<&'a str, Writing<'a>> {
    let defaults = log_merge::default_providers(mesh);
    let mut merged = log_merge::merged(speaking, &defaults, mode);
    merged.retain(|name, _| *name == BUILT_IN_PROVIDER || configured(name, mesh).is_some());
    merged
}

/// What a proxy writes to standard output of what goes out.
struct Written {
    /// Who decided it.
    by: String,
    /// How a line is laid out.
    template: LogTemplate,
    /// Whether every line is written.
    whole: bool,
}

fn written(speaking: &[&Object], mesh: &Value) -> Vec<Written> {
    let effective = in_effect(speaking, mesh, LogMode::Client);
    if effective.is_empty() {
        let to_stdout = mesh["accessLogFile"] == "/dev/stdout";
        return Vec::from_iter(to_stdout.then(|| Written {
            by: "meshConfig.accessLogFile".to_owned(),
            template: of_mesh(mesh),
            whole: true,
        }));
    }
    let on = effective.into_iter().filter(|(_, writing)| !writing.disabled);
    on.filter_map(|(name, writing)| {
        Some(Written {
            by: writing.by.map_or_else(
                || "meshConfig.defaultProviders".to_owned(),
                |telemetry| telemetry.reference(&kinds::telemetry()).to_string(),
            ),
            template: template_of(name, mesh)?,
            whole: writing.filter.is_none(),
        })
    })
    .collect()
}

/// The first that is written whole.
fn whole(speaking: &[&Object], mesh: &Value) -> Option<Written> {
    written(speaking, mesh).into_iter().find(|written| written.whole)
}

fn configured<'a>(name: &str, mesh: &'a Value) -> Option<&'a Value> {
    let mut configured = mesh["extensionProviders"].as_array().into_iter().flatten();
    configured.find(|provider| provider["name"] == name)
}

fn writes_to_stdout(name: &str, mesh: &Value) -> bool {
    template_of(name, mesh).is_some()
}

/// How a provider lays its lines out; `None` if it does not write to standard output.
fn template_of(name: &str, mesh: &Value) -> Option<LogTemplate> {
    let Some(provider) = configured(name, mesh) else {
        return (name == BUILT_IN_PROVIDER).then(|| of_mesh(mesh));
    };
    let file = provider.get("envoyFileAccessLog")?;
    // Without a path it is standard output (Istio's mesh configuration reference).
    matches!(file["path"].as_str(), None | Some("" | "/dev/stdout")).then_some(())?;
    let format = &file["logFormat"];
    Some(match (format["text"].as_str(), format["labels"].as_object()) {
        (Some(text), _) if !text.is_empty() => LogTemplate::Text(text.to_owned()),
        (_, Some(labels)) if !labels.is_empty() => of_labels(labels),
        _ => LogTemplate::Default,
    })
}

/// The mesh's own format, which the built-in provider writes too.
fn of_mesh(mesh: &Value) -> LogTemplate {
    let format = mesh["accessLogFormat"].as_str().unwrap_or_default();
    if format.is_empty() {
        return LogTemplate::Default;
    }
    if mesh["accessLogEncoding"].as_str() != Some("JSON") {
        return LogTemplate::Text(format.to_owned());
    }
    match serde_json::from_str(format) {
        Ok(Value::Object(labels)) => of_labels(&labels),
        // Istio falls back to its own.
        _ => LogTemplate::Default,
    }
}

/// Labels with nested values are left out: none of Envoy's operators gives one that is needed.
fn of_labels(labels: &serde_json::Map<String, Value>) -> LogTemplate {
    let texts = labels
        .iter()
        .filter_map(|(label, value)| Some((label.clone(), value.as_str()?.to_owned())));
    LogTemplate::Labels(texts.collect())
}

/// Name of the provider that a Telemetry of ours can use: `envoy`, or where the mesh configuration gives that name
/// another meaning, one that writes to standard output in a form that we read (JSON with labels, or Istio's default).
pub fn provider(mesh: &Value) -> Option<&str> {
    if writes_to_stdout(BUILT_IN_PROVIDER, mesh) {
        return Some(BUILT_IN_PROVIDER);
    }
    let providers = mesh["extensionProviders"].as_array()?.iter();
    providers
        .filter(|provider| provider["envoyFileAccessLog"]["logFormat"]["text"].is_null())
        .filter_map(|provider| provider["name"].as_str())
        .find(|name| writes_to_stdout(name, mesh))
}

/// The Telemetry that switches the log on for the pods with these labels. Plans share it. `beside`: see [`beside()`].
pub fn telemetry(
    plan: &PlanIdentity,
    namespace: &str,
    name: &str,
    labels: BTreeMap<String, String>,
    provider: &str,
    beside: Vec<AccessLogging>,
) -> Manifest {
    let mut access_logging = vec![AccessLogging {
        providers: vec![ProviderReference {
            name: provider.to_owned(),
        }],
        ..AccessLogging::default()
    }];
    access_logging.extend(beside);
    let spec = TelemetrySpec {
        selector: Some(WorkloadSelector { match_labels: labels }),
        access_logging,
    };
    shared(
        plan,
        &kinds::telemetry(),
        namespace,
        name,
        json!({ "spec": spec }),
    )
}

#[cfg(test)]
mod tests;
