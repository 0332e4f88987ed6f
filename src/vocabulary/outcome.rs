//! What a probe proved, by which receipts, and what follows for the claims.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What happened to one probe. `Bypassed` needs positive evidence; a missing line is `Inconclusive`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Carried by sidecar and gateway, both hops witnessed.
    Routed,
    /// Left from the source as planned (modes that have no gateway).
    Direct,
    /// Reached the host without the gateway.
    Bypassed,
    /// Stopped on its way; `BlockedBy` says by whom.
    Blocked,
    /// Nobody stopped it, and the host did not answer.
    Unreachable,
    /// The evidence does not decide.
    Inconclusive,
}

/// Who stopped a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BlockedBy {
    /// A NetworkPolicy, below the mesh.
    NetworkPolicy,
    /// The sidecar, because of `outboundTrafficPolicy: REGISTRY_ONLY`.
    RegistryOnly,
    /// An Istio AuthorizationPolicy.
    AuthorizationPolicy,
    /// The gateway: no listener, filter chain or route for the host.
    Gateway,
}

/// How a hop is protected on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// Mutual TLS of the mesh (`ISTIO_MUTUAL`) or towards the host.
    Mtls,
    /// TLS, with only the server authenticated, or the application's own.
    Tls,
    /// Nothing.
    Plaintext,
    /// Not read, or not readable.
    Unknown,
}

/// An end of a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HopEnd {
    /// The application's container.
    Application,
    /// The sidecar of the source.
    Sidecar,
    /// The egress gateway.
    Gateway,
    /// The external host.
    Host,
}

/// Who saw a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Witness {
    /// curl's own report of the transfer.
    Curl,
    /// A line of the sidecar's access log.
    SidecarLog,
    /// A line of the gateway's access log.
    GatewayLog,
    /// Counters of the gateway's cluster.
    GatewayCounters,
    /// The proxy's configuration, read over its admin port.
    ProxyConfiguration,
    /// The host, which echoes the headers that it saw.
    HostEcho,
}

/// One independent witness of a hop, with what it saw, word for word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Who saw it.
    pub witness: Witness,
    /// `namespace/pod` of the witness.
    pub pod: String,
    /// The container of that pod that said it; `None` for the host itself.
    pub container: Option<String>,
    /// When, RFC 3339: by the proxy's clock where a log line says it, else by the API server's, at sending (curl) or
    /// at reading (counters). `None` if nobody said.
    pub time: Option<String>,
    /// What it saw: the raw log line, or a short sentence made of counters.
    pub text: String,
}

/// One leg of the way, with who saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hop {
    /// Where the leg begins.
    pub from: HopEnd,
    /// Where it ends.
    pub to: HopEnd,
    /// `namespace/pod` that carried it on, where that is a pod.
    pub pod: Option<String>,
    /// How it is protected.
    pub encryption: Encryption,
    /// Why it carried nothing, if that is known; then nothing is said about its protection.
    pub failed: Option<String>,
    /// The witnesses.
    pub receipts: Vec<Receipt>,
}

impl Hop {
    /// The same leg, shown to have carried nothing.
    #[must_use]
    pub fn that_failed(self, why: impl Into<String>) -> Self {
        Self {
            encryption: Encryption::Unknown,
            failed: Some(why.into()),
            ..self
        }
    }
}

/// What `verify` judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Claim {
    /// Every declared host and port goes through the gateway.
    Routed,
    /// Nothing else gets out.
    Enforced,
}

/// How a claim stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ClaimState {
    /// Shown to be true by receipts.
    Proven,
    /// Shown to be false by receipts.
    Disproven,
    /// The evidence does not decide.
    Inconclusive,
    /// Nobody asked for it (`enforced`, before a lock exists); it does not fail.
    NotRequired,
}

/// The verdict over all required claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Every required claim is proven.
    Proven,
    /// At least one required claim is disproven.
    Disproven,
    /// Nothing is disproven, and at least one required claim is not decided.
    Inconclusive,
}

macro_rules! display {
    ($type:ty { $($variant:ident => $text:literal),+ $(,)? }) => {
        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(match self { $(Self::$variant => $text),+ })
            }
        }
    };
}

display!(Outcome {
    Routed => "routed", Direct => "direct", Bypassed => "bypassed",
    Blocked => "blocked", Unreachable => "unreachable", Inconclusive => "inconclusive",
});
display!(BlockedBy {
    NetworkPolicy => "network-policy", RegistryOnly => "registry-only",
    AuthorizationPolicy => "authorization-policy", Gateway => "gateway",
});
display!(Encryption { Mtls => "mTLS", Tls => "TLS", Plaintext => "plaintext", Unknown => "unknown" });
display!(HopEnd { Application => "application", Sidecar => "sidecar", Gateway => "gateway", Host => "host" });
display!(Witness {
    Curl => "curl", SidecarLog => "sidecar log", GatewayLog => "gateway log",
    GatewayCounters => "gateway counters", ProxyConfiguration => "proxy configuration",
    HostEcho => "the host's echo",
});
display!(Claim { Routed => "routed", Enforced => "enforced" });
display!(ClaimState {
    Proven => "proven", Disproven => "disproven", Inconclusive => "inconclusive", NotRequired => "not required",
});
display!(Verdict { Proven => "proven", Disproven => "disproven", Inconclusive => "inconclusive" });
