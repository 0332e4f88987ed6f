//! What is wrong with a certificate and its key, before a proxy gets them: each fault by its own name.

use super::chain::signs;
use super::inspect::{self, Inspected, covers, inspect_der};
use super::key::{self, KeyFault};
use super::pem::{self, Fault};
use crate::finding::{Article, Finding, Severity, catalogue};
use crate::vocabulary::HostName;
use jiff::{SignedDuration, Timestamp};

/// A certificate that ends within these days is worth a word.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What is checked together. All PEM.
#[derive(Clone, Copy)]
pub struct Bundle<'bundle> {
    /// The certificate, with intermediate ones behind it.
    pub certificate: &'bundle [u8],
    /// Its private key.
    pub key: Option<&'bundle [u8]>,
    /// The authorities that should have issued it.
    pub authority: Option<&'bundle [u8]>,
}

/// What a certificate is to be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use<'host> {
    /// By a server.
    Server {
        /// The host that clients ask for.
        host: &'host HostName,
    },
    /// By a client that proves who it is.
    Client,
}

/// Finds everything that is wrong.
pub fn check(bundle: &Bundle<'_>, purpose: Use<'_>, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    let chain = match pem::certificates(bundle.certificate) {
        Ok(chain) => chain,
        Err(fault) => {
            findings.push(unreadable("certificate", &fault));
            Vec::new()
        }
    };
    let mut inspected = Vec::new();
    for der in &chain {
        match inspect_der(der) {
            Ok(said) => inspected.push(said),
            Err(error) => {
                findings.push(Finding::new(
                    &catalogue::CERTIFICATE_UNREADABLE,
                    format!("the certificate: {error}"),
                ));
            }
        }
    }
    let whole = !chain.is_empty() && inspected.len() == chain.len();
    let public = match bundle.key.map(key::read) {
        Some(Ok(pair)) => Some(key::public_key(&pair)),
        Some(Err(fault)) => {
            findings.push(bad_key(&fault));
            None
        }
        None => None,
    };
    if !whole {
        return findings;
    }
    let leaf = leaf_of(&chain, &inspected, public.as_deref(), &mut findings);
    findings.extend(order(&chain, leaf));
    let said = &inspected[leaf];
    findings.extend(validity("certificate", said, now));
    findings.extend(usage(said, purpose));
    for (index, between) in inspected.iter().enumerate() {
        if index != leaf {
            findings.extend(validity("intermediate certificate", between, now));
        }
    }
    if let Some(authority) = bundle.authority {
        match pem::certificates(authority) {
            Ok(authorities) => findings.extend(issued_by(&chain, leaf, said, &authorities)),
            Err(fault) => findings.push(unreadable("CA", &fault)),
        }
    }
    findings
}

/// Checks a bundle of authorities, each for itself.
pub fn check_authorities(text: &[u8], now: Timestamp) -> Vec<Finding> {
    let certificates = match pem::certificates(text) {
        Ok(certificates) => certificates,
        Err(fault) => return vec![unreadable("CA", &fault)],
    };
    let mut findings = Vec::new();
    for der in &certificates {
        match inspect_der(der) {
            Ok(said) => {
                // A self-signed server certificate may be trusted directly.
                if !said.is_authority && !said.is_self_issued() {
                    let message = format!("{} is given as a CA and is none", said.subject);
                    findings.push(Finding::new(&catalogue::AUTHORITY_IS_NONE, message));
                }
                findings.extend(validity("CA", &said, now));
            }
            Err(error) => {
                findings.push(Finding::new(
                    &catalogue::CERTIFICATE_UNREADABLE,
                    format!("the CA: {error}"),
                ));
            }
        }
    }
    findings
}

fn unreadable(what: &str, fault: &Fault) -> Finding {
    let article = match fault {
        Fault::Encrypted => &catalogue::KEY_ENCRYPTED,
        _ => &catalogue::CERTIFICATE_UNREADABLE,
    };
    Finding::new(article, format!("the {what}: {fault}"))
}

fn bad_key(fault: &KeyFault) -> Finding {
    let article: &'static Article = match fault {
        KeyFault::Pem(Fault::Encrypted) => &catalogue::KEY_ENCRYPTED,
        KeyFault::Pem(_) | KeyFault::Unknown => &catalogue::KEY_UNREADABLE,
    };
    Finding::new(article, format!("the key: {fault}"))
}

/// The certificate that the key belongs to; without a key the first one that is no authority's.
fn leaf_of(
    chain: &[Vec<u8>],
    inspected: &[Inspected],
    public: Option<&[u8]>,
    findings: &mut Vec<Finding>,
) -> usize {
    let not_authority = inspected.iter().position(|said| !said.is_authority).unwrap_or(0);
    let Some(public) = public else {
        return not_authority;
    };
    let fits = chain
        .iter()
        .position(|der| inspect::public_key(der).is_some_and(|own| own == public));
    fits.unwrap_or_else(|| {
        findings.push(Finding::new(
            &catalogue::KEY_MISMATCH,
            format!(
                "the key is not that of the certificate {}",
                inspected[not_authority].subject
            ),
        ));
        not_authority
    })
}

/// Leaf first, then each certificate followed by its issuer (RFC 8446 section 4.4.2; proxies send it as it is).
fn order(chain: &[Vec<u8>], leaf: usize) -> Option<Finding> {
    let subject = |der: &Vec<u8>| inspect_der(der).map(|said| said.subject).unwrap_or_default();
    let message = if leaf != 0 {
        format!(
            "the bundle begins with {}, but the certificate itself, {}, is number {} in it",
            subject(&chain[0]),
            subject(&chain[leaf]),
            leaf + 1
        )
    } else {
        let broken = chain.windows(2).find(|pair| !signs(&pair[1], &pair[0]))?;
        format!(
            "{} is followed by {}, which did not issue it",
            subject(&broken[0]),
            subject(&broken[1])
        )
    };
    Some(Finding::new(&catalogue::BUNDLE_ORDER, message))
}

fn validity(what: &str, said: &Inspected, now: Timestamp) -> Option<Finding> {
    let Inspected {
        subject,
        not_before,
        not_after,
        ..
    } = said;
    let (article, message) = if now > *not_after {
        (
            &catalogue::CERTIFICATE_EXPIRED,
            format!("the {what} {subject} expired on {not_after}"),
        )
    } else if now < *not_before {
        (
            &catalogue::CERTIFICATE_NOT_YET_VALID,
            format!("the {what} {subject} is not valid before {not_before}"),
        )
    } else if not_after.duration_since(now) < SOON {
        (
            &catalogue::CERTIFICATE_EXPIRES_SOON,
            format!("the {what} {subject} expires on {not_after}"),
        )
    } else {
        return None;
    };
    Some(Finding::new(article, message))
}

fn usage(said: &Inspected, purpose: Use<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let wanted = match purpose {
        Use::Server { host } => {
            if !covers(&said.dns_names, host.as_str()) {
                let names = if said.dns_names.is_empty() {
                    "it has no DNS name at all; a common name does not count".to_owned()
                } else {
                    format!("it is for {}", said.dns_names.join(", "))
                };
                let message = format!("the certificate {} does not name {host}: {names}", said.subject);
                findings.push(Finding::new(&catalogue::HOST_NOT_NAMED, message));
            }
            "serverAuth"
        }
        Use::Client => "clientAuth",
    };
    let usages = &said.extended_key_usages;
    if !usages.is_empty() && !usages.iter().any(|usage| usage == wanted || usage == "any") {
        let message = format!(
            "the certificate {} is for {}, not for {wanted}",
            said.subject,
            usages.join(", ")
        );
        findings.push(Finding::new(&catalogue::USAGE_MISSING, message));
    }
    if said.is_authority {
        let message = format!("{} is a CA's certificate, used as that of a party", said.subject);
        let finding = Finding::new(&catalogue::USAGE_MISSING, message);
        findings.push(Finding {
            severity: Severity::Warning,
            ..finding
        });
    }
    findings
}

fn issued_by(chain: &[Vec<u8>], leaf: usize, said: &Inspected, authorities: &[Vec<u8>]) -> Option<Finding> {
    let mut at = leaf;
    // Along the chain, however it is ordered; a circle ends after as many steps as there are certificates.
    for _ in 0..chain.len() {
        if authorities
            .iter()
            .any(|authority| *authority == chain[at] || signs(authority, &chain[at]))
        {
            return None;
        }
        let next = (0..chain.len()).find(|other| *other != at && signs(&chain[*other], &chain[at]));
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    let names: Vec<String> = authorities
        .iter()
        .filter_map(|der| inspect_der(der).ok().map(|authority| authority.subject))
        .collect();
    let message = format!(
        "the certificate {} was issued by {}, not by the given CA {}",
        said.subject,
        said.issuer,
        names.join(", ")
    );
    Some(Finding::new(&catalogue::FOREIGN_AUTHORITY, message))
}
