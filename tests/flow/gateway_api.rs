//! An egress gateway that is made from the Kubernetes Gateway API (class istio): recognised, and refused by name.

use crate::support::{client, quick, settings};
use kubectl_egress::engine::prepare::prepare;
use kubectl_egress::sandbox::{Sandbox, SandboxSettings};
use kubectl_egress::vocabulary::ExitCode;
use serde_json::json;

/// As Istio's deployment controller makes it: `NAME-istio`, labelled with the Gateway's name.
fn sandbox_with_one() -> Sandbox {
    let sandbox = Sandbox::new(SandboxSettings {
        egress_gateway: false,
        ..quick()
    });
    let labels =
        json!({"gateway.networking.k8s.io/gateway-name": "egress", "istio.io/gateway-name": "egress"});
    sandbox
        .put(&json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "egress-istio", "namespace": "istio-system", "labels": labels},
            "spec": {
                "selector": {"gateway.networking.k8s.io/gateway-name": "egress"},
                "ports": [{"name": "tls", "port": 443, "targetPort": 443}],
            },
        }))
        .unwrap();
    sandbox
}

#[tokio::test]
async fn a_gateway_of_the_gateway_api_is_refused_by_name_with_what_to_do() {
    let cluster = client(&sandbox_with_one());
    let mut named = settings(&["kyma-project.io"]);
    named.plan_settings.gateway = Some("istio-system/egress-istio".to_owned());
    let error = prepare(&cluster, named).await.unwrap_err();
    assert_eq!(error.code(), ExitCode::Usage);
    let said = format!("{} {:?}", error.message(), error.hints());
    for words in [
        "istio-system/egress of the Kubernetes Gateway API",
        "enable-gateway",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[tokio::test]
async fn where_nothing_else_is_there_it_is_left_alone_and_one_of_ours_is_offered() {
    let prepared = prepare(&client(&sandbox_with_one()), settings(&["kyma-project.io"]))
        .await
        .unwrap();
    assert!(prepared.gateway.created, "{:?}", prepared.gateway);
    assert!(
        prepared
            .remarks
            .iter()
            .any(|remark| remark.contains("istio-system/egress-istio")),
        "{:?}",
        prepared.remarks
    );
}
