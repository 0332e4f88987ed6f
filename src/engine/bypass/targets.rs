//! What is tried to be reached.

use super::BypassSettings;
use crate::cluster::{Cluster, ExecEnd};
use crate::engine::pods;
use crate::engine::probe::ProbeSource;
use crate::engine::probe_plan::{Planned, planned_way};
use crate::engine::sentinel;
use crate::evidence::{Expected, ProbeRequest, ProbeResult, Said, read_addresses};
use crate::istio::kinds;
use crate::plan::PlannedHost;
use crate::plan::journal::Journal;
use crate::vocabulary::{HostName, Scheme, names};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// What Istio's own ingress gateway is labelled.
const INGRESS_GATEWAY: &str = "istio=ingressgateway";
const ISTIOD: &str = "app=istiod";
const LOOKUP_DEADLINE: Duration = Duration::from_secs(20);

/// Hosts, addresses and gateways of one run.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Targets {
    /// A declared host that goes through the gateway.
    pub(super) declared: Option<PlannedHost>,
    /// A host that nobody declared.
    pub(super) forbidden: HostName,
    /// Its addresses; or why they are not known.
    pub(super) addresses: Result<Vec<IpAddr>, String>,
    /// Its IPv6 addresses, asked for only where pods have one themselves.
    pub(super) addresses_v6: Result<Vec<IpAddr>, String>,
    /// A ready pod of the gateway.
    pub(super) gateway: Option<String>,
    /// The port that the declared host has there.
    pub(super) gateway_port: u16,
    /// A ready pod of an ingress gateway.
    pub(super) ingress: Option<String>,
    /// A ready pod of istiod.
    pub(super) istiod: Option<String>,
    /// A resolver outside.
    pub(super) resolver: IpAddr,
}

impl Targets {
    /// Looks them up; names are resolved in the source's pod, as an application would.
    pub(in crate::engine) async fn find(
        cluster: &Cluster,
        journal: &Journal,
        source: &ProbeSource,
        forbidden: HostName,
        settings: &BypassSettings,
    ) -> Self {
        let gateway = &journal.gateway;
        let declared = declared(journal);
        let over_tls = declared
            .as_ref()
            .is_none_or(|planned| planned.how.scheme() == Scheme::Https);
        let gateway_port = match gateway.http {
            Some(http) if !over_tls => http.target_port,
            _ => gateway.tls_target_port,
        };
        let has_v6 = source.addresses.iter().any(|address| address.contains(':'));
        let v6 = async {
            if has_v6 {
                resolve(cluster, source, &forbidden, "aaaa").await
            } else {
                Err("pods of this cluster have no IPv6 address".to_owned())
            }
        };
        let selector = gateway.label_selector();
        let (addresses, addresses_v6, gateway, ingress, istiod) = tokio::join!(
            resolve(cluster, source, &forbidden, "a"),
            v6,
            ready_address(cluster, &gateway.namespace, &selector),
            ready_address(cluster, names::ISTIO_NAMESPACE, INGRESS_GATEWAY),
            ready_address(cluster, names::ISTIO_NAMESPACE, ISTIOD),
        );
        Self {
            declared,
            forbidden,
            addresses,
            addresses_v6,
            ingress: ingress.filter(|address| Some(address) != gateway.as_ref()),
            gateway,
            gateway_port,
            istiod,
            resolver: settings.resolver,
        }
    }

    /// The first address of the host that nobody declared.
    pub(super) fn address(&self) -> Result<IpAddr, String> {
        let found = self.addresses.as_ref().map_err(Clone::clone)?;
        let none = || format!("{} has no IPv4 address", self.forbidden);
        found.first().copied().ok_or_else(none)
    }
}

/// A host that sources reach by its own name, so that a request of ours is like theirs.
fn declared(journal: &Journal) -> Option<PlannedHost> {
    let by_name = |planned: &&PlannedHost| {
        let how = &planned.how;
        how.through_gateway() && how.own_proxy().is_none() && how.service_host().is_none()
    };
    let hosts = || journal.plan.hosts.iter().filter(by_name);
    let over_tls = hosts().find(|planned| planned.how.scheme() == Scheme::Https);
    over_tls.or_else(|| hosts().next()).cloned()
}

/// The name under which a planned host is probed: a wildcard has a name that it covers.
pub(super) fn name_of(planned: &PlannedHost) -> String {
    planned.probed_name().unwrap_or(&planned.host).to_string()
}

async fn ready_address(cluster: &Cluster, namespace: &str, selector: &str) -> Option<String> {
    let pods = cluster
        .list(&kinds::pod(), Some(namespace), Some(selector))
        .await
        .ok()?;
    let ready = pods.iter().find(|pod| pods::is_ready(pod))?;
    pods::addresses(ready).into_iter().next()
}

async fn resolve(
    cluster: &Cluster,
    source: &ProbeSource,
    host: &HostName,
    kind: &str,
) -> Result<Vec<IpAddr>, String> {
    let command = ["busybox", "nslookup", &format!("-type={kind}"), host.as_str()].map(str::to_owned);
    let said = run(cluster, source, &command, LOOKUP_DEADLINE).await;
    if said.exit.is_none() {
        return Err(format!(
            "{host} could not be resolved: the image has no nslookup, or it did not end"
        ));
    }
    let wanted_v6 = kind == "aaaa";
    let found: Vec<IpAddr> = read_addresses(&said.text)
        .into_iter()
        .filter(|address| address.is_ipv6() == wanted_v6)
        .collect();
    if found.is_empty() {
        return Err(format!("{host} has no address of type {kind}"));
    }
    Ok(found)
}

/// Runs a program in a source's container.
pub(super) async fn run(
    cluster: &Cluster,
    source: &ProbeSource,
    command: &[String],
    deadline: Duration,
) -> Said {
    match cluster
        .exec(&source.pod, Some(&source.container), command, deadline)
        .await
    {
        Ok(output) => {
            let mut text = String::from_utf8_lossy(&output.stderr).into_owned();
            text.push('\n');
            text.push_str(&String::from_utf8_lossy(&output.stdout));
            match output.end {
                ExecEnd::Exited(code) => Said {
                    exit: Some(code),
                    text,
                },
                ExecEnd::Lost(why) => Said {
                    exit: None,
                    text: format!("{text}\n{why}"),
                },
            }
        }
        Err(error) => Said {
            exit: None,
            text: error.to_string(),
        },
    }
}

/// Probes from the source that `verify` would not make by itself: the proxies' logs tell what came of them, so they are
/// sent with the others.
pub(in crate::engine) struct Extra(Vec<(&'static str, Result<Planned, String>)>);

/// What came of them, by attempt.
pub(in crate::engine) type Heard = BTreeMap<&'static str, Result<ProbeResult, String>>;

impl Extra {
    /// Their requests, numbered from `id` on.
    pub(in crate::engine) fn new(
        targets: &Targets,
        journal: &Journal,
        id: usize,
        max_time_seconds: u32,
    ) -> Self {
        let mut extra = Self(vec![
            (
                "declared-sni-elsewhere",
                elsewhere(targets, journal, max_time_seconds),
            ),
            ("declared-host-inside", inside(targets, max_time_seconds)),
        ]);
        for (number, planned) in extra.0.iter_mut().flat_map(|(_, made)| made).enumerate() {
            planned.request.id = u32::try_from(id + number).unwrap_or(u32::MAX);
        }
        extra
    }

    /// Those that can be sent, in order.
    pub(in crate::engine) fn probes(&self) -> impl Iterator<Item = Planned> + '_ {
        self.0.iter().flat_map(|(_, made)| made).cloned()
    }

    /// Joins each with its result; `results` are those of [`Self::probes`], in their order.
    pub(in crate::engine) fn heard(self, results: impl IntoIterator<Item = ProbeResult>) -> Heard {
        let mut results = results.into_iter();
        let lost = || "it was not sent".to_owned();
        let mut join = |made: Result<Planned, String>| made.and_then(|_| results.next().ok_or_else(lost));
        self.0.into_iter().map(|(id, made)| (id, join(made))).collect()
    }
}

/// The server name of a declared host, to another one's address.
fn elsewhere(targets: &Targets, journal: &Journal, max_time_seconds: u32) -> Result<Planned, String> {
    let planned = targets.declared.as_ref().ok_or_else(no_declared)?;
    let address = targets.address()?;
    let (host, port) = (name_of(planned), planned.port());
    let mut request = request(planned.how.scheme(), &host, port, max_time_seconds);
    request.resolve = Some(format!("{host}:{port}:{address}"));
    Ok(Planned {
        request,
        expected: Expected::Nothing,
        way: Some(planned_way(&journal.plan, &journal.gateway, planned)),
    })
}

/// The Host of a declared host, inside the TLS to another one.
fn inside(targets: &Targets, max_time_seconds: u32) -> Result<Planned, String> {
    let planned = targets.declared.as_ref().ok_or_else(no_declared)?;
    let mut request = request(Scheme::Https, targets.forbidden.as_str(), 443, max_time_seconds);
    request.host_header = Some(name_of(planned));
    Ok(Planned {
        request,
        expected: Expected::Nothing,
        way: None,
    })
}

/// Why an attempt with a declared host is not made.
pub(super) fn no_declared() -> String {
    "no host of the plan goes through the gateway by its own name".to_owned()
}

/// A plain request.
pub(super) fn request(scheme: Scheme, host: &str, port: u16, max_time_seconds: u32) -> ProbeRequest {
    ProbeRequest {
        id: 0,
        nonce: sentinel::nonce(),
        scheme,
        host: host.to_owned(),
        port,
        path: "/".to_owned(),
        method: "GET".to_owned(),
        max_time_seconds,
        ca_certificate: None,
        show_headers: false,
        show_body: false,
        resolve: None,
        host_header: None,
        connect_to: None,
        proxy: None,
    }
}
