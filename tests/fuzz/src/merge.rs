//! The laws of server-side apply, as the embedded cluster keeps them, over its own wire.

use crate::choice::Choice;
use crate::served::by_own_clock;
use http::Request;
use http_body_util::{BodyExt, Full};
use kubectl_egress::sandbox::{Sandbox, SandboxSettings};
use serde_json::{Map, Value, json};
use tower::ServiceExt;

const PATH: &str = "/api/v1/namespaces/default/services/x";

/// A Service of few labels, selectors and ports, so that managers meet: maps, lists by key, plain values, and one list
/// that is replaced whole.
fn configuration(choice: &mut Choice<'_>) -> Value {
    let few = |choice: &mut Choice<'_>| {
        let mut map = Map::new();
        for _ in 0..choice.below(3) {
            map.insert(
                choice.of(&["a", "b", "c"]).to_owned(),
                json!(choice.of(&["1", "2"])),
            );
        }
        map
    };
    let mut spec = Map::new();
    if choice.below(2) == 1 {
        spec.insert("selector".into(), Value::Object(few(choice)));
    }
    let mut ports: Vec<Value> = Vec::new();
    for _ in 0..choice.below(3) {
        let port = choice.of(&[80, 443]);
        if ports.iter().all(|other| other["port"] != port) {
            ports.push(json!({"port": port, "protocol": "TCP", "name": choice.of(&["one", "two", "three"])}));
        }
    }
    if !ports.is_empty() {
        spec.insert("ports".into(), json!(ports));
    }
    if choice.below(3) == 2 {
        spec.insert(
            "externalIPs".into(),
            json!(choice.some(3, |choice| choice.of(&["192.0.2.1", "192.0.2.2"]))),
        );
    }
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "x", "namespace": "default", "labels": few(choice)}, "spec": spec,
    })
}

async fn apply(sandbox: &Sandbox, manager: &str, force: bool, configuration: &Value) -> (u16, Value) {
    let request = Request::patch(format!("{PATH}?fieldManager={manager}&force={force}"))
        .header("content-type", "application/apply-patch+yaml")
        .body(Full::new(configuration.to_string().into()))
        .unwrap();
    let answer = sandbox.service().oneshot(request).await.unwrap();
    let code = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (code, serde_json::from_slice(&body).unwrap())
}

/// What is left when the order of things and who wrote when do not count. What is empty is not there, as the API server's types
/// have it.
fn essence(object: &Value) -> Value {
    let there = |pointer: &str| {
        let found = object.pointer(pointer).cloned().unwrap_or_default();
        if found == json!({}) || found == json!([]) {
            Value::Null
        } else {
            found
        }
    };
    let mut ports = object["spec"]["ports"].as_array().cloned().unwrap_or_default();
    ports.sort_by_key(|port| port["port"].as_u64());
    json!({
        "labels": there("/metadata/labels"), "selector": there("/spec/selector"), "ports": ports,
        "externalIPs": there("/spec/externalIPs"),
    })
}

fn fresh() -> Sandbox {
    Sandbox::new(SandboxSettings {
        istio: false,
        ..SandboxSettings::default()
    })
}

/// Applying twice is applying once; whoever applies without a conflict may do so before or after the other; who takes
/// everything away again leaves what the other has, and nothing of his own.
pub fn server_side_apply(data: &[u8]) {
    let mut choice = Choice::new(data);
    let (one, two) = (configuration(&mut choice), configuration(&mut choice));
    let nothing =
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x", "namespace": "default"}});
    by_own_clock(async {
        let sandbox = fresh();
        let (code, alone) = apply(&sandbox, "one", false, &one).await;
        if code >= 400 {
            assert_eq!(code, 422, "{alone}: {one}");
            return;
        }
        let (code, once) = apply(&sandbox, "two", false, &two).await;
        if code == 409 {
            let (code, refused) = apply(&sandbox, "two", false, &two).await;
            assert_eq!((code, refused), (409, once), "refused again in the same words");
            let (_, unharmed) = apply(&sandbox, "one", false, &one).await;
            assert_eq!(unharmed, alone, "a refusal changes nothing");
            return;
        }
        if code >= 400 {
            assert_eq!(code, 422, "{once}: {two}");
            return;
        }
        let (_, twice) = apply(&sandbox, "two", false, &two).await;
        assert_eq!(twice, once, "idempotent: {one} then {two}");
        let other = fresh();
        let (first, text) = apply(&other, "two", false, &two).await;
        if first >= 400 {
            // What is whole only together with the other's part.
            assert_eq!(first, 422, "{text}: {two}");
            return;
        }
        let (code, swapped) = apply(&other, "one", false, &one).await;
        assert!(
            code < 400,
            "one order is refused, the other not: {swapped}: {one}, {two}"
        );
        assert_eq!(essence(&swapped), essence(&once), "commutative: {one}, {two}");
        let (code, left) = apply(&sandbox, "two", false, &nothing).await;
        if code < 400 {
            assert_eq!(essence(&left), essence(&alone), "given back: {one}, {two}");
        }
    });
}
