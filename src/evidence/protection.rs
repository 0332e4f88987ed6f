//! How the legs of a way are protected: what the proxies' live configuration says, never what the plan says.

use super::judge::Case;
use super::{AccessLogLine, PlannedWay, ProbeEvidence, Transports, UpstreamCluster};
use crate::finding::{Finding, catalogue};
use crate::vocabulary::{Encryption, Hop, HopEnd};

impl Case<'_> {
    /// The leg that the source's sidecar sends, by the cluster of its line.
    pub(super) fn leg_of_sidecar(&self, line: &AccessLogLine) -> Encryption {
        self.protected(&self.evidence.live.sidecar, line)
    }

    /// The leg that a pod of the gateway sends, by the cluster of its line.
    pub(super) fn leg_of_gateway(&self, pod: &str, line: &AccessLogLine) -> Encryption {
        match self.evidence.live.gateway.get(pod) {
            Some(transports) => self.protected(transports, line),
            None => self.protected(&Transports::new(), line),
        }
    }

    /// The default access log cannot show it (measured on the lab). The application's own TLS is there in any case;
    /// only mutual TLS around it says more.
    fn protected(&self, transports: &Transports, line: &AccessLogLine) -> Encryption {
        let live = match &line.upstream_cluster {
            // Istio gives it no TLS of its own.
            Some(UpstreamCluster::Passthrough) => Some(Encryption::Plaintext),
            Some(cluster) => transports.get(&cluster.to_string()).copied(),
            None => None,
        };
        match (live, self.is_https()) {
            (Some(Encryption::Mtls), _) => Encryption::Mtls,
            (_, true) => Encryption::Tls,
            (Some(live), false) => live,
            (None, false) => Encryption::Unknown,
        }
    }
}

/// What is to be said of the legs of a declared probe: one that is less protected than planned, and one of which it is
/// not known.
pub(super) fn findings(evidence: &ProbeEvidence, hops: &[Hop]) -> Vec<Finding> {
    let Some(planned) = &evidence.planned else {
        return Vec::new();
    };
    let target = format!("{}:{}", evidence.request.host, evidence.request.port);
    // A pod without sidecar does not go the planned way at all; that is said elsewhere.
    let of_the_mesh = |hop: &&Hop| hop.from != HopEnd::Application;
    let carried = hops.iter().filter(|hop| hop.failed.is_none()).filter(of_the_mesh);
    carried.filter_map(|hop| finding(planned, &target, hop)).collect()
}

fn finding(planned: &PlannedWay, target: &str, hop: &Hop) -> Option<Finding> {
    let wanted = match hop.to {
        HopEnd::Gateway => planned.mesh?,
        HopEnd::Host => planned.outside,
        HopEnd::Application | HopEnd::Sidecar => return None,
    };
    let leg = format!("the leg of {target} from {} to {}", hop.from, hop.to);
    if hop.encryption == Encryption::Unknown {
        let message = format!("how {leg} is protected is not known: the proxy's configuration does not tell");
        return Some(Finding::new(&catalogue::PROXY_UNREADABLE, message));
    }
    (rank(hop.encryption) < rank(wanted)).then(|| {
        let message = format!("{leg} is {}; the plan says {wanted}", hop.encryption);
        Finding::new(&catalogue::LEG_NOT_PROTECTED, message)
    })
}

fn rank(encryption: Encryption) -> u8 {
    match encryption {
        Encryption::Unknown | Encryption::Plaintext => 0,
        Encryption::Tls => 1,
        Encryption::Mtls => 2,
    }
}
