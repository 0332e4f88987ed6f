//! The document of `verify -o json`: scripts rely on its keys.

use super::probe::routed;
use kubectl_egress::evidence::{Verification, claims};
use serde_json::{Value, json};

fn document() -> Value {
    let probes = vec![routed().judge()];
    let claims = claims(&probes, false, &[]);
    serde_json::to_value(Verification::new("default", "demo", &claims, probes)).unwrap()
}

#[test]
fn the_keys_are_those_of_the_design() {
    let document = document();
    assert_eq!(document["apiVersion"], "kubectl-egress.dev/v1alpha1");
    assert_eq!(document["kind"], "Verification");
    assert_eq!(document["plan"], "default");
    assert_eq!(document["namespace"], "demo");
    assert_eq!(document["verdict"], "proven");
    assert_eq!(
        document["claims"],
        json!({"routed": "proven", "enforced": "notRequired"})
    );
    let probe = &document["probes"][0];
    assert_eq!(probe["host"], "kyma-project.io");
    assert_eq!(probe["port"], 443);
    assert_eq!(probe["scheme"], "https");
    assert_eq!(probe["source"], "lab/curl");
    assert_eq!(probe["meshed"], true);
    assert_eq!(probe["expected"], "routed");
    assert_eq!(probe["outcome"], "routed");
    assert_eq!(probe.get("blockedBy"), Some(&Value::Null));
    assert_eq!(probe["findings"], json!([]));
    let hop = &probe["hops"][0];
    assert_eq!(
        (&hop["from"], &hop["to"], &hop["encryption"]),
        (&json!("sidecar"), &json!("gateway"), &json!("tls"))
    );
    assert_eq!(hop["pod"], "istio-system/istio-egressgateway-1");
    assert_eq!(hop["receipts"][0]["witness"], "sidecar-log");
}

#[test]
fn the_document_is_read_back() {
    let document = document();
    let back: Verification = serde_json::from_value(document.clone()).unwrap();
    assert_eq!(serde_json::to_value(back).unwrap(), document);
}

/// Every key that is written stands in the schema, and the schema requires those that scripts rely on.
#[test]
fn the_schema_knows_every_key() {
    let schema = serde_json::to_value(Verification::schema()).unwrap();
    let document = document();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut known = keys(&schema["properties"]);
    // Only there with `verify --bypass`.
    known.retain(|key| key != "bypass");
    assert_eq!(known, keys(&document));
    assert_eq!(
        keys(&schema["$defs"]["ProbeResult"]["properties"]),
        keys(&document["probes"][0])
    );
    let required = schema["required"].as_array().unwrap();
    for key in [
        "apiVersion",
        "kind",
        "plan",
        "namespace",
        "verdict",
        "claims",
        "probes",
    ] {
        assert!(required.contains(&json!(key)), "{key}");
    }
    assert_eq!(schema["$defs"]["Expected"]["oneOf"][1]["const"], "notReachable");
}
