//! Why a proxy's connection to its upstream failed: `%UPSTREAM_TRANSPORT_FAILURE_REASON%`.
//!
//! The wordings are Envoy's and BoringSSL's as the lab measured them (truth.md 2, 3 and 5), and the names of TLS alerts
//! of RFC 8446, section 6.

/// What a reason says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportFailure {
    /// The Secret did not come from istiod.
    SecretNotSupplied,
    /// The server's certificate is past its end, or before its begin.
    CertificateNotValidNow {
        /// Past its end, as opposed to before its begin.
        expired: bool,
    },
    /// The server's certificate is for other names; those that it has, if the reason tells.
    CertificateForOtherNames(Option<String>),
    /// The server's certificate was revoked.
    CertificateRevoked,
    /// No authority that the proxy knows signed the server's certificate.
    CertificateOfUnknownAuthority,
    /// The other side answered without TLS.
    AnsweredWithoutTls,
    /// The other side refused by a TLS alert.
    Alert(&'static Alert),
    /// The other side ended the connection during the handshake.
    ClosedInHandshake,
    /// No common TLS version or cipher.
    NothingInCommon,
    /// Another error of TLS.
    OtherTls,
    /// A packet came back that says no.
    Refused,
    /// The network has no way there.
    NoWay,
    /// Nothing came back.
    TimedOut,
    /// Something else.
    Other,
}

/// A TLS alert of the other side.
#[derive(Debug, PartialEq, Eq)]
pub struct Alert {
    /// Part of the reason's text, in BoringSSL's spelling.
    word: &'static str,
    /// RFC 8446's name.
    pub name: &'static str,
    /// What the other side says by it, to be read after "it says that".
    pub says: &'static str,
}

const ALERTS: &[Alert] = &[
    alert(
        "CERTIFICATE_REQUIRED",
        "certificate_required",
        "it wants a client certificate and got none",
    ),
    alert(
        "ALERT_UNKNOWN_CA",
        "unknown_ca",
        "it does not know the authority that signed our certificate",
    ),
    alert(
        "ALERT_CERTIFICATE_EXPIRED",
        "certificate_expired",
        "our certificate has expired",
    ),
    alert(
        "ALERT_CERTIFICATE_REVOKED",
        "certificate_revoked",
        "our certificate was revoked",
    ),
    alert(
        "ALERT_CERTIFICATE_UNKNOWN",
        "certificate_unknown",
        "it does not accept our certificate",
    ),
    alert(
        "ALERT_BAD_CERTIFICATE",
        "bad_certificate",
        "our certificate is damaged or missing",
    ),
    alert(
        "ALERT_UNSUPPORTED_CERTIFICATE",
        "unsupported_certificate",
        "our certificate is of a kind that it does not take",
    ),
    alert(
        "UNRECOGNIZED_NAME",
        "unrecognized_name",
        "it has no certificate for the name in the SNI",
    ),
    alert(
        "ALERT_PROTOCOL_VERSION",
        "protocol_version",
        "it does not speak our versions of TLS",
    ),
    alert(
        "ALERT_HANDSHAKE_FAILURE",
        "handshake_failure",
        "nothing that we offered suits it",
    ),
    alert(
        "NO_APPLICATION_PROTOCOL",
        "no_application_protocol",
        "it speaks none of the protocols that we offered (ALPN)",
    ),
    alert(
        "ALERT_DECRYPT_ERROR",
        "decrypt_error",
        "our signature is wrong: key and certificate do not fit",
    ),
    alert(
        "ALERT_ACCESS_DENIED",
        "access_denied",
        "our certificate is valid, and not allowed in",
    ),
    alert(
        "ALERT_INTERNAL_ERROR",
        "internal_error",
        "it has a fault of its own",
    ),
    alert("ALERT", "an alert", "it does not go on"),
];

const fn alert(word: &'static str, name: &'static str, says: &'static str) -> Alert {
    Alert { word, name, says }
}

impl TransportFailure {
    /// Reads a reason; Envoy writes blanks as underscores, operators' formats may not.
    pub fn read(reason: &str) -> Self {
        let reason = reason.replace(' ', "_");
        let has = |word: &str| reason.contains(word);
        if has("Secret_is_not_supplied_by_SDS") {
            return Self::SecretNotSupplied;
        }
        if has("CERTIFICATE_VERIFY_FAILED") {
            return certificate(&reason);
        }
        if has("WRONG_VERSION_NUMBER") || has("HTTP_REQUEST") || has("PACKET_LENGTH_TOO_LONG") {
            return Self::AnsweredWithoutTls;
        }
        let upper = reason.to_ascii_uppercase();
        if upper.contains("ALERT")
            || upper.contains("CERTIFICATE_REQUIRED")
            || upper.contains("UNRECOGNIZED_NAME")
        {
            let known = ALERTS.iter().find(|alert| upper.contains(alert.word));
            return known.map_or(Self::OtherTls, Self::Alert);
        }
        if has("NO_SHARED_CIPHER") || has("UNSUPPORTED_PROTOCOL") || has("NO_CIPHERS_AVAILABLE") {
            return Self::NothingInCommon;
        }
        if reason.starts_with("TLS_error") {
            let closed = has("Connection_reset_by_peer") || has("Broken_pipe") || has("UNEXPECTED_EOF");
            return if closed {
                Self::ClosedInHandshake
            } else {
                Self::OtherTls
            };
        }
        if has("Connection_refused") {
            return Self::Refused;
        }
        if has("unreachable") || has("No_route_to_host") {
            return Self::NoWay;
        }
        if has("timeout") || has("timed_out") {
            return Self::TimedOut;
        }
        Self::Other
    }

    /// A sentence, without its full stop.
    pub fn meaning(&self) -> String {
        match self {
            Self::SecretNotSupplied => "the proxy was not given the Secret for its TLS: it is missing, in another namespace, lacks keys, or may not be read".to_owned(),
            Self::CertificateNotValidNow { expired: true } => "the server's certificate has expired".to_owned(),
            Self::CertificateNotValidNow { expired: false } => "the server's certificate is not valid yet".to_owned(),
            Self::CertificateForOtherNames(Some(names)) => format!("the server's certificate is for other names: {names}"),
            Self::CertificateForOtherNames(None) => "the server's certificate is for other names".to_owned(),
            Self::CertificateRevoked => "the server's certificate was revoked".to_owned(),
            Self::CertificateOfUnknownAuthority => "the proxy does not know the authority that signed the server's certificate".to_owned(),
            Self::AnsweredWithoutTls => "the proxy speaks TLS, and the other side answered without TLS".to_owned(),
            Self::Alert(alert) => format!("the other side refused the TLS handshake ({}): it says that {}", alert.name, alert.says),
            Self::ClosedInHandshake => "the other side ended the connection during the TLS handshake, without a reason".to_owned(),
            Self::NothingInCommon => "the two sides have no TLS version or cipher in common".to_owned(),
            Self::OtherTls => "the TLS handshake failed".to_owned(),
            Self::Refused => "the connection was refused: nothing listens there, or a NetworkPolicy rejects it".to_owned(),
            Self::NoWay => "the network has no way to that address".to_owned(),
            Self::TimedOut => "nothing came back in time: the host is dead, or packets are dropped on the way".to_owned(),
            Self::Other => "the connection could not be made".to_owned(),
        }
    }

    /// Whether it failed in TLS, over a connection that was there.
    pub fn is_tls(&self) -> bool {
        !matches!(self, Self::Refused | Self::NoWay | Self::TimedOut | Self::Other)
    }
}

fn certificate(reason: &str) -> TransportFailure {
    let has = |word: &str| reason.contains(word);
    if has("certificate_has_expired") {
        return TransportFailure::CertificateNotValidNow { expired: true };
    }
    if has("certificate_is_not_yet_valid") {
        return TransportFailure::CertificateNotValidNow { expired: false };
    }
    if has("SAN_matcher") || has("verify_SAN_list") {
        let names = presented_names(reason).map(|names| names.replace(',', ", "));
        return TransportFailure::CertificateForOtherNames(names);
    }
    if has("certificate_revoked") {
        return TransportFailure::CertificateRevoked;
    }
    TransportFailure::CertificateOfUnknownAuthority
}

/// The names in `…certificate_SANs_are_[other.test]…` and `…certificate_SANs:_[other.test]…`.
fn presented_names(reason: &str) -> Option<&str> {
    let (_, rest) = reason.split_once("certificate_SANs")?;
    let (_, rest) = rest.split_once('[')?;
    let (names, _) = rest.split_once(']')?;
    (!names.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tail: &str) -> TransportFailure {
        TransportFailure::read(&format!(
            "TLS_error:|268435581:SSL_routines:OPENSSL_internal:{tail}:TLS_error_end"
        ))
    }

    #[test]
    fn the_names_of_a_certificate_are_read_from_both_wordings() {
        for tail in [
            "CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_SAN_matcher,_certificate_SANs_are_[other.test]",
            "CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_verify_SAN_list,_expected_SANs:_[wrongsan.test],_certificate_SANs:_[other.test]",
        ] {
            let expected = TransportFailure::CertificateForOtherNames(Some("other.test".to_owned()));
            assert_eq!(read(tail), expected, "{tail}");
        }
    }

    #[test]
    fn what_the_lab_measured_is_told_apart() {
        let verify = "CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_";
        assert_eq!(
            read(&format!("{verify}certificate_has_expired")),
            TransportFailure::CertificateNotValidNow { expired: true }
        );
        for authority in [
            "unable_to_get_local_issuer_certificate",
            "self_signed_certificate_in_certificate_chain",
        ] {
            assert_eq!(
                read(&format!("{verify}{authority}")),
                TransportFailure::CertificateOfUnknownAuthority
            );
        }
        assert_eq!(read("WRONG_VERSION_NUMBER"), TransportFailure::AnsweredWithoutTls);
        for (reason, expected) in [
            (
                "TLS_error:_Secret_is_not_supplied_by_SDS",
                TransportFailure::SecretNotSupplied,
            ),
            (
                "TLS_error:|33554536:system_library:OPENSSL_internal:Connection_reset_by_peer:TLS_error_end",
                TransportFailure::ClosedInHandshake,
            ),
            (
                "delayed_connect_error:_Connection_refused",
                TransportFailure::Refused,
            ),
            (
                "delayed connect error: Connection refused",
                TransportFailure::Refused,
            ),
            (
                "immediate_connect_error:_Network_is_unreachable",
                TransportFailure::NoWay,
            ),
            ("connection_timeout", TransportFailure::TimedOut),
            ("", TransportFailure::Other),
        ] {
            assert_eq!(TransportFailure::read(reason), expected, "{reason}");
        }
    }

    #[test]
    fn alerts_are_named_as_the_standard_names_them() {
        for (tail, name) in [
            ("TLSV1_ALERT_UNKNOWN_CA", "unknown_ca"),
            ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "certificate_expired"),
            ("TLSV1_CERTIFICATE_REQUIRED", "certificate_required"),
            ("SSLV3_ALERT_HANDSHAKE_FAILURE", "handshake_failure"),
            ("TLSV1_UNRECOGNIZED_NAME", "unrecognized_name"),
            ("TLSV1_ALERT_SOMETHING_NEW", "an alert"),
        ] {
            let TransportFailure::Alert(alert) = read(tail) else {
                panic!("{tail}: {:?}", read(tail));
            };
            assert_eq!(alert.name, name);
        }
    }
}
