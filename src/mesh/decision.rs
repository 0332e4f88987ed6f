//! Which object decides a step of a request's way.

use serde::Serialize;
use std::fmt;

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Matter {
    /// That the host and port are known to the proxy.
    Known,
    /// Where the request is sent.
    Route,
    /// Which endpoints the cluster has.
    Endpoints,
    /// The subset of the destination.
    Subset,
    /// The TLS of the leg.
    Tls,
    /// That a gateway listens.
    Listener,
    /// That a policy stops or admits it.
    Policy,
    /// What happens to what no object names.
    OutboundPolicy,
    /// What the proxy may see.
    Scope,
}

impl fmt::Display for Matter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Known => "known by",
            Self::Route => "routed by",
            Self::Endpoints => "endpoints of",
            Self::Subset => "subset of",
            Self::Tls => "TLS by",
            Self::Listener => "listener of",
            Self::Policy => "policy",
            Self::OutboundPolicy => "outbound policy of",
            Self::Scope => "scope of",
        })
    }
}

/// An object that decides something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// What.
    pub matter: Matter,
    /// The object, as `Kind namespace/name`.
    pub object: String,
}

impl Decision {
    pub(super) fn new(matter: Matter, object: impl Into<String>) -> Self {
        Self {
            matter,
            object: object.into(),
        }
    }
}
