//! What the module applies beside Istio: mesh-wide strict mTLS, and its network policies where the CR asks for them.
//! Source: `internal/reconciliations/istioresources/` of the module.

use serde_json::{Value, json};

use super::operator::MODULE_LABEL;
use super::{ISTIO_NAMESPACE, NAMESPACE};

/// The port behind the Service `kubernetes` of a lab.
const API_SERVER_PORT: u16 = 6443;

/// Selects the module's network policies.
pub(super) const POLICY_LABELS: &str = "kyma-project.io/module=istio,kyma-project.io/managed-by=kyma";

/// Peers in the mesh may speak nothing but mTLS.
pub(super) fn peer_authentication() -> Value {
    let (key, value) = MODULE_LABEL;
    json!({
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": {"name": "default", "namespace": ISTIO_NAMESPACE, "labels": {
            key: value,
            "app.kubernetes.io/component": "operator",
            "app.kubernetes.io/part-of": "istio",
            "app.kubernetes.io/name": "istio-operator",
            "app.kubernetes.io/instance": "istio-operator-default",
        }},
        "spec": {"mtls": {"mode": "STRICT"}},
    })
}

/// Whether a spec asks for the network policies.
pub(super) fn policies_wanted(spec: &Value) -> bool {
    spec["networkPoliciesEnabled"] == true
}

/// The policies of `networkPoliciesEnabled`.
pub(super) fn network_policies() -> Value {
    let allowed = |label: &str| {
        json!({"namespaceSelector": {}, "podSelector": {"matchLabels": {
            format!("networking.kyma-project.io/{label}"): "allowed"}}})
    };
    let pods = |labels: Value| json!({"podSelector": {"matchLabels": labels}});
    let dns = json!({"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]});
    let api_server = json!({"ports": tcp(&[API_SERVER_PORT])});
    let monitors = json!([
        {"namespaceSelector": {}, "podSelector": {"matchExpressions": [
            {"key": MODULE_LABEL.0, "operator": "Exists"}]}},
        allowed("istio-metrics"),
        allowed("metrics-scraping"),
    ]);
    let proxy_metrics = json!({"from": monitors, "ports": tcp(&[15020, 15021, 15090])});
    let meshed = json!({"namespaceSelector": {}, "podSelector": {"matchLabels": {
        "security.istio.io/tlsMode": "istio"}}});
    let proxies = json!([
        meshed,
        pods(json!({"istio": "ingressgateway"})),
        pods(json!({"istio": "egressgateway"}))
    ]);

    let items = [
        Policy::of("istio-cni-node", &json!({"k8s-app": "istio-cni-node"})).egress(json!([dns, api_server])),
        Policy::of("istio-ingressgateway-egress", &json!({"istio": "ingressgateway"}))
            .egress(json!([{"to": [allowed("from-ingressgateway")]}])),
        Policy::of("istio-egressgateway", &json!({"istio": "egressgateway"}))
            .egress(json!([{}]))
            .ingress(json!([{"from": [allowed("to-egressgateway")]}, proxy_metrics])),
        Policy::of("istio-ingressgateway", &json!({"istio": "ingressgateway"}))
            .egress(json!([{"to": [pods(json!({"istio": "pilot"}))], "ports": tcp(&[15012])}, dns]))
            .ingress(json!([{"ports": tcp(&[8080, 8443])}, proxy_metrics])),
        Policy::of("istio-pilot", &json!({"istio": "pilot"}))
            .egress(json!([dns, api_server]))
            .ingress(json!([
                {"from": proxies, "ports": tcp(&[15012])},
                {"from": monitors, "ports": tcp(&[15014])},
                {"ports": tcp(&[15017])},
            ])),
        Policy::of("istio-pilot-jwks", &json!({"istio": "pilot"}))
            .egress(json!([{"ports": tcp(&[80, 443])}])),
        Policy::of(
            "allow-istio-controller-manager",
            &json!({MODULE_LABEL.0: MODULE_LABEL.1, "app.kubernetes.io/name": "istio-operator"}),
        )
        .in_namespace(NAMESPACE)
        .egress(json!([dns, api_server])),
    ];
    json!({"apiVersion": "v1", "kind": "List", "items": items.map(|policy| policy.0)})
}

fn tcp(ports: &[u16]) -> Value {
    ports
        .iter()
        .map(|port| json!({"protocol": "TCP", "port": port}))
        .collect()
}

/// A policy under construction.
struct Policy(Value);

impl Policy {
    fn of(name: &str, pods: &Value) -> Self {
        Self(json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {
                "name": format!("kyma-project.io--{name}"),
                "namespace": ISTIO_NAMESPACE,
                "labels": {MODULE_LABEL.0: MODULE_LABEL.1, "kyma-project.io/managed-by": "kyma"},
            },
            "spec": {"podSelector": {"matchLabels": pods}, "policyTypes": ["Egress"]},
        }))
    }

    fn in_namespace(mut self, namespace: &str) -> Self {
        self.0["metadata"]["namespace"] = json!(namespace);
        self
    }

    fn egress(mut self, rules: Value) -> Self {
        self.0["spec"]["egress"] = rules;
        self
    }

    fn ingress(mut self, rules: Value) -> Self {
        self.0["spec"]["ingress"] = rules;
        self.0["spec"]["policyTypes"] = json!(["Egress", "Ingress"]);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_labelled_pods_reach_the_egress_gateway() {
        let all = network_policies();
        let all = all["items"].as_array().unwrap();
        assert_eq!(all.len(), 7);
        let policy = all
            .iter()
            .find(|policy| policy["metadata"]["name"] == "kyma-project.io--istio-egressgateway")
            .unwrap();
        assert_eq!(policy["metadata"]["namespace"], "istio-system");
        assert_eq!(
            policy["spec"]["podSelector"],
            json!({"matchLabels": {"istio": "egressgateway"}})
        );
        assert_eq!(policy["spec"]["egress"], json!([{}]));
        assert_eq!(
            policy["spec"]["ingress"][0],
            json!({"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {
                "networking.kyma-project.io/to-egressgateway": "allowed"}}}]})
        );
        let ports: Vec<_> = policy["spec"]["ingress"][1]["ports"]
            .as_array()
            .unwrap()
            .iter()
            .map(|port| port["port"].as_u64().unwrap())
            .collect();
        assert_eq!(ports, [15020, 15021, 15090]);
    }

    #[test]
    fn every_policy_is_the_modules() {
        for policy in network_policies()["items"].as_array().unwrap() {
            assert_eq!(policy["metadata"]["labels"]["kyma-project.io/managed-by"], "kyma");
            assert_eq!(policy["metadata"]["labels"]["kyma-project.io/module"], "istio");
        }
    }
}
