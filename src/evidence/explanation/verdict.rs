//! What a line shows, as one of few verdicts.

use super::super::sidecar_way::is_registry_only;
use super::super::{AccessLogLine, UpstreamCluster};
use super::cluster_name::service_of;
use super::speaker::{Speaker, is_to_gateway, port};
use super::transport_failure::TransportFailure;
use crate::finding::{Article, catalogue};
use schemars::JsonSchema;
use serde::Serialize;

/// What happened to a request or connection, as its line shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It left past the gateway, to a host that the mesh does not know.
    LeftUnknown,
    /// It left past the gateway, to a host with a ServiceEntry.
    LeftDirectly,
    /// An AuthorizationPolicy refused it.
    DeniedByPolicy,
    /// REGISTRY_ONLY refused it.
    RegistryOnly,
    /// The gateway has no route for it.
    NoRouteAtGateway,
    /// A sidecar, or a proxy that is not known, has no route for it.
    NoRoute,
    /// The route's cluster is missing.
    NoCluster,
    /// The gateway has no ready pod.
    GatewayHasNoPod,
    /// The cluster has no endpoint.
    NoEndpoint,
    /// The gateway cannot be connected to.
    GatewayUnreachable,
    /// Sidecar and gateway do not agree on TLS.
    MeshLegMismatch,
    /// The gateway ended it; its own line says why.
    EndedByGateway,
    /// No Secret for the proxy's TLS.
    SecretMissing,
    /// The server's certificate is of an unknown authority.
    CertificateUntrusted,
    /// The server's certificate is for other names.
    CertificateName,
    /// The server's certificate is not valid now.
    CertificateExpired,
    /// The server ended TLS.
    TlsRefused,
    /// The server speaks no TLS.
    NoTls,
    /// The host cannot be connected to, or did not answer.
    HostUnreachable,
    /// The client was gone while the connection was still being made.
    GaveUpConnecting,
    /// The other end's HTTP, or TLS, was not what was expected.
    ProtocolError,
    /// The proxy stopped it, for the reason that its flags name.
    StoppedByProxy,
    /// Something came in that the listener refused.
    InboundRefused,
    /// The answer is an error, and came from behind the proxy.
    ErrorFromBehind,
    /// The connection was carried and nothing came back.
    NothingCameBack,
    /// The client went away.
    ClientLeft,
    /// The proxy answered as its route says.
    AnsweredByProxy,
    /// The sidecar sent it to the gateway.
    SentToGateway,
    /// The gateway carried it out.
    CarriedOut,
    /// It stayed in the cluster.
    InsideMesh,
    /// It came in.
    CameIn,
    /// Carried, by a way that the line does not name.
    Carried,
}

impl Verdict {
    /// Reads a line of this speaker.
    pub(super) fn of(line: &AccessLogLine, speaker: Speaker) -> Self {
        if line.denied_by_policy() {
            return Self::DeniedByPolicy;
        }
        if is_registry_only(line) {
            return Self::RegistryOnly;
        }
        let to_gateway = is_to_gateway(line, speaker);
        if line.response_flags.is_empty() {
            return without_flags(line, speaker, to_gateway);
        }
        if speaker == Speaker::Inbound {
            return inbound(line);
        }
        with_flags(line, speaker, to_gateway)
    }

    /// The finding that fits.
    pub fn article(self) -> Option<&'static Article> {
        Some(match self {
            Self::LeftUnknown | Self::LeftDirectly => &catalogue::BYPASSED_AT_SIDECAR,
            Self::DeniedByPolicy => &catalogue::STOPPED_BY_POLICY,
            Self::RegistryOnly => &catalogue::REGISTRY_ONLY,
            Self::NoRouteAtGateway => &catalogue::GATEWAY_REFUSED,
            Self::NoRoute => &catalogue::NO_ROUTE,
            Self::NoCluster => &catalogue::CLUSTER_MISSING,
            Self::GatewayHasNoPod => &catalogue::GATEWAY_NOT_READY,
            Self::NoEndpoint => &catalogue::NO_ENDPOINT,
            Self::GatewayUnreachable => &catalogue::GATEWAY_UNREACHABLE,
            Self::MeshLegMismatch => &catalogue::MESH_LEG_MISMATCH,
            Self::EndedByGateway | Self::NothingCameBack => &catalogue::NOT_EXPLAINED,
            Self::SecretMissing => &catalogue::SECRET_NOT_SUPPLIED,
            Self::CertificateUntrusted => &catalogue::SERVER_CERTIFICATE_UNTRUSTED,
            Self::CertificateName => &catalogue::SERVER_CERTIFICATE_NAME,
            Self::CertificateExpired => &catalogue::SERVER_CERTIFICATE_EXPIRED,
            Self::TlsRefused => &catalogue::ORIGINATION_REFUSED,
            Self::NoTls => &catalogue::HOST_SPEAKS_NO_TLS,
            Self::HostUnreachable | Self::GaveUpConnecting => &catalogue::HOST_UNREACHABLE,
            Self::ProtocolError
            | Self::StoppedByProxy
            | Self::InboundRefused
            | Self::ErrorFromBehind
            | Self::ClientLeft
            | Self::AnsweredByProxy
            | Self::SentToGateway
            | Self::CarriedOut
            | Self::InsideMesh
            | Self::CameIn
            | Self::Carried => return None,
        })
    }

    /// Whether nothing is wrong.
    pub fn is_good(self) -> bool {
        matches!(
            self,
            Self::SentToGateway
                | Self::CarriedOut
                | Self::InsideMesh
                | Self::CameIn
                | Self::Carried
                | Self::AnsweredByProxy
        )
    }
}

fn with_flags(line: &AccessLogLine, speaker: Speaker, to_gateway: bool) -> Verdict {
    let has = |flag: &str| line.has_flag(flag);
    if has("NC") {
        return Verdict::NoCluster;
    }
    if has("NR") {
        return no_route(line, speaker);
    }
    if has("UH") {
        return if to_gateway {
            Verdict::GatewayHasNoPod
        } else {
            Verdict::NoEndpoint
        };
    }
    if has("DF") {
        return Verdict::NoEndpoint;
    }
    if has("UF") {
        return not_connected(line, to_gateway);
    }
    if has("UC") || has("UR") || has("UPE") {
        return ended_by_upstream(line, to_gateway);
    }
    if has("DC") || has("DR") {
        let connecting = line.upstream_host.is_some() && line.upstream_local_address.is_none();
        return if connecting {
            Verdict::GaveUpConnecting
        } else {
            Verdict::ClientLeft
        };
    }
    if has("UT") || has("URX") {
        return if to_gateway {
            Verdict::EndedByGateway
        } else {
            Verdict::HostUnreachable
        };
    }
    // A sidecar's TLS at a listener for plain HTTP (truth.md 4, b2).
    if has("DPE") {
        let tls = line.response_code_details.as_deref() == Some("http1.codec_error");
        return if tls && speaker == Speaker::Gateway {
            Verdict::MeshLegMismatch
        } else {
            Verdict::ProtocolError
        };
    }
    Verdict::StoppedByProxy
}

/// A gateway's listener that expects mutual TLS gets plaintext, or a name that only Istio makes (truth.md 3 and 4).
fn no_route(line: &AccessLogLine, speaker: Speaker) -> Verdict {
    if speaker != Speaker::Gateway {
        return Verdict::NoRoute;
    }
    let mismatch = match line.requested_server_name.as_deref() {
        Some(name) => name.starts_with("outbound_."),
        None => !line.is_http(),
    };
    if mismatch {
        Verdict::MeshLegMismatch
    } else {
        Verdict::NoRouteAtGateway
    }
}

fn not_connected(line: &AccessLogLine, to_gateway: bool) -> Verdict {
    let failure = failure_of(line);
    if to_gateway {
        return if failure.is_tls() {
            Verdict::MeshLegMismatch
        } else {
            Verdict::GatewayUnreachable
        };
    }
    match failure {
        TransportFailure::SecretNotSupplied => Verdict::SecretMissing,
        TransportFailure::CertificateNotValidNow { .. } => Verdict::CertificateExpired,
        TransportFailure::CertificateForOtherNames(_) => Verdict::CertificateName,
        TransportFailure::CertificateOfUnknownAuthority | TransportFailure::CertificateRevoked => {
            Verdict::CertificateUntrusted
        }
        TransportFailure::AnsweredWithoutTls => Verdict::NoTls,
        TransportFailure::Alert(_)
        | TransportFailure::ClosedInHandshake
        | TransportFailure::NothingInCommon => Verdict::TlsRefused,
        TransportFailure::OtherTls
        | TransportFailure::Refused
        | TransportFailure::NoWay
        | TransportFailure::TimedOut
        | TransportFailure::Other => Verdict::HostUnreachable,
    }
}

/// Why the upstream's connection failed; in formats without that field, from the details of the response.
pub(super) fn failure_of(line: &AccessLogLine) -> TransportFailure {
    let details = line.response_code_details.as_deref().unwrap_or_default();
    match &line.upstream_transport_failure_reason {
        Some(reason) => TransportFailure::read(reason),
        None => TransportFailure::read(details),
    }
}

fn ended_by_upstream(line: &AccessLogLine, to_gateway: bool) -> Verdict {
    if to_gateway {
        return Verdict::EndedByGateway;
    }
    if line.has_flag("UPE") {
        return Verdict::ProtocolError;
    }
    // HTTP to a port for TLS: made by the proxy, and refused, or not made at all (truth.md 0, fact 13).
    let at_tls_port = matches!(port(line.upstream_host.as_deref()), Some(443 | 8443));
    if line.is_http() && at_tls_port && line.has_flag("UC") {
        return Verdict::TlsRefused;
    }
    Verdict::HostUnreachable
}

fn inbound(line: &AccessLogLine) -> Verdict {
    if line.has_flag("NR") {
        Verdict::InboundRefused
    } else if line.has_flag("DC") || line.has_flag("DR") {
        Verdict::ClientLeft
    } else {
        Verdict::StoppedByProxy
    }
}

fn without_flags(line: &AccessLogLine, speaker: Speaker, to_gateway: bool) -> Verdict {
    if speaker == Speaker::Inbound {
        return Verdict::CameIn;
    }
    let Some(cluster) = &line.upstream_cluster else {
        return if line.is_http() && line.response_code_details.is_some() {
            Verdict::AnsweredByProxy
        } else {
            Verdict::Carried
        };
    };
    // A listener's TLS that the client gave up leaves no flag either (truth.md 3, c).
    let nothing_came_back = !line.is_http() && line.upstream_host.is_some() && line.bytes_sent == 0;
    if to_gateway || speaker == Speaker::Gateway {
        if nothing_came_back {
            return Verdict::NothingCameBack;
        }
        if line.is_http() && line.response_code >= 500 {
            return Verdict::ErrorFromBehind;
        }
        return if to_gateway {
            Verdict::SentToGateway
        } else {
            Verdict::CarriedOut
        };
    }
    match cluster {
        UpstreamCluster::Passthrough => Verdict::LeftUnknown,
        UpstreamCluster::Outbound { host, .. } if service_of(host).is_some() => Verdict::InsideMesh,
        UpstreamCluster::Outbound { .. } if speaker == Speaker::Sidecar => Verdict::LeftDirectly,
        _ => Verdict::Carried,
    }
}
