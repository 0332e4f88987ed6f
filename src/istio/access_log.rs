//! Names in Envoy's access log that carry meaning, from Envoy's and Istio's documentation.

/// Cluster of traffic to unknown hosts under ALLOW_ANY.
pub const PASSTHROUGH_CLUSTER: &str = "PassthroughCluster";
/// Cluster of traffic to unknown hosts under REGISTRY_ONLY.
pub const BLACK_HOLE_CLUSTER: &str = "BlackHoleCluster";
/// Route name of HTTP to unknown hosts under REGISTRY_ONLY.
pub const BLOCK_ALL_ROUTE: &str = "block_all";
/// Route name of HTTP to unknown hosts under ALLOW_ANY.
pub const ALLOW_ANY_ROUTE: &str = "allow_any";
