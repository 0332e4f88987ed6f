//! What an Istio is too old for, told by its version.

use crate::error::{Error, Result};
use crate::plan::{PlannedHost, Resolution};

/// The oldest Istio that is not refused. Before it, a proxy that originates TLS without `caCertificates` checked no
/// certificate at all (Istio's release note `enable-verify-certificate-at-client`), and an ExternalName Service was a
/// host of its own. What is written fits the CRDs of its `istio.io/api` (tests/cluster/versions); CONNECT tunnels
/// (`tunnel`) are older.
pub(super) const OLDEST: Release = Release(1, 21);
/// Sidecars resolve names of a wildcard from Istio 1.30 on; the API has the word since 1.28, for waypoints only
/// (Istio's release notes `se-wildcard-host-sidecar`).
const DYNAMIC_DNS_SINCE: Release = Release(1, 30);

/// Major and minor version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Release(u32, u32);

impl Release {
    /// Reads `1.29.2` or `1.30.0-alpha.1`; `None` if it is no version.
    fn read(version: &str) -> Option<Self> {
        let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
        Some(Self(numbers.next()??, numbers.next()??))
    }

    /// Whether a version is older. An unknown one is left to the API server, which refuses what it does not know.
    pub(super) fn is_after(self, version: &str) -> bool {
        Self::read(version).is_some_and(|found| found < self)
    }
}

impl std::fmt::Display for Release {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.0, self.1)
    }
}

/// Refuses what this version of Istio cannot do.
///
/// # Errors
/// If it is older than what the host needs; the message names both versions.
pub(super) fn check(planned: &PlannedHost, version: &str) -> Result<()> {
    if planned.how.resolution != Some(Resolution::Dynamic) || !DYNAMIC_DNS_SINCE.is_after(version) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{} needs Istio {DYNAMIC_DNS_SINCE} or newer, and this cluster has {version}",
        planned.host_port(),
    ))
    .because("before that sidecars did not resolve the names of a wildcard (`resolution: dynamic`, Istio's DYNAMIC_DNS)")
    .hint("upgrade Istio, name the one server behind the wildcard (--wildcard-server), or name the hosts one by one"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number_and_an_unknown_one_is_not_held_back() {
        for (version, older) in [
            ("1.29.2", true),
            ("1.9.9", true),
            ("1.30.0-alpha.1", false),
            ("1.31.0", false),
            ("2.0.0", false),
            ("unknown", false),
        ] {
            assert_eq!(DYNAMIC_DNS_SINCE.is_after(version), older, "{version}");
        }
    }
}
