//! Attempts to get out without the gateway: the one list of them, and the words for how each went.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where an attempt starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttemptFrom {
    /// The source, with its sidecar.
    Meshed,
    /// A pod without sidecar.
    Unmeshed,
    /// A pod with sidecar whose container runs as the proxy's user, whose traffic Istio does not redirect.
    ProxyUser,
    /// A pod with sidecar that leaves the port out by annotation.
    ExcludedPorts,
    /// A pod with sidecar that leaves all addresses out by annotation.
    ExcludedRanges,
    /// A pod with sidecar that includes no address by annotation.
    NoIncludedRanges,
    /// A container that is put into a running pod of a named workload, as the proxy's user.
    IntoWorkload,
    /// A pod on the host's network.
    HostNetwork,
    /// A pod without sidecar in a namespace of its own, which no lock holds.
    OtherNamespace,
    /// Nowhere: what is open by design needs no proof.
    Nowhere,
}

impl AttemptFrom {
    /// Whether it needs the word of the user (`--attempts all`): it is outside of the namespace, or on the host.
    pub fn needs_consent(self) -> bool {
        matches!(self, Self::HostNetwork | Self::OtherNamespace)
    }

    /// Whether its pod has a sidecar that may or may not get the traffic.
    pub fn is_past_sidecar(self) -> bool {
        matches!(
            self,
            Self::ProxyUser
                | Self::ExcludedPorts
                | Self::ExcludedRanges
                | Self::NoIncludedRanges
                | Self::IntoWorkload
        )
    }
}

/// One way that somebody may try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Its stable name.
    pub id: &'static str,
    /// What is tried, as a short phrase.
    pub title: &'static str,
    /// Where from.
    pub from: AttemptFrom,
    /// What closes it.
    pub closed_by: &'static str,
}

const LOCK: &str = "a lock: kubectl egress lockdown";
const NETWORK_POLICIES: &str = "a lock of that namespace as well, or a default-deny NetworkPolicy there";

/// All attempts, in the order in which they are shown.
pub const ATTEMPTS: &[Attempt] = &[
    attempt(
        "no-sidecar",
        "a pod without sidecar, to a declared host",
        AttemptFrom::Unmeshed,
        LOCK,
    ),
    attempt(
        "direct-ip",
        "a pod without sidecar, to an address, without a server name",
        AttemptFrom::Unmeshed,
        LOCK,
    ),
    attempt(
        "direct-ip-host-header",
        "a pod without sidecar, to an address, with the Host of a declared host",
        AttemptFrom::Unmeshed,
        LOCK,
    ),
    attempt(
        "plain-http-443",
        "a pod without sidecar, plain HTTP at port 443",
        AttemptFrom::Unmeshed,
        LOCK,
    ),
    attempt(
        "other-tcp-port",
        "a pod without sidecar, another TCP port (853)",
        AttemptFrom::Unmeshed,
        LOCK,
    ),
    attempt(
        "udp-443",
        "a pod without sidecar, QUIC (UDP 443)",
        AttemptFrom::Unmeshed,
        LOCK,
    ),
    attempt(
        "udp-53",
        "a pod without sidecar asks a resolver outside (UDP 53)",
        AttemptFrom::Unmeshed,
        LOCK,
    ),
    attempt(
        "icmp",
        "a pod without sidecar, ping",
        AttemptFrom::Unmeshed,
        "a lock, where the network plugin applies NetworkPolicies to ICMP",
    ),
    attempt(
        "ipv6",
        "a pod without sidecar, by IPv6",
        AttemptFrom::Unmeshed,
        LOCK,
    ),
    attempt(
        "undeclared-host",
        "a pod with sidecar, to a host that nobody declared",
        AttemptFrom::Meshed,
        "a lock, or outboundTrafficPolicy REGISTRY_ONLY",
    ),
    attempt(
        "plain-http-80",
        "a pod with sidecar, plain HTTP to a host that nobody declared",
        AttemptFrom::Meshed,
        "a lock, or outboundTrafficPolicy REGISTRY_ONLY",
    ),
    attempt(
        "declared-sni-elsewhere",
        "a pod with sidecar, the server name of a declared host to another address",
        AttemptFrom::Meshed,
        "the gateway, which resolves the name itself",
    ),
    attempt(
        "declared-host-inside",
        "a pod with sidecar, the Host of a declared host inside another server name",
        AttemptFrom::Meshed,
        "a lock, or outboundTrafficPolicy REGISTRY_ONLY",
    ),
    attempt(
        "uid-1337",
        "a pod with sidecar, as the proxy's user 1337",
        AttemptFrom::ProxyUser,
        LOCK,
    ),
    attempt(
        "exclude-outbound-ports",
        "a pod with sidecar, annotation excludeOutboundPorts",
        AttemptFrom::ExcludedPorts,
        LOCK,
    ),
    attempt(
        "exclude-outbound-ip-ranges",
        "a pod with sidecar, annotation excludeOutboundIPRanges",
        AttemptFrom::ExcludedRanges,
        LOCK,
    ),
    attempt(
        "include-no-ip-ranges",
        "a pod with sidecar, annotation includeOutboundIPRanges that is empty",
        AttemptFrom::NoIncludedRanges,
        LOCK,
    ),
    attempt(
        "ephemeral-container",
        "a container put into a running pod with sidecar, as the proxy's user 1337",
        AttemptFrom::IntoWorkload,
        "a lock; and nobody's right to patch pods/ephemeralcontainers",
    ),
    attempt(
        "gateway-port",
        "a pod without sidecar, at the gateway's target port, with a declared server name",
        AttemptFrom::Unmeshed,
        "mutual TLS to the gateway: kubectl egress setup HOST --mesh-mtls",
    ),
    attempt(
        "gateway-port-undeclared",
        "a pod without sidecar, at the gateway's target port, with another server name",
        AttemptFrom::Unmeshed,
        "the gateway, which has no listener for it",
    ),
    attempt(
        "ingress-gateway",
        "a pod without sidecar, through the ingress gateway",
        AttemptFrom::Unmeshed,
        "a lock, and no other policy that lets istio-system through",
    ),
    attempt(
        "istiod-as-proxy",
        "a pod without sidecar asks istiod's ports for a tunnel",
        AttemptFrom::Unmeshed,
        "istiod, which makes no tunnels",
    ),
    attempt(
        "host-network",
        "a pod on the host's network, which no NetworkPolicy holds",
        AttemptFrom::HostNetwork,
        "Pod Security: kubectl label namespace NAMESPACE pod-security.kubernetes.io/enforce=baseline",
    ),
    attempt(
        "other-namespace",
        "a pod of another namespace, which is not locked",
        AttemptFrom::OtherNamespace,
        NETWORK_POLICIES,
    ),
    attempt(
        "other-namespace-gateway-port",
        "a pod of another namespace, at the gateway's target port, with a declared server name",
        AttemptFrom::OtherNamespace,
        "mutual TLS to the gateway with --allow-from, or a NetworkPolicy at the gateway",
    ),
    attempt(
        "domain-fronting",
        "through the gateway: the server name of a declared host, another Host inside the TLS",
        AttemptFrom::Nowhere,
        "TLS that ends at the gateway, which then sees the Host (modes http and tls-origination); or a host that refuses names that are not its own",
    ),
    attempt(
        "dns-tunnel",
        "data in the names that the allowed resolver is asked for",
        AttemptFrom::Nowhere,
        "a resolver that answers for the cluster and the declared hosts only, and logs the rest",
    ),
];

const fn attempt(
    id: &'static str,
    title: &'static str,
    from: AttemptFrom,
    closed_by: &'static str,
) -> Attempt {
    Attempt {
        id,
        title,
        from,
        closed_by,
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AttemptOutcome {
    /// It got out without the gateway.
    Out,
    /// The gateway carried it: seen and logged there.
    ThroughGateway,
    /// It was stopped, and a control shows that it could have worked.
    Blocked,
    /// Nobody answers there, with or without a lock: nothing was shown.
    Unreachable,
    /// The evidence does not decide.
    Inconclusive,
    /// It could not be made.
    NotTried,
    /// No lock closes it.
    OpenByDesign,
}

/// Who stopped an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StoppedBy {
    /// A NetworkPolicy, below the mesh.
    NetworkPolicy,
    /// The sidecar, because of `outboundTrafficPolicy: REGISTRY_ONLY`.
    RegistryOnly,
    /// An Istio AuthorizationPolicy.
    AuthorizationPolicy,
    /// A gateway that has no listener for it.
    Gateway,
    /// Whoever answers there makes no tunnel.
    NoProxy,
    /// The API server's admission refused the pod.
    Admission,
    /// Nobody here: the destination is down or closed.
    Destination,
    /// It was stopped, and nobody can be named.
    Unknown,
}

impl fmt::Display for AttemptOutcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Out => "out",
            Self::ThroughGateway => "by the gateway",
            Self::Blocked => "blocked",
            Self::Unreachable => "no answer",
            Self::Inconclusive => "inconclusive",
            Self::NotTried => "not tried",
            Self::OpenByDesign => "open by design",
        })
    }
}

impl fmt::Display for StoppedBy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::NetworkPolicy => "NetworkPolicy",
            Self::RegistryOnly => "REGISTRY_ONLY",
            Self::AuthorizationPolicy => "AuthorizationPolicy",
            Self::Gateway => "gateway: no listener",
            Self::NoProxy => "no proxy there",
            Self::Admission => "admission",
            Self::Destination => "destination down",
            Self::Unknown => "unknown",
        })
    }
}

impl From<super::BlockedBy> for StoppedBy {
    fn from(by: super::BlockedBy) -> Self {
        use super::BlockedBy;
        match by {
            BlockedBy::NetworkPolicy => Self::NetworkPolicy,
            BlockedBy::RegistryOnly => Self::RegistryOnly,
            BlockedBy::AuthorizationPolicy => Self::AuthorizationPolicy,
            BlockedBy::Gateway => Self::Gateway,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_unique_and_in_kebab_case() {
        let ids: BTreeSet<&str> = ATTEMPTS.iter().map(|attempt| attempt.id).collect();
        assert_eq!(ids.len(), ATTEMPTS.len());
        let fits = |id: &&str| {
            id.chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        };
        assert!(ids.iter().all(fits));
    }

    #[test]
    fn what_no_lock_closes_is_on_the_list() {
        let open: Vec<&str> = ATTEMPTS
            .iter()
            .filter(|attempt| attempt.from == AttemptFrom::Nowhere)
            .map(|attempt| attempt.id)
            .collect();
        assert_eq!(open, ["domain-fronting", "dns-tunnel"]);
    }
}
