//! Who else configures the proxies that a plan configures: what cannot stand beside it is refused before anything is
//! changed. Pure.

use super::facts::Facts;
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::{GatewayTarget, Plan, ownership, routing};
use crate::vocabulary::{Object, ObjectReference};
use serde_json::Value;

/// Refuses a plan that needs a port of the gateway with another protocol than somebody else's Gateway gives it, a server
/// for a host that another one serves, a subset that somebody else's DestinationRule has or changes, or a Sidecar
/// where there is one already.
///
/// # Errors
/// Names the object and its owner (exit 5).
pub(super) fn check(plan: &Plan, gateway: &GatewayTarget, facts: &Facts) -> Result<()> {
    let objects = routing::objects(plan, gateway);
    for manifest in &objects {
        let kind = &manifest.reference.kind;
        if *kind == kinds::gateway() {
            check_ports(plan, gateway, &manifest.object, &facts.gateways)?;
        } else if *kind == kinds::destination_rule() {
            check_subsets(plan, gateway, &manifest.object, &facts.destination_rules)?;
        } else if *kind == kinds::sidecar() {
            check_sidecar(plan, &manifest.reference, &facts.sidecars)?;
        }
    }
    Ok(())
}

/// One port of a proxy has one kind of protocol; of two Gateways the older one has it (measured on the lab for HTTP and
/// HTTPS). TLS that is passed through and mutual TLS stand side by side, told apart by server name.
fn check_ports(plan: &Plan, gateway: &GatewayTarget, ours: &Object, all: &[Object]) -> Result<()> {
    let others = all.iter().filter(|other| {
        ownership::plan_of(other).as_ref() != Some(&plan.identity) && selects(other, gateway)
    });
    for other in others {
        for server in ours.items("/spec/servers") {
            let clash = other.items("/spec/servers").iter().find(|theirs| {
                theirs["port"]["number"] == server["port"]["number"] && is_plain(theirs) != is_plain(server)
            });
            if let Some(theirs) = clash {
                return Err(refused(plan, gateway, server, other, theirs));
            }
            check_listener(plan, gateway, server, other)?;
        }
    }
    Ok(())
}

fn refused(plan: &Plan, gateway: &GatewayTarget, ours: &Value, other: &Object, theirs: &Value) -> Error {
    let reference = other.reference(&kinds::gateway());
    let port = &ours["port"];
    let holder = match ownership::plan_of(other) {
        Some(owner) => format!("{reference} of the plan {owner}"),
        None => format!("{reference}, which this program does not own,"),
    };
    let (wanted, there) = (words(ours), words(theirs));
    let hint = if is_plain(ours) {
        "leave the mesh leg protected (`--mesh-mtls`, the default), or use a second gateway: --gateway NAMESPACE/SERVICE"
    } else {
        "take the other one's hosts into mutual TLS too, or use a second gateway: --gateway NAMESPACE/SERVICE"
    };
    Error::consent(format!(
        "the plan {} needs port {} of the gateway {gateway} for {wanted}, and {holder} has it for {there}",
        plan.identity, port["number"]
    ))
    .because("one port of a gateway has one protocol; the younger server would not work, or both would break")
    .hint(hint)
}

/// One server name of a port has one server. Measured on the lab: where an older Gateway has a server for a host, ours for
/// that host never comes to the proxy, whether they end TLS or pass it through, and alike or not.
fn check_listener(plan: &Plan, gateway: &GatewayTarget, ours: &Value, other: &Object) -> Result<()> {
    let hosts = |server: &Value| -> Vec<String> {
        let entries = server["hosts"].as_array().into_iter().flatten();
        let names = entries.filter_map(Value::as_str);
        names
            .map(|entry| entry.rsplit('/').next().unwrap_or(entry).to_owned())
            .collect()
    };
    let wanted = hosts(ours);
    for theirs in other.items("/spec/servers") {
        if theirs["port"]["number"] != ours["port"]["number"] || is_plain(theirs) {
            continue;
        }
        let Some(host) = hosts(theirs).into_iter().find(|host| wanted.contains(host)) else {
            continue;
        };
        let reference = other.reference(&kinds::gateway());
        return Err(Error::consent(format!(
            "{reference} has a server for {host} on port {} of the gateway {gateway} already, with tls.mode {}",
            ours["port"]["number"],
            theirs["tls"]["mode"].as_str().unwrap_or("unknown")
        ))
        .because(format!(
            "one name has one server on a port, the older one; that of the plan {} ({}) would never come to the proxy",
            plan.identity,
            ours["tls"]["mode"].as_str().unwrap_or("unknown")
        ))
        .hint(format!(
            "take {host} out of it: kubectl edit gateways.networking.istio.io {} -n {}; or use a second gateway: --gateway NAMESPACE/SERVICE",
            other.name(),
            other.namespace().unwrap_or_default()
        )));
    }
    Ok(())
}

/// Istio merges the DestinationRules that a namespace has for one host and exports alike: of two subsets with one name one
/// is lost (which is nothing if they are equal, as those of two plans may be), and what the other says of TLS is for our subset, too, where that says nothing (measured on the lab: the
/// gateway's port 443 is then spoken to with Istio's mutual TLS, which passthrough does not take).
fn check_subsets(plan: &Plan, gateway: &GatewayTarget, ours: &Object, all: &[Object]) -> Result<()> {
    let host = gateway.service_host();
    if ours.text("/spec/host") != host {
        return Ok(());
    }
    let others = all.iter().filter(|other| {
        other.namespace() == ours.namespace()
            && other.name() != ours.name()
            && ownership::plan_of(other).as_ref() != Some(&plan.identity)
            && other.text("/spec/host") == host
            && other.at("/spec/workloadSelector").is_null()
    });
    for other in others {
        let theirs = other.items("/spec/subsets");
        let exported_alike = other.at("/spec/exportTo") == ours.at("/spec/exportTo");
        let policy = other.at("/spec/trafficPolicy");
        let of_ports = policy["portLevelSettings"].as_array().into_iter().flatten();
        let sets_tls = !policy["tls"].is_null() || of_ports.into_iter().any(|port| !port["tls"].is_null());
        for subset in ours.items("/spec/subsets") {
            let name = subset["name"].as_str().unwrap_or_default();
            let why = if theirs
                .iter()
                .any(|other| other["name"] == subset["name"] && other != subset)
            {
                format!("both have a subset {name}, and Istio takes one of them")
            } else if exported_alike && sets_tls && subset["trafficPolicy"].is_null() {
                format!(
                    "Istio merges the two, and its trafficPolicy.tls would change the subset {name} of ours"
                )
            } else {
                continue;
            };
            let reference = other.reference(&kinds::destination_rule());
            return Err(Error::consent(format!(
                "{reference} is for the gateway {gateway} too, and the plan {} cannot stand beside it",
                plan.identity
            ))
            .because(why)
            .hint(format!(
                "change or delete it: kubectl edit destinationrule {} -n {}; or use another namespace",
                other.name(),
                other.namespace().unwrap_or_default()
            )));
        }
    }
    Ok(())
}

fn words(server: &Value) -> &'static str {
    if is_plain(server) { "plain HTTP" } else { "TLS" }
}

/// Whether a server speaks without TLS.
fn is_plain(server: &Value) -> bool {
    !matches!(server["port"]["protocol"].as_str(), Some("HTTPS" | "TLS"))
}

/// Whether a Gateway configures the pods of a gateway: each label of its selector is one of theirs.
fn selects(other: &Object, gateway: &GatewayTarget) -> bool {
    let selector = other.at("/spec/selector").as_object();
    selector.is_some_and(|selector| {
        selector
            .iter()
            .all(|(key, value)| gateway.selector.get(key).map(String::as_str) == value.as_str())
    })
}

/// Of two Sidecars for all workloads of a namespace Istio follows the older one (Istio's Sidecar reference: behaviour is
/// undefined then).
fn check_sidecar(plan: &Plan, ours: &ObjectReference, all: &[Object]) -> Result<()> {
    let other = all.iter().find(|other| {
        other.namespace() == ours.namespace.as_deref()
            && other.name() != ours.name
            && other.at("/spec/workloadSelector/labels").is_null()
    });
    let Some(other) = other else { return Ok(()) };
    let reference = other.reference(&kinds::sidecar());
    Err(Error::consent(format!(
        "{reference} says already what the sidecars of {} do",
        plan.identity.namespace
    ))
    .because("a namespace has room for one Sidecar without workloadSelector; of two Istio follows one")
    .hint(format!(
        "set spec.outboundTrafficPolicy in that one, and leave out --outbound-policy: kubectl edit sidecar {} -n {}",
        other.name(),
        plan.identity.namespace
    )))
}

/// What the mesh as a whole does with unknown hosts, for a plan that says it for its namespace: that setting is read and
/// reported only (on Kyma the module has no field for it).
pub(super) fn outbound_remark(plan: &Plan, facts: &Facts) -> Option<String> {
    let wanted = plan.settings.outbound_policy?;
    let of_mesh = match facts.mesh["outboundTrafficPolicy"]["mode"].as_str() {
        Some(mode) => mode,
        None if facts.mesh.is_null() => "not known (its configuration cannot be read)",
        // Istio's own default.
        None => "ALLOW_ANY",
    };
    Some(format!(
        "outboundTrafficPolicy of the mesh is {of_mesh} and stays so; a Sidecar makes it {} for the sidecars of {} alone",
        wanted.istio_name(),
        plan.identity.namespace
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{GatewayPort, PlanSettings, PlannedHost};
    use crate::vocabulary::{Mode, OutboundPolicy, PlanIdentity};
    use serde_json::json;

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

    fn plan(mesh_mtls: bool) -> Plan {
        let mut host = PlannedHost::new("a.example".parse().unwrap(), 80, Mode::Http);
        host.how.mesh_mtls = Some(mesh_mtls);
        let settings = PlanSettings {
            outbound_policy: Some(OutboundPolicy::RegistryOnly),
            ..PlanSettings::default()
        };
        Plan::new(
            PlanIdentity::new("demo", "default").unwrap(),
            settings,
            vec![host],
        )
        .unwrap()
    }

    fn foreign(selector: &str, protocol: &str) -> Object {
        Object(json!({"metadata": {"namespace": "b", "name": "theirs"}, "spec": {
            "selector": {"istio": selector},
            "servers": [{"port": {"number": 80, "name": "x", "protocol": protocol}, "hosts": ["b.example"]}]}}))
    }

    fn said(mesh_mtls: bool, foreign: Object) -> Option<String> {
        let plan = plan(mesh_mtls);
        let ours = routing::objects(&plan, &gateway())
            .into_iter()
            .find(|manifest| manifest.reference.kind == kinds::gateway())
            .unwrap();
        let result = check_ports(&plan, &gateway(), &ours.object, &[foreign]);
        result.err().map(|error| error.to_string())
    }

    #[test]
    fn plain_http_and_tls_do_not_share_a_port() {
        let refused = said(true, foreign("egressgateway", "HTTP")).unwrap();
        assert!(
            refused.contains("Gateway b/theirs") && refused.contains("plain HTTP"),
            "{refused}"
        );
        assert!(said(false, foreign("egressgateway", "HTTPS")).is_some());
        assert_eq!(said(true, foreign("egressgateway", "HTTPS")), None);
        assert_eq!(said(false, foreign("egressgateway", "HTTP")), None);
        assert_eq!(said(true, foreign("another", "HTTP")), None);
    }

    /// A plan of one host that is passed through, or that mutual TLS protects up to the gateway.
    fn at_443(mesh_mtls: bool) -> (Plan, Vec<crate::plan::ownership::Manifest>) {
        let mut host = PlannedHost::passthrough("a.example".parse().unwrap(), 443);
        host.how.mesh_mtls = Some(mesh_mtls);
        let identity = PlanIdentity::new("demo", "default").unwrap();
        let plan = Plan::new(identity, PlanSettings::default(), vec![host]).unwrap();
        let objects = routing::objects(&plan, &gateway());
        (plan, objects)
    }

    fn of_kind(objects: &[crate::plan::ownership::Manifest], kind: &str) -> Object {
        let found = objects
            .iter()
            .find(|manifest| manifest.reference.kind.kind == kind);
        found.unwrap().object.clone()
    }

    #[test]
    fn a_name_that_another_gateway_serves_is_refused() {
        let other = |host: &str, mode: &str| {
            Object(json!({"metadata": {"namespace": "b", "name": "theirs"}, "spec": {
                "selector": {"istio": "egressgateway"},
                "servers": [{"port": {"number": 443, "name": "x", "protocol": "HTTPS"}, "hosts": [host], "tls": {"mode": mode}}]}}))
        };
        let said = |mesh_mtls: bool, other: Object| {
            let (plan, objects) = at_443(mesh_mtls);
            let result = check_ports(&plan, &gateway(), &of_kind(&objects, "Gateway"), &[other]);
            result.err().map(|error| error.to_string())
        };
        let refused = said(false, other("b/a.example", "SIMPLE")).unwrap();
        assert!(
            refused.contains("Gateway b/theirs")
                && refused.contains("a.example")
                && refused.contains("SIMPLE"),
            "{refused}"
        );
        assert!(said(true, other("a.example", "PASSTHROUGH")).is_some());
        assert!(said(true, other("a.example", "ISTIO_MUTUAL")).is_some());
        assert!(said(false, other("a.example", "PASSTHROUGH")).is_some());
        assert_eq!(said(false, other("*", "SIMPLE")), None);
    }

    #[test]
    fn a_rule_that_would_change_our_subset_is_refused() {
        let other = |namespace: &str, spec: &Value| {
            let mut spec = spec.clone();
            spec["host"] = json!("istio-egressgateway.istio-system.svc.cluster.local");
            Object(json!({"metadata": {"namespace": namespace, "name": "theirs"}, "spec": spec}))
        };
        let said = |mesh_mtls: bool, other: Object| {
            let (plan, objects) = at_443(mesh_mtls);
            let ours = of_kind(&objects, "DestinationRule");
            check_subsets(&plan, &gateway(), &ours, &[other]).is_err()
        };
        let tls = json!({"exportTo": ["."], "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}});
        assert!(said(false, other("demo", &tls)));
        assert!(!said(true, other("demo", &tls)), "ours says what it wants");
        assert!(!said(false, other("other", &tls)));
        let everywhere = json!({"trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}});
        assert!(
            !said(false, other("demo", &everywhere)),
            "exported otherwise, so not merged"
        );
        let labelled = json!({"subsets": [{"name": "egress-default", "labels": {"version": "v2"}}]});
        assert!(said(false, other("demo", &labelled)));
        let equal = json!({"subsets": [{"name": "egress-default"}]});
        assert!(!said(false, other("demo", &equal)), "nothing is lost");
        assert!(!said(
            false,
            other("demo", &json!({"subsets": [{"name": "theirs"}]}))
        ));
    }

    #[test]
    fn a_second_sidecar_of_the_namespace_is_refused_by_name() {
        let reference = ObjectReference::namespaced(kinds::sidecar(), "demo", "egress-default");
        let sidecar = |namespace: &str, spec: Value| {
            Object(json!({"metadata": {"namespace": namespace, "name": "theirs"}, "spec": spec}))
        };
        let check = |other| check_sidecar(&plan(true), &reference, &[other]);
        let refused = check(sidecar("demo", json!({}))).unwrap_err().to_string();
        assert!(refused.contains("Sidecar demo/theirs"), "{refused}");
        assert!(check(sidecar("other", json!({}))).is_ok());
        assert!(
            check(sidecar(
                "demo",
                json!({"workloadSelector": {"labels": {"a": "b"}}})
            ))
            .is_ok()
        );
    }
}
