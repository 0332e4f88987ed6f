//! How what is behind a proxy ends, and how that looks at the proxy before it (truth.md sections 2 to 5).

use super::origination::Failure;
use crate::mesh::{Carries, LegTls, PredictedHop};

/// What Envoy writes where a connection was refused.
pub(super) const REFUSED: &str = "delayed_connect_error:_Connection_refused";
/// What Envoy writes where TLS was answered by something else.
pub(super) const WRONG_VERSION: &str =
    "TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end";
const RESET_IN_HANDSHAKE: &str =
    "TLS_error:|33554536:system_library:OPENSSL_internal:Connection_reset_by_peer:TLS_error_end";
const NOT_OF_THE_MESH: &str = "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_unable_to_get_local_issuer_certificate:TLS_error_end";
/// Milliseconds after which Envoy gives a connection up.
pub(super) const GAVE_UP: u64 = 10_004;

/// How it ended, as the proxy notices it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// With an answer of this status; a stream, with bytes both ways (200).
    Answered(u16),
    /// The connection was refused at once.
    Refused,
    /// Packets were dropped.
    Dropped,
    /// Its own TLS failed, for this reason.
    Tls(String),
    /// Closed after it had begun.
    Closed,
    /// Its cluster is not active yet.
    Warming,
    /// The upstream's name does not resolve here.
    Unresolved,
    /// The proxy itself ended it, as predicted.
    Own,
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Warming => Self::Warming,
            Failure::Tls(reason) => Self::Tls(reason),
            Failure::Terminated => Self::Closed,
        }
    }
}

impl End {
    /// Whether a connection to the upstream came about.
    pub(super) fn has_connected(&self) -> bool {
        matches!(self, Self::Answered(_) | Self::Closed)
    }
}

/// What the mesh model says of a hop's end; `None` if it leaves that to the network. `next`: the hop behind it.
pub(super) fn predicted(hop: &PredictedHop, next: Option<&PredictedHop>) -> Option<End> {
    let decided = hop.flags.is_some() || hop.response_code.is_some() || hop.details.is_some();
    decided.then(|| match (hop.flags.as_deref(), hop.details.as_deref()) {
        (Some("UF,URX"), Some(REFUSED)) => End::Refused,
        (Some("UF,URX"), _) => End::Tls(reason(hop, next).to_owned()),
        (Some("UC" | "UR"), _) => End::Closed,
        _ => End::Own,
    })
}

/// Why the TLS that a proxy adds fails, by who got it.
fn reason(hop: &PredictedHop, next: Option<&PredictedHop>) -> &'static str {
    match (next.and_then(|next| next.flags.as_deref()), &hop.tls) {
        (Some("DPE"), _) => WRONG_VERSION,
        (Some("NR"), _) => RESET_IN_HANDSHAKE,
        (_, LegTls::Mesh { .. }) => NOT_OF_THE_MESH,
        _ => WRONG_VERSION,
    }
}

/// How the leg behind each hop ended, as that hop notices it.
pub(super) fn along(hops: &[PredictedHop], last: &End) -> Vec<End> {
    let mut ends = Vec::new();
    let mut end = last.clone();
    for (position, hop) in hops.iter().enumerate().rev() {
        if position + 1 < hops.len() {
            end = predicted(hop, hops.get(position + 1)).unwrap_or(end);
        }
        ends.push(end.clone());
        end = seen_before(hop, &end);
    }
    ends.reverse();
    ends
}

/// How a hop's end looks at the hop before it.
fn seen_before(hop: &PredictedHop, end: &End) -> End {
    match (hop.carries, end) {
        (Carries::Http, _) => End::Answered(status(hop, end)),
        (Carries::Stream, End::Answered(_)) => end.clone(),
        // A policy ends a stream in order: nobody before notices.
        (Carries::Stream, End::Own) if hop.flags.is_none() => End::Answered(200),
        (Carries::Stream, _) => End::Closed,
    }
}

/// The status that a proxy of HTTP answers with.
pub(super) fn status(hop: &PredictedHop, end: &End) -> u16 {
    match end {
        End::Answered(status) => *status,
        End::Own => hop.response_code.unwrap_or(503),
        _ => 503,
    }
}
