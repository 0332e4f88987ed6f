//! What a certificate says.

use super::pem;
use crate::error::{Error, Result};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::net::IpAddr;
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName};
use x509_parser::nom;
use x509_parser::oid_registry::OidRegistry;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;

/// What a certificate says, in words that a user can compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inspected {
    /// Whom it names, as `CN=…, O=…`.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Serial number, as `0a:1b`.
    pub serial: String,
    /// From when it is valid.
    #[schemars(with = "String")]
    pub not_before: Timestamp,
    /// Until when.
    #[schemars(with = "String")]
    pub not_after: Timestamp,
    /// DNS names among its subject alternative names.
    pub dns_names: Vec<String>,
    /// Addresses among them.
    #[schemars(with = "Vec<String>")]
    pub ip_addresses: Vec<IpAddr>,
    /// URIs among them; a mesh identity is one (SPIFFE).
    pub uris: Vec<String>,
    /// Algorithm and size of its key, for example `ECDSA P-256` or `RSA 2048`.
    pub key: String,
    /// How it is signed, for example `ecdsa-with-SHA256`.
    pub signature_algorithm: String,
    /// Whether it may issue others.
    pub is_authority: bool,
    /// What it is for: `serverAuth`, `clientAuth`, …; empty if it does not say, which means anything.
    pub extended_key_usages: Vec<String>,
    /// SHA-256 of its DER, lower-case hexadecimal.
    pub fingerprint_sha256: String,
}

impl Inspected {
    /// Whether it names its own issuer, as roots do.
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }
}

/// Tells what each certificate of a PEM bundle says, in the bundle's order.
///
/// # Errors
/// If it is not PEM, holds no certificate, or one cannot be read.
pub fn inspect_chain(text: &[u8]) -> Result<Vec<Inspected>> {
    let certificates = pem::certificates(text)
        .map_err(|fault| Error::usage("there is no certificate to look at").because(fault.to_string()))?;
    certificates.iter().map(|der| inspect_der(der)).collect()
}

/// Tells what a certificate says (DER).
///
/// # Errors
/// If it cannot be read.
pub fn inspect_der(der: &[u8]) -> Result<Inspected> {
    let certificate = parse(der)?;
    let mut inspected = Inspected {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        serial: certificate.raw_serial_as_string(),
        not_before: moment(certificate.validity().not_before.timestamp())?,
        not_after: moment(certificate.validity().not_after.timestamp())?,
        dns_names: Vec::new(),
        ip_addresses: Vec::new(),
        uris: Vec::new(),
        key: key_text(&certificate),
        signature_algorithm: name_of(&certificate.signature_algorithm.algorithm),
        is_authority: certificate.is_ca(),
        extended_key_usages: usages(&certificate),
        fingerprint_sha256: fingerprint(der),
    };
    let names = certificate.subject_alternative_name().ok().flatten();
    for name in names.map_or(&[][..], |names| &names.value.general_names) {
        match name {
            GeneralName::DNSName(name) => inspected.dns_names.push((*name).to_owned()),
            GeneralName::URI(uri) => inspected.uris.push((*uri).to_owned()),
            GeneralName::IPAddress(bytes) => inspected.ip_addresses.extend(address(bytes)),
            _ => {}
        }
    }
    Ok(inspected)
}

pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>> {
    X509Certificate::from_der(der)
        .map(|(_, certificate)| certificate)
        .map_err(|error| Error::usage("a certificate cannot be read").because(why(&error)))
}

/// In words: of what the structure lacks, the library tells only in its own types.
fn why(error: &nom::Err<X509Error>) -> String {
    match error {
        nom::Err::Incomplete(_) => "it ends too early".to_owned(),
        nom::Err::Error(X509Error::Der(_) | X509Error::NomError(_))
        | nom::Err::Failure(X509Error::Der(_) | X509Error::NomError(_)) => {
            "it is damaged, cut, or something else than a certificate".to_owned()
        }
        nom::Err::Error(said) | nom::Err::Failure(said) => said.to_string(),
    }
}

/// The certificate's SubjectPublicKeyInfo (DER).
pub(super) fn public_key(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = parse(der).ok()?;
    Some(certificate.public_key().raw.to_vec())
}

/// SHA-256 in lower-case hexadecimal.
pub(super) fn fingerprint(der: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(der) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Whether the names of a certificate cover a host: equal, or a wildcard for exactly one label in front (RFC 9525
/// section 6.3). The common name does not count.
pub fn covers(dns_names: &[String], host: &str) -> bool {
    dns_names.iter().any(|name| {
        let name = name.to_ascii_lowercase();
        if name == host {
            return true;
        }
        let (Some(pattern), Some((first, rest))) = (name.strip_prefix("*."), host.split_once('.')) else {
            return false;
        };
        !first.is_empty() && first != "*" && pattern == rest
    })
}

fn moment(second: i64) -> Result<Timestamp> {
    Timestamp::from_second(second).map_err(|error| {
        Error::usage("a certificate has a date beyond the calendar").because(error.to_string())
    })
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

fn usages(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(usage)) = certificate.extended_key_usage() else {
        return Vec::new();
    };
    let ExtendedKeyUsage {
        any,
        server_auth,
        client_auth,
        code_signing,
        email_protection,
        time_stamping,
        ocsp_signing,
        other,
    } = usage.value;
    [
        (*any, "any"),
        (*server_auth, "serverAuth"),
        (*client_auth, "clientAuth"),
        (*code_signing, "codeSigning"),
        (*email_protection, "emailProtection"),
        (*time_stamping, "timeStamping"),
        (*ocsp_signing, "OCSPSigning"),
    ]
    .into_iter()
    .filter(|(has, _)| *has)
    .map(|(_, name)| name.to_owned())
    .chain(other.iter().map(ToString::to_string))
    .collect()
}

fn key_text(certificate: &X509Certificate<'_>) -> String {
    let key = certificate.public_key();
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => format!("RSA {}", rsa.key_size()),
        Ok(PublicKey::EC(point)) => {
            let curve = key
                .algorithm
                .parameters
                .as_ref()
                .and_then(|parameters| parameters.as_oid().ok())
                .map(|oid| oid.to_id_string());
            match curve.as_deref() {
                Some("1.2.840.10045.3.1.7") => "ECDSA P-256".to_owned(),
                Some("1.3.132.0.34") => "ECDSA P-384".to_owned(),
                Some("1.3.132.0.35") => "ECDSA P-521".to_owned(),
                _ => format!("ECDSA {}", point.key_size()),
            }
        }
        _ if key.algorithm.algorithm.to_id_string() == "1.3.101.112" => "Ed25519".to_owned(),
        _ => name_of(&key.algorithm.algorithm),
    }
}

fn name_of(oid: &x509_parser::oid_registry::asn1_rs::Oid<'_>) -> String {
    let registry = OidRegistry::default().with_crypto();
    let entry = registry.get(oid);
    entry.map_or_else(|| oid.to_id_string(), |entry| entry.sn().to_owned())
}
