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

fn narrow(name: &str, created: &str, logging: &Value) -> Object {
    let spec = json!({"selector": {"matchLabels": {"istio": "egressgateway"}}, "accessLogging": logging});
    telemetry_object("gw", name, created, &spec)
}

#[test]
fn a_foreign_telemetry_for_the_workload_that_switches_it_off_holds_it() {
    let metrics = json!({"selector": {"matchLabels": {"istio": "egressgateway"}}, "metrics": []});
    let metrics = telemetry_object("gw", "metrics", "2026-01-01T00:00:00Z", &metrics);
    assert_eq!(at_gateway(&[metrics], &json!({})), AccessLog::Off);
    let entry = json!([{"providers": [{"name": "envoy"}], "disabled": true}]);
    let off = narrow("off", "2026-01-01T00:00:00Z", &entry);
    let on = narrow(
        "on",
        "2026-01-02T00:00:00Z",
        &json!([{"providers": [{"name": "envoy"}]}]),
    );
    let held = at_gateway(std::slice::from_ref(&off), &json!({}));
    assert!(
        matches!(&held, AccessLog::Held(holder) if holder.name == "off"),
        "{held:?}"
    );
    // The newer one has the last word.
    assert!(matches!(at_gateway(&[on, off], &json!({})), AccessLog::On(_)));
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
    let mut ours = telemetry(&plan, "gw", "ours", selector, BUILT_IN_PROVIDER, Vec::new()).object;
    ours.0["metadata"]["managedFields"] = json!([{"manager": plan.shared_manager()}]);
    ours.0["metadata"]["creationTimestamp"] = json!("2026-01-02T00:00:00Z");
    let all = [ours];
    let written = |telemetries: &[Object]| templates(&workload, telemetries, "istio-system", &json!({}));
    assert_eq!(written(&all), [LogTemplate::Default]);
    assert_eq!(written(&[]), []);
    assert_eq!(state(&workload, &all, "istio-system", &json!({})), AccessLog::Off);
    // One that names another provider takes ours away, if it is newer.
    let mesh = json!({"extensionProviders": [{"name": "otel", "envoyOtelAls": {}}]});
    for (created, held) in [("2026-01-01T00:00:00Z", false), ("2026-01-03T00:00:00Z", true)] {
        let other = narrow("other", created, &json!([{"providers": [{"name": "otel"}]}]));
        let both = [all[0].clone(), other];
        let state = state(&workload, &both, "istio-system", &mesh);
        assert_eq!(matches!(state, AccessLog::Held(_)), held, "{state:?}");
    }
}

/// Where the mesh has providers, its log file is not written; where one has only a name, it is.
#[test]
fn a_provider_in_effect_replaces_the_mesh_s_log_file() {
    let mut mesh = json!({"accessLogFile": "/dev/stdout", "defaultProviders": {"accessLogging": ["otel"]},
        "extensionProviders": [{"name": "otel", "envoyOtelAls": {}}]});
    assert_eq!(at_gateway(&[], &mesh), AccessLog::Off);
    mesh["extensionProviders"] = json!([]);
    assert!(matches!(at_gateway(&[], &mesh), AccessLog::On(_)));
}

#[test]
fn ours_says_again_what_it_would_take_away() {
    let mesh = json!({"defaultProviders": {"accessLogging": ["otel"]},
        "extensionProviders": [{"name": "otel", "envoyOtelAls": {}}, {"name": "tcp", "envoyTcpAls": {}}]});
    let labels = json!({"istio": "egressgateway"});
    let workload = Workload {
        namespace: "gw",
        labels: &labels,
    };
    let again = |telemetries: &[Object]| {
        json!(beside(
            BUILT_IN_PROVIDER,
            &workload,
            telemetries,
            "istio-system",
            &mesh
        ))
    };
    assert_eq!(again(&[]), json!([{"providers": [{"name": "otel"}]}]));
    let filter = json!({"expression": "response.code >= 500"});
    let some = narrow(
        "some",
        "2026-01-01T00:00:00Z",
        &json!([
            {"providers": [{"name": "tcp"}], "match": {"mode": "CLIENT"}, "filter": filter},
            {"providers": [{"name": "envoy"}], "disabled": true},
        ]),
    );
    let entry = json!({"providers": [{"name": "tcp"}], "match": {"mode": "CLIENT"}, "filter": filter});
    assert_eq!(again(&[some]), json!([entry]));
    assert_eq!(beside("otel", &workload, &[], "istio-system", &mesh), []);
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
        [LogTemplate::Default, text("%PROTOCOL%")]
    );
    let json = json!({"accessLogFile": "/dev/stdout", "accessLogEncoding": "JSON", "accessLogFormat": r#"{"t": "%DURATION%"}"#});
    let labelled = LogTemplate::Labels([("t".to_owned(), "%DURATION%".to_owned())].into());
    assert_eq!(templates(&workload, &[], "istio-system", &json), [labelled]);
}

#[test]
fn a_filter_is_not_a_full_log() {
    let filtered = json!({"accessLogging": [{"providers": [{"name": "envoy"}], "filter": {"expression": "response.code >= 500"}}]});
    let telemetry = telemetry_object("gw", "errors", "2026-01-01T00:00:00Z", &filtered);
    assert_eq!(
        at_gateway(std::slice::from_ref(&telemetry), &json!({})),
        AccessLog::Off
    );
    let labels = json!({});
    let workload = Workload {
        namespace: "gw",
        labels: &labels,
    };
    // What gets through is laid out as ever.
    let read = templates(&workload, &[telemetry], "istio-system", &json!({}));
    assert_eq!(read, [LogTemplate::Default]);
    let held = narrow("errors", "2026-01-01T00:00:00Z", &filtered["accessLogging"]);
    assert!(matches!(at_gateway(&[held], &json!({})), AccessLog::Held(_)));
}
