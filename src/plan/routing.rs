//! The four routing objects of a plan, in the order in which they are applied.
//!
//! Order: Gateway, DestinationRule, VirtualService, then ServiceEntry. Without its ServiceEntry a host is unknown
//! to the mesh, so that under REGISTRY_ONLY nothing leaves directly in between (measured on the lab).

use super::ownership::{Manifest, owned};
use super::{GatewayTarget, HOSTS_PER_OBJECT, Plan};
use crate::istio::{
    Destination, DestinationRuleSpec, GatewaySpec, Port, PortSelector, RouteDestination, Server, ServerTls,
    ServiceEntrySpec, Subset, TlsMatch, TlsRoute, VirtualServiceSpec, kinds,
};
use crate::vocabulary::HostName;
use serde::Serialize;
use serde_json::{Value, json};

/// Name of a plan's Gateway, DestinationRule and subset, and the beginning of its other objects' names.
pub fn base_name(plan: &Plan) -> String {
    format!("egress-{}", plan.identity.name)
}

/// Envoy's name of the sidecar's cluster towards the gateway.
pub fn mesh_leg_cluster(plan: &Plan, gateway: &GatewayTarget) -> String {
    format!(
        "outbound|{}|{}|{}",
        gateway.tls_port,
        base_name(plan),
        gateway.service_host()
    )
}

/// Envoy's name of the gateway's cluster towards a host.
pub fn external_leg_cluster(host: &HostName, port: u16) -> String {
    format!("outbound|{port}||{host}")
}

/// All routing objects, as steps apply them: one list per step of the order.
pub fn objects(plan: &Plan, gateway: &GatewayTarget) -> Vec<Manifest> {
    let mut objects = vec![gateway_object(plan, gateway), destination_rule(plan, gateway)];
    objects.extend(virtual_services(plan, gateway));
    objects.extend(service_entries(plan, gateway));
    objects
}

fn spec(spec: &impl Serialize) -> Value {
    json!({ "spec": spec })
}

/// Namespaces that see the routing: the plan's own, and the gateway's, whose proxy must find the routes.
fn exported_to(plan: &Plan, gateway: &GatewayTarget) -> Vec<String> {
    let mut namespaces = vec![".".to_owned()];
    if gateway.namespace != plan.identity.namespace {
        namespaces.push(gateway.namespace.clone());
    }
    namespaces
}

fn gateway_object(plan: &Plan, gateway: &GatewayTarget) -> Manifest {
    let body = GatewaySpec {
        selector: gateway.selector.clone(),
        servers: vec![Server {
            port: Port {
                number: gateway.tls_port,
                name: "tls".to_owned(),
                protocol: "TLS".to_owned(),
            },
            hosts: plan
                .hosts
                .iter()
                .map(|planned| planned.host.to_string())
                .collect(),
            tls: Some(ServerTls {
                mode: "PASSTHROUGH".to_owned(),
            }),
        }],
    };
    owned(
        &plan.identity,
        &kinds::gateway(),
        &plan.identity.namespace,
        &base_name(plan),
        spec(&body),
    )
}

fn destination_rule(plan: &Plan, gateway: &GatewayTarget) -> Manifest {
    let body = DestinationRuleSpec {
        host: gateway.service_host(),
        export_to: vec![".".to_owned()],
        subsets: vec![Subset {
            name: base_name(plan),
        }],
    };
    owned(
        &plan.identity,
        &kinds::destination_rule(),
        &plan.identity.namespace,
        &base_name(plan),
        spec(&body),
    )
}

fn virtual_services(plan: &Plan, gateway: &GatewayTarget) -> Vec<Manifest> {
    let gateway_name = format!("{}/{}", plan.identity.namespace, base_name(plan));
    let chunks = plan.hosts.chunks(HOSTS_PER_OBJECT).enumerate();
    chunks
        .map(|(index, chunk)| {
            let part = Plan {
                hosts: chunk.to_vec(),
                ..plan.clone()
            };
            let to_gateway = part.hosts_by_port().into_iter().map(|(port, hosts)| TlsRoute {
                matches: vec![TlsMatch {
                    gateways: vec!["mesh".to_owned()],
                    port,
                    sni_hosts: hosts.iter().map(ToString::to_string).collect(),
                }],
                route: vec![destination(
                    gateway.service_host(),
                    Some(base_name(plan)),
                    gateway.tls_port,
                )],
            });
            let to_host = chunk.iter().map(|planned| TlsRoute {
                matches: vec![TlsMatch {
                    gateways: vec![gateway_name.clone()],
                    port: gateway.tls_port,
                    sni_hosts: vec![planned.host.to_string()],
                }],
                route: vec![destination(planned.host.to_string(), None, planned.port)],
            });
            let body = VirtualServiceSpec {
                hosts: chunk.iter().map(|planned| planned.host.to_string()).collect(),
                gateways: vec!["mesh".to_owned(), gateway_name.clone()],
                export_to: exported_to(plan, gateway),
                tls: to_gateway.chain(to_host).collect(),
                http: Vec::new(),
            };
            let name = part_name(&base_name(plan), index);
            owned(
                &plan.identity,
                &kinds::virtual_service(),
                &plan.identity.namespace,
                &name,
                spec(&body),
            )
        })
        .collect()
}

fn service_entries(plan: &Plan, gateway: &GatewayTarget) -> Vec<Manifest> {
    let mut objects = Vec::new();
    for (port, hosts) in plan.hosts_by_port() {
        for (index, chunk) in hosts.chunks(HOSTS_PER_OBJECT).enumerate() {
            let body = ServiceEntrySpec {
                hosts: chunk.iter().map(ToString::to_string).collect(),
                export_to: exported_to(plan, gateway),
                location: "MESH_EXTERNAL".to_owned(),
                ports: vec![Port {
                    number: port,
                    name: format!("tls-{port}"),
                    protocol: "TLS".to_owned(),
                }],
                resolution: "DNS".to_owned(),
                endpoints: Vec::new(),
            };
            let name = part_name(&format!("{}-{port}", base_name(plan)), index);
            let namespace = &plan.identity.namespace;
            objects.push(owned(
                &plan.identity,
                &kinds::service_entry(),
                namespace,
                &name,
                spec(&body),
            ));
        }
    }
    objects
}

fn part_name(base: &str, index: usize) -> String {
    if index == 0 {
        base.to_owned()
    } else {
        format!("{base}-{}", index + 1)
    }
}

fn destination(host: String, subset: Option<String>, port: u16) -> RouteDestination {
    RouteDestination {
        destination: Destination {
            host,
            subset,
            port: Some(PortSelector { number: port }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::PlannedHost;
    use crate::vocabulary::PlanIdentity;

    fn plan(count: usize) -> Plan {
        let hosts = (0..count)
            .map(|index| PlannedHost::passthrough(format!("h{index:04}.example").parse().unwrap(), 443))
            .collect();
        Plan::new(PlanIdentity::new("demo", "default").unwrap(), None, hosts).unwrap()
    }

    fn gateway() -> GatewayTarget {
        GatewayTarget {
            namespace: "istio-system".to_owned(),
            service: "istio-egressgateway".to_owned(),
            selector: [("istio".to_owned(), "egressgateway".to_owned())].into(),
            tls_port: 443,
            tls_target_port: 8443,
            created: false,
        }
    }

    #[test]
    fn one_host_is_four_objects_in_the_safe_order() {
        let objects = objects(&plan(1), &gateway());
        let kinds: Vec<_> = objects
            .iter()
            .map(|manifest| manifest.reference.kind.kind.as_str())
            .collect();
        assert_eq!(
            kinds,
            ["Gateway", "DestinationRule", "VirtualService", "ServiceEntry"]
        );
    }

    #[test]
    fn a_thousand_hosts_are_ten_objects_within_the_limit_of_the_crd() {
        let objects = objects(&plan(1000), &gateway());
        assert_eq!(objects.len(), 10);
        for manifest in &objects {
            if matches!(
                manifest.reference.kind.kind.as_str(),
                "ServiceEntry" | "VirtualService"
            ) {
                assert_eq!(manifest.object.items("/spec/hosts").len(), 250);
            }
        }
        let mut names: Vec<_> = objects
            .iter()
            .map(|manifest| manifest.reference.to_string())
            .collect();
        names.dedup();
        assert_eq!(names.len(), 10);
    }

    #[test]
    fn the_objects_of_one_host() {
        let objects = objects(&plan(1), &gateway());
        let specs: Vec<_> = objects
            .iter()
            .map(|manifest| manifest.object.at("/spec").clone())
            .collect();
        assert_eq!(
            specs[2],
            json!({
                "hosts": ["h0000.example"],
                "gateways": ["mesh", "demo/egress-default"],
                "exportTo": [".", "istio-system"],
                "tls": [
                    {"match": [{"gateways": ["mesh"], "port": 443, "sniHosts": ["h0000.example"]}],
                     "route": [{"destination": {"host": "istio-egressgateway.istio-system.svc.cluster.local", "subset": "egress-default", "port": {"number": 443}}}]},
                    {"match": [{"gateways": ["demo/egress-default"], "port": 443, "sniHosts": ["h0000.example"]}],
                     "route": [{"destination": {"host": "h0000.example", "port": {"number": 443}}}]},
                ],
            })
        );
        assert_eq!(
            specs[3],
            json!({"hosts": ["h0000.example"], "exportTo": [".", "istio-system"], "location": "MESH_EXTERNAL",
                   "ports": [{"number": 443, "name": "tls-443", "protocol": "TLS"}], "resolution": "DNS"})
        );
    }
}
