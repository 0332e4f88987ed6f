//! Whether the gateway's own network policies let a source in. On Kyma they ask for a label; anybody may have others.

use super::probe::ProbeSource;
use crate::cluster::Cluster;
use crate::finding::{Finding, catalogue};
use crate::istio::{kinds, kyma};
use crate::mesh::network_policy::{Decision, Endpoint, NetworkPolicies};
use crate::plan::GatewayTarget;
use crate::vocabulary::{Object, ObjectReference, Protocol};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};

/// What keeps a source from the gateway; `None` if nothing does, or that cannot be read.
pub(super) async fn refusal(
    cluster: &Cluster,
    gateway: &GatewayTarget,
    source: &ProbeSource,
) -> Option<Finding> {
    let namespace = ObjectReference::cluster(kinds::namespace(), &source.pod.namespace);
    let (policy, pod) = (kinds::network_policy(), kinds::pod());
    let (policies, gateways, namespace) = futures::future::try_join3(
        cluster.list(&policy, Some(&gateway.namespace), None),
        cluster.list(&pod, Some(&gateway.namespace), Some(&gateway.label_selector())),
        cluster.get(&namespace),
    )
    .await
    .ok()?;
    let namespaces: Vec<Object> = namespace.into_iter().collect();
    let evaluated = NetworkPolicies::new(&policies, &namespaces);
    judge(&evaluated, gateway, &gateways, source)
}

fn judge(
    policies: &NetworkPolicies,
    gateway: &GatewayTarget,
    gateways: &[Object],
    source: &ProbeSource,
) -> Option<Finding> {
    let from = Object(json!({"metadata": {
        "namespace": source.pod.namespace, "name": source.pod.name, "labels": source.labels,
    }}));
    let address: Option<IpAddr> = source.addresses.first().and_then(|text| text.parse().ok());
    let endpoint = Endpoint {
        address: address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        port: 0,
        protocol: Protocol::Tcp,
        pod: Some(&from),
    };
    let decisions = gateways
        .iter()
        .map(|pod| policies.ingress(pod, &endpoint, gateway.tls_target_port, Protocol::Tcp));
    let isolated_by = decisions.into_iter().find_map(|decision| match decision {
        Decision::Refused { isolated_by } => Some(isolated_by),
        Decision::NotIsolated | Decision::Allowed { .. } => None,
    })?;
    let names: Vec<String> = isolated_by.iter().map(ToString::to_string).collect();
    let message = format!(
        "pod {} may not reach the gateway {gateway}: {} does not let it in",
        source.pod,
        names.join(" and ")
    );
    let mut finding =
        Finding::new(&catalogue::GATEWAY_LABEL_MISSING, message).about(format!("Pod {}", source.pod));
    for policy in &isolated_by {
        finding = finding.about(policy);
    }
    let labelled = source.labels[kyma::TO_GATEWAY_LABEL] == json!(kyma::TO_GATEWAY_VALUE);
    let of_module = isolated_by
        .iter()
        .any(|policy| policy.name.starts_with("kyma-project.io--"));
    Some(if of_module && !labelled {
        finding
    } else {
        finding.fixed_by(format!(
            "let its pods in there: kubectl edit networkpolicy {} -n {}",
            isolated_by.first().map_or("", |policy| &policy.name),
            gateway.namespace
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::istio_module;
    use crate::vocabulary::PodName;

    fn source(labels: &serde_json::Value) -> ProbeSource {
        ProbeSource {
            pod: PodName::new("demo", "shop-1"),
            container: "main".to_owned(),
            addresses: vec!["198.18.0.9".to_owned()],
            labels: labels.clone(),
            meshed: true,
            interception: crate::evidence::Interception::default(),
            log_switch: None,
        }
    }

    fn found(name: &str, from: &serde_json::Value, labels: &serde_json::Value) -> Option<Finding> {
        let gateway = istio_module::gateway();
        let pod = Object(
            json!({"kind": "Pod", "metadata": {"namespace": "istio-system", "name": "gateway-1", "labels": gateway.selector}}),
        );
        let policy = Object(
            json!({"kind": "NetworkPolicy", "apiVersion": "networking.k8s.io/v1",
            "metadata": {"namespace": "istio-system", "name": name},
            "spec": {"podSelector": {"matchLabels": {"istio": "egressgateway"}}, "policyTypes": ["Ingress"], "ingress": [{"from": [from]}]}}),
        );
        judge(
            &NetworkPolicies::new(&[policy], &[]),
            &gateway,
            &[pod],
            &source(labels),
        )
    }

    #[test]
    fn a_source_without_the_modules_label_is_told_to_get_it() {
        let from = json!({"namespaceSelector": {}, "podSelector": {"matchLabels": {kyma::TO_GATEWAY_LABEL: "allowed"}}});
        let name = "kyma-project.io--istio-egressgateway";
        let finding = found(name, &from, &json!({"app": "shop"})).unwrap();
        assert!(finding.fix.contains("to-egressgateway=allowed"), "{finding:?}");
        assert!(
            finding.message.contains("demo/shop-1") && finding.message.contains(name),
            "{finding:?}"
        );
        assert_eq!(
            found(name, &from, &json!({kyma::TO_GATEWAY_LABEL: "allowed"})),
            None
        );
    }

    #[test]
    fn a_policy_of_somebody_elses_is_named_as_it_is() {
        let from = json!({"podSelector": {"matchLabels": {"app": "friend"}}});
        let finding = found("friends-only", &from, &json!({"app": "shop"})).unwrap();
        assert!(
            finding
                .fix
                .contains("kubectl edit networkpolicy friends-only -n istio-system"),
            "{finding:?}"
        );
    }
}
