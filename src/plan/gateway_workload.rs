//! An egress gateway of our own, by Istio's gateway injection, for clusters that have none.
//!
//! Each line was needed or seen to matter on the lab (truth.md 11): `image: auto` needs an explicit pull policy, the
//! restricted Pod Security Standard needs the security context, the pod label chooses injection.

use super::ownership::{Manifest, shared};
use super::{GatewayPort, GatewayTarget};
use crate::istio::kinds;
use crate::vocabulary::{PlanIdentity, names};
use serde_json::{Value, json};

/// Name of the Service, Deployment and ServiceAccount, Istio's customary one.
pub const NAME: &str = "istio-egressgateway";

/// What the user may say about a gateway that we create.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GatewaySettings {
    /// `nodeSelector` of its pods.
    pub node_selector: Vec<(String, String)>,
    /// Tolerations of its pods, as in a pod's spec.
    pub tolerations: Vec<Value>,
    /// Revision of the control plane that injects it, where the cluster has revisions only.
    pub revision: Option<String>,
}

/// The gateway that [`objects`] make.
pub fn target(namespace: &str) -> GatewayTarget {
    GatewayTarget {
        namespace: namespace.to_owned(),
        service: NAME.to_owned(),
        selector: [
            ("istio".to_owned(), "egressgateway".to_owned()),
            ("app".to_owned(), NAME.to_owned()),
        ]
        .into(),
        tls_port: 443,
        tls_target_port: 8443,
        http: Some(GatewayPort::CUSTOMARY_HTTP),
        created: true,
    }
}

/// ServiceAccount, Service and Deployment. Plans share them; the last one takes them away.
pub fn objects(plan: &PlanIdentity, target: &GatewayTarget, settings: &GatewaySettings) -> Vec<Manifest> {
    let mut labels = json!(target.selector);
    match &settings.revision {
        Some(revision) => labels["istio.io/rev"] = json!(revision),
        None => labels["sidecar.istio.io/inject"] = json!("true"),
    }
    let mut spec = json!({
        "serviceAccountName": NAME,
        "containers": [{
            "name": names::PROXY_CONTAINER,
            "image": "auto",
            "imagePullPolicy": "IfNotPresent",
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": true,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "resources": {
                "requests": {"cpu": "10m", "memory": "64Mi"},
                "limits": {"cpu": "2", "memory": "1Gi"},
            },
        }],
    });
    if !settings.node_selector.is_empty() {
        spec["nodeSelector"] = settings
            .node_selector
            .iter()
            .cloned()
            .map(|(key, value)| (key, json!(value)))
            .collect();
    }
    if !settings.tolerations.is_empty() {
        spec["tolerations"] = json!(settings.tolerations);
    }
    let service = json!({
        "metadata": {"labels": target.selector},
        "spec": {
            "selector": target.selector,
            "ports": [
                {"name": "http2", "port": 80, "targetPort": 8080, "protocol": "TCP"},
                {"name": "tls", "port": target.tls_port, "targetPort": target.tls_target_port, "protocol": "TCP"},
            ],
        },
    });
    let deployment = json!({
        "metadata": {"labels": target.selector},
        "spec": {
            "selector": {"matchLabels": target.selector},
            "template": {
                "metadata": {"annotations": {"inject.istio.io/templates": "gateway"}, "labels": labels},
                "spec": spec,
            },
        },
    });
    vec![
        shared(
            plan,
            &kinds::service_account(),
            &target.namespace,
            NAME,
            json!({}),
        ),
        shared(plan, &kinds::service(), &target.namespace, NAME, service),
        shared(plan, &kinds::deployment(), &target.namespace, NAME, deployment),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_selector_and_tolerations_arrive() {
        let plan = PlanIdentity::new("demo", "default").unwrap();
        let settings = GatewaySettings {
            node_selector: vec![("egress".to_owned(), "yes".to_owned())],
            tolerations: vec![json!({"key": "egress", "operator": "Exists"})],
            revision: Some("canary".to_owned()),
        };
        let deployment = &objects(&plan, &target("istio-system"), &settings)[2].object;
        assert_eq!(
            deployment.at("/spec/template/spec/nodeSelector"),
            &json!({"egress": "yes"})
        );
        assert_eq!(deployment.text("/spec/template/spec/tolerations/0/key"), "egress");
        assert_eq!(
            deployment.text("/spec/template/metadata/labels/istio.io~1rev"),
            "canary"
        );
        assert_eq!(
            deployment.text("/spec/template/spec/containers/0/imagePullPolicy"),
            "IfNotPresent"
        );
    }
}
