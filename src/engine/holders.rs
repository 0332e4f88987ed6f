//! Who else routes a host: a configuration of somebody else is refused before anything is changed. Pure.

use super::facts::Facts;
use crate::error::{Error, Result};
use crate::finding::{Finding, catalogue};
use crate::istio::kinds;
use crate::plan::{GatewayTarget, Plan, ownership, routing};
use crate::vocabulary::{HostName, Object};

/// Refuses hosts that another plan, or somebody else's VirtualService, routes already where ours would be seen.
///
/// # Errors
/// Names the host, the object and its owner (exit 5).
pub(super) fn check(plan: &Plan, gateway: &GatewayTarget, facts: &Facts) -> Result<()> {
    let further = routing::further_namespaces(plan);
    let users: Vec<&String> = further.iter().chain([&plan.identity.namespace]).collect();
    for planned in &plan.hosts {
        // A gateway that two plans tell of one proxy would know the tunnels of one of them.
        let tunnel = planned
            .how
            .tunnel_proxy()
            .filter(|_| planned.how.through_gateway());
        for object in &facts.service_entries {
            if let Some(proxy) = tunnel
                && names(object, &proxy.host)
                && ownership::is_ours(object)
                && sees(object, &gateway.namespace)
            {
                refuse(plan, &proxy.host, object, &kinds::service_entry().kind)?;
            }
        }
        for object in &facts.virtual_services {
            if names(object, &planned.host) && users.iter().any(|user| sees(object, user)) {
                refuse(plan, &planned.host, object, &kinds::virtual_service().kind)?;
            }
        }
        for object in &facts.service_entries {
            // Two plans may not declare one host: cleaning one would leave the other half.
            if names(object, &planned.host) && ownership::is_ours(object) {
                refuse(plan, &planned.host, object, &kinds::service_entry().kind)?;
            }
        }
    }
    unmerged(plan, gateway, facts)
}

/// Istio merges the rules of one host in one namespace only where their `exportTo` is the same; else the newest alone
/// counts, and what others lead to in theirs would be gone (seen on the lab; the model's `merged`).
fn unmerged(plan: &Plan, gateway: &GatewayTarget, facts: &Facts) -> Result<()> {
    let host = gateway.service_host();
    let otherwise = facts.destination_rules.iter().find(|rule| {
        let exported = rule.items("/spec/exportTo");
        !ownership::is_ours(rule)
            && rule.namespace() == Some(plan.identity.namespace.as_str())
            && rule.text("/spec/host") == host
            && !(exported.len() == 1 && exported[0] == ".")
    });
    let Some(rule) = otherwise else {
        return Ok(());
    };
    let reference = rule.reference(&kinds::destination_rule());
    let patch = r#"{"spec":{"exportTo":["."]}}"#;
    Err(Error::consent(format!("{reference} is for the egress gateway too, and exported otherwise than ours would be"))
        .because("Istio merges the rules of one host only where their exportTo is the same; else the newest alone counts, and the other's subsets are gone")
        .hint(format!(
            "kubectl patch destinationrules.networking.istio.io {} -n {} --type merge -p '{patch}' (rules for the gateway are looked up in the client's namespace, so nobody else loses it)",
            rule.name(),
            plan.identity.namespace
        )))
}

/// Objects that will work side by side with ours, and what the user should know of them.
pub(super) fn remarks(plan: &Plan, gateway: &GatewayTarget, facts: &Facts) -> Vec<Finding> {
    let host = gateway.service_host();
    let shadowed = facts.destination_rules.iter().filter(|rule| {
        !ownership::is_ours(rule)
            && rule.namespace() != Some(plan.identity.namespace.as_str())
            && (rule.text("/spec/host") == host || rule.text("/spec/host") == gateway.service)
    });
    shadowed
        .map(|rule| {
            let reference = rule.reference(&kinds::destination_rule());
            Finding::new(
                &catalogue::DESTINATION_RULE_SHADOWED,
                format!(
                    "{reference} is for the gateway too; in namespace {} ours takes its place",
                    plan.identity.namespace
                ),
            )
            .about(reference)
        })
        .collect()
}

fn names(object: &Object, host: &HostName) -> bool {
    object
        .items("/spec/hosts")
        .iter()
        .any(|name| name.as_str() == Some(host.as_str()))
}

/// Whether a VirtualService is exported to a namespace (Istio: absent means everywhere).
fn sees(object: &Object, namespace: &str) -> bool {
    let exported = object.items("/spec/exportTo");
    exported.is_empty()
        || exported
            .iter()
            .filter_map(|to| to.as_str())
            .any(|to| to == "*" || to == namespace || (to == "." && object.namespace() == Some(namespace)))
}

fn refuse(plan: &Plan, host: &HostName, object: &Object, kind: &str) -> Result<()> {
    let at = format!(
        "{kind} {}/{}",
        object.namespace().unwrap_or_default(),
        object.name()
    );
    match ownership::plan_of(object) {
        Some(owner) if owner == plan.identity => Ok(()),
        Some(owner) => Err(
            Error::consent(format!("{host} belongs to the plan {owner} already ({at})"))
                .because("one host has one plan, or cleaning up one would break the other")
                .hint(format!(
                    "remove it there first: kubectl egress route --remove {host} -n {} --plan {}",
                    owner.namespace, owner.name
                )),
        ),
        None => Err(Error::consent(format!(
            "{host} is routed already by {at}, which this program does not own"
        ))
        .because("of two VirtualServices for one host Istio follows the older one and ignores ours")
        .hint(format!(
            "look at it: kubectl get virtualservice {} -n {} -o yaml; delete it, or leave this host out",
            object.name(),
            object.namespace().unwrap_or_default()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn export_to_decides_what_a_namespace_sees() {
        let service = |export: serde_json::Value| {
            Object(
                json!({"metadata": {"namespace": "a"}, "spec": {"hosts": ["x.example"], "exportTo": export}}),
            )
        };
        assert!(sees(&service(json!([])), "b"));
        assert!(sees(&service(json!(["*"])), "b"));
        assert!(!sees(&service(json!(["."])), "b"));
        assert!(sees(&service(json!(["."])), "a"));
        assert!(sees(&service(json!(["c", "b"])), "b"));
    }
}
