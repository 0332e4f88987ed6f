//! Telemetries of somebody else's for the gateway's pods: what they say of logs is theirs to say, and what they say of
//! something else is in nobody's way.

use crate::served::{Served, serve};
use crate::support::{differences, dump, quick};
use kubectl_egress::sandbox::Sandbox;
use serde_json::{Value, json};

const SETUP: &str = "setup kyma-project.io -n demo --create-namespace --yes";

fn theirs(spec: &Value) -> Value {
    let mut spec = spec.clone();
    spec["selector"] = json!({"matchLabels": {"istio": "egressgateway"}});
    json!({"apiVersion": "telemetry.istio.io/v1", "kind": "Telemetry",
        "metadata": {"name": "theirs", "namespace": "istio-system"}, "spec": spec})
}

async fn with(spec: &Value) -> Served {
    let sandbox = Sandbox::new(quick());
    sandbox.put(&theirs(spec)).unwrap();
    serve(sandbox).await
}

fn off() -> Value {
    json!({"accessLogging": [{"providers": [{"name": "envoy"}], "disabled": true}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn who_switched_the_log_of_these_pods_off_is_named_and_nothing_is_changed() {
    let some = json!({"accessLogging": [{"providers": [{"name": "envoy"}], "filter": {"expression": "response.code >= 500"}}]});
    for spec in [off(), some] {
        let cluster = with(&spec).await;
        let before = dump(&cluster.sandbox);
        let run = cluster.run(SETUP).await.exits(5);
        for words in [
            "Telemetry istio-system/theirs decides the access log",
            "set its spec.accessLogging to [{providers: [{name: envoy}]}]: kubectl edit telemetry theirs -n istio-system",
        ] {
            assert!(run.stderr.contains(words), "{run:?}");
        }
        assert_eq!(
            differences(&before, &dump(&cluster.sandbox)),
            Vec::<String>::new()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_speaks_of_something_else_is_left_as_it_is_and_the_proof_is_whole() {
    let cluster = with(&json!({"tracing": [{"randomSamplingPercentage": 1}]})).await;
    let before = dump(&cluster.sandbox);
    cluster.run(SETUP).await.exits(0);
    let verified = cluster.run("verify -n demo -o json").await.exits(0).json();
    assert_eq!(verified["verdict"], "proven", "{verified}");
    // A newer one has the last word: the log is off, and a proof says why it is none.
    let mut newer = theirs(&off());
    newer["metadata"]["name"] = json!("zz-newer");
    cluster.sandbox.put(&newer).unwrap();
    let verified = cluster.run("verify -n demo -o json").await.exits(3).json();
    assert!(verified.to_string().contains("EGR-202"), "{verified}");
    cluster.run(SETUP).await.exits(5);
    cluster.run("cleanup -n demo --yes --verify").await.exits(0);
    let left = differences(&before, &dump(&cluster.sandbox));
    let theirs = left
        .iter()
        .filter(|left| left.starts_with("Telemetry istio-system/zz-newer: None became"));
    assert_eq!(theirs.count(), left.len(), "{left:?}");
}
