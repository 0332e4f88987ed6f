//! Kubernetes Services by which applications call hosts outside (Istio's task "Kubernetes Services for Egress Traffic").

use super::virtual_services::destination;
use super::{destination_rules, exported_to, names, spec};
use crate::istio::{
    ClientTls, DestinationRuleSpec, HttpMatch, HttpRoute, PortSelector, PortTrafficPolicy, Rewrite,
    TrafficPolicy, VirtualServiceSpec, kinds,
};
use crate::plan::ownership::{Manifest, owned};
use crate::plan::{Plan, PlannedHost};
use crate::vocabulary::{Mode, Scheme, names as vocabulary};
use serde_json::json;
use std::collections::BTreeMap;

/// Label by which an EndpointSlice belongs to a Service (Kubernetes' documentation of EndpointSlices).
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Annotation by which Istio shows a Service to some namespaces only (Istio's reference of resource annotations).
const EXPORT_TO: &str = "networking.istio.io/exportTo";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";

/// The ports of a plan that one Service is called for.
type Called<'plan> = BTreeMap<&'plan str, Vec<&'plan PlannedHost>>;

fn by_service(plan: &Plan) -> Called<'_> {
    let mut called: Called = BTreeMap::new();
    for planned in &plan.hosts {
        if let Some(service) = planned.how.service.as_deref() {
            called.entry(service).or_default().push(planned);
        }
    }
    called
}

/// The Services themselves, for those that are not there yet: of type ExternalName, or headless with EndpointSlices
/// where the plan names addresses.
pub(super) fn services(plan: &Plan) -> Vec<Manifest> {
    by_service(plan)
        .into_iter()
        .filter_map(|(service, ports)| Some((service.split_once('/')?, ports)))
        .flat_map(|((namespace, name), ports)| {
            let mut objects = slices(plan, namespace, name, &ports);
            objects.insert(0, service(plan, namespace, name, &ports));
            objects
        })
        .collect()
}

fn service(plan: &Plan, namespace: &str, name: &str, ports: &[&PlannedHost]) -> Manifest {
    let listed: Vec<_> = ports
        .iter()
        .map(|planned| {
            let (port, target) = (planned.port(), planned.how.target_port());
            json!({"name": port_name(planned), "port": port, "targetPort": target, "protocol": "TCP"})
        })
        .collect();
    let mut body = spec(&if ports[0].how.addresses.is_empty() {
        json!({"type": "ExternalName", "externalName": ports[0].host, "ports": listed})
    } else {
        json!({"clusterIP": "None", "ports": listed})
    });
    // A headless Service takes every connection to its addresses, of all sidecars that see it (measured on the lab).
    let users = exported_to(plan).into_iter();
    let users = users.map(|user| {
        if user == "." {
            plan.identity.namespace.clone()
        } else {
            user
        }
    });
    let users = users.collect::<Vec<_>>().join(",");
    body["metadata"] = json!({"annotations": {EXPORT_TO: users}});
    owned(&plan.identity, &kinds::service(), namespace, name, body)
}

/// One slice per family of addresses.
fn slices(plan: &Plan, namespace: &str, name: &str, ports: &[&PlannedHost]) -> Vec<Manifest> {
    let families = [("IPv4", "ipv4"), ("IPv6", "ipv6")];
    let addresses = &ports[0].how.addresses;
    families
        .into_iter()
        .filter_map(|(family, suffix)| {
            let endpoints: Vec<_> = addresses
                .iter()
                .filter(|address| address.is_ipv4() == (family == "IPv4"))
                .map(|address| json!({"addresses": [address]}))
                .collect();
            let listed: Vec<_> = ports
                .iter()
                .map(|planned| json!({"name": port_name(planned), "port": planned.how.target_port(), "protocol": "TCP"}))
                .collect();
            let body = json!({
                "metadata": {"labels": {SERVICE_NAME: name, MANAGED_BY: vocabulary::MANAGER}},
                "addressType": family, "endpoints": endpoints, "ports": listed,
            });
            let kind = kinds::endpoint_slice();
            let name = format!("{name}-{suffix}");
            (!endpoints.is_empty()).then(|| owned(&plan.identity, &kind, namespace, &name, body))
        })
        .collect()
}

/// The prefix tells Istio the protocol.
fn port_name(planned: &PlannedHost) -> String {
    match planned.how.scheme() {
        Scheme::Http => format!("http-{}", planned.port()),
        Scheme::Https => format!("tls-{}", planned.port()),
    }
}

/// How sidecars speak to a Service: nothing outside knows the mesh's own mutual TLS, so it is off; origination is as to
/// the host itself.
pub(super) fn destination_rules(plan: &Plan) -> Vec<Manifest> {
    by_service(plan)
        .into_iter()
        .filter_map(|(service, ports)| Some((service, ports[0].how.service_host()?, ports)))
        .map(|(service, host, ports)| {
            let originated = ports
                .iter()
                .filter(|planned| planned.how.mode == Mode::TlsOrigination);
            let per_port = originated.map(|planned| PortTrafficPolicy {
                port: PortSelector {
                    number: planned.port(),
                },
                tls: Some(destination_rules::client_tls(planned)),
            });
            let disabled = ClientTls {
                mode: "DISABLE".to_owned(),
                ..ClientTls::default()
            };
            let body = DestinationRuleSpec {
                host,
                export_to: exported_to(plan),
                traffic_policy: Some(TrafficPolicy {
                    tls: Some(disabled),
                    port_level_settings: per_port.collect(),
                    tunnel: None,
                }),
                ..DestinationRuleSpec::default()
            };
            destination_rules::rule(plan, &names::service_object_name(plan, service), &body)
        })
        .collect()
}

/// Requests to a Service by HTTP carry its name as Host, which the server outside does not know: it gets its own.
pub(super) fn virtual_services(plan: &Plan) -> Vec<Manifest> {
    by_service(plan)
        .into_iter()
        .filter_map(|(service, ports)| Some((service, ports[0].how.service_host()?, ports)))
        .filter_map(|(service, host, ports)| {
            let http: Vec<_> = ports
                .iter()
                .filter(|planned| planned.how.scheme() == Scheme::Http)
                .map(|planned| {
                    let headless = !planned.how.addresses.is_empty();
                    let target = if headless {
                        host.clone()
                    } else {
                        planned.host.to_string()
                    };
                    HttpRoute {
                        matches: vec![HttpMatch {
                            gateways: vec![super::MESH.to_owned()],
                            port: planned.port(),
                        }],
                        route: vec![destination(target, None, planned.port())],
                        headers: None,
                        rewrite: Some(Rewrite {
                            authority: planned.host.to_string(),
                        }),
                    }
                })
                .collect();
            let body = VirtualServiceSpec {
                hosts: vec![host.clone()],
                gateways: vec![super::MESH.to_owned()],
                export_to: exported_to(plan),
                http,
                ..VirtualServiceSpec::default()
            };
            let kind = kinds::virtual_service();
            let name = names::service_object_name(plan, service);
            (!body.http.is_empty()).then(|| {
                owned(
                    &plan.identity,
                    &kind,
                    &plan.identity.namespace,
                    &name,
                    spec(&body),
                )
            })
        })
        .collect()
}
