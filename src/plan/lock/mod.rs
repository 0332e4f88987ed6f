//! The lock: a NetworkPolicy that lets a namespace's pods reach the gateway, istiod and DNS, and nothing else.
//!
//! | file | holds |
//! |---|---|
//! | [`derive`](derive()) | from observed objects to [`Peer`]s: what must be let through, and why |
//! | `dns`, `service` | the parts of that: nameservers; what stands behind a Service |
//! | `policy` | from peers to the NetworkPolicy's spec, to the lock and the canary |
//! | `record` | a lock in the journal |
//! | `api_server` | where pods reach the API server |
//! | [`switch`] | the dead-man's switch: its objects, its script, the names of its variables and files |
//!
//! Kubernetes leaves open whether a policy engine sees a packet before or after DNAT (documentation of NetworkPolicy,
//! field `ipBlock`), so every Service is let through twice: its pods by labels with target ports, and its cluster
//! addresses with Service ports. All families that a Service has are named.
//!
//! `--in-cluster allow` opens all pods, but no Service addresses: those of the whole cluster are a list that is out
//! of date with the next Service, and the range of them would also open the ingress gateways' addresses. An engine
//! that sees packets before DNAT then blocks connections to Service addresses that a pod without sidecar makes (a
//! sidecar connects to pod addresses). That is stricter than asked for, never weaker.

mod api_server;
mod derive;
mod dns;
mod peer;
mod policy;
mod record;
mod service;
pub mod switch;

#[cfg(test)]
mod tests;

pub use api_server::ApiServer;
pub use derive::{Observed, derive, namespaces_to_observe};
pub use dns::{DNS_PORT, nameservers};
pub use peer::{Peer, Target, Why};
pub use policy::{lock, policy_spec, probe_log};
pub(super) use record::check_name;
pub use record::{LockRecord, ReachedBefore};
pub use switch::{SwitchUndo, canary, switch_foundation, switch_job};

use crate::vocabulary::{InCluster, LabelSelector, PlanIdentity, names};
use serde::{Deserialize, Serialize};

/// What the user decides about a lock: `spec.lockdown` of a plan file, flags of `lockdown`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LockSettings {
    /// Whether pods may reach other pods of the cluster.
    pub in_cluster: InCluster,
    /// Which pods of the namespace are locked; empty: all.
    pub selector: LabelSelector,
    /// Whether they may reach the API server.
    pub api_server: bool,
}

/// One run of `lockdown`. Each has names of its own, so that no run ever touches what another left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The plan whose gateway stays reachable.
    pub plan: PlanIdentity,
    /// The namespace that is locked; need not be the plan's.
    pub namespace: String,
    /// Ten lower-case letters, by chance.
    pub id: String,
}

impl Run {
    /// Name of the lock.
    pub fn lock(&self) -> String {
        lock_name(&self.id)
    }

    /// Name of the canary: the lock's rules, for the switch's pod alone.
    pub fn canary(&self) -> String {
        format!("{}{}-canary", names::LOCK_PREFIX, self.id)
    }

    /// Name of the switch's Job, ServiceAccount, Role, RoleBinding, ConfigMap and of its guard NetworkPolicy.
    pub fn switch(&self) -> String {
        format!("{}{}-switch", names::LOCK_PREFIX, self.id)
    }
}

/// Name of the lock of a run.
pub fn lock_name(run: &str) -> String {
    format!("{}{run}", names::LOCK_PREFIX)
}
