//! How what happens at one proxy looks at the one before it.
//!
//! Flags, codes and details are those of Envoy's access log, as measured: truth.md 2 to 6.

use super::payload::Payload;
use super::prediction::{Carries, LegTls, PredictedHop, Prediction};
use crate::finding::{Article, Finding, catalogue};
use crate::vocabulary::{BlockedBy, Outcome};

/// Details of a request that an AuthorizationPolicy stopped.
pub(super) const ACCESS_DENIED: &str = "rbac_access_denied_matched_policy[none]";
const TERMINATED: &str = "upstream_reset_before_response_started{connection_termination}";
const PROTOCOL_ERROR: &str = "upstream_reset_before_response_started{protocol_error}";
const REFUSED: &str = "delayed_connect_error:_Connection_refused";

/// How a connection ended, to the proxy that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// As it should, or so that the proxy notices nothing.
    Served,
    /// With an answer of a proxy in the host's place.
    Answered,
    /// Closed after it was accepted.
    Reset,
    /// The same, after TLS had come about: who added it notices nothing (seen on the lab).
    ResetInside,
    /// With bytes that are no HTTP, in answer to HTTP.
    Garbled,
    /// The proxy's own TLS did not come about.
    TlsFailed,
    /// Refused.
    Refused,
}

/// The rest of a way, and how its first connection ended.
pub(super) struct Step {
    pub(super) prediction: Prediction,
    pub(super) ended: Ended,
}

impl Step {
    /// The same, ended otherwise.
    pub(super) fn ending(mut self, ended: Ended) -> Self {
        self.ended = ended;
        self
    }

    pub(super) fn served(outcome: Outcome) -> Self {
        Self {
            prediction: Prediction::new(outcome),
            ended: Ended::Served,
        }
    }

    /// With the hop that came before, which notices how its connection ended.
    pub(super) fn after(mut self, hop: PredictedHop) -> Self {
        // TLS that fails is noticed by the proxy that added it.
        if self.ended == Ended::TlsFailed && hop.tls == LegTls::None && hop.carries == Carries::Stream {
            self.prediction.hops.insert(0, hop);
            return self;
        }
        let hop = suffer(hop, self.ended);
        let failed = hop.flags.is_some();
        self.ended = match (hop.carries, failed, self.ended) {
            (Carries::Stream, true, _) => Ended::Reset,
            (Carries::Http, true, _) | (Carries::Http, _, Ended::Answered) => Ended::Answered,
            _ => Ended::Served,
        };
        self.prediction.hops.insert(0, hop);
        self
    }
}

fn suffer(hop: PredictedHop, ended: Ended) -> PredictedHop {
    match (ended, hop.carries) {
        (Ended::Served | Ended::Answered, _) | (Ended::Garbled, Carries::Stream) => hop,
        (Ended::ResetInside, Carries::Stream) if hop.tls != LegTls::None => hop,
        // Closed at once: its own handshake had not ended.
        (Ended::Reset, Carries::Stream) if hop.tls != LegTls::None => tls_failed(hop),
        (Ended::Reset | Ended::ResetInside, Carries::Http) => hop.flags("UC").answers(503, TERMINATED),
        (Ended::Reset | Ended::ResetInside, Carries::Stream) => hop.flags("UR"),
        (Ended::Garbled, Carries::Http) => hop.flags("UPE").answers(502, PROTOCOL_ERROR),
        (Ended::TlsFailed, _) => tls_failed(hop),
        (Ended::Refused, _) => hop.flags("UF,URX").answers(503, REFUSED).details(REFUSED),
    }
}

/// A hop whose own TLS did not come about.
pub(super) fn tls_failed(hop: PredictedHop) -> PredictedHop {
    hop.flags("UF,URX")
        .answers(503, "upstream_reset_before_response_started")
}

/// A way that ends at this hop, with its flags and answer.
pub(super) fn stopped(outcome: Outcome, finding: Finding, hop: PredictedHop) -> Step {
    let mut prediction = Prediction::new(outcome);
    prediction.findings.push(finding);
    let ended = match hop.carries {
        Carries::Http => Ended::Answered,
        Carries::Stream => Ended::Reset,
    };
    prediction.hops.push(hop);
    Step { prediction, ended }
}

/// The same where somebody stops it.
pub(super) fn blocked(by: BlockedBy, finding: Finding, hop: PredictedHop) -> Step {
    let mut step = stopped(Outcome::Blocked, finding, hop);
    step.prediction.blocked_by = Some(by);
    step
}

/// A way that ends before a further hop.
pub(super) fn unreachable(finding: Finding) -> Step {
    let mut step = Step::served(Outcome::Unreachable);
    step.prediction.findings.push(finding);
    step
}

/// What the model does not know.
pub(super) fn unknown(what: &str) -> Step {
    let mut step = Step::served(Outcome::Inconclusive);
    step.prediction.not_modelled.push(format!("not modelled: {what}"));
    step
}

/// What leaves a proxy that adds TLS.
pub(super) fn wrap(payload: Payload, tls: LegTls) -> Payload {
    match tls {
        LegTls::None => payload,
        LegTls::Mesh { server_name } => Payload::MeshTls {
            server_name,
            inner: Box::new(payload),
        },
        LegTls::Originated { server_name, .. } => Payload::Originated {
            server_name: server_name.or_else(|| payload.host().map(str::to_owned)),
            inner: Box::new(payload),
        },
    }
}

/// Whether servers outside speak TLS on a port, as the registry of ports has it (IANA: 443 https; 8443 by custom).
fn expects_tls(port: u16) -> bool {
    matches!(port, 443 | 8443)
}

/// Why a host cannot take what arrives, and how the connection ends; `None` if it fits.
pub(super) fn misfit(payload: &Payload, port: u16) -> Option<(&'static Article, Ended)> {
    match (payload, expects_tls(port)) {
        // Some servers answer with a TLS alert, some close (`UC`), some answer 400.
        (Payload::Http { .. }, true) => Some((&catalogue::PLAINTEXT_TO_TLS, Ended::Garbled)),
        // Nobody outside knows the mesh's authority.
        (Payload::MeshTls { .. }, _) => Some((&catalogue::MESH_LEG_MISMATCH, Ended::TlsFailed)),
        (Payload::Originated { inner, .. }, true) if inner.is_tls() => {
            Some((&catalogue::PORT_OF_ANOTHER_PROTOCOL, Ended::Served))
        }
        (Payload::Originated { .. }, false) => Some((&catalogue::HOST_SPEAKS_NO_TLS, Ended::TlsFailed)),
        (Payload::ApplicationTls { .. }, false) => Some((&catalogue::HOST_SPEAKS_NO_TLS, Ended::Served)),
        _ => None,
    }
}
