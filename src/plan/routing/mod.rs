//! The routing objects of a plan, in the order in which they are applied.
//!
//! Order: who may use it (AuthorizationPolicy), Gateway, DestinationRule, VirtualService, then ServiceEntry. Without
//! its ServiceEntry a host is unknown to the mesh, so that under REGISTRY_ONLY nothing leaves directly in between, and
//! no proxy speaks plaintext to a host whose DestinationRule is still to come (measured on the lab). The policy for
//! unknown hosts comes last: it refuses what the others make known.

mod authorization;
mod cluster_services;
mod destination_rules;
mod external_proxies;
mod names;
mod outbound_policy;
mod servers;
mod service_entries;
mod virtual_services;
mod way;

pub use names::base_name;
pub use virtual_services::TELLING_HEADERS;
pub use way::{GatewayLeg, Way, way};

use super::ownership::Manifest;
use super::{GatewayTarget, Plan};
use crate::error::{Error, Result};
use crate::vocabulary::Scheme;
use serde::Serialize;
use serde_json::{Value, json};

/// All sidecars, as VirtualServices name them.
const MESH: &str = "mesh";

/// Kinds of routing objects in the order in which they are applied: those of one wave side by side, the next wave when
/// all of them are there.
pub const WAVES: [&[&str]; 4] = [
    &["AuthorizationPolicy", "Gateway", "DestinationRule"],
    &["VirtualService"],
    &["ServiceEntry", "Service", "EndpointSlice"],
    &["Sidecar"],
];

/// Whether objects of a kind are routing objects.
pub fn is_routing(kind: &str) -> bool {
    WAVES.iter().any(|wave| wave.contains(&kind))
}

/// All routing objects, in the order in which they are applied.
pub fn objects(plan: &Plan, gateway: &GatewayTarget) -> Vec<Manifest> {
    let mut objects = authorization::objects(plan, gateway);
    objects.extend(servers::object(plan, gateway));
    objects.extend(destination_rules::mesh_leg(plan, gateway));
    objects.extend(destination_rules::origination(plan, gateway));
    objects.extend(external_proxies::destination_rules(plan, gateway));
    objects.extend(cluster_services::destination_rules(plan));
    objects.extend(virtual_services::objects(plan, gateway));
    objects.extend(external_proxies::virtual_services(plan));
    objects.extend(cluster_services::virtual_services(plan));
    objects.extend(service_entries::objects(plan, gateway));
    objects.extend(external_proxies::service_entries(plan, gateway));
    objects.extend(cluster_services::services(plan));
    objects.extend(outbound_policy::object(plan));
    objects
}

/// Checks that a gateway has the ports that a plan needs.
///
/// # Errors
/// If a host comes in by HTTP and the gateway's Service has no port for it.
pub fn check_gateway(plan: &Plan, gateway: &GatewayTarget) -> Result<()> {
    let over_http = plan
        .hosts
        .iter()
        .find(|planned| planned.how.through_gateway() && planned.how.scheme() == Scheme::Http);
    match over_http {
        Some(planned) if gateway.http.is_none() => Err(Error::usage(format!(
            "{} needs a port for HTTP at the gateway {gateway}",
            planned.host_port()
        ))
        .because("its Service has neither port 80 nor one whose name begins with http")
        .hint("add one (port 80, target port 8080), or name another gateway with --gateway")),
        _ => Ok(()),
    }
}

fn spec(spec: &impl Serialize) -> Value {
    json!({ "spec": spec })
}

/// Namespaces beside the plan's own whose workloads use the routing.
pub fn further_namespaces(plan: &Plan) -> Vec<String> {
    let allowed = plan.hosts.iter().flat_map(|planned| &planned.how.allow_from);
    let mut further: Vec<_> = plan.settings.export_to.iter().chain(allowed).cloned().collect();
    further.retain(|namespace| *namespace != plan.identity.namespace);
    further.sort();
    further.dedup();
    further
}

/// Whether any host comes to the gateway by HTTP, inside of mutual TLS or not.
pub fn uses_http_port(plan: &Plan) -> bool {
    plan.hosts
        .iter()
        .any(|planned| planned.how.through_gateway() && planned.how.scheme() == Scheme::Http)
}

/// Namespaces whose workloads use the routing, as `exportTo` names them: the plan's own, and those that it names.
fn exported_to(plan: &Plan) -> Vec<String> {
    std::iter::once(".".to_owned())
        .chain(further_namespaces(plan))
        .collect()
}

/// The same and the gateway's own, whose proxy must find the routes.
fn gateway_and_users(plan: &Plan, gateway: &GatewayTarget) -> Vec<String> {
    let mut namespaces = exported_to(plan);
    if gateway.namespace != plan.identity.namespace && !namespaces.contains(&gateway.namespace) {
        namespaces.push(gateway.namespace.clone());
    }
    namespaces
}

fn part_name(base: &str, index: usize) -> String {
    if index == 0 {
        base.to_owned()
    } else {
        format!("{base}-{}", index + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{GatewayPort, PlanSettings, PlannedHost};
    use crate::vocabulary::PlanIdentity;

    fn plan(count: usize) -> Plan {
        let hosts = (0..count)
            .map(|index| PlannedHost::passthrough(format!("h{index:04}.example").parse().unwrap(), 443))
            .collect();
        Plan::new(
            PlanIdentity::new("demo", "default").unwrap(),
            PlanSettings::default(),
            hosts,
        )
        .unwrap()
    }

    fn gateway() -> GatewayTarget {
        GatewayTarget {
            namespace: "istio-system".to_owned(),
            service: "istio-egressgateway".to_owned(),
            selector: [("istio".to_owned(), "egressgateway".to_owned())].into(),
            tls_port: 443,
            tls_target_port: 8443,
            http: Some(GatewayPort::CUSTOMARY_HTTP),
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
    fn every_namespace_that_uses_the_routing_has_a_rule_for_the_gateway_of_its_own() {
        let mut plan = plan(1);
        plan.settings.export_to = vec!["other".to_owned(), "demo".to_owned()];
        let objects = objects(&plan, &gateway());
        let rules: Vec<_> = objects
            .iter()
            .filter(|manifest| manifest.reference.kind.kind == "DestinationRule")
            .collect();
        let places: Vec<_> = rules
            .iter()
            .map(|rule| (rule.reference.namespace.as_deref(), rule.reference.name.as_str()))
            .collect();
        assert_eq!(
            places,
            [
                (Some("demo"), "egress-default"),
                (Some("other"), "from.demo.egress-default")
            ]
        );
        assert_eq!(rules[0].object.at("/spec"), rules[1].object.at("/spec"));
        for kind in ["VirtualService", "ServiceEntry"] {
            let exported = objects
                .iter()
                .find(|manifest| manifest.reference.kind.kind == kind);
            let exported = exported.unwrap().object.at("/spec/exportTo").clone();
            assert_eq!(exported, json!([".", "other", "istio-system"]), "{kind}");
        }
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
