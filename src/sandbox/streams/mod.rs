//! Streams: watches, logs, exec, port-forward.

use super::api::{Call, Refusal, Reply, watch};
use super::fault::FaultKind;
use super::state::Inner;
use http::request::Parts;
use hyper::upgrade::OnUpgrade;
use std::sync::Arc;

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamKind {
    Watch,
    Log,
    Exec,
    Forward,
}

impl StreamKind {
    /// The stream that a request asks for, if it is one.
    pub(super) fn of(parts: &Parts) -> Option<Self> {
        let path = parts.uri.path();
        let watches = || super::api::Query::parse(parts.uri.query().unwrap_or_default()).is_set("watch");
        if path.ends_with("/exec") {
            Some(Self::Exec)
        } else if path.ends_with("/portforward") {
            Some(Self::Forward)
        } else if path.ends_with("/log") {
            Some(Self::Log)
        } else if parts.method == http::Method::GET && watches() {
            Some(Self::Watch)
        } else {
            None
        }
    }

    /// Its name in the request log and in faults.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Watch => "WATCH",
            Self::Log => "LOG",
            Self::Exec => "EXEC",
            Self::Forward => "FORWARD",
        }
    }

    /// Starts it.
    pub(super) fn start(
        self,
        inner: &Arc<Inner>,
        _parts: &Parts,
        call: &Call,
        _upgrade: Option<OnUpgrade>,
        _fault: Option<FaultKind>,
    ) -> Result<Reply, Refusal> {
        match self {
            Self::Watch => watch::start(inner, call),
            _ => Err(Refusal::internal("not in the sandbox yet")),
        }
    }
}
