//! Finds the egress gateway by Services and pods, whatever its name, labels and ports. Pure.

use crate::plan::{GatewayPort, GatewayTarget};
use crate::vocabulary::{Object, names};
use serde_json::Value;
use std::collections::BTreeMap;

/// Services that may be an egress gateway by name or label: any of these can be checked with one list of pods.
pub(super) fn named_like_egress(service: &Object) -> bool {
    let labels = service.at("/metadata/labels").as_object();
    let by_label = labels.is_some_and(|labels| {
        ["istio", "app", "app.kubernetes.io/name", "istio.io/gateway-name"]
            .iter()
            .any(|name| {
                labels
                    .get(*name)
                    .and_then(Value::as_str)
                    .is_some_and(|value| value.contains("egress"))
            })
    });
    let by_selector = service.at("/spec/selector").as_object().is_some_and(|selector| {
        selector
            .values()
            .filter_map(Value::as_str)
            .any(|value| value.contains("egress"))
    });
    has_selector(service) && (service.name().contains("egress") || by_label || by_selector)
}

/// The Gateway of the Kubernetes Gateway API that Istio's deployment controller made this Service for, if it did.
pub(super) fn made_from(service: &Object) -> Option<&str> {
    service.label("gateway.networking.k8s.io/gateway-name")
}

/// Whether a pod runs Envoy as a gateway: the proxy's container is an ordinary one and is started as `proxy router`.
pub(super) fn is_gateway_pod(pod: &Object) -> bool {
    pod.items("/spec/containers").iter().any(|container| {
        container["name"] == names::PROXY_CONTAINER
            && container["args"]
                .as_array()
                .is_some_and(|args| args.iter().any(|arg| arg == "router"))
    })
}

/// Whether a Service is meant for traffic that comes in.
pub(super) fn is_ingress(service: &Object) -> bool {
    matches!(service.text("/spec/type"), "LoadBalancer" | "NodePort")
        || service.name().contains("ingress")
        || service.label("istio") == Some("ingressgateway")
        || made_from(service).is_some()
        || service.name().contains("eastwest")
}

/// Whether a Service selects a pod.
pub(super) fn selects(service: &Object, pod: &Object) -> bool {
    has_selector(service)
        && service.namespace() == pod.namespace()
        && pod.labels_match("/metadata/labels", service.at("/spec/selector"))
}

fn has_selector(service: &Object) -> bool {
    service
        .at("/spec/selector")
        .as_object()
        .is_some_and(|selector| !selector.is_empty())
}

/// Routing's view of a gateway Service; `None` if it has no port for TLS. `pods` resolve named target ports.
pub(super) fn target(service: &Object, pods: &[Object]) -> Option<GatewayTarget> {
    let ports = service.items("/spec/ports");
    let tls = port_of(ports, 443, &["tls", "https"])?;
    let tls = resolved(tls, pods)?;
    let http = port_of(ports, 80, &["http"]).filter(|port| !is_named(port, "https"));
    let selector: BTreeMap<String, String> = service
        .at("/spec/selector")
        .as_object()?
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    Some(GatewayTarget {
        namespace: service.namespace()?.to_owned(),
        service: service.name().to_owned(),
        selector,
        tls_port: tls.port,
        tls_target_port: tls.target_port,
        http: http.and_then(|port| resolved(port, pods)),
        created: crate::plan::ownership::is_ours(service),
    })
}

/// The port of the customary number, else the first whose name says its protocol (Istio's protocol selection).
fn port_of<'a>(ports: &'a [Value], number: u64, prefixes: &[&str]) -> Option<&'a Value> {
    ports
        .iter()
        .find(|port| port["port"].as_u64() == Some(number))
        .or_else(|| {
            ports
                .iter()
                .find(|port| prefixes.iter().any(|prefix| is_named(port, prefix)))
        })
}

fn is_named(port: &Value, prefix: &str) -> bool {
    port["name"].as_str().is_some_and(|name| name.starts_with(prefix))
}

fn resolved(port: &Value, pods: &[Object]) -> Option<GatewayPort> {
    let number = u16::try_from(port["port"].as_u64()?).ok()?;
    let target_port = match &port["targetPort"] {
        Value::Number(target) => u16::try_from(target.as_u64()?).ok()?,
        Value::String(name) => named_port(name, pods)?,
        _ => number,
    };
    Some(GatewayPort {
        port: number,
        target_port,
    })
}

fn named_port(name: &str, pods: &[Object]) -> Option<u16> {
    pods.iter()
        .flat_map(|pod| pod.items("/spec/containers"))
        .flat_map(|container| container["ports"].as_array().map_or(&[][..], Vec::as_slice))
        .find(|port| port["name"] == name)
        .and_then(|port| u16::try_from(port["containerPort"].as_u64()?).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(name: &str, selector: &Value, ports: &Value) -> Object {
        Object(
            json!({"metadata": {"name": name, "namespace": "edge"}, "spec": {"type": "ClusterIP", "selector": selector, "ports": ports}}),
        )
    }

    fn pod(labels: &Value, args: &Value) -> Object {
        Object(json!({"metadata": {"namespace": "edge", "labels": labels},
            "spec": {"containers": [{"name": "istio-proxy", "args": args, "ports": [{"name": "tls-in", "containerPort": 9443}]}]}}))
    }

    #[test]
    fn a_gateway_of_any_name_is_known_by_its_pods() {
        let outway = service(
            "outway",
            &json!({"who": "knows"}),
            &json!([{"name": "tls", "port": 8443, "targetPort": "tls-in"}]),
        );
        let router = pod(
            &json!({"who": "knows", "x": "y"}),
            &json!(["proxy", "router", "--domain"]),
        );
        assert!(!named_like_egress(&outway));
        assert!(is_gateway_pod(&router) && selects(&outway, &router) && !is_ingress(&outway));
        let target = target(&outway, &[router]).unwrap();
        assert_eq!((target.tls_port, target.tls_target_port), (8443, 9443));
        assert_eq!(target.service_host(), "outway.edge.svc.cluster.local");
    }

    #[test]
    fn a_sidecar_is_no_gateway_and_an_ingress_no_egress() {
        assert!(!is_gateway_pod(&pod(&json!({}), &json!(["proxy", "sidecar"]))));
        assert!(is_ingress(&service(
            "istio-ingressgateway",
            &json!({"a": "b"}),
            &json!([])
        )));
    }

    #[test]
    fn port_443_goes_before_a_name_and_without_one_there_is_no_target() {
        let both = service(
            "e",
            &json!({"a": "b"}),
            &json!([{"name": "tls-x", "port": 15443, "targetPort": 15443}, {"name": "https", "port": 443, "targetPort": 8443}]),
        );
        assert_eq!(target(&both, &[]).unwrap().tls_target_port, 8443);
        assert_eq!(
            target(
                &service("e", &json!({"a": "b"}), &json!([{"name": "http2", "port": 80}])),
                &[]
            ),
            None
        );
    }

    #[test]
    fn a_service_without_selector_is_never_the_gateway() {
        assert!(!named_like_egress(&service("egress", &json!({}), &json!([]))));
    }
}
