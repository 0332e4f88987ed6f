//! Which requests prove a plan: declared hosts, the same hosts on the other port, hosts that must not be reachable.

use super::sentinel;
use crate::evidence::{Expected, ProbeRequest};
use crate::plan::PlannedHost;
use crate::vocabulary::{HostName, Scheme};

/// A probe before it is sent.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What curl is asked.
    pub request: ProbeRequest,
    /// What it is to show.
    pub expected: Expected,
}

/// What is to be probed, and how.
#[derive(Debug, Clone)]
pub(super) struct ProbePlan {
    /// Declared hosts.
    pub hosts: Vec<PlannedHost>,
    /// Hosts that must not be reachable; none: only declared hosts are probed, for their route.
    pub forbidden: Vec<HostName>,
    /// Path of a CA bundle in the source's container.
    pub ca_certificate: Option<String>,
    /// After how many seconds curl gives up.
    pub max_time_seconds: u32,
}

/// Declared hosts, the same hosts on the other port, forbidden hosts on both; from a source with a sidecar or without.
pub(super) fn of(plan: &ProbePlan, meshed: bool) -> Vec<Planned> {
    let (hosts, forbidden) = (&plan.hosts, &plan.forbidden);
    let mut probes = Vec::new();
    let mut add = |host: &HostName, port: u16, expected: Expected| {
        let id = u32::try_from(probes.len()).unwrap_or(u32::MAX);
        probes.push(Planned {
            request: request(id, host, port, plan),
            expected,
        });
    };
    let declared = if meshed {
        Expected::Routed
    } else {
        Expected::NotReachable
    };
    for planned in hosts {
        add(&planned.host, planned.port, declared);
    }
    if !forbidden.is_empty() {
        for planned in hosts {
            add(
                &planned.host,
                if planned.port == 443 { 80 } else { 443 },
                Expected::NotReachable,
            );
        }
    }
    for host in forbidden
        .iter()
        .filter(|host| hosts.iter().all(|planned| planned.host != **host))
    {
        add(host, 443, Expected::NotReachable);
        add(host, 80, Expected::NotReachable);
    }
    probes
}

fn request(id: u32, host: &HostName, port: u16, plan: &ProbePlan) -> ProbeRequest {
    ProbeRequest {
        id,
        nonce: sentinel::nonce(),
        scheme: Scheme::of_port(port),
        host: host.to_string(),
        port,
        path: "/".to_owned(),
        method: "GET".to_owned(),
        max_time_seconds: plan.max_time_seconds,
        ca_certificate: plan.ca_certificate.clone(),
        show_headers: false,
        show_body: false,
        resolve: None,
    }
}
