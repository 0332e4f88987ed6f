//! Which providers write the access log of a workload, where several Telemetry objects speak to it.
//!
//! Source: Istio's Telemetry reference ("configuration hierarchy") for the levels; for what several at one level do, istiod
//! 1.29 (`applicableTelemetries`, `mergeLogs`) and the lab: for a whole namespace the oldest counts, for single workloads all,
//! each over the older ones.

use crate::vocabulary::Object;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Which of a proxy's connections are logged (Istio: `WorkloadMode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogMode {
    /// Those that go out of a workload, and all of a gateway's.
    Client,
    /// Those that come in.
    Server,
}

impl LogMode {
    /// The word of a Telemetry.
    pub fn word(self) -> &'static str {
        match self {
            Self::Client => "CLIENT",
            Self::Server => "SERVER",
        }
    }
}

/// How a provider writes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Writing<'a> {
    /// It was switched off.
    pub disabled: bool,
    /// The CEL expression that lets a line through, if not all are.
    pub filter: Option<&'a str>,
    /// The Telemetry that says so; `None` for the mesh configuration.
    pub by: Option<&'a Object>,
}

/// The providers that log where no Telemetry says otherwise; `mesh` is the mesh configuration as JSON.
pub fn default_providers(mesh: &Value) -> Vec<&str> {
    let names = mesh["defaultProviders"]["accessLogging"].as_array();
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Whether a Telemetry is for single workloads.
pub fn has_selector(telemetry: &Object) -> bool {
    let selector = telemetry.at("/spec/selector/matchLabels").as_object();
    selector.is_some_and(|labels| !labels.is_empty())
}

/// Telemetries with access logging that speak to the pods of a namespace with these labels, the last word last.
/// Those with `targetRefs` are for what the Kubernetes Gateway API made, and waypoints.
pub fn speaking<'a>(
    telemetries: impl IntoIterator<Item = &'a Object>,
    namespace: &str,
    labels: &Value,
    root_namespace: &str,
) -> Vec<&'a Object> {
    let by_reference = |telemetry: &Object| {
        ["/spec/targetRef", "/spec/targetRefs"]
            .iter()
            .any(|path| !telemetry.at(path).is_null())
    };
    let mut all: Vec<&Object> = telemetries
        .into_iter()
        .filter(|telemetry| !by_reference(telemetry))
        .collect();
    // RFC 3339 in UTC sorts by time. Of one second the name decides.
    all.sort_by_key(|telemetry| {
        let name = format!(
            "{}.{}",
            telemetry.name(),
            telemetry.namespace().unwrap_or_default()
        );
        (telemetry.text("/metadata/creationTimestamp"), name)
    });
    let of = |home: &str| {
        let own = all.iter().copied();
        own.filter(|telemetry| telemetry.namespace() == Some(home))
            .collect::<Vec<_>>()
    };
    let wide = |home: &str| of(home).into_iter().find(|telemetry| !has_selector(telemetry));
    let selects = |telemetry: &&Object| {
        let wanted = telemetry.at("/spec/selector/matchLabels").as_object();
        let fits =
            |wanted: &Map<String, Value>| wanted.iter().all(|(name, value)| labels.get(name) == Some(value));
        has_selector(telemetry) && wanted.is_some_and(fits)
    };
    let mut speaking = Vec::from_iter(wide(root_namespace));
    if namespace != root_namespace {
        speaking.extend(wide(namespace));
    }
    speaking.extend(of(namespace).into_iter().filter(selects));
    speaking.retain(|telemetry| !telemetry.items("/spec/accessLogging").is_empty());
    speaking
}

/// Providers by name, as the mesh's defaults and those that speak (the last word last) leave them.
///
/// The last that names providers at all says which there are; others are dropped. An entry without names is about those of
/// the entry before it.
pub fn merged<'a>(
    speaking: &[&'a Object],
    defaults: &[&'a str],
    mode: LogMode,
) -> BTreeMap<&'a str, Writing<'a>> {
    if speaking.is_empty() {
        let usual = Writing {
            disabled: false,
            filter: None,
            by: None,
        };
        return defaults.iter().map(|name| (*name, usual)).collect();
    }
    let mut in_scope: BTreeSet<&str> = defaults.iter().copied().collect();
    let mut filters = BTreeMap::new();
    for telemetry in speaking {
        let mut named = BTreeSet::new();
        for entry in entries(telemetry).filter(|entry| is_about(entry, mode)) {
            for provider in providers(entry) {
                named.insert(provider);
                filters.insert(provider, entry["filter"]["expression"].as_str());
            }
        }
        if !named.is_empty() {
            in_scope = named;
        }
    }
    let mut parents = defaults.to_vec();
    let mut merged = BTreeMap::new();
    for (telemetry, entry) in speaking
        .iter()
        .flat_map(|telemetry| entries(telemetry).map(move |entry| (*telemetry, entry)))
    {
        let named = providers(entry);
        if !named.is_empty() {
            parents = named;
        }
        if !is_about(entry, mode) {
            continue;
        }
        let disabled = entry["disabled"] == true;
        for provider in parents.iter().filter(|name| in_scope.contains(*name)) {
            let filter = filters.get(provider).copied().flatten().filter(|_| !disabled);
            let writing = Writing {
                disabled,
                filter,
                by: Some(telemetry),
            };
            merged.insert(*provider, writing);
        }
    }
    merged
}

fn entries(telemetry: &Object) -> impl Iterator<Item = &Value> {
    telemetry.items("/spec/accessLogging").iter()
}

fn providers(entry: &Value) -> Vec<&str> {
    let providers = entry["providers"].as_array().into_iter().flatten();
    providers
        .filter_map(|provider| provider["name"].as_str())
        .collect()
}

fn is_about(entry: &Value, mode: LogMode) -> bool {
    let wanted = entry["match"]["mode"].as_str();
    wanted.is_none_or(|wanted| wanted == "CLIENT_AND_SERVER" || wanted == mode.word())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn telemetry(namespace: &str, name: &str, second: u8, spec: &Value) -> Object {
        let created = format!("2026-01-01T00:00:{second:02}Z");
        Object(
            json!({"metadata": {"namespace": namespace, "name": name, "creationTimestamp": created}, "spec": spec}),
        )
    }

    fn for_gateway(logging: &Value) -> Value {
        json!({"selector": {"matchLabels": {"istio": "egressgateway"}}, "accessLogging": logging})
    }

    /// Names of the providers in effect, those that are off with a minus, filtered ones with a question mark.
    fn at_gateway(telemetries: &[Object], defaults: &[&str], mode: LogMode) -> Vec<String> {
        let labels = json!({"istio": "egressgateway", "app": "x"});
        let speaking = speaking(telemetries, "gw", &labels, "istio-system");
        let merged = merged(&speaking, defaults, mode);
        let sign = |writing: &Writing<'_>| match (writing.disabled, writing.filter) {
            (true, _) => "-",
            (false, Some(_)) => "?",
            (false, None) => "",
        };
        merged
            .iter()
            .map(|(name, writing)| format!("{}{name}", sign(writing)))
            .collect()
    }

    #[test]
    fn of_wide_ones_the_oldest_counts_and_of_narrow_ones_all_with_the_newest_last() {
        let on = json!([{"providers": [{"name": "envoy"}]}]);
        let off = json!([{"providers": [{"name": "envoy"}], "disabled": true}]);
        let wide = [
            telemetry("gw", "b", 2, &json!({"accessLogging": on})),
            telemetry("gw", "a", 1, &json!({"accessLogging": off})),
        ];
        assert_eq!(at_gateway(&wide, &[], LogMode::Client), ["-envoy"]);
        let narrow = [
            telemetry("gw", "b", 2, &for_gateway(&on)),
            telemetry("gw", "a", 1, &for_gateway(&off)),
        ];
        assert_eq!(at_gateway(&narrow, &[], LogMode::Client), ["envoy"]);
        // Made in one second: the name decides.
        let together = [
            telemetry("gw", "b", 1, &for_gateway(&on)),
            telemetry("gw", "a", 1, &for_gateway(&off)),
        ];
        assert_eq!(at_gateway(&together, &[], LogMode::Client), ["envoy"]);
    }

    #[test]
    fn who_names_providers_last_says_which_there_are() {
        let both = json!([{"providers": [{"name": "otel"}, {"name": "envoy"}]}]);
        let one = json!([{"providers": [{"name": "envoy"}]}]);
        let root = telemetry("istio-system", "mesh", 1, &json!({"accessLogging": both}));
        assert_eq!(
            at_gateway(std::slice::from_ref(&root), &["default"], LogMode::Client),
            ["envoy", "otel"]
        );
        let narrow = telemetry("gw", "narrow", 2, &for_gateway(&one));
        assert_eq!(
            at_gateway(&[root.clone(), narrow], &[], LogMode::Client),
            ["envoy"]
        );
        // Only for what comes in: what goes out is as it was.
        let server = json!([{"match": {"mode": "SERVER"}, "providers": [{"name": "in"}]}]);
        let server = telemetry("gw", "server", 2, &for_gateway(&server));
        let all = [root, server];
        assert_eq!(at_gateway(&all, &[], LogMode::Client), ["envoy", "otel"]);
        assert_eq!(at_gateway(&all, &[], LogMode::Server), ["in"]);
    }

    #[test]
    fn who_names_none_speaks_of_those_before() {
        let off = telemetry("gw", "off", 2, &for_gateway(&json!([{"disabled": true}])));
        let off = std::slice::from_ref(&off);
        assert_eq!(at_gateway(off, &["envoy"], LogMode::Client), ["-envoy"]);
        // Nobody is named at all, so nothing is switched off: the mesh's own log file stays.
        assert_eq!(at_gateway(off, &[], LogMode::Client), Vec::<String>::new());
        let filtered =
            json!([{"providers": [{"name": "envoy"}], "filter": {"expression": "response.code >= 500"}}]);
        let filtered = telemetry("gw", "filtered", 1, &for_gateway(&filtered));
        assert_eq!(at_gateway(&[filtered], &[], LogMode::Client), ["?envoy"]);
    }

    #[test]
    fn who_has_nothing_to_say_of_logs_or_to_these_pods_is_not_heard() {
        let tracing = json!({"selector": {"matchLabels": {"istio": "egressgateway"}}, "tracing": [{}]});
        let on = json!([{"providers": [{"name": "envoy"}]}]);
        let other = json!({"selector": {"matchLabels": {"app": "y"}}, "accessLogging": on});
        let by_reference = json!({"targetRefs": [{"kind": "Gateway", "name": "g"}], "accessLogging": on});
        let all = [
            telemetry("gw", "tracing", 1, &tracing),
            telemetry("gw", "other", 2, &other),
            telemetry("gw", "waypoint", 3, &by_reference),
            telemetry("elsewhere", "there", 4, &for_gateway(&on)),
        ];
        assert_eq!(at_gateway(&all, &["default"], LogMode::Client), ["default"]);
    }
}
