//! The planned way of one host: through which clusters and listeners its requests go.

use super::names;
use crate::plan::{GatewayTarget, Plan, PlannedHost};
use crate::vocabulary::{Encryption, Scheme};

/// The planned way of one host and port, in the terms of the proxies' configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// What the application speaks.
    pub scheme: Scheme,
    /// Cluster that the sidecar sends to.
    pub sidecar_cluster: String,
    /// The leg through the gateway; absent if the request leaves at the sidecar.
    pub gateway: Option<GatewayLeg>,
    /// How the leg to the host is protected.
    pub outside: Encryption,
}

/// A way's part at the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayLeg {
    /// Port of the gateway's pods at which the request arrives.
    pub target_port: u16,
    /// Cluster that the gateway sends to.
    pub cluster: String,
    /// How the leg from the sidecar is protected: by Istio's mutual TLS, by the application's own TLS, or not.
    pub mesh: Encryption,
}

/// The way that a plan's objects make for one of its hosts.
pub fn way(plan: &Plan, gateway: &GatewayTarget, planned: &PlannedHost) -> Way {
    let scheme = planned.how.scheme();
    let outside_cluster = names::outside_cluster(plan, planned);
    let leg = planned.how.through_gateway().then(|| GatewayLeg {
        target_port: match (scheme, gateway.http) {
            (Scheme::Http, Some(http)) => http.target_port,
            _ => gateway.tls_target_port,
        },
        cluster: outside_cluster.clone(),
        mesh: match (planned.how.mesh_mtls(), scheme) {
            (true, _) => Encryption::Mtls,
            (false, Scheme::Https) => Encryption::Tls,
            (false, Scheme::Http) => Encryption::Plaintext,
        },
    });
    Way {
        scheme,
        sidecar_cluster: match leg {
            Some(_) => names::mesh_leg_cluster(plan, gateway, planned),
            None => outside_cluster,
        },
        gateway: leg,
        outside: planned.how.outside_encryption(),
    }
}
