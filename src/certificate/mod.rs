//! Certificates: makes them (ECDSA P-256), tells what is in them, and checks them before a proxy gets them.
//!
//! Pure: no files, no cluster, no clock; the time is passed in. Private keys are [`secrecy::SecretString`]s, which
//! show nothing in `Debug` and are wiped when dropped.

mod authority;
mod chain;
mod check;
mod inspect;
mod key;
mod pem;

#[cfg(test)]
mod tests;

pub use authority::{Authority, CertificateRequest, Issued, authority, authority_for};
pub use chain::{Trust, trust};
pub use check::{Bundle, Use, check, check_authorities};
pub use inspect::{Inspected, covers, inspect_chain, inspect_der};

use crate::error::{Error, Result};

/// Joins PEM texts into one bundle, each certificate once, so that old and new authorities are trusted side by side.
///
/// # Errors
/// If one of them holds no certificate.
pub fn bundle_of(authorities: &[&[u8]]) -> Result<String> {
    let mut seen = std::collections::BTreeSet::new();
    let mut text = String::new();
    for authority in authorities {
        let certificates = pem::certificates(authority)
            .map_err(|fault| Error::usage("a CA bundle cannot be joined").because(fault.to_string()))?;
        for certificate in certificates {
            if seen.insert(certificate.clone()) {
                text.push_str(&pem::text("CERTIFICATE", &certificate));
            }
        }
    }
    Ok(text)
}

/// Follows a bundle (leaf first) to one of the authorities of another: see [`trust`].
///
/// # Errors
/// If one of them holds no certificate, or one cannot be read.
pub fn trust_of_pem(chain: &[u8], authorities: &[u8], now: jiff::Timestamp) -> Result<Trust> {
    let certificates = |text: &[u8]| {
        pem::certificates(text)
            .map_err(|fault| Error::usage("there is nothing to compare").because(fault.to_string()))
    };
    trust(&certificates(chain)?, &certificates(authorities)?, now)
}
