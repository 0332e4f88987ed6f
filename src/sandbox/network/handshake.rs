//! What comes of a TLS handshake: whether the client believes the server's certificate, and the server the client's, in
//! the words of Envoy's and curl's libraries (truth.md section 5).

use super::outside::Admits;
use crate::certificate::{Inspected, Trust, covers, inspect_chain, trust_of_pem};
use jiff::Timestamp;

/// Why a client does not believe a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Distrust {
    /// The chain leads to no trusted authority: what OpenSSL calls that, and how far from the leaf.
    Chain { depth: u8, reason: &'static str },
    /// None of the certificate's names is one of these.
    Names {
        /// The proxy expects the request's Host, rather than names that were written down.
        automatic: bool,
        expected: Vec<String>,
        shown: Vec<String>,
    },
}

/// Which names a client expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expects {
    Any,
    /// One of these.
    OneOf(Vec<String>),
    /// The host that is asked for.
    Host(String),
}

/// Compares what a server shows (PEM, leaf first) with authorities (PEM) and names.
pub(super) fn client_believes(
    chain: &str,
    authorities: &str,
    expects: &Expects,
    now: Timestamp,
) -> Result<(), Distrust> {
    let shown = inspect_chain(chain.as_bytes()).unwrap_or_default();
    let Some(leaf) = shown.first() else {
        return Err(Distrust::Chain {
            depth: 0,
            reason: "certificate_unknown",
        });
    };
    // Authorities that cannot be read are none.
    let trusted = trust_of_pem(chain.as_bytes(), authorities.as_bytes(), now);
    if !matches!(trusted, Ok(Trust::Trusted)) {
        return Err(why_not(&shown, leaf, now));
    }
    let (automatic, expected) = match expects {
        Expects::Any => return Ok(()),
        Expects::OneOf(names) => (false, names.clone()),
        Expects::Host(host) => (true, vec![host.clone()]),
    };
    if expected.iter().any(|name| covers(&leaf.dns_names, name)) {
        return Ok(());
    }
    Err(Distrust::Names {
        automatic,
        expected,
        shown: leaf.dns_names.clone(),
    })
}

fn why_not(shown: &[Inspected], leaf: &Inspected, now: Timestamp) -> Distrust {
    let (depth, reason) = if now > leaf.not_after {
        (0, "certificate_has_expired")
    } else if now < leaf.not_before {
        (0, "certificate_is_not_yet_valid")
    } else if leaf.is_self_issued() {
        (0, "self_signed_certificate")
    } else if shown.iter().any(Inspected::is_self_issued) {
        (1, "self_signed_certificate_in_certificate_chain")
    } else {
        (0, "unable_to_get_local_issuer_certificate")
    };
    Distrust::Chain { depth, reason }
}

/// Whether a server lets in a client that shows a certificate (PEM), or none.
pub(super) fn server_admits(admits: &Admits, client: Option<&str>, now: Timestamp) -> bool {
    let authorities = match admits {
        Admits::Everybody => return true,
        Admits::Nobody => return false,
        Admits::ClientsOf(authorities) => authorities,
    };
    let trusted = |chain: &str| trust_of_pem(chain.as_bytes(), authorities.as_bytes(), now);
    client.is_some_and(|chain| matches!(trusted(chain), Ok(Trust::Trusted)))
}

impl Distrust {
    /// As Envoy writes it into `upstream_transport_failure_reason`.
    pub(super) fn of_envoy(&self) -> String {
        let failed = match self {
            Self::Chain { depth, reason } => {
                format!("X509_verify_cert:_certificate_verification_error_at_depth_{depth}:_{reason}")
            }
            Self::Names {
                automatic: false,
                shown,
                ..
            } => format!("SAN_matcher,_certificate_SANs_are_[{}]", shown.join(",")),
            Self::Names { expected, shown, .. } => format!(
                "verify_SAN_list,_expected_SANs:_[{}],_certificate_SANs:_[{}]",
                expected.join(","),
                shown.join(",")
            ),
        };
        format!(
            "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_{failed}:TLS_error_end"
        )
    }

    /// As curl says it.
    pub(super) fn of_curl(&self, host: &str) -> String {
        match self {
            Self::Chain { reason, .. } => {
                let reason = reason.replace('_', " ").replace("self signed", "self-signed");
                format!("SSL certificate problem: {reason}")
            }
            Self::Names { .. } => {
                format!("SSL: no alternative certificate subject name matches target host name '{host}'")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::{Authority, CertificateRequest, authority};

    fn request(name: &str) -> CertificateRequest {
        CertificateRequest {
            common_name: name.to_owned(),
            organization: None,
            dns_names: vec![name.parse().unwrap()],
            valid_days: 30,
            now: Timestamp::now(),
        }
    }

    fn root(name: &str) -> Authority {
        authority(&CertificateRequest {
            dns_names: Vec::new(),
            ..request(name)
        })
        .unwrap()
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_the_measurements() {
        let (ours, other) = (root("ours.test"), root("others.test"));
        let leaf = ours.issue_server(&request("other.test")).unwrap().certificate_pem;
        let now = Timestamp::now();
        let ask = |chain: &str, authorities: &str, expects| {
            client_believes(chain, authorities, &expects, now).map_err(|distrust| distrust.of_envoy())
        };
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let trusted = &ours.certificate_pem;
        assert_eq!(ask(&leaf, trusted, Expects::Any), Ok(()));
        assert_eq!(
            ask(&leaf, trusted, Expects::OneOf(names(&["other.test"]))),
            Ok(())
        );
        let prefix = "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:";
        for (chain, authorities, expects, said) in [
            (
                leaf.clone(),
                trusted,
                Expects::OneOf(names(&["wrongsan.test"])),
                "_SAN_matcher,_certificate_SANs_are_[other.test]",
            ),
            (
                leaf.clone(),
                trusted,
                Expects::Host("wrongsan.test".into()),
                "_verify_SAN_list,_expected_SANs:_[wrongsan.test],_certificate_SANs:_[other.test]",
            ),
            (
                leaf.clone(),
                &other.certificate_pem,
                Expects::Any,
                "_X509_verify_cert:_certificate_verification_error_at_depth_0:_unable_to_get_local_issuer_certificate",
            ),
            (
                leaf.clone() + trusted,
                &other.certificate_pem,
                Expects::Any,
                "_X509_verify_cert:_certificate_verification_error_at_depth_1:_self_signed_certificate_in_certificate_chain",
            ),
        ] {
            let told = ask(&chain, authorities, expects).unwrap_err();
            assert_eq!(told, format!("{prefix}{said}:TLS_error_end"));
        }
    }

    #[test]
    fn a_server_lets_in_clients_of_its_own_authority_only() {
        let (ours, other) = (root("ours.test"), root("others.test"));
        let client = ours
            .issue_client(&request("client.test"))
            .unwrap()
            .certificate_pem;
        let now = Timestamp::now();
        let of = |root: &Authority| Admits::ClientsOf(root.certificate_pem.clone());
        assert!(server_admits(&of(&ours), Some(&client), now));
        assert!(!server_admits(&of(&other), Some(&client), now));
        assert!(!server_admits(&of(&ours), None, now));
        assert!(!server_admits(&Admits::Nobody, Some(&client), now));
        assert!(server_admits(&Admits::Everybody, None, now));
    }
}
