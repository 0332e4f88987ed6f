//! What Istio's installer is given for an Istio CR: the module's defaults, and the CR's settings over them.
//! Source: `internal/istiooperator/istio-operator{,-light}.yaml` and `api/v1alpha2/istio_merge.go` of the module.
//!
//! Only what the machine asks for is different: Istio's own filters and the CNI plugin are off (see the lab's
//! README), istiod and the ingress gateway are small and single in both profiles.

use serde_json::{Value, json};

use super::KymaProfile;
use crate::image::{HUB, TAG};

/// The module's label on every object and pod of its own.
pub(super) const MODULE_LABEL: (&str, &str) = ("kyma-project.io/module", "istio");

/// Whether a CR asks for the egress gateway.
pub(crate) fn wants_gateway(istio: &Value) -> bool {
    istio.pointer("/spec/components/egressGateway/enabled") == Some(&Value::Bool(true))
}

/// The installer's file for a CR.
pub(super) fn operator(istio: &Value, profile: KymaProfile) -> Value {
    let small = json!({"requests": {"cpu": "10m", "memory": "40Mi"}});
    json!({
        "apiVersion": "install.istio.io/v1alpha1",
        "kind": "IstioOperator",
        "metadata": {"name": "default-operator", "namespace": super::ISTIO_NAMESPACE},
        "spec": {
            "profile": "minimal",
            "hub": HUB,
            "tag": TAG,
            "meshConfig": mesh(istio),
            "components": {
                "pilot": {"k8s": {
                    "resources": small,
                    "env": [
                        {"name": "PILOT_HTTP10", "value": "1"},
                        {"name": "ENABLE_DEBUG_ENDPOINT_AUTH", "value": "false"},
                    ],
                    "overlays": [labelled_pods("istiod")],
                }},
                "ingressGateways": [{
                    "name": "istio-ingressgateway",
                    "enabled": true,
                    "k8s": {
                        "resources": small,
                        "hpaSpec": {"minReplicas": 1, "maxReplicas": 1},
                        "overlays": [labelled_pods("istio-ingressgateway")],
                    },
                }],
                "egressGateways": [{
                    "name": "istio-egressgateway",
                    "enabled": wants_gateway(istio),
                    "k8s": egress(istio, profile),
                }],
            },
            "values": {
                "global": {
                    "imagePullPolicy": "IfNotPresent",
                    "defaultPodDisruptionBudget": {"enabled": profile == KymaProfile::Production},
                    "proxy": {"resources": small},
                    "proxy_init": {"resources": small},
                },
                "gateways": {
                    "istio-egressgateway": {"autoscaleEnabled": true, "type": "ClusterIP"},
                    "istio-ingressgateway": {
                        "autoscaleEnabled": true,
                        "type": "LoadBalancer",
                        "externalTrafficPolicy": istio
                            .pointer("/spec/config/gatewayExternalTrafficPolicy")
                            .unwrap_or(&json!("")),
                    },
                },
                "pilot": {
                    "autoscaleEnabled": false,
                    "env": {
                        "PILOT_ENABLE_ALPN_FILTER": "false",
                        "PILOT_ENABLE_METADATA_EXCHANGE": "false",
                    },
                },
                "telemetry": {"v2": {"enabled": false}},
            },
        },
    })
}

fn labelled_pods(deployment: &str) -> Value {
    let (key, value) = MODULE_LABEL;
    let path = format!("spec.template.metadata.labels.{}", key.replace('.', "\\."));
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment,
        "patches": [{"path": path, "value": value}]})
}

/// The gateway's own settings: those of the profile, and the CR's in their place.
fn egress(istio: &Value, profile: KymaProfile) -> Value {
    let (replicas, requests, processors) = match profile {
        KymaProfile::Light => ([1, 10], json!({"cpu": "10m", "memory": "32Mi"}), "1000m"),
        KymaProfile::Production => ([3, 15], json!({"cpu": "100m", "memory": "128Mi"}), "2000m"),
    };
    let mut k8s = json!({
        "hpaSpec": {
            "minReplicas": replicas[0],
            "maxReplicas": replicas[1],
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "istio-egressgateway"},
        },
        "resources": {"requests": requests, "limits": {"cpu": processors, "memory": "1024Mi"}},
        "overlays": [labelled_pods("istio-egressgateway")],
    });
    if let Some(own) = istio.pointer("/spec/components/egressGateway/k8s") {
        merge(&mut k8s, own);
    }
    k8s
}

/// Puts the values of `own` over those of `base`, map by map.
fn merge(base: &mut Value, own: &Value) {
    match (base, own) {
        (Value::Object(base), Value::Object(own)) => {
            for (key, value) in own {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, own) => *base = own.clone(),
    }
}

/// The mesh's configuration. An outbound policy is not set, so hosts that are not known are reached directly.
fn mesh(istio: &Value) -> Value {
    let config = |field: &str| istio.pointer("/spec/config").and_then(|config| config.get(field));
    let mut mesh = json!({
        "defaultConfig": {"holdApplicationUntilProxyStarts": true},
        "enablePrometheusMerge": false,
        "enableTracing": false,
        "extensionProviders": extension_providers(),
        "trustDomain": config("trustDomain").unwrap_or(&json!("cluster.local")),
    });
    for field in ["numTrustedProxies", "forwardClientCertDetails"] {
        if let Some(value) = config(field) {
            mesh["defaultConfig"]["gatewayTopology"][field] = value.clone();
        }
    }
    if config("enableDNSProxying") == Some(&Value::Bool(true)) {
        mesh["defaultConfig"]["proxyMetadata"] =
            json!({"ISTIO_META_DNS_CAPTURE": "true", "ISTIO_META_DNS_AUTO_ALLOCATE": "true"});
    }
    mesh
}

/// Fields of `stdout-json` and what Envoy is told to write there. Two are as nobody would expect: the cluster is
/// written with a semicolon at its end, and the transport's failure is the connection's.
const STDOUT_JSON: &[(&str, &str)] = &[
    ("start_time", "START_TIME"),
    ("method", "REQ(:METHOD)"),
    ("path", "REQ(X-ENVOY-ORIGINAL-PATH?:PATH)"),
    ("protocol", "PROTOCOL"),
    ("response_code", "RESPONSE_CODE"),
    ("response_flags", "RESPONSE_FLAGS"),
    ("response_code_details", "RESPONSE_CODE_DETAILS"),
    ("connection_termination_details", "CONNECTION_TERMINATION_DETAILS"),
    (
        "upstream_transport_failure_reason",
        "CONNECTION_TERMINATION_DETAILS",
    ),
    ("bytes_received", "BYTES_RECEIVED"),
    ("bytes_sent", "BYTES_SENT"),
    ("duration", "DURATION"),
    ("upstream_service_time", "RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)"),
    ("x_forwarded_for", "REQ(X-FORWARDED-FOR)"),
    ("user_agent", "REQ(USER-AGENT)"),
    ("request_id", "REQ(X-REQUEST-ID)"),
    ("authority", "REQ(:AUTHORITY)"),
    ("upstream_host", "UPSTREAM_HOST"),
    ("upstream_cluster", "UPSTREAM_CLUSTER"),
    ("upstream_local_address", "UPSTREAM_LOCAL_ADDRESS"),
    ("downstream_local_address", "DOWNSTREAM_LOCAL_ADDRESS"),
    ("downstream_remote_address", "DOWNSTREAM_REMOTE_ADDRESS"),
    ("requested_server_name", "REQUESTED_SERVER_NAME"),
    ("route_name", "ROUTE_NAME"),
    ("traceparent", "REQ(TRACEPARENT)"),
    ("tracestate", "REQ(TRACESTATE)"),
];

fn extension_providers() -> Value {
    let labels: serde_json::Map<_, _> = STDOUT_JSON
        .iter()
        .map(|(field, operator)| ((*field).to_owned(), json!(format!("%{operator}%"))))
        .collect();
    let file = |labels: Value| json!({"path": "/dev/stdout", "logFormat": {"labels": labels}});
    json!([
        {"name": "kyma-traces", "opentelemetry": {
            "service": "telemetry-otlp-traces.kyma-system.svc.cluster.local", "port": 4317}},
        // No labels: Istio's own JSON.
        {"name": "envoy", "envoyFileAccessLog": file(json!({}))},
        {"name": "stdout-json", "envoyFileAccessLog": file(Value::Object(labels))},
        // Goes to the Telemetry module, which the lab does not have; of its labels the lab declares a few.
        {"name": "kyma-logs", "envoyOtelAls": {
            "service": "telemetry-otlp-logs.kyma-system.svc.cluster.local", "port": 4317, "logName": "kyma-logs",
            "logFormat": {"labels": {
                "http.response.status_code": "%CEL(response.code)%",
                "server.address": "%CEL(request.host)%",
                "kyma.module": "istio",
            }}}},
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn components(spec: &Value, profile: KymaProfile) -> Value {
        operator(&json!({"spec": spec}), profile)["spec"]["components"].clone()
    }

    #[test]
    fn the_gateway_is_off_unless_the_cr_says_true() {
        for spec in [
            json!({}),
            json!({"components": {}}),
            json!({"components": {"egressGateway": {}}}),
            json!({"components": {"egressGateway": {"enabled": false}}}),
        ] {
            let components = components(&spec, KymaProfile::Light);
            assert_eq!(components["egressGateways"][0]["enabled"], false, "{spec}");
        }
        let spec = json!({"components": {"egressGateway": {"enabled": true}}});
        let components = components(&spec, KymaProfile::Light);
        assert_eq!(components["egressGateways"][0]["enabled"], true);
        assert_eq!(components["ingressGateways"][0]["enabled"], true);
    }

    #[test]
    fn replicas_are_the_profiles_and_the_crs_in_their_place() {
        let replicas = |spec: &Value, profile| {
            let components = components(spec, profile);
            let hpa = &components["egressGateways"][0]["k8s"]["hpaSpec"];
            [hpa["minReplicas"].as_i64(), hpa["maxReplicas"].as_i64()]
        };
        assert_eq!(replicas(&json!({}), KymaProfile::Light), [Some(1), Some(10)]);
        assert_eq!(replicas(&json!({}), KymaProfile::Production), [Some(3), Some(15)]);
        let own = json!({"components": {"egressGateway": {"k8s": {"hpaSpec": {"minReplicas": 2}}}}});
        assert_eq!(replicas(&own, KymaProfile::Production), [Some(2), Some(15)]);
    }

    #[test]
    fn the_mesh_has_kymas_providers_and_no_outbound_policy() {
        let mesh = mesh(&json!({"spec": {"config": {"numTrustedProxies": 2}}}));
        assert!(mesh.get("outboundTrafficPolicy").is_none());
        assert_eq!(mesh["defaultConfig"]["gatewayTopology"]["numTrustedProxies"], 2);
        let provider = |name: &str| {
            let providers = mesh["extensionProviders"].as_array().unwrap();
            providers
                .iter()
                .find(|provider| provider["name"] == name)
                .unwrap()
                .clone()
        };
        assert_eq!(
            provider("envoy")["envoyFileAccessLog"]["logFormat"],
            json!({"labels": {}})
        );
        let labels = &provider("stdout-json")["envoyFileAccessLog"]["logFormat"]["labels"];
        assert_eq!(labels.as_object().unwrap().len(), 26);
        assert_eq!(labels["upstream_cluster"], "%UPSTREAM_CLUSTER%");
        assert_eq!(
            labels["upstream_transport_failure_reason"],
            labels["connection_termination_details"]
        );
        assert!(provider("kyma-logs")["envoyOtelAls"].is_object());
    }
}
