//! Makes certificates: an authority of its own, and what it issues to servers and clients.

use super::inspect::{Inspected, inspect_der};
use super::key;
use super::pem;
use crate::error::{Error, Result};
use crate::vocabulary::HostName;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use secrecy::SecretString;
use std::time::Duration;

/// How far certificates reach back, for machines whose clocks differ.
const BACK: Duration = Duration::from_secs(5 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a certificate is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    /// Common name of its subject.
    pub common_name: String,
    /// Organization of its subject.
    pub organization: Option<String>,
    /// Subject alternative names; what clients compare the host with (RFC 9525).
    pub dns_names: Vec<HostName>,
    /// For how many days it is valid.
    pub valid_days: u32,
    /// From when.
    pub now: Timestamp,
}

/// A certificate with its key.
#[derive(Debug)]
pub struct Issued {
    /// The certificate (PEM).
    pub certificate_pem: String,
    /// Its private key (PEM, PKCS #8).
    pub key_pem: SecretString,
    /// SHA-256 of the certificate's DER, lower-case hexadecimal.
    pub fingerprint_sha256: String,
}

/// A certificate authority that can issue.
pub struct Authority {
    /// Its certificate (PEM).
    pub certificate_pem: String,
    /// Its private key (PEM).
    pub key_pem: SecretString,
    issuer: Issuer<'static, KeyPair>,
    not_after: Timestamp,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Authority")
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// Makes a root: an authority that signs itself.
///
/// # Errors
/// If a name cannot stand in a certificate.
pub fn authority(request: &CertificateRequest) -> Result<Authority> {
    let key = KeyPair::generate().map_err(|error| unmade(&error))?;
    self_signed(request, key, None)
}

/// The same with a key of the user's own (PEM; ECDSA, RSA or Ed25519).
///
/// # Errors
/// As [`authority`], and if the key cannot be read.
pub fn authority_for(request: &CertificateRequest, key: &[u8]) -> Result<Authority> {
    let pair = key::read(key)
        .map_err(|fault| Error::usage("no CA can be made with this key").because(fault.to_string()))?;
    let text = SecretString::from(String::from_utf8_lossy(key).into_owned());
    self_signed(request, pair, Some(text))
}

fn self_signed(
    request: &CertificateRequest,
    key: KeyPair,
    key_text: Option<SecretString>,
) -> Result<Authority> {
    let mut params = params(request, None)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).map_err(|error| unmade(&error))?;
    let key_pem = key_text.unwrap_or_else(|| SecretString::from(key.serialize_pem()));
    Authority::of(certificate.der(), key, key_pem)
}

impl Authority {
    /// An authority of the user's own: certificate and key as PEM, the key ECDSA, RSA or Ed25519.
    ///
    /// # Errors
    /// If they cannot be read, do not fit, or the certificate is not of an authority.
    pub fn from_pem(certificate: &[u8], key_text: &[u8]) -> Result<Self> {
        let unusable = |cause: String| Error::usage("this CA cannot issue certificates").because(cause);
        let certificates = pem::certificates(certificate).map_err(|fault| unusable(fault.to_string()))?;
        let pair = key::read(key_text).map_err(|fault| unusable(fault.to_string()))?;
        let public = key::public_key(&pair);
        let der = certificates
            .iter()
            .find(|der| super::inspect::public_key(der).is_some_and(|own| own == public))
            .ok_or_else(|| unusable("the key is not that of the CA's certificate".to_owned()))?;
        let inspected = inspect_der(der)?;
        if !inspected.is_authority {
            return Err(unusable(format!(
                "the certificate of {} is not a CA's: its basicConstraints do not say CA:TRUE",
                inspected.subject
            )));
        }
        let key_pem = SecretString::from(String::from_utf8_lossy(key_text).into_owned());
        Self::of(der, pair, key_pem)
    }

    /// Until when it is valid.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// What its certificate says.
    ///
    /// # Errors
    /// Only if it cannot be read, which is a bug.
    pub fn inspected(&self) -> Result<Inspected> {
        inspect_der(&self.der()?)
    }

    fn der(&self) -> Result<Vec<u8>> {
        pem::certificates(self.certificate_pem.as_bytes())
            .ok()
            .and_then(|all| all.into_iter().next())
            .ok_or_else(|| Error::bug("an authority without a certificate"))
    }

    fn of(der: &[u8], key: KeyPair, key_pem: SecretString) -> Result<Self> {
        Ok(Self {
            certificate_pem: pem::text("CERTIFICATE", der),
            key_pem,
            not_after: inspect_der(der)?.not_after,
            issuer: Issuer::from_ca_cert_der(&der.to_vec().into(), key).map_err(|error| unmade(&error))?,
        })
    }

    /// Issues a server's certificate, with a new key.
    ///
    /// # Errors
    /// If no host is named, or a name cannot stand in a certificate.
    pub fn issue_server(&self, request: &CertificateRequest) -> Result<Issued> {
        self.issue(request, ExtendedKeyUsagePurpose::ServerAuth, None)
    }

    /// Issues a client's certificate, with a new key.
    ///
    /// # Errors
    /// If a name cannot stand in a certificate.
    pub fn issue_client(&self, request: &CertificateRequest) -> Result<Issued> {
        self.issue(request, ExtendedKeyUsagePurpose::ClientAuth, None)
    }

    /// Issues a server's certificate for a key of the user's own (PEM; ECDSA, RSA or Ed25519).
    ///
    /// # Errors
    /// As [`Self::issue_server`], and if the key cannot be read.
    pub fn issue_server_for(&self, request: &CertificateRequest, key: &[u8]) -> Result<Issued> {
        self.issue(request, ExtendedKeyUsagePurpose::ServerAuth, Some(key))
    }

    /// Issues a client's certificate for a key of the user's own (PEM; ECDSA, RSA or Ed25519).
    ///
    /// # Errors
    /// As [`Self::issue_client`], and if the key cannot be read.
    pub fn issue_client_for(&self, request: &CertificateRequest, key: &[u8]) -> Result<Issued> {
        self.issue(request, ExtendedKeyUsagePurpose::ClientAuth, Some(key))
    }

    /// Issues what a proxy shows to others of its mesh: a workload's identity (SPIFFE), for both ends of TLS.
    ///
    /// # Errors
    /// If the identity or a name cannot stand in a certificate.
    pub fn issue_identity(&self, request: &CertificateRequest, identity: &str) -> Result<Issued> {
        let pair = KeyPair::generate().map_err(|error| unmade(&error))?;
        let key_pem = SecretString::from(pair.serialize_pem());
        let mut params = params(request, Some(self.not_after))?;
        let identity = identity.try_into().map_err(|error| unmade(&error))?;
        params.subject_alt_names.push(SanType::URI(identity));
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        self.sign(params, &pair, key_pem)
    }

    fn issue(
        &self,
        request: &CertificateRequest,
        purpose: ExtendedKeyUsagePurpose,
        own_key: Option<&[u8]>,
    ) -> Result<Issued> {
        if purpose == ExtendedKeyUsagePurpose::ServerAuth && request.dns_names.is_empty() {
            return Err(Error::usage("a server's certificate needs a host"));
        }
        let (pair, key_pem) = if let Some(text) = own_key {
            let pair = key::read(text).map_err(|fault| {
                Error::usage("no certificate can be issued for this key").because(fault.to_string())
            })?;
            (
                pair,
                SecretString::from(String::from_utf8_lossy(text).into_owned()),
            )
        } else {
            let pair = KeyPair::generate().map_err(|error| unmade(&error))?;
            let text = SecretString::from(pair.serialize_pem());
            (pair, text)
        };
        let mut params = params(request, Some(self.not_after))?;
        params.extended_key_usages = vec![purpose];
        self.sign(params, &pair, key_pem)
    }

    fn sign(&self, mut params: CertificateParams, pair: &KeyPair, key_pem: SecretString) -> Result<Issued> {
        params.use_authority_key_identifier_extension = true;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if pair.is_compatible(&rcgen::PKCS_RSA_SHA256) {
            // TLS 1.2 servers may be asked to decrypt with it.
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        let certificate = params
            .signed_by(pair, &self.issuer)
            .map_err(|error| unmade(&error))?;
        Ok(Issued {
            certificate_pem: pem::text("CERTIFICATE", certificate.der()),
            key_pem,
            fingerprint_sha256: super::inspect::fingerprint(certificate.der()),
        })
    }
}

fn params(request: &CertificateRequest, at_most: Option<Timestamp>) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, request.common_name.as_str());
    if let Some(organization) = &request.organization {
        params
            .distinguished_name
            .push(DnType::OrganizationName, organization.as_str());
    }
    for name in &request.dns_names {
        let name = name.as_str().try_into().map_err(|error| unmade(&error))?;
        params.subject_alt_names.push(SanType::DnsName(name));
    }
    let until = request
        .now
        .checked_add(
            jiff::SignedDuration::try_from(DAY * request.valid_days).map_err(|error| unmade(&error))?,
        )
        .map_err(|_| Error::usage(format!("{} days go beyond the calendar", request.valid_days)))?;
    // What outlives its issuer is worth nothing from then on.
    let until = at_most.map_or(until, |most| until.min(most));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch(request.now).saturating_sub(BACK);
    params.not_after = epoch + since_epoch(until);
    Ok(params)
}

fn since_epoch(moment: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(moment.as_second()).unwrap_or_default())
}

fn unmade(error: &dyn std::fmt::Display) -> Error {
    Error::usage("the certificate cannot be made").because(error.to_string())
}
