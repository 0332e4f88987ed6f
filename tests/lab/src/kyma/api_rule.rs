//! What the API Gateway module makes of an `APIRule`: one `VirtualService`, and one `AuthorizationPolicy` for each rule,
//! because a workload with a rule takes requests from nobody but the ingress gateway.
//! Source: `internal/processing/processors/v2alpha1/{virtualservice,authorizationpolicy}/` of kyma-project/api-gateway.
//!
//! Only what the seeds use is played: hosts with dots, a Gateway, one Service, rules with `noAuth`.

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use super::situation::text;

/// The label of everything that the module makes for a rule; its value is `NAME.NAMESPACE`.
const OWNER: &str = "apirule.gateway.kyma-project.io/v1beta1";
/// The identity of the ingress gateway.
const INGRESS: &str = "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account";
/// How long a request may take where the rule does not say, in seconds.
const TIMEOUT: u64 = 180;

/// Selects what the module made for a rule.
pub(super) fn owner_selector(rule: &Value) -> String {
    format!("{OWNER}={}", owner(rule))
}

fn owner(rule: &Value) -> String {
    format!(
        "{}.{}",
        text(rule, "/metadata/name"),
        text(rule, "/metadata/namespace")
    )
}

/// Namespace and name of the Service that a rule exposes.
pub(super) fn service(rule: &Value) -> Result<(String, String)> {
    let name = text(rule, "/spec/service/name");
    ensure!(!name.is_empty(), "spec.service.name is required in the lab");
    let namespace = match text(rule, "/spec/service/namespace") {
        "" => text(rule, "/metadata/namespace"),
        named => named,
    };
    Ok((namespace.to_owned(), name.to_owned()))
}

/// Everything for one rule; `selector` is that of its Service.
pub(super) fn objects(rule: &Value, selector: &Map<String, Value>) -> Result<Vec<Value>> {
    let spec = &rule["spec"];
    let hosts = spec["hosts"].as_array().context("spec.hosts is required")?;
    let [Value::String(host)] = hosts.as_slice() else {
        anyhow::bail!("Attribute \".spec.hosts\": must have exactly 1 host");
    };
    let rules = spec["rules"].as_array().context("spec.rules is required")?;
    for entry in rules {
        ensure!(
            entry["noAuth"] == true,
            "the lab plays only rules with noAuth: true"
        );
    }
    let (namespace, name) = service(rule)?;
    let routes = rules.iter().map(|entry| {
        json!({
            "match": [{"method": {"regex": methods(entry)}, "uri": path(entry)}],
            "route": [{"destination": {
                "host": format!("{name}.{namespace}.svc.cluster.local"),
                "port": {"number": spec.pointer("/service/port")},
            }}],
            "timeout": format!("{}s", timeout(spec, entry)),
            "headers": {"request": {"set": {"x-forwarded-host": host}}, "response": {"remove": [
                "Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Access-Control-Allow-Headers",
                "Access-Control-Allow-Credentials", "Access-Control-Allow-Methods", "Access-Control-Max-Age",
            ]}},
        })
    });
    let routes: Vec<_> = routes.collect();
    let mut objects = vec![object(
        rule,
        ("networking.istio.io/v1beta1", "VirtualService"),
        (text(rule, "/metadata/namespace"), 0),
        &json!({"hosts": hosts, "gateways": [text(rule, "/spec/gateway")], "http": routes}),
    )];
    objects.extend(rules.iter().zip(0..).map(|(entry, number)| {
        let operation =
            json!({"hosts": [host], "methods": entry["methods"], "paths": [wildcards(text(entry, "/path"))]});
        let spec = json!({
            "selector": {"matchLabels": selector},
            "rules": [{
                "from": [{"source": {"principals": [INGRESS]}}],
                "to": [{"operation": operation}],
            }],
        });
        object(
            rule,
            ("security.istio.io/v1beta1", "AuthorizationPolicy"),
            (&namespace, number),
            &spec,
        )
    }));
    Ok(objects)
}

/// An object of the module's, under a name like those that the API server generates, but always the same one.
fn object(rule: &Value, kind: (&str, &str), place: (&str, usize), spec: &Value) -> Value {
    let (name, uid) = (text(rule, "/metadata/name"), text(rule, "/metadata/uid"));
    let end = uid.get(..5).unwrap_or("00000");
    json!({
        "apiVersion": kind.0,
        "kind": kind.1,
        "metadata": {
            "name": format!("{name}-{end}{}", place.1),
            "namespace": place.0,
            "labels": {OWNER: owner(rule)},
        },
        "spec": spec,
    })
}

fn methods(entry: &Value) -> String {
    let methods = entry["methods"].as_array().into_iter().flatten();
    let methods: Vec<_> = methods.filter_map(Value::as_str).collect();
    format!("^({})$", methods.join("|"))
}

fn path(entry: &Value) -> Value {
    match text(entry, "/path") {
        "/*" => json!({"prefix": "/"}),
        path => json!({"regex": format!("^{path}$")}),
    }
}

fn wildcards(path: &str) -> &str {
    if path == "/*" { "/{**}" } else { path }
}

fn timeout(spec: &Value, entry: &Value) -> u64 {
    [entry, spec]
        .iter()
        .find_map(|part| part["timeout"].as_u64())
        .unwrap_or(TIMEOUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> Value {
        json!({
            "metadata": {"name": "httpbin", "namespace": "demo", "uid": "8e1f7a2c-1"},
            "spec": {
                "hosts": ["target.example.com"],
                "gateway": "demo/kyma-mtls-gateway",
                "service": {"name": "httpbin", "port": 8000},
                "rules": [{"path": "/*", "methods": ["GET", "POST"], "noAuth": true}],
            },
        })
    }

    fn selector() -> Map<String, Value> {
        json!({"app": "httpbin"}).as_object().unwrap().clone()
    }

    #[test]
    fn a_rule_without_authentication_routes_the_host_and_shuts_the_workload_for_others() {
        let objects = objects(&rule(), &selector()).unwrap();
        let [service, policy] = objects.as_slice() else {
            panic!("{objects:#?}")
        };
        assert_eq!(service["spec"]["gateways"], json!(["demo/kyma-mtls-gateway"]));
        let route = &service["spec"]["http"][0];
        assert_eq!(
            route["match"],
            json!([{"method": {"regex": "^(GET|POST)$"}, "uri": {"prefix": "/"}}])
        );
        assert_eq!(
            route["route"][0]["destination"],
            json!({"host": "httpbin.demo.svc.cluster.local", "port": {"number": 8000}})
        );
        assert_eq!(route["timeout"], "180s");
        assert_eq!(service["metadata"]["labels"][OWNER], "httpbin.demo");
        assert_eq!(
            policy["spec"]["selector"]["matchLabels"],
            json!({"app": "httpbin"})
        );
        let rule = &policy["spec"]["rules"][0];
        assert_eq!(rule["from"][0]["source"]["principals"], json!([INGRESS]));
        assert_eq!(rule["to"][0]["operation"]["paths"], json!(["/{**}"]));
    }

    #[test]
    fn what_the_lab_does_not_play_is_an_error() {
        let with = |pointer: &str, value: Value| {
            let mut rule = rule();
            *rule.pointer_mut(pointer).unwrap() = value;
            objects(&rule, &selector()).map_err(|error| error.to_string())
        };
        assert!(with("/spec/rules/0/noAuth", json!(false)).is_err());
        assert!(with("/spec/hosts", json!(["a.test", "b.test"])).is_err());
        assert!(with("/spec/service/name", json!("")).is_err());
    }
}
