//! DestinationRules: how sidecars speak to the gateway, and how proxies speak to hosts.

use super::{base_name, exported_to, further_namespaces, names, spec};
use crate::istio::{
    ClientTls, DestinationRuleSpec, PortSelector, PortTrafficPolicy, Subset, TrafficPolicy, kinds,
};
use crate::plan::ownership::{Manifest, owned};
use crate::plan::{GatewayTarget, Plan, PlannedHost};
use crate::vocabulary::Mode;

/// The leg from sidecar to gateway: an empty subset for what needs no TLS of ours, and one with its server name for
/// each host that Istio's mutual TLS protects. Without `sni` the gateway finds no server for it (truth.md 3 d).
///
/// Each namespace that uses the routing has the rule for itself. Istio looks for a Service's rules in the client's
/// namespace, then the Service's, then its root namespace, and takes those of the first that has any: one that the
/// plan's namespace exports is found by nobody else, and one in the gateway's namespace only by namespaces without a
/// rule of their own for that gateway, which a plan of theirs is. Rules of one namespace are merged.
pub(super) fn mesh_leg(plan: &Plan, gateway: &GatewayTarget) -> Vec<Manifest> {
    let mut subsets: Vec<Subset> = Vec::new();
    for planned in plan.hosts.iter().filter(|planned| planned.how.through_gateway()) {
        let name = names::subset(plan, planned);
        if subsets.iter().all(|subset| subset.name != name) {
            let tls = ClientTls {
                mode: "ISTIO_MUTUAL".to_owned(),
                sni: Some(planned.host.to_string()),
                ..ClientTls::default()
            };
            subsets.push(Subset {
                name,
                traffic_policy: planned.how.mesh_mtls().then(|| TrafficPolicy {
                    tls: Some(tls),
                    ..TrafficPolicy::default()
                }),
            });
        }
    }
    let body = DestinationRuleSpec {
        host: gateway.service_host(),
        export_to: vec![".".to_owned()],
        subsets,
        ..DestinationRuleSpec::default()
    };
    if body.subsets.is_empty() {
        return Vec::new();
    }
    let copies = further_namespaces(plan)
        .into_iter()
        .map(|namespace| rule_in(plan, &namespace, &names::copy_of_rule(plan), &body));
    std::iter::once(rule(plan, &base_name(plan), &body))
        .chain(copies)
        .collect()
}

/// The TLS that a proxy originates towards a host: one rule per host, seen only by the proxies that are to use it. A
/// sidecar that saw the gateway's would drop `credentialName` and send plaintext (truth.md, surprise 3).
pub(super) fn origination(plan: &Plan, gateway: &GatewayTarget) -> Vec<Manifest> {
    plan.hosts
        .iter()
        .filter(|planned| planned.how.mode.originates())
        .map(|planned| {
            let body = DestinationRuleSpec {
                host: planned.host.to_string(),
                export_to: if planned.how.through_gateway() {
                    vec![gateway.namespace.clone()]
                } else {
                    exported_to(plan)
                },
                traffic_policy: Some(TrafficPolicy {
                    tls: None,
                    port_level_settings: vec![PortTrafficPolicy {
                        port: PortSelector {
                            number: planned.port(),
                        },
                        tls: Some(client_tls(planned)),
                    }],
                    tunnel: None,
                }),
                ..DestinationRuleSpec::default()
            };
            rule(plan, &names::host_object_name(plan, &planned.host), &body)
        })
        .collect()
}

/// `sni` alone accepts any certificate of the authority, so both are always there (truth.md, surprise 1).
pub(super) fn client_tls(planned: &PlannedHost) -> ClientTls {
    let host = planned.host.to_string();
    ClientTls {
        mode: match planned.how.mode {
            Mode::MtlsOrigination => "MUTUAL",
            _ => "SIMPLE",
        }
        .to_owned(),
        credential_name: planned.how.credential_name().map(str::to_owned),
        ca_certificates: planned.how.ca_file.clone(),
        sni: Some(host.clone()),
        subject_alt_names: vec![host],
    }
}

pub(super) fn rule(plan: &Plan, name: &str, body: &DestinationRuleSpec) -> Manifest {
    rule_in(plan, &plan.identity.namespace, name, body)
}

fn rule_in(plan: &Plan, namespace: &str, name: &str, body: &DestinationRuleSpec) -> Manifest {
    owned(
        &plan.identity,
        &kinds::destination_rule(),
        namespace,
        name,
        spec(body),
    )
}
