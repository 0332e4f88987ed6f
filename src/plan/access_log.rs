//! Whether a proxy writes an access log, decided from the mesh configuration and Telemetry resources; and the
//! Telemetry that switches it on for one workload only.
//!
//! Source: Istio's Telemetry reference ("configuration hierarchy": workload, namespace, root namespace; within a
//! namespace the oldest wins) and the mesh configuration's `accessLogFile`, `defaultProviders`, `extensionProviders`.

use super::ownership::{self, Manifest, shared};
use crate::istio::access_log::LogTemplate;
use crate::istio::{AccessLogging, ProviderReference, TelemetrySpec, WorkloadSelector, kinds};
use crate::vocabulary::{Object, ObjectReference, PlanIdentity};
use serde_json::{Value, json};
use std::collections::BTreeMap;

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
    /// A Telemetry of somebody else for exactly this workload decides, and leaves it off. Ours would be ignored.
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

/// How the lines are laid out that `workload` writes to standard output as things are, our own Telemetry counted; empty
/// if it writes none.
pub fn templates(
    workload: &Workload<'_>,
    telemetries: &[Object],
    root_namespace: &str,
    mesh: &Value,
) -> Vec<LogTemplate> {
    let all = telemetries.iter().collect();
    decide(workload, all, root_namespace, mesh).1
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
    let others = telemetries
        .iter()
        .filter(|telemetry| !ownership::is_ours(telemetry));
    decide(workload, others.collect(), root_namespace, mesh).0
}

/// Who decides, and what is written; nothing, where it is off.
fn decide(
    workload: &Workload<'_>,
    mut candidates: Vec<&Object>,
    root_namespace: &str,
    mesh: &Value,
) -> (AccessLog, Vec<LogTemplate>) {
    // RFC 3339 in UTC sorts by time.
    candidates.sort_by_key(|telemetry| telemetry.text("/metadata/creationTimestamp"));
    let in_namespace = |namespace: &str| {
        candidates
            .iter()
            .copied()
            .filter(move |telemetry| telemetry.namespace() == Some(namespace))
            .collect::<Vec<_>>()
    };
    let own = in_namespace(workload.namespace);
    let selects = |telemetry: &&Object| {
        telemetry
            .at("/spec/selector/matchLabels")
            .as_object()
            .is_some_and(|wanted| {
                !wanted.is_empty()
                    && wanted
                        .iter()
                        .all(|(name, value)| workload.labels.get(name) == Some(value))
            })
    };
    let wide = |telemetry: &&Object| {
        telemetry
            .at("/spec/selector/matchLabels")
            .as_object()
            .is_none_or(serde_json::Map::is_empty)
    };
    let by_wider = || wider(&own, &in_namespace(root_namespace), wide, mesh);
    let off = |who: AccessLog| (who, Vec::new());
    let Some(telemetry) = own.iter().copied().find(selects) else {
        return by_wider().map_or_else(
            || off(AccessLog::Off),
            |(by, written)| (AccessLog::On(by), written),
        );
    };
    let reference = telemetry.reference(&kinds::telemetry());
    match logs(telemetry, mesh) {
        Some(written) if !written.is_empty() => (AccessLog::On(reference.to_string()), written),
        Some(_) => off(AccessLog::Held(reference)),
        // It does not speak of logs: the wider levels decide, and a second one for the workload is ignored.
        None => match by_wider() {
            Some((by, written)) => (AccessLog::On(by), written),
            None => off(AccessLog::Held(reference)),
        },
    }
}

fn wider(
    own: &[&Object],
    root: &[&Object],
    wide: impl Fn(&&Object) -> bool,
    mesh: &Value,
) -> Option<(String, Vec<LogTemplate>)> {
    for level in [own, root] {
        if let Some(telemetry) = level.iter().copied().find(|telemetry| wide(telemetry))
            && let Some(written) = logs(telemetry, mesh)
        {
            let by = telemetry.reference(&kinds::telemetry()).to_string();
            return (!written.is_empty()).then_some((by, written));
        }
    }
    if mesh["accessLogFile"]
        .as_str()
        .is_some_and(|file| file == "/dev/stdout")
    {
        return Some(("meshConfig.accessLogFile".to_owned(), vec![of_mesh(mesh)]));
    }
    let written = by_default(mesh);
    (!written.is_empty()).then(|| ("meshConfig.defaultProviders".to_owned(), written))
}

/// What the mesh's default providers write.
fn by_default(mesh: &Value) -> Vec<LogTemplate> {
    let names = mesh["defaultProviders"]["accessLogging"].as_array();
    names
        .into_iter()
        .flatten()
        .filter_map(|name| template_of(name.as_str()?, mesh))
        .collect()
}

/// What a Telemetry lets be written to standard output; `None` if it does not speak of logs.
fn logs(telemetry: &Object, mesh: &Value) -> Option<Vec<LogTemplate>> {
    let entries = telemetry.items("/spec/accessLogging");
    if entries.is_empty() {
        return None;
    }
    let full = entries.iter().filter(|entry| {
        let server_only = entry["match"]["mode"].as_str() == Some("SERVER");
        let filtered = entry["filter"]["expression"].as_str().is_some();
        !server_only && !filtered && entry["disabled"].as_bool() != Some(true)
    });
    let written = full.flat_map(|entry| match entry["providers"].as_array() {
        Some(providers) if !providers.is_empty() => providers
            .iter()
            .filter_map(|provider| template_of(provider["name"].as_str()?, mesh))
            .collect(),
        _ => by_default(mesh),
    });
    Some(written.collect())
}

fn writes_to_stdout(name: &str, mesh: &Value) -> bool {
    template_of(name, mesh).is_some()
}

/// How a provider lays its lines out; `None` if it does not write to standard output.
fn template_of(name: &str, mesh: &Value) -> Option<LogTemplate> {
    let mut configured = mesh["extensionProviders"].as_array().into_iter().flatten();
    let Some(provider) = configured.find(|provider| provider["name"] == name) else {
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

/// The Telemetry that switches the log on for the pods with these labels. Plans share it.
pub fn telemetry(
    plan: &PlanIdentity,
    namespace: &str,
    name: &str,
    labels: BTreeMap<String, String>,
    provider: &str,
) -> Manifest {
    let spec = TelemetrySpec {
        selector: Some(WorkloadSelector { match_labels: labels }),
        access_logging: vec![AccessLogging {
            providers: vec![ProviderReference {
                name: provider.to_owned(),
            }],
            disabled: None,
        }],
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
mod tests {
    use super::*;

    fn telemetry_object(namespace: &str, name: &str, created: &str, spec: &Value) -> Object {
        Object(
            json!({"metadata": {"namespace": namespace, "name": name, "creationTimestamp": created}, "spec": spec}),
        )
    }

    fn at_gateway(telemetries: &[Object], mesh: &Value) -> AccessLog {
        let labels = json!({"istio": "egressgateway"});
        state(
            &Workload {
                namespace: "gw",
                labels: &labels,
            },
            telemetries,
            "istio-system",
            mesh,
        )
    }

    #[test]
    fn off_when_nobody_says_anything() {
        assert_eq!(at_gateway(&[], &json!({})), AccessLog::Off);
    }

    #[test]
    fn the_mesh_configuration_switches_it_on() {
        assert!(matches!(
            at_gateway(&[], &json!({"accessLogFile": "/dev/stdout"})),
            AccessLog::On(_)
        ));
        let mesh = json!({"defaultProviders": {"accessLogging": ["mine"]},
            "extensionProviders": [{"name": "mine", "envoyFileAccessLog": {"path": "/dev/stdout"}}]});
        assert!(matches!(at_gateway(&[], &mesh), AccessLog::On(_)));
        let otel = json!({"defaultProviders": {"accessLogging": ["otel"]},
            "extensionProviders": [{"name": "otel", "envoyOtelAls": {}}]});
        assert_eq!(at_gateway(&[], &otel), AccessLog::Off);
    }

    #[test]
    fn the_provider_is_one_that_the_mesh_configuration_lets_write_to_standard_output() {
        assert_eq!(provider(&json!({})), Some("envoy"));
        let json_file = json!({"path": "/dev/stdout", "logFormat": {"labels": {}}});
        let kyma = json!({"extensionProviders": [
            {"name": "kyma-traces", "opentelemetry": {}},
            {"name": "envoy", "envoyFileAccessLog": json_file},
            {"name": "stdout-json", "envoyFileAccessLog": {"logFormat": {"labels": {"method": "%REQ(:METHOD)%"}}}},
        ]});
        assert_eq!(provider(&kyma), Some("envoy"));
        let taken = json!({"extensionProviders": [
            {"name": "envoy", "envoyOtelAls": {}},
            {"name": "short", "envoyFileAccessLog": {"path": "/dev/stdout", "logFormat": {"text": "%PROTOCOL%"}}},
            {"name": "file", "envoyFileAccessLog": {"path": "/var/log/x"}},
            {"name": "stdout-json", "envoyFileAccessLog": {"logFormat": {"labels": {"method": "%REQ(:METHOD)%"}}}},
        ]});
        assert_eq!(provider(&taken), Some("stdout-json"));
        assert_eq!(
            provider(&json!({"extensionProviders": [{"name": "envoy", "envoyOtelAls": {}}]})),
            None
        );
        let on = json!({"accessLogging": [{"providers": [{"name": "stdout-json"}]}]});
        let telemetry = telemetry_object("istio-system", "mesh-default", "2026-01-01T00:00:00Z", &on);
        assert!(matches!(at_gateway(&[telemetry], &kyma), AccessLog::On(_)));
    }

    #[test]
    fn the_root_namespace_counts_and_the_own_namespace_wins() {
        let on = json!({"accessLogging": [{"providers": [{"name": "envoy"}]}]});
        let off = json!({"accessLogging": [{"disabled": true}]});
        let root = telemetry_object("istio-system", "mesh-default", "2026-01-01T00:00:00Z", &on);
        assert!(matches!(
            at_gateway(std::slice::from_ref(&root), &json!({})),
            AccessLog::On(_)
        ));
        let own = telemetry_object("gw", "quiet", "2026-01-02T00:00:00Z", &off);
        assert_eq!(
            at_gateway(&[root, own], &json!({"accessLogFile": "/dev/stdout"})),
            AccessLog::Off
        );
    }

    #[test]
    fn a_foreign_telemetry_for_the_workload_holds_it() {
        let metrics = json!({"selector": {"matchLabels": {"istio": "egressgateway"}}, "metrics": []});
        let held = telemetry_object("gw", "metrics", "2026-01-01T00:00:00Z", &metrics);
        assert!(matches!(
            at_gateway(std::slice::from_ref(&held), &json!({})),
            AccessLog::Held(_)
        ));
        assert!(matches!(
            at_gateway(&[held], &json!({"accessLogFile": "/dev/stdout"})),
            AccessLog::On(_)
        ));
        let other = json!({"selector": {"matchLabels": {"app": "x"}}, "accessLogging": [{"disabled": true}]});
        let other = telemetry_object("gw", "other", "2026-01-01T00:00:00Z", &other);
        assert_eq!(at_gateway(&[other], &json!({})), AccessLog::Off);
    }

    #[test]
    fn ours_counts_for_what_is_and_not_for_what_would_be_without_it() {
        let plan = PlanIdentity::new("demo", "default").unwrap();
        let labels = json!({"istio": "egressgateway"});
        let workload = Workload {
            namespace: "gw",
            labels: &labels,
        };
        let selector = BTreeMap::from([("istio".to_owned(), "egressgateway".to_owned())]);
        let mut ours = telemetry(&plan, "gw", "ours", selector, BUILT_IN_PROVIDER).object;
        ours.0["metadata"]["managedFields"] = json!([{"manager": plan.shared_manager()}]);
        let all = [ours];
        let written = |telemetries: &[Object]| templates(&workload, telemetries, "istio-system", &json!({}));
        assert_eq!(written(&all), [LogTemplate::Default]);
        assert_eq!(written(&[]), []);
        assert_eq!(state(&workload, &all, "istio-system", &json!({})), AccessLog::Off);
    }

    /// Istio's documentation (mesh configuration): the built-in provider writes the mesh's own format, another one its
    /// own or Istio's.
    #[test]
    fn the_format_is_the_mesh_s_or_the_provider_s_own() {
        let labels = json!({"istio": "egressgateway"});
        let workload = Workload {
            namespace: "gw",
            labels: &labels,
        };
        let by = |names: &[&str], mesh: &Value| {
            let providers: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
            let spec = json!({"accessLogging": [{"providers": providers}]});
            let telemetry = telemetry_object("istio-system", "mesh-default", "2026-01-01T00:00:00Z", &spec);
            templates(&workload, &[telemetry], "istio-system", mesh)
        };
        let text = |text: &str| LogTemplate::Text(text.to_owned());
        let mesh = json!({"accessLogFile": "/dev/stdout", "accessLogFormat": "%DURATION%", "extensionProviders": [
            {"name": "plain", "envoyFileAccessLog": {}},
            {"name": "short", "envoyFileAccessLog": {"logFormat": {"text": "%PROTOCOL%"}}}]});
        assert_eq!(
            templates(&workload, &[], "istio-system", &mesh),
            [text("%DURATION%")]
        );
        assert_eq!(by(&["envoy"], &mesh), [text("%DURATION%")]);
        assert_eq!(by(&["plain"], &mesh), [LogTemplate::Default]);
        assert_eq!(
            by(&["short", "plain"], &mesh),
            [text("%PROTOCOL%"), LogTemplate::Default]
        );
        let json = json!({"accessLogFile": "/dev/stdout", "accessLogEncoding": "JSON", "accessLogFormat": r#"{"t": "%DURATION%"}"#});
        let labelled = LogTemplate::Labels([("t".to_owned(), "%DURATION%".to_owned())].into());
        assert_eq!(templates(&workload, &[], "istio-system", &json), [labelled]);
    }

    #[test]
    fn a_filter_is_not_a_full_log() {
        let filtered = json!({"accessLogging": [{"providers": [{"name": "envoy"}], "filter": {"expression": "response.code >= 500"}}]});
        let telemetry = telemetry_object("gw", "errors", "2026-01-01T00:00:00Z", &filtered);
        assert_eq!(at_gateway(&[telemetry], &json!({})), AccessLog::Off);
    }
}
