//! Names in Envoy's access log that carry meaning, from Envoy's and Istio's documentation; and how its lines are laid out.

use std::collections::BTreeMap;

/// Cluster of traffic to unknown hosts under ALLOW_ANY.
pub const PASSTHROUGH_CLUSTER: &str = "PassthroughCluster";
/// Cluster of traffic to unknown hosts under REGISTRY_ONLY.
pub const BLACK_HOLE_CLUSTER: &str = "BlackHoleCluster";
/// Route name of HTTP to unknown hosts under REGISTRY_ONLY.
pub const BLOCK_ALL_ROUTE: &str = "block_all";
/// Route name of HTTP to unknown hosts under ALLOW_ANY.
pub const ALLOW_ANY_ROUTE: &str = "allow_any";

/// How the lines of a proxy's access log are laid out, as Istio's mesh configuration says (`accessLogFormat`,
/// `extensionProviders[].envoyFileAccessLog.logFormat`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTemplate {
    /// Istio's own, text or JSON.
    Default,
    /// Text with Envoy's command operators, such as `%UPSTREAM_CLUSTER%`.
    Text(String),
    /// JSON, each label with a text of that kind.
    Labels(BTreeMap<String, String>),
}
