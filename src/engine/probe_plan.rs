//! Which requests prove a plan: declared hosts, the same hosts on the other port, hosts that must not be reachable.

use super::sentinel;
use crate::evidence::{Expected, PlannedWay, ProbeRequest, UpstreamCluster};
use crate::plan::{GatewayTarget, Plan, PlannedHost, routing};
use crate::vocabulary::{HostName, Mode, Scheme};

/// A probe before it is sent.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What curl is asked.
    pub request: ProbeRequest,
    /// What it is to show.
    pub expected: Expected,
    /// The way that the plan's objects make for it; `None` if no plan declares it.
    pub way: Option<PlannedWay>,
}

/// The way of a host of a plan, as evidence judges it.
pub fn planned_way(plan: &Plan, gateway: &GatewayTarget, planned: &PlannedHost) -> PlannedWay {
    let way = routing::way(plan, gateway, planned);
    let outside_cluster = way
        .gateway
        .as_ref()
        .map_or(&way.sidecar_cluster, |leg| &leg.cluster);
    let secret = planned.how.credential_name();
    PlannedWay {
        outside_cluster: UpstreamCluster::parse(outside_cluster),
        planned_host: planned.host.to_string(),
        mesh: way.gateway.as_ref().map(|leg| leg.mesh),
        outside: way.outside,
        secret: secret.map(|name| format!("{}/{name}", gateway.namespace)),
        client_certificate: plan
            .hosts
            .iter()
            .any(|other| other.host == planned.host && other.how.mode == Mode::MtlsOrigination),
    }
}

/// The host of a plan that a host and port as asked for belong to, by name or by a wildcard that covers it.
pub fn declared<'plan>(plan: &'plan Plan, host: &str, port: u16) -> Option<&'plan PlannedHost> {
    let of_port = || plan.hosts.iter().filter(|planned| planned.port() == port);
    let by_name = of_port()
        .find(|planned| planned.host.as_str() == host || planned.how.service_host().as_deref() == Some(host));
    by_name.or_else(|| {
        let host: HostName = host.parse().ok()?;
        of_port().find(|planned| planned.host.covers(&host))
    })
}

/// What is to be probed, and how.
#[derive(Debug, Clone)]
pub(super) struct ProbePlan {
    /// The plan, whose objects say which way each host goes.
    pub plan: Plan,
    /// Its gateway.
    pub gateway: GatewayTarget,
    /// Hosts of the plan that are to be probed.
    pub hosts: Vec<PlannedHost>,
    /// Hosts that must not be reachable; none: only declared hosts are probed, for their route.
    pub forbidden: Vec<HostName>,
    /// Path of a CA bundle in the source's container.
    pub ca_certificate: Option<String>,
    /// Path at which declared hosts echo the headers that they saw; none: nothing is asked of them.
    pub echo: Option<String>,
    /// After how many seconds curl gives up.
    pub max_time_seconds: u32,
}

/// Declared hosts, the same hosts on the other port, forbidden hosts on both; from a source that is to go through
/// the gateway, whether it has a sidecar or not, or from a pod that must not get out.
pub(super) fn of(plan: &ProbePlan, is_source: bool) -> Vec<Planned> {
    let (hosts, forbidden) = (&plan.hosts, &plan.forbidden);
    let mut probes = Vec::new();
    let mut add =
        |host: &HostName, port: u16, scheme: Scheme, expected: Expected, way: Option<PlannedWay>| {
            let id = u32::try_from(probes.len()).unwrap_or(u32::MAX);
            let mut request = request(id, host, port, scheme, plan);
            if let (Some(path), Some(_)) = (&plan.echo, &way) {
                request.path.clone_from(path);
                request.show_body = true;
            }
            probes.push(Planned {
                request,
                expected,
                way,
            });
        };
    let of_declared = if is_source {
        Expected::Routed
    } else {
        Expected::NotReachable
    };
    for planned in hosts {
        add(
            probed_name(planned),
            planned.port(),
            planned.how.scheme(),
            of_declared,
            Some(planned_way(&plan.plan, &plan.gateway, planned)),
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
                    None,
                );
            }
        }
    }
    for host in forbidden
        .iter()
        .filter(|host| hosts.iter().all(|planned| planned.host != **host))
    {
        add(host, 443, Scheme::Https, Expected::NotReachable, None);
        add(host, 80, Scheme::Http, Expected::NotReachable, None);
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
        host_header: None,
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
pub fn as_applications_call(mut request: ProbeRequest, planned: &PlannedHost) -> ProbeRequest {
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
