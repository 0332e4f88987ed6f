//! Objects of users that the module looks at.
//! Source: `internal/resources/` of the module.

use serde_json::Value;

use super::ISTIO_NAMESPACE;
use super::operator::MODULE_LABEL;
use super::watch::key;

/// Kinds whose objects keep Istio from being removed.
pub(super) const BLOCKING_KINDS: &str = "authorizationpolicies.security.istio.io,\
     destinationrules.networking.istio.io,envoyfilters.networking.istio.io,gateways.networking.istio.io,\
     peerauthentications.security.istio.io,proxyconfigs.networking.istio.io,\
     requestauthentications.security.istio.io,serviceentries.networking.istio.io,sidecars.networking.istio.io,\
     telemetries.telemetry.istio.io,virtualservices.networking.istio.io,wasmplugins.extensions.istio.io,\
     workloadentries.networking.istio.io,workloadgroups.networking.istio.io";

/// The one object of these kinds that is the module's own.
pub(super) fn is_modules(object: &Value) -> bool {
    object["kind"] == "PeerAuthentication"
        && key(object) == (ISTIO_NAMESPACE.to_owned(), "default".to_owned())
}

/// Whether an `EnvoyFilter` of istio-system is a user's own and selects the ingress gateway.
pub(super) fn is_on_ingress(filter: &Value) -> bool {
    let owners = filter
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array);
    let mut owners = owners.into_iter().flatten();
    let of_rate_limit = owners.any(|owner| owner["kind"] == "RateLimit");
    let labels = filter.pointer("/metadata/labels");
    let of_kyma = labels.is_some_and(|labels| labels.get(MODULE_LABEL.0).is_some());
    let selected = filter
        .pointer("/spec/workloadSelector/labels")
        .unwrap_or(&Value::Null);
    let selects = selected["istio"] == "ingressgateway" || selected["app"] == "istio-ingressgateway";
    selects && !of_rate_limit && !of_kyma
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_users_filter_on_the_ingress_gateway_is_found() {
        let filter = |selector: Value, metadata: Value| {
            let spec = json!({"workloadSelector": {"labels": selector}});
            is_on_ingress(&json!({"metadata": metadata, "spec": spec}))
        };
        let ingress = json!({"istio": "ingressgateway"});
        assert!(filter(ingress.clone(), json!({})));
        assert!(filter(json!({"app": "istio-ingressgateway"}), json!({})));
        assert!(!filter(json!({"istio": "egressgateway"}), json!({})));
        assert!(!filter(
            ingress.clone(),
            json!({"labels": {"kyma-project.io/module": "istio"}})
        ));
        assert!(!filter(
            ingress,
            json!({"ownerReferences": [{"kind": "RateLimit"}]})
        ));
        assert!(!is_on_ingress(&json!({"spec": {}})));
    }

    #[test]
    fn only_the_mesh_wide_strictness_is_the_modules() {
        let object = |kind: &str, namespace: &str| {
            is_modules(&json!({"kind": kind, "metadata": {"namespace": namespace, "name": "default"}}))
        };
        assert!(object("PeerAuthentication", "istio-system"));
        assert!(!object("PeerAuthentication", "demo") && !object("Telemetry", "istio-system"));
    }
}
