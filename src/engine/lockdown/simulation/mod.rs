//! What a lock would break, before there is one: the connections that workloads make now, judged under the policies
//! that would be in force. One list for `lockdown` and for `learn`'s shadow report.
//!
//! What the lock lets through (the gateway, istiod, DNS) does not break, and what another policy stops today is not
//! broken by the lock. A name stands for the addresses that the sidecar connected to.

mod lock_now;

pub(in crate::engine) use lock_now::{Wanted, lock_now};

use super::holes::Policies;
use super::prepared::Prepared;
use crate::cluster::Cluster;
use crate::engine::event::Events;
use crate::engine::learn::{
    self, Destination, Flow, Inside, NotKnown, Observation, Observed, OfWorkload, Scene, Spoken, Way, Window,
};
use crate::engine::pods;
use crate::error::Result;
use crate::finding::{Finding, catalogue};
use crate::mesh::network_policy::{Endpoint, NetworkPolicies};
use crate::vocabulary::{HostName, Object, PlanIdentity, Protocol, names};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Lines of each sidecar that are read before a lock.
const TAIL: u32 = 1000;
/// How long that, and opening what is watched, may take; sidecars that were not read by then are named.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long a route may be on its way to the sidecars after its objects were applied (truth.md 8: two seconds).
const ON_ITS_WAY: SignedDuration = SignedDuration::from_secs(5);

/// Something that works now and would not under the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WouldBreak {
    /// Whose connections.
    pub workload: String,
    /// Where to: `HOST:PORT` or `ADDRESS:PORT`.
    pub destination: String,
    /// What is spoken; absent for connections that only counters tell of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Spoken>,
    /// Which way they take.
    pub way: Way,
    /// Connections, of HTTP requests, that have ended.
    pub count: u64,
    /// Connections that are open now.
    pub open: u64,
    /// When the last one began, by the sidecar's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<String>,
    /// What would keep it working.
    pub fix: String,
}

/// What is known before a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Simulation {
    /// When, and to whom, it was listened.
    pub observed: Observed,
    /// What would break, by workload.
    pub would_break: Vec<WouldBreak>,
    /// Of whom nothing, or not everything, is known: the lock holds them too.
    pub not_known: Vec<NotKnown>,
}

impl Simulation {
    /// As a finding; `None` if nothing would break.
    pub fn finding(&self, namespace: &str) -> Option<Finding> {
        let workloads: std::collections::BTreeSet<&str> = self
            .would_break
            .iter()
            .map(|broken| broken.workload.as_str())
            .collect();
        let named: Vec<&str> = workloads.iter().copied().collect();
        (!named.is_empty()).then(|| {
            let message = format!("the lock cuts off what {} reach now", named.join(", "));
            Finding::new(&catalogue::LOCK_WOULD_CUT_OFF, message).fixed_by(format!(
                "`kubectl egress learn -n {namespace} --since 1h --write plan.yaml` proposes a plan for what leaves; `--in-cluster allow` and `--allow-api-server` keep what stays inside"
            ))
        })
    }
}

/// Listens to the namespace before it is locked, and judges what was heard under the lock that was prepared.
///
/// # Errors
/// If the cluster refuses.
pub async fn before_lock(
    cluster: &Cluster,
    prepared: &Prepared,
    learn: Option<Duration>,
    events: &Events,
) -> Result<Simulation> {
    let (plan, namespace) = (&prepared.settings.plan, &prepared.settings.namespace);
    let scene = Scene::gather(cluster, plan, namespace).await?;
    let windows: Vec<Window> = [Window::Tail(TAIL)]
        .into_iter()
        .chain(learn.map(Window::For))
        .collect();
    let too_late = tokio::time::sleep(DEADLINE.saturating_add(learn.unwrap_or_default()));
    let observation = learn::observe(cluster, &scene, &windows, events, too_late).await;
    let policies = &prepared.policies;
    let before = NetworkPolicies::new(&policies.policies, &policies.namespaces);
    let replaced = (prepared.changes_a_lock() || prepared.is_stale).then_some(names::LOCK_LABEL);
    let after = with_lock(policies, replaced, &prepared.lock_manifest().object);
    Ok(simulate(
        &observation,
        &Ground {
            inside: &scene.inside,
            pods_of: &|workload| scene.representatives(workload),
            before: &before,
            after: &after,
            routed_since: &|host| scene.routed_since(host),
            plan,
        },
    ))
}

/// The policies with the lock; those that bear a label are what it takes the place of.
fn with_lock(policies: &Policies, replaced: Option<&str>, lock: &Object) -> NetworkPolicies {
    let stays = |policy: &&Object| replaced.is_none_or(|label| policy.label(label).is_none());
    let mut all: Vec<Object> = policies.policies.iter().filter(stays).cloned().collect();
    all.push(lock.clone());
    NetworkPolicies::new(&all, &policies.namespaces)
}

/// What connections are judged by.
pub(in crate::engine) struct Ground<'a> {
    pub(in crate::engine) inside: &'a Inside,
    /// Pods that stand for a workload.
    pub(in crate::engine) pods_of: &'a dyn Fn(&str) -> Vec<&'a Object>,
    /// The policies now.
    pub(in crate::engine) before: &'a NetworkPolicies,
    /// The policies with the lock.
    pub(in crate::engine) after: &'a NetworkPolicies,
    /// When a plan last declared a host.
    pub(in crate::engine) routed_since: &'a dyn Fn(&HostName) -> Option<Timestamp>,
    pub(in crate::engine) plan: &'a PlanIdentity,
}

/// Judges what was observed. Our own source is left out: what it reaches past the gateway are probes.
pub(in crate::engine) fn simulate(observation: &Observation, ground: &Ground<'_>) -> Simulation {
    let (inside, plan) = (ground.inside, ground.plan);
    let mut found: BTreeMap<(String, String, Way), WouldBreak> = BTreeMap::new();
    let judged = |workload: &str, targets: &[Target<'_>]| {
        (ground.pods_of)(workload).into_iter().any(|pod| {
            let passes = |policies: &NetworkPolicies, target: &Target<'_>| {
                policies.egress(pod, &target.endpoint()).lets_through()
            };
            targets
                .iter()
                .any(|target| passes(ground.before, target) && !passes(ground.after, target))
        })
    };
    for (workload, of_workload) in &observation.tally.workloads {
        for (to, flow) in &of_workload.flows {
            let works =
                flow.count > flow.failed && to.way != Way::Refused && !is_past(to, flow, of_workload, ground);
            if !works || observation.own.contains(workload) || !judged(workload, &targets(to, flow, inside)) {
                continue;
            }
            let entry = found.entry((workload.clone(), to.place(), to.way));
            let broken = entry.or_insert_with(|| empty(workload, to.place(), to.way, fix(to, plan)));
            broken.protocol = Some(to.spoken);
            broken.count += flow.count - flow.failed;
            broken.last_seen = broken
                .last_seen
                .take()
                .max(flow.last_seen.map(|time| time.to_string()));
        }
    }
    for open in &observation.open {
        let Some(address) = open
            .address
            .as_deref()
            .and_then(|address| address.parse::<SocketAddr>().ok())
        else {
            continue;
        };
        let target = Target::at(address, inside);
        if observation.own.contains(&open.workload) || !judged(&open.workload, &[target]) {
            continue;
        }
        let place = name_of(observation, &open.workload, address).unwrap_or_else(|| address.to_string());
        let entry = found.entry((open.workload.clone(), place.clone(), open.way));
        let broken =
            entry.or_insert_with(|| empty(&open.workload, place, open.way, fix_open(open.way, plan)));
        broken.open += open.connections;
    }
    Simulation {
        observed: observation.observed.clone(),
        would_break: found.into_values().collect(),
        not_known: observation.not_known.clone(),
    }
}

/// Whether it went past the gateway only before a plan led it there: the workload's own later lines say so, or it has
/// not called since.
fn is_past(to: &Destination, flow: &Flow, of_workload: &OfWorkload, ground: &Ground<'_>) -> bool {
    let (Way::Direct, Some(host)) = (to.way, &to.host) else {
        return false;
    };
    let carried = of_workload
        .flows
        .iter()
        .filter(|(other, _)| other.way == Way::Gateway && other.host == to.host && other.port == to.port);
    let carried = carried.map(|(_, flow)| flow.last_seen).max().flatten();
    let since = (ground.routed_since)(host).and_then(|time| time.checked_add(ON_ITS_WAY).ok());
    flow.last_seen.is_some() && carried.max(since) >= flow.last_seen
}

/// One end of a connection, resolved to the pod that has it.
struct Target<'a> {
    address: IpAddr,
    port: u16,
    pod: Option<&'a Object>,
}

impl<'a> Target<'a> {
    fn at(socket: SocketAddr, inside: &'a Inside) -> Self {
        let address = socket.ip().to_canonical();
        // Engines judge what comes after a Service's address was replaced by a pod's.
        match inside.behind_address(address, socket.port()).first() {
            Some((pod, port)) => Self::of_pod(pod, *port),
            None => Self {
                address,
                port: socket.port(),
                pod: inside.pod_at(address),
            },
        }
    }

    fn of_pod(pod: &'a Object, port: u16) -> Self {
        let address = pods::addresses(pod)
            .first()
            .and_then(|address| address.parse().ok());
        Self {
            address: address.unwrap_or(NOWHERE),
            port,
            pod: Some(pod),
        }
    }

    fn endpoint(&self) -> Endpoint<'a> {
        Endpoint {
            address: self.address,
            port: self.port,
            protocol: Protocol::Tcp,
            pod: self.pod,
        }
    }
}

/// In no block but one of all addresses.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Whom the sidecar connects to for a destination. A pod of the log may be gone: those that stand behind the same
/// Service now take its place.
fn targets<'a>(to: &Destination, flow: &Flow, inside: &'a Inside) -> Vec<Target<'a>> {
    let service = match (to.way, &to.by, &to.host) {
        (Way::Gateway, Some(gateway), _) => gateway
            .split_once('/')
            .map(|(namespace, name)| format!("{name}.{namespace}.svc")),
        (Way::InCluster, _, Some(host)) => Some(host.to_string()),
        _ => None,
    };
    let behind = service.map(|host| inside.behind_host(&host)).unwrap_or_default();
    let mut targets: Vec<Target<'_>> = Vec::new();
    for upstream in &flow.upstreams {
        let is_known = inside.pod_at(upstream.ip().to_canonical()).is_some();
        match behind.first() {
            Some(pod) if !is_known => targets.push(Target::of_pod(pod, upstream.port())),
            _ => targets.push(Target::at(*upstream, inside)),
        }
    }
    if targets.is_empty() {
        targets.push(Target {
            address: to.address.unwrap_or(NOWHERE),
            port: to.port,
            pod: None,
        });
    }
    targets
}

/// The name by which a workload called an address, if it called it by one name alone.
fn name_of(observation: &Observation, workload: &str, address: SocketAddr) -> Option<String> {
    let flows = &observation.tally.workloads.get(workload)?.flows;
    let mut there = flows.iter().filter(|(_, flow)| flow.upstreams.contains(&address));
    let (to, _) = there.next()?;
    (there.next().is_none() && to.host.is_some()).then(|| to.place())
}

fn empty(workload: &str, destination: String, way: Way, fix: String) -> WouldBreak {
    WouldBreak {
        workload: workload.to_owned(),
        destination,
        protocol: None,
        way,
        count: 0,
        open: 0,
        last_seen: None,
        fix,
    }
}

fn fix(to: &Destination, plan: &PlanIdentity) -> String {
    let is_api_server = |host: &str| host.starts_with("kubernetes.default.svc");
    match (to.way, &to.host) {
        (Way::InCluster, Some(host)) if is_api_server(host.as_str()) => {
            "lockdown --allow-api-server".to_owned()
        }
        (Way::Gateway, _) => format!(
            "plan it with the plan's own gateway: kubectl egress route {} -n {}",
            to.place(),
            plan.namespace
        ),
        (Way::Direct, Some(_)) if to.spoken != Spoken::Tcp => {
            let mode = if to.spoken == Spoken::Http {
                " --mode http"
            } else {
                ""
            };
            format!(
                "kubectl egress route {}{mode} -n {} --plan {}",
                to.place(),
                plan.namespace,
                plan.name
            )
        }
        (way, _) => fix_open(way, plan),
    }
}

fn fix_open(way: Way, plan: &PlanIdentity) -> String {
    match way {
        Way::InCluster => "lockdown --in-cluster allow".to_owned(),
        Way::Gateway => format!("kubectl egress status -n {} --plan {}", plan.namespace, plan.name),
        Way::Direct | Way::Refused => {
            "a NetworkPolicy of your own for its address; no plan can lead an address".to_owned()
        }
    }
}

#[cfg(test)]
mod tests;
