//! What the target of two-cluster mTLS gets: httpbin in the mesh, behind the ingress gateway, which lets in only clients
//! with a certificate of the right CA.
//!
//! Names are those of Kyma's tutorial (seed 001). Its defects are corrected: the newest API versions that the cluster
//! serves, a pinned image, a workload that satisfies the restricted Pod Security Standard.

use super::GatewayTarget;
use super::ownership::{Manifest, owned};
use super::secrets::SERVER_CREDENTIAL;
use super::source::Injection;
use crate::istio::kinds;
use crate::vocabulary::{HostName, PlanIdentity};
use serde_json::{Value, json};

/// Name of the ServiceAccount, Service, Deployment, and of what exposes it.
pub const NAME: &str = "httpbin";
/// Image of the workload; pinned, that of Istio's own sample.
pub const IMAGE: &str = "docker.io/mccutchen/go-httpbin:v2.15.0";
/// The Gateway.
pub const GATEWAY: &str = "kyma-mtls-gateway";
/// Port of the workload's Service.
const SERVICE_PORT: u16 = 8000;
/// Port of its container.
const CONTAINER_PORT: u16 = 8080;
/// Path of the workload that answers with the headers it saw.
pub const ECHO_PATH: &str = "/headers";

/// What makes the ingress gateway pass requests to the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// A VirtualService of ours.
    VirtualService,
    /// An APIRule, of which Kyma's API Gateway module makes one.
    ApiRule,
}

/// What the objects depend on.
#[derive(Debug, Clone)]
pub struct TargetWorkload<'run> {
    /// The host that the ingress gateway answers to.
    pub host: &'run HostName,
    /// Image of the workload.
    pub image: &'run str,
    /// The ingress gateway.
    pub ingress: &'run GatewayTarget,
    /// How the workload is exposed.
    pub exposure: Exposure,
    /// How it gets its sidecar.
    pub injection: &'run Injection,
}

/// ServiceAccount, Service and Deployment.
pub fn workload(plan: &PlanIdentity, settings: &TargetWorkload<'_>) -> Vec<Manifest> {
    let namespace = &plan.namespace;
    let selector = json!({"app": NAME});
    let mut labels = json!({"app": NAME, "version": "v1"});
    match settings.injection {
        Injection::Namespace | Injection::None => {}
        Injection::Pod => labels["sidecar.istio.io/inject"] = json!("true"),
        Injection::PodRevision(revision) => labels["istio.io/rev"] = json!(revision),
    }
    let service = json!({
        "metadata": {"labels": {"app": NAME, "service": NAME}},
        "spec": {
            "selector": selector,
            "ports": [{"name": "http", "port": SERVICE_PORT, "protocol": "TCP", "targetPort": CONTAINER_PORT}],
        },
    });
    let deployment = json!({
        "metadata": {"labels": {"app": NAME}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": selector},
            "template": {"metadata": {"labels": labels}, "spec": pod_spec(settings.image)},
        },
    });
    vec![
        owned(plan, &kinds::service_account(), namespace, NAME, json!({})),
        owned(plan, &kinds::service(), namespace, NAME, service),
        owned(plan, &kinds::deployment(), namespace, NAME, deployment),
    ]
}

fn pod_spec(image: &str) -> Value {
    json!({
        "serviceAccountName": NAME,
        "automountServiceAccountToken": false,
        "securityContext": {"runAsNonRoot": true, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": NAME,
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "ports": [{"containerPort": CONTAINER_PORT, "protocol": "TCP"}],
            "resources": {
                "requests": {"cpu": "10m", "memory": "32Mi"},
                "limits": {"cpu": "500m", "memory": "128Mi"},
            },
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": true,
            },
        }],
    })
}

/// The Gateway, and what routes from it to the workload.
pub fn exposure(plan: &PlanIdentity, settings: &TargetWorkload<'_>) -> Vec<Manifest> {
    let namespace = &plan.namespace;
    let gateway = json!({"spec": {
        "selector": settings.ingress.selector,
        "servers": [{
            "port": {"number": settings.ingress.tls_port, "name": "mtls", "protocol": "HTTPS"},
            "tls": {"mode": "MUTUAL", "credentialName": SERVER_CREDENTIAL},
            "hosts": [settings.host.as_str()],
        }],
    }});
    let gateway = owned(plan, &kinds::gateway(), namespace, GATEWAY, gateway);
    let hosts = json!([settings.host.as_str()]);
    let route = match settings.exposure {
        Exposure::VirtualService => {
            let destination = json!({
                "host": format!("{NAME}.{namespace}.svc.cluster.local"),
                "port": {"number": SERVICE_PORT},
            });
            let spec = json!({
                "hosts": hosts,
                "gateways": [format!("{namespace}/{GATEWAY}")],
                "http": [{"route": [{"destination": destination}]}],
            });
            owned(
                plan,
                &kinds::virtual_service(),
                namespace,
                NAME,
                json!({"spec": spec}),
            )
        }
        Exposure::ApiRule => {
            let spec = json!({
                "hosts": hosts,
                "gateway": format!("{namespace}/{GATEWAY}"),
                "service": {"name": NAME, "namespace": namespace, "port": SERVICE_PORT},
                "rules": [{"path": "/*", "methods": ["GET", "HEAD", "POST"], "noAuth": true}],
            });
            owned(plan, &kinds::api_rule(), namespace, NAME, json!({"spec": spec}))
        }
    };
    vec![gateway, route]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ingress() -> GatewayTarget {
        GatewayTarget {
            service: "istio-ingressgateway".to_owned(),
            selector: [("istio".to_owned(), "ingressgateway".to_owned())].into(),
            ..crate::plan::gateway_workload::target("istio-system")
        }
    }

    fn objects(exposure_by: Exposure) -> Vec<Manifest> {
        let (host, ingress) = ("target.example.com".parse().unwrap(), ingress());
        let settings = TargetWorkload {
            host: &host,
            image: IMAGE,
            ingress: &ingress,
            exposure: exposure_by,
            injection: &Injection::Namespace,
        };
        let plan = PlanIdentity::new("demo", "default").unwrap();
        [workload(&plan, &settings), exposure(&plan, &settings)].concat()
    }

    fn spec_of(objects: &[Manifest], kind: &str) -> Value {
        let found = objects
            .iter()
            .find(|manifest| manifest.reference.kind.kind == kind);
        found.unwrap().object.at("/spec").clone()
    }

    #[test]
    fn the_gateway_demands_a_client_certificate_on_the_ingress_gateways_own_pods() {
        let gateway = spec_of(&objects(Exposure::VirtualService), "Gateway");
        assert_eq!(gateway["selector"], json!({"istio": "ingressgateway"}));
        let server = &gateway["servers"][0];
        assert_eq!(
            server["tls"],
            json!({"mode": "MUTUAL", "credentialName": "kyma-mtls-certs"})
        );
        assert_eq!(server["hosts"], json!(["target.example.com"]));
        assert_eq!(server["port"]["protocol"], "HTTPS");
    }

    #[test]
    fn both_ways_of_exposing_lead_from_that_gateway_to_the_workload() {
        let plain = objects(Exposure::VirtualService);
        let service = spec_of(&plain, "VirtualService");
        assert_eq!(service["gateways"], json!(["demo/kyma-mtls-gateway"]));
        let destination = &service["http"][0]["route"][0]["destination"];
        assert_eq!(destination["host"], "httpbin.demo.svc.cluster.local");
        let port = spec_of(&plain, "Service")["ports"][0]["port"].clone();
        assert_eq!(destination["port"]["number"], port);

        let kyma = objects(Exposure::ApiRule);
        let rule = spec_of(&kyma, "APIRule");
        assert_eq!(rule["gateway"], "demo/kyma-mtls-gateway");
        assert_eq!(
            rule["service"],
            json!({"name": "httpbin", "namespace": "demo", "port": port})
        );
        assert_eq!(rule["rules"][0]["noAuth"], true);
        assert!(
            kyma.iter()
                .all(|manifest| manifest.reference.kind.kind != "VirtualService")
        );
        let version = kyma.last().unwrap().object.text("/apiVersion").to_owned();
        assert_eq!(version, "gateway.kyma-project.io/v2");
    }

    #[test]
    fn the_workload_satisfies_the_restricted_standard() {
        let spec = spec_of(&objects(Exposure::ApiRule), "Deployment");
        let pod = &spec["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(
            pod["containers"][0]["securityContext"]["capabilities"]["drop"],
            json!(["ALL"])
        );
        assert!(pod["containers"][0]["image"].as_str().unwrap().contains(":v"));
    }
}
