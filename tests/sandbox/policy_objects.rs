//! NetworkPolicies as objects: the API server's defaults, and what it refuses.

use super::common::{api, apply, namespace, sandbox, status};
use super::lock::policy;
use kube::api::DeleteParams;
use kubectl_egress::istio::kinds;
use serde_json::{Value, json};

#[tokio::test]
async fn defaults_are_the_api_servers() {
    let (_sandbox, client) = sandbox();
    namespace(&client, "demo", false).await;
    for (spec, types) in [
        (json!({"podSelector": {}}), json!(["Ingress"])),
        (json!({"podSelector": {}, "egress": []}), json!(["Ingress"])),
        (
            json!({"podSelector": {}, "egress": [{"ports": [{"port": 53}]}]}),
            json!(["Ingress", "Egress"]),
        ),
    ] {
        let written = apply(&client, &kinds::network_policy(), "test", &policy("x", &spec))
            .await
            .unwrap();
        assert_eq!(written["spec"]["policyTypes"], types, "{spec}");
        if !spec["egress"][0].is_null() {
            assert_eq!(written["spec"]["egress"][0]["ports"][0]["protocol"], "TCP");
        }
        api(&client, &kinds::network_policy(), "demo")
            .delete("x", &DeleteParams::default())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn what_the_api_server_refuses_is_refused_in_its_words() {
    let (_sandbox, client) = sandbox();
    namespace(&client, "demo", false).await;
    let egress = |rule: Value| json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [rule]});
    for (spec, message) in [
        (
            json!({"podSelector": {}, "policyTypes": ["egress"]}),
            r#"spec.policyTypes[0]: Unsupported value: "egress": supported values: "Egress", "Ingress""#,
        ),
        (
            egress(json!({"to": [{}]})),
            "spec.egress[0].to[0]: Required value: must specify a peer",
        ),
        (
            egress(json!({"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]})),
            "spec.egress[0].to[0]: Forbidden: may not specify both ipBlock and another peer",
        ),
        (
            egress(json!({"to": [{"ipBlock": {"cidr": "10.0.0.0"}}]})),
            r#"spec.egress[0].to[0].ipBlock.cidr: Invalid value: "10.0.0.0": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"#,
        ),
        (
            egress(json!({"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}]})),
            r#"spec.egress[0].to[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`"#,
        ),
        (
            egress(json!({"ports": [{"port": 0}]})),
            "spec.egress[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        (
            egress(json!({"ports": [{"port": "a-name-that-is-too-long"}]})),
            r#"spec.egress[0].ports[0].port: Invalid value: "a-name-that-is-too-long": must be no more than 15 characters"#,
        ),
        (
            egress(json!({"ports": [{"port": 9, "endPort": 8}]})),
            "spec.egress[0].ports[0].endPort: Invalid value: 8: must be greater than or equal to `port`",
        ),
        (
            egress(json!({"ports": [{"endPort": 8}]})),
            "spec.egress[0].ports[0].endPort: Forbidden: may not be specified when `port` is not specified",
        ),
        (
            egress(json!({"ports": [{"protocol": "ICMP"}]})),
            r#"spec.egress[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP""#,
        ),
        (
            json!({"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
            "spec.podSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
        ),
        (
            json!({"podSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}),
            r#"spec.podSelector.matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator"#,
        ),
    ] {
        let refused = apply(&client, &kinds::network_policy(), "test", &policy("x", &spec)).await;
        let refused = status(refused.unwrap_err());
        assert_eq!(refused.code, 422);
        assert_eq!(
            refused.message,
            format!("NetworkPolicy.networking.k8s.io \"x\" is invalid: {message}")
        );
    }
    let block =
        egress(json!({"to": [{"ipBlock": {"cidr": "2001:db8::/32", "except": ["2001:db8:1::/48"]}}]}));
    apply(&client, &kinds::network_policy(), "test", &policy("x", &block))
        .await
        .unwrap();
}
