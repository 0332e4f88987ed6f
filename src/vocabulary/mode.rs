//! How the traffic of a host and port leaves.

use super::Scheme;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How the traffic of a host and port leaves.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// TLS of the application end to end; the gateway reads only the SNI.
    #[default]
    Passthrough,
    /// Plain HTTP, through the gateway and outside.
    Http,
    /// The application sends plain HTTP; a proxy makes it HTTPS on the way out.
    TlsOrigination,
    /// As `tls-origination`, and the proxy shows a client certificate of ours.
    MtlsOrigination,
    /// Known to the mesh (ServiceEntry), not led through a gateway.
    Direct,
}

impl Mode {
    /// Every value, in the order in which help lists them.
    pub const ALL: &'static [Self] = &[
        Self::Passthrough,
        Self::Http,
        Self::TlsOrigination,
        Self::MtlsOrigination,
        Self::Direct,
    ];

    /// Whether a proxy makes TLS of the application's plain HTTP.
    pub const fn originates(self) -> bool {
        matches!(self, Self::TlsOrigination | Self::MtlsOrigination)
    }

    /// The port that applications use in this mode where nothing is said: 80 for plain HTTP, else 443.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Passthrough | Self::Direct => 443,
            Self::Http | Self::TlsOrigination | Self::MtlsOrigination => 80,
        }
    }

    /// What applications speak to a port in this mode.
    pub const fn scheme(self, port: u16) -> Scheme {
        match self {
            Self::Passthrough => Scheme::Https,
            Self::Http | Self::TlsOrigination | Self::MtlsOrigination => Scheme::Http,
            Self::Direct => Scheme::of_port(port),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Passthrough => "passthrough",
            Self::Http => "http",
            Self::TlsOrigination => "tls-origination",
            Self::MtlsOrigination => "mtls-origination",
            Self::Direct => "direct",
        })
    }
}

/// Which proxy makes the TLS of an origination mode.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The egress gateway.
    #[default]
    Gateway,
    /// The workload's own sidecar; nothing goes through a gateway.
    Sidecar,
}

impl Place {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::Gateway, Self::Sidecar];
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Gateway => "gateway",
            Self::Sidecar => "sidecar",
        })
    }
}

/// What sidecars do with hosts that the mesh does not know (`outboundTrafficPolicy` of a Sidecar resource).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OutboundPolicy {
    /// They are passed through.
    AllowAny,
    /// They are refused.
    RegistryOnly,
}

impl OutboundPolicy {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::AllowAny, Self::RegistryOnly];

    /// As Istio's API spells it.
    pub const fn istio_name(self) -> &'static str {
        match self {
            Self::AllowAny => "ALLOW_ANY",
            Self::RegistryOnly => "REGISTRY_ONLY",
        }
    }
}

impl fmt::Display for OutboundPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::AllowAny => "allow-any",
            Self::RegistryOnly => "registry-only",
        })
    }
}
