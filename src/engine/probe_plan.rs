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
    let mut add = |host: &HostName, port: u16, scheme: Scheme, expected: Expected| {
        let id = u32::try_from(probes.len()).unwrap_or(u32::MAX);
        probes.push(Planned {
            request: request(id, host, port, scheme, plan),
            expected,
        });
    };
    let declared = if meshed {
        Expected::Routed
    } else {
        Expected::NotReachable
    };
    for planned in hosts {
        add(
            probed_name(planned),
            planned.port(),
            planned.how.scheme(),
            declared,
        );
    }
    if !forbidden.is_empty() {
        for planned in hosts {
            let other = if planned.port() == 443 { 80 } else { 443 };
            let is_declared = |known: &PlannedHost| known.host == planned.host && known.port() == other;
            if !hosts.iter().any(is_declared) {
                add(
                    probed_name(planned),
                    other,
                    Scheme::of_port(other),
                    Expected::NotReachable,
                );
            }
        }
    }
    for host in forbidden
        .iter()
        .filter(|host| hosts.iter().all(|planned| planned.host != **host))
    {
        add(host, 443, Scheme::Https, Expected::NotReachable);
        add(host, 80, Scheme::Http, Expected::NotReachable);
    }
    probes
}

/// The plan's rules see to it that a wildcard has one.
fn probed_name(planned: &PlannedHost) -> &HostName {
    planned.probed_name().unwrap_or(&planned.host)
}

fn request(id: u32, host: &HostName, port: u16, scheme: Scheme, plan: &ProbePlan) -> ProbeRequest {
    let request = ProbeRequest {
        id,
        nonce: sentinel::nonce(),
        scheme,
        host: host.to_string(),
        port,
        path: "/".to_owned(),
        method: "GET".to_owned(),
        max_time_seconds: plan.max_time_seconds,
        ca_certificate: plan.ca_certificate.clone(),
        show_headers: false,
        show_body: false,
        resolve: None,
        connect_to: None,
        proxy: None,
    };
    let is_declared = |planned: &&PlannedHost| planned.port() == port && probed_name(planned) == host;
    match plan.hosts.iter().find(is_declared) {
        Some(planned) => as_applications_call(request, planned),
        None => request,
    }
}

/// Applications call a Service in the host's place, or a proxy of theirs. The name of a Service is in no certificate of
/// the host, so over TLS only the connection goes there.
pub(super) fn as_applications_call(mut request: ProbeRequest, planned: &PlannedHost) -> ProbeRequest {
    if let Some(service) = planned.how.service_host() {
        match request.scheme {
            Scheme::Http => request.host = service,
            Scheme::Https => {
                let port = request.port;
                request.connect_to = Some(format!("{}:{port}:{service}:{port}", request.host));
            }
        }
    }
    request.proxy = planned.how.own_proxy().map(ToString::to_string);
    request
}
