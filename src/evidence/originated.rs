//! Why TLS that a proxy originates failed, as far as its line tells (truth.md 4 and 5).

use super::AccessLogLine;
use super::explanation::TransportFailure;
use super::judge::Case;
use crate::finding::{Article, catalogue};
use crate::vocabulary::{Encryption, Scheme};

/// A fault with its name, and what happened in a few words, to be read after the proxy's name.
pub(super) struct Fault {
    pub(super) article: &'static Article,
    pub(super) did: String,
}

fn fault(article: &'static Article, did: impl Into<String>) -> Fault {
    Fault {
        article,
        did: did.into(),
    }
}

/// Names the fault of a line whose proxy sends to the host itself. `live`: how its cluster protects that leg.
pub(super) fn fault_of(case: &Case, line: &AccessLogLine, live: Encryption) -> Option<Fault> {
    let planned = case.evidence.planned.as_ref()?;
    let originates = case.request().scheme == Scheme::Http && planned.outside != Encryption::Plaintext;
    // For the first 15 s a cluster that waits for its Secret is not there yet.
    if line.has_flag("NC") {
        return secret_missing(case, line);
    }
    if let Some(reason) = &line.upstream_transport_failure_reason {
        return tls_error(case, reason, line);
    }
    // TLS 1.3: a server's refusal comes after the handshake, so the line has no reason. An alert in answer to plain HTTP
    // is no HTTP (`UPE`).
    if !(line.has_flag("UC") || line.has_flag("UPE") && live == Encryption::Plaintext) {
        return None;
    }
    if originates && live != Encryption::Plaintext {
        return Some(fault(
            &catalogue::ORIGINATION_REFUSED,
            "made TLS, and the connection was ended without a reason by",
        ));
    }
    let at_tls_port = line
        .upstream_host
        .as_deref()
        .is_some_and(|address| address.ends_with(":443") || address.ends_with(":8443"));
    (case.request().scheme == Scheme::Http && live == Encryption::Plaintext && at_tls_port)
        .then(|| fault(&catalogue::PLAINTEXT_TO_TLS, "sent plain HTTP to the TLS port of"))
}

fn secret_missing(case: &Case, line: &AccessLogLine) -> Option<Fault> {
    let secret = case.evidence.planned.as_ref()?.secret.as_ref()?;
    let named = line.response_code_details.as_deref() == Some("cluster_not_found");
    named.then(|| {
        fault(
            &catalogue::SECRET_NOT_SUPPLIED,
            format!("waits for the Secret {secret}, without which it has no cluster for"),
        )
    })
}

fn tls_error(case: &Case, reason: &str, line: &AccessLogLine) -> Option<Fault> {
    let planned = case.evidence.planned.as_ref()?;
    Some(match TransportFailure::read(reason) {
        TransportFailure::SecretNotSupplied => {
            let did = match &planned.secret {
                Some(secret) => format!("was not given the Secret {secret}, so it makes no TLS to"),
                None => "was not given its certificate, so it makes no TLS to".to_owned(),
            };
            fault(&catalogue::SECRET_NOT_SUPPLIED, did)
        }
        TransportFailure::CertificateNotValidNow { .. } => fault(
            &catalogue::SERVER_CERTIFICATE_EXPIRED,
            "refuses the certificate, which is not valid now, of",
        ),
        TransportFailure::CertificateForOtherNames(names) => {
            let names = names.unwrap_or_else(|| "another name".to_owned());
            fault(
                &catalogue::SERVER_CERTIFICATE_NAME,
                format!("refuses the certificate, which is for {names}, of"),
            )
        }
        TransportFailure::CertificateOfUnknownAuthority | TransportFailure::CertificateRevoked => fault(
            &catalogue::SERVER_CERTIFICATE_UNTRUSTED,
            "does not trust the authority that signed the certificate of",
        ),
        TransportFailure::AnsweredWithoutTls => {
            let at = line.upstream_host.as_deref().unwrap_or("its address");
            fault(
                &catalogue::HOST_SPEAKS_NO_TLS,
                format!("speaks TLS and was answered without TLS at {at} by"),
            )
        }
        // TLS 1.2 servers refuse inside of the handshake.
        TransportFailure::Alert(_) => fault(
            &catalogue::ORIGINATION_REFUSED,
            "made TLS, and the handshake was refused by",
        ),
        _ => return None,
    })
}
