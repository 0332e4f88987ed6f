//! How Istio carries a request: objects and a request to the path that it takes.
//!
//! Pure. Modelled are TLS passthrough and plain HTTP, as measured in truth.md sections 1, 2 and 8, and below them
//! NetworkPolicies whose engine drops packets; where the model does not know, the prediction says so in
//! `not_modelled` rather than guessing.
//!
//! - [`World`] holds the objects that matter, oldest first (where two say different things, the oldest wins).
//! - [`predict`] follows one request through the sidecar and the gateway.
//! - [`network_policy`] says what NetworkPolicies let through, and which rules lead around a lock.
//! - [`repair`] looks for a change of one object after which a request goes through the gateway.
//! - [`configuration`] says which clusters and filter chains a proxy holds, as its admin port shows them.
//!
//! The outcome assumes that the host itself answers.

mod ambient;
mod arrival;
mod authorization;
mod client_tls;
mod cluster;
mod configuration;
mod decision;
mod discovery;
mod dns_proxy;
mod enforcement;
mod gateway;
mod journey;
pub mod lint;
mod names;
pub mod network_policy;
mod payload;
mod predict;
mod prediction;
mod records;
pub mod repair;
mod route_index;
mod scope;
mod servers;
mod sidecar;
mod viewer;
mod virtual_address;
mod world;

#[cfg(test)]
mod tests;

pub use configuration::{Chain, Listener, ProxyConfiguration, configuration, http_route};
pub use decision::{Decision, Matter};
pub use enforcement::can_ask_dns;
pub use predict::{predict, predict_at_gateway, predict_to_service};
pub use prediction::{
    Carries, Dropped, LegTls, PredictedHop, Prediction, Proxy, Request, SourcePod, Upstream,
};
pub use world::World;
