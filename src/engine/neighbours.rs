//! Who else configures the proxies that a plan configures: what cannot stand beside it is refused before anything is
//! changed. Pure.

use super::facts::Facts;
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::{GatewayTarget, Plan, ownership, routing};
use crate::vocabulary::{Object, ObjectReference};
use serde_json::Value;

/// Refuses a plan that needs a port of the gateway with another protocol than somebody else's Gateway gives it, or a
/// Sidecar where there is one already.
///
/// # Errors
/// Names the object and its owner (exit 5).
pub(super) fn check(plan: &Plan, gateway: &GatewayTarget, facts: &Facts) -> Result<()> {
    let objects = routing::objects(plan, gateway);
    for manifest in &objects {
        let kind = &manifest.reference.kind;
        if *kind == kinds::gateway() {
            check_ports(plan, gateway, &manifest.object, &facts.gateways)?;
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
