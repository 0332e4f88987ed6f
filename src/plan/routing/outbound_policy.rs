//! The Sidecar resource: what sidecars of the plan's namespace do with hosts that the mesh does not know.

use super::{base_name, spec};
use crate::istio::kinds;
use crate::plan::Plan;
use crate::plan::ownership::{Manifest, owned};
use serde_json::json;

/// The plan's Sidecar, if it says anything of the outbound policy. `*/*` leaves visible what was visible before, the
/// gateway's namespace included (Istio's Sidecar reference: without `egress` hosts of other namespaces would be lost).
pub(super) fn object(plan: &Plan) -> Option<Manifest> {
    let policy = plan.settings.outbound_policy?;
    let body = spec(&json!({
        "egress": [{"hosts": ["*/*"]}],
        "outboundTrafficPolicy": {"mode": policy.istio_name()},
    }));
    Some(owned(
        &plan.identity,
        &kinds::sidecar(),
        &plan.identity.namespace,
        &base_name(plan),
        body,
    ))
}
