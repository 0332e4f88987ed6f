//! Whether a chain leads to a trusted authority, told as `openssl s_client` tells it.

use super::inspect::{inspect_der, parse};
use crate::error::Result;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use x509_parser::certificate::X509Certificate;

/// How a chain stands against a set of authorities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "result", content = "cause")]
pub enum Trust {
    /// It leads to one of them, and everything on the way is valid.
    Trusted,
    /// It does not, for this reason.
    Refused(String),
    /// No authority was given to compare with.
    NotAsked,
}

/// Follows a chain (DER, leaf first) to one of the authorities.
///
/// # Errors
/// If a certificate cannot be read.
pub fn trust(chain: &[Vec<u8>], authorities: &[Vec<u8>], now: Timestamp) -> Result<Trust> {
    if authorities.is_empty() {
        return Ok(Trust::NotAsked);
    }
    let refused = |cause: String| Ok(Trust::Refused(cause));
    let Some(mut at) = chain.first() else {
        return refused("there is no certificate".to_owned());
    };
    // A chain that turns in a circle ends here.
    for _ in 0..=chain.len() {
        let said = inspect_der(at)?;
        if now < said.not_before {
            return refused(format!(
                "{} is not valid before {}",
                said.subject, said.not_before
            ));
        }
        if now > said.not_after {
            return refused(format!("{} has expired, on {}", said.subject, said.not_after));
        }
        if authorities.contains(at) {
            return Ok(Trust::Trusted);
        }
        let next = |among: &'_ [Vec<u8>]| -> Option<usize> {
            among.iter().position(|other| other != at && signs(other, at))
        };
        if let Some(root) = next(authorities) {
            let root = inspect_der(&authorities[root])?;
            return if now > root.not_after {
                refused(format!("{} has expired, on {}", root.subject, root.not_after))
            } else {
                Ok(Trust::Trusted)
            };
        }
        match next(chain) {
            Some(index) => at = &chain[index],
            None if said.is_self_issued() => {
                return refused(format!(
                    "{} signed itself and is none of the trusted CAs",
                    said.subject
                ));
            }
            None => {
                return refused(format!(
                    "the CA that issued {}, {}, is neither in the chain nor trusted",
                    said.subject, said.issuer
                ));
            }
        }
    }
    refused("the chain leads nowhere".to_owned())
}

/// Whether `issuer` may sign, is named as the issuer, and did sign.
pub(super) fn signs(issuer: &[u8], signed: &[u8]) -> bool {
    let (Ok(issuer), Ok(signed)) = (parse(issuer), parse(signed)) else {
        return false;
    };
    is_issuer(&issuer, &signed)
}

fn is_issuer(issuer: &X509Certificate<'_>, signed: &X509Certificate<'_>) -> bool {
    // Version 1 certificates, as `openssl x509 -req` without extensions makes them, cannot say CA:TRUE.
    let may = issuer.is_ca() || issuer.version() == x509_parser::x509::X509Version::V1;
    may && issuer.subject().as_raw() == signed.issuer().as_raw()
        && signed.verify_signature(Some(issuer.public_key())).is_ok()
}
