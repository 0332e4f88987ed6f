//! What the sandbox does not play: it refuses such objects by name, as an admission webhook does, rather than carry a
//! request otherwise than Istio would.

use super::Refusal;
use serde_json::Value;

/// Refuses a routing object by which a proxy would make or end TLS: the mesh model knows TLS that is passed through, and
/// plain HTTP.
pub(super) fn refuse(kind: &str, spec: &Value) -> Result<(), Refusal> {
    let by_proxies = "TLS that proxies make or end, Istio's mutual TLS among it";
    let what = match kind {
        "DestinationRule" => originates(spec).then_some(by_proxies),
        "Gateway" => ends_tls(spec).then_some(by_proxies),
        _ => items(spec, "tcp").next().map(|_| "TCP routes"),
    };
    match what {
        None => Ok(()),
        Some(what) => Err(Refusal::bad_request(format!(
            "admission webhook \"sandbox.kubectl-egress.dev\" denied the request: this embedded cluster does not simulate {what}; it plays mode passthrough, mode direct, and mode http with --mesh-mtls=false; a real cluster takes the others"
        ))),
    }
}

fn items<'value>(value: &'value Value, name: &str) -> impl Iterator<Item = &'value Value> {
    value[name].as_array().into_iter().flatten()
}

fn originates(spec: &Value) -> bool {
    let mut policies = std::iter::once(spec)
        .chain(items(spec, "subsets"))
        .map(|holder| &holder["trafficPolicy"]);
    policies.any(|policy| makes_tls(policy) || items(policy, "portLevelSettings").any(makes_tls))
}

fn makes_tls(policy: &Value) -> bool {
    policy["tls"]["mode"]
        .as_str()
        .is_some_and(|mode| mode != "DISABLE")
}

fn ends_tls(spec: &Value) -> bool {
    items(spec, "servers").any(|server| {
        let encrypted = matches!(server["port"]["protocol"].as_str(), Some("HTTPS" | "TLS"));
        encrypted && server["tls"]["mode"] != "PASSTHROUGH"
    })
}
