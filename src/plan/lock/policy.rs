//! From peers to the NetworkPolicy.

use super::{LockSettings, Peer, Run, Target};
use crate::istio::{AccessLogging, ProviderReference, TelemetrySpec, WorkloadSelector, kinds};
use crate::plan::ownership::{Manifest, owned};
use crate::vocabulary::{Protocol, names};
use serde_json::{Value, json};
use std::net::IpAddr;

/// The spec of the lock: one rule per peer, in their order. The same input gives the same bytes.
pub fn policy_spec(settings: &LockSettings, peers: &[Peer]) -> Value {
    spec(&settings.selector.to_object(), peers)
}

/// The lock itself.
pub fn lock(run: &Run, settings: &LockSettings, peers: &[Peer]) -> Manifest {
    network_policy(run, &run.lock(), "lock", &policy_spec(settings, peers))
}

/// The access log of pods that a run probes from and that bear its label: their other labels may be those of somebody
/// else's workload, for which no log is on.
pub fn probe_log(run: &Run, provider: &str) -> Manifest {
    let spec = TelemetrySpec {
        selector: Some(WorkloadSelector {
            match_labels: [(names::LOCK_LABEL.to_owned(), run.id.clone())].into(),
        }),
        access_logging: vec![AccessLogging {
            providers: vec![ProviderReference {
                name: provider.to_owned(),
            }],
            ..AccessLogging::default()
        }],
    };
    let body = json!({"metadata": {"labels": labels(run, "log")}, "spec": spec});
    let name = format!("{}-log", run.lock());
    owned(&run.plan, &kinds::telemetry(), &run.namespace, &name, body)
}

/// A NetworkPolicy of a run.
pub(super) fn network_policy(run: &Run, name: &str, role: &str, spec: &Value) -> Manifest {
    let body = json!({"metadata": {"labels": labels(run, role)}, "spec": spec});
    owned(&run.plan, &kinds::network_policy(), &run.namespace, name, body)
}

/// Labels of an object of a run, besides the plan's.
pub(super) fn labels(run: &Run, role: &str) -> Value {
    json!({names::LOCK_LABEL: run.id, names::ROLE_LABEL: role})
}

/// A spec that allows the selected pods what the peers say, and no other connection.
pub(super) fn spec(pod_selector: &Value, peers: &[Peer]) -> Value {
    let rules: Vec<Value> = peers.iter().map(rule).collect();
    json!({"podSelector": pod_selector, "policyTypes": ["Egress"], "egress": rules})
}

fn rule(peer: &Peer) -> Value {
    let to = match &peer.target {
        Target::Pods { namespace, labels } => json!([{
            "namespaceSelector": {"matchLabels": {names::NAMESPACE_NAME_LABEL: namespace}},
            "podSelector": if labels.is_empty() { json!({}) } else { json!({"matchLabels": labels}) },
        }]),
        Target::Addresses(addresses) => addresses.iter().copied().map(block).collect(),
        Target::PodsOutsideNamespaces(namespaces) => json!([{"namespaceSelector": {"matchExpressions": [
            {"key": names::NAMESPACE_NAME_LABEL, "operator": "NotIn", "values": namespaces},
        ]}}]),
    };
    let mut rule = json!({"to": to});
    if !peer.ports.is_empty() {
        rule["ports"] = peer.ports.iter().copied().map(port).collect();
    }
    rule
}

fn port((protocol, port): (Protocol, u16)) -> Value {
    json!({"port": port, "protocol": protocol})
}

fn block(address: IpAddr) -> Value {
    let bits = if address.is_ipv4() { 32 } else { 128 };
    json!({"ipBlock": {"cidr": format!("{address}/{bits}")}})
}
