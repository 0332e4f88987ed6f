//! The authority that everybody trusts, proxies and curl, and the certificates that it issues to hosts outside. Real ones:
//! a Secret that holds this authority's certificate makes a gateway trust these hosts, and one that holds another does not.

use crate::certificate::{self, Authority, CertificateRequest};
use crate::error::{Error, Result};
use crate::vocabulary::HostName;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

/// For how long certificates are valid, in days.
const VALID_DAYS: u32 = 365;

/// What a server shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerCertificate {
    /// A certificate of the authority that everybody trusts.
    Issued {
        /// The names in it.
        names: Vec<String>,
        /// It was valid until a year ago.
        expired: bool,
    },
    /// This one (PEM, leaf first).
    Given(String),
}

impl ServerCertificate {
    /// One that everybody trusts, for a name.
    pub fn public(name: &str) -> Self {
        Self::Issued {
            names: vec![name.to_owned()],
            expired: false,
        }
    }
}

/// The authority, with what it issued; each is made when it is first asked for.
#[derive(Debug, Default)]
pub(super) struct PublicAuthority {
    authority: OnceLock<Option<Authority>>,
    issued: Mutex<BTreeMap<(Vec<String>, bool), String>>,
}

impl PublicAuthority {
    /// Its certificate (PEM).
    pub(super) fn certificate(&self) -> String {
        self.authority()
            .map(|authority| authority.certificate_pem.clone())
            .unwrap_or_default()
    }

    fn authority(&self) -> Option<&Authority> {
        let make =
            || certificate::authority(&request("sandbox public root", Vec::new(), Timestamp::now())).ok();
        self.authority.get_or_init(make).as_ref()
    }

    /// The chain (PEM) that a server shows; empty if a name cannot stand in a certificate.
    pub(super) fn chain(&self, shown: &ServerCertificate) -> String {
        let (names, expired) = match shown {
            ServerCertificate::Given(chain) => return chain.clone(),
            ServerCertificate::Issued { names, expired } => (names, *expired),
        };
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let chain = issued
            .entry((names.clone(), expired))
            .or_insert_with(|| self.issue(names, expired).unwrap_or_default());
        chain.clone()
    }

    fn issue(&self, names: &[String], expired: bool) -> Result<String> {
        let dns_names = names
            .iter()
            .map(|name| name.parse())
            .collect::<std::result::Result<Vec<HostName>, _>>()
            .map_err(|error| Error::bug(error.to_string()))?;
        let days = if expired { 2 * VALID_DAYS } else { 0 };
        let now = Timestamp::now() - SignedDuration::from_hours(24 * i64::from(days));
        let first = names.first().map_or("", String::as_str);
        let authority = self
            .authority()
            .ok_or_else(|| Error::bug("there is no public authority"))?;
        Ok(authority
            .issue_server(&request(first, dns_names, now))?
            .certificate_pem)
    }
}

fn request(common_name: &str, dns_names: Vec<HostName>, now: Timestamp) -> CertificateRequest {
    CertificateRequest {
        common_name: common_name.to_owned(),
        organization: None,
        dns_names,
        valid_days: VALID_DAYS,
        now,
    }
}
