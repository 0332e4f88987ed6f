//! The mesh's own authority, and the identities that it gives to proxies.

use crate::certificate::{self, Authority, CertificateRequest};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

/// For how long its own certificate is valid, in days: istiod's is for ten years.
const AUTHORITY_DAYS: u32 = 3_650;
/// For how long an identity is, in days.
const IDENTITY_DAYS: u32 = 1;

/// The authority, with what it issued; each is made when it is first asked for.
#[derive(Debug, Default)]
pub(super) struct MeshAuthority {
    authority: OnceLock<Option<Authority>>,
    issued: Mutex<BTreeMap<String, String>>,
}

impl MeshAuthority {
    /// Its certificate (PEM).
    pub(super) fn certificate(&self) -> String {
        self.authority()
            .map(|authority| authority.certificate_pem.clone())
            .unwrap_or_default()
    }

    fn authority(&self) -> Option<&Authority> {
        let make = || certificate::authority(&request(AUTHORITY_DAYS)).ok();
        self.authority.get_or_init(make).as_ref()
    }

    /// The certificate (PEM) of a workload's identity; empty if it cannot stand in one.
    pub(super) fn identity(&self, identity: &str) -> String {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || {
            let issued = self
                .authority()?
                .issue_identity(&request(IDENTITY_DAYS), identity)
                .ok()?;
            Some(issued.certificate_pem)
        };
        let chain = issued
            .entry(identity.to_owned())
            .or_insert_with(|| made().unwrap_or_default());
        chain.clone()
    }
}

fn request(valid_days: u32) -> CertificateRequest {
    CertificateRequest {
        common_name: "sandbox mesh".to_owned(),
        organization: Some("cluster.local".to_owned()),
        dns_names: Vec::new(),
        valid_days,
        now: Timestamp::now(),
    }
}
