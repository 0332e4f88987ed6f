//! Which requests prove a plan: declared hosts, the same hosts on the other port, hosts that must not be reachable.

use super::sentinel;
use super::verify::VerifySettings;
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

/// Declared hosts, the same hosts on the other port, forbidden hosts on both; from a source with a sidecar or without.
pub(super) fn of(hosts: &[PlannedHost], settings: &VerifySettings, meshed: bool) -> Vec<Planned> {
    let forbidden = &settings.forbidden;
    let mut probes = Vec::new();
    let mut add = |host: &HostName, port: u16, expected: Expected| {
        let id = u32::try_from(probes.len()).unwrap_or(u32::MAX);
        probes.push(Planned {
            request: request(id, host, port, settings),
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

fn request(id: u32, host: &HostName, port: u16, settings: &VerifySettings) -> ProbeRequest {
    ProbeRequest {
        id,
        nonce: sentinel::nonce(),
        scheme: Scheme::of_port(port),
        host: host.to_string(),
        port,
        path: "/".to_owned(),
        method: "GET".to_owned(),
        max_time_seconds: settings.max_time_seconds,
        ca_certificate: settings.ca_certificate.clone(),
        show_headers: false,
        show_body: false,
        resolve: None,
    }
}
