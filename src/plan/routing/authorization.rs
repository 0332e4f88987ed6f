//! AuthorizationPolicies: who may use a host.

use super::{names, spec};
use crate::istio::kinds;
use crate::plan::ownership::{Manifest, owned};
use crate::plan::{GatewayTarget, Plan, PlannedHost};
use serde_json::json;

/// One policy per host that not everybody may use, at the gateway's pods.
///
/// It denies others instead of allowing some: an ALLOW policy would refuse every other host of a gateway that plans
/// share. The server name is that of the mesh leg, which the plan sets per host; who calls comes from its certificate,
/// so without mutual TLS everybody is refused (Istio's AuthorizationPolicy reference: `notNamespaces`, `connection.sni`).
pub(super) fn objects(plan: &Plan, gateway: &GatewayTarget) -> Vec<Manifest> {
    plan.hosts
        .iter()
        .filter(|planned| !planned.how.allow_from.is_empty())
        .map(|planned| object(plan, gateway, planned))
        .collect()
}

fn object(plan: &Plan, gateway: &GatewayTarget, planned: &PlannedHost) -> Manifest {
    let mut allowed = vec![plan.identity.namespace.clone()];
    allowed.extend(planned.how.allow_from.iter().cloned());
    allowed.sort();
    allowed.dedup();
    let body = spec(&json!({
        "selector": {"matchLabels": gateway.selector},
        "action": "DENY",
        "rules": [{
            "from": [{"source": {"notNamespaces": allowed}}],
            "when": [{"key": "connection.sni", "values": [planned.host]}],
        }],
    }));
    owned(
        &plan.identity,
        &kinds::authorization_policy(),
        &gateway.namespace,
        &format!(
            "{}.{}",
            plan.identity.namespace,
            names::host_object_name(plan, &planned.host)
        ),
        body,
    )
}
