//! One probe: what we say of it beside what the outside world saw.

use super::process::Run;
use kubectl_egress_lab::WorldEvent;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// One probe of ours beside what really happened outside.
pub(crate) struct Probed {
    /// The run.
    pub(crate) run: Run,
    /// Its one probe in the document.
    pub(crate) probe: Value,
    /// What the outside world saw of this very request.
    pub(crate) seen: Vec<WorldEvent>,
}

impl Probed {
    /// The outcome as we judged it.
    pub(crate) fn outcome(&self) -> &str {
        self.probe["outcome"].as_str().unwrap_or_default()
    }

    /// Who the outside world saw.
    pub(crate) fn peers(&self) -> BTreeSet<IpAddr> {
        self.seen.iter().map(WorldEvent::peer_ip).collect()
    }

    /// Codes of the findings.
    pub(crate) fn findings(&self) -> Vec<&str> {
        codes(&self.probe)
    }

    /// Requires an outcome, and that the world saw exactly these addresses.
    #[track_caller]
    pub(crate) fn is(&self, outcome: &str, peers: &BTreeSet<IpAddr>) -> &Self {
        assert_eq!(
            self.outcome(),
            outcome,
            "the world saw {:?}; {}",
            self.peers(),
            self.run
        );
        assert_eq!(&self.peers(), peers, "who the outside world saw; {}", self.run);
        self
    }

    /// Requires a finding.
    #[track_caller]
    pub(crate) fn finds(&self, code: &str) -> &Self {
        assert!(
            self.findings().contains(&code),
            "no {code} in {:?}; {}",
            self.findings(),
            self.run
        );
        self
    }
}

/// Codes of the findings of a probe in a document.
pub(crate) fn codes(probe: &Value) -> Vec<&str> {
    probe["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|finding| finding["code"].as_str())
        .collect()
}
