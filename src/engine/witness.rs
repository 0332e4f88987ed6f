//! Listens before anything is sent: followers on every gateway pod (new ones included) and on the sources' sidecars,
//! each shown to deliver.
//!
//! A follower starts with no old lines. A gateway pod's is shown to deliver by a TLS hello with a server name that
//! nobody else uses, sent through a port-forward to its TLS port: the gateway refuses it and must write a line about it
//! (truth.md 15). Only lines about our own sources and sentinels are kept, so that memory does not grow with the log.

use super::pods;
use super::sentinel;
use crate::cluster::{Cluster, LogEvent, LogStart, PodChange};
use crate::evidence::{AccessLogLine, GatewayFacts, GatewayPodFacts, LogState, parse_line};
use crate::plan::GatewayTarget;
use crate::vocabulary::{PodName, names};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

/// Lines kept per proxy; a run's own lines are far fewer.
const KEPT_LINES: usize = 10_000;
/// How long a follower has to show that it delivers. Envoy flushes its log once a second.
const SENTINEL_DEADLINE: Duration = Duration::from_secs(6);
/// After this long without its line another sentinel is sent: the listener may have been changing.
const SENTINEL_PAUSE: Duration = Duration::from_millis(2500);

/// The followers of one run; dropping it ends them.
#[derive(Debug)]
pub struct Witness {
    shared: Arc<Shared>,
    gateway: GatewayTarget,
    tasks: Vec<AbortHandle>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
    /// Addresses of the sources: lines of other clients are not kept.
    sources: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct State {
    synced: bool,
    gateways: BTreeMap<PodName, Followed>,
    sidecars: BTreeMap<PodName, Followed>,
}

#[derive(Debug)]
struct Followed {
    addresses: Vec<String>,
    state: LogState,
    /// Whether `state` is the last word, so that a probe may leave.
    decided: bool,
    lines: VecDeque<AccessLogLine>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Gateway,
    Sidecar,
}

impl State {
    fn of(&mut self, role: Role) -> &mut BTreeMap<PodName, Followed> {
        match role {
            Role::Gateway => &mut self.gateways,
            Role::Sidecar => &mut self.sidecars,
        }
    }
}

impl Witness {
    /// Starts following: the gateway's pods, now and as they come, and the sidecars of `sources` (pod and addresses).
    pub fn start(cluster: &Cluster, gateway: &GatewayTarget, sources: &[(PodName, Vec<String>)]) -> Self {
        let addresses = sources
            .iter()
            .flat_map(|(_, addresses)| addresses.clone())
            .collect();
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Notify::new(),
            sources: addresses,
        });
        let mut tasks = Vec::new();
        for (pod, addresses) in sources {
            add(&shared, Role::Sidecar, pod, addresses.clone());
            tasks.push(
                tokio::spawn(follow(
                    cluster.clone(),
                    shared.clone(),
                    Role::Sidecar,
                    pod.clone(),
                    None,
                ))
                .abort_handle(),
            );
        }
        tasks.push(
            tokio::spawn(follow_gateways(cluster.clone(), shared.clone(), gateway.clone())).abort_handle(),
        );
        Self {
            shared,
            gateway: gateway.clone(),
            tasks,
        }
    }

    /// Waits until each follower of the gateway is known to deliver, or known not to.
    pub async fn ready(&self) {
        let decided = async {
            loop {
                let changed = self.shared.changed.notified();
                {
                    let state = self.shared.state();
                    if state.synced && state.gateways.values().all(|followed| followed.decided) {
                        return;
                    }
                }
                changed.await;
            }
        };
        // Each follower decides within its own deadline; this one is for a watch that never answers.
        let _ = tokio::time::timeout(SENTINEL_DEADLINE * 3, decided).await;
    }

    /// Waits until a line about the connection from `address` came from this pod's sidecar, at most `deadline`, and
    /// no longer than the log can be read.
    pub async fn sidecar_delivers(&self, pod: &PodName, address: Option<&str>, deadline: Duration) -> bool {
        let is_known = async {
            loop {
                let changed = self.shared.changed.notified();
                if let Some(delivers) = self.is_sidecar_known(pod, address) {
                    return delivers;
                }
                changed.await;
            }
        };
        let delivers = tokio::time::timeout(deadline, is_known).await.unwrap_or(false);
        if let Some(followed) = self.shared.state().sidecars.get_mut(pod)
            && !followed.decided
        {
            followed.decided = true;
            followed.state = if delivers {
                LogState::Delivering
            } else {
                LogState::Silent
            };
        }
        delivers
    }

    /// Whether the sidecar's log delivers, once that is known.
    fn is_sidecar_known(&self, pod: &PodName, address: Option<&str>) -> Option<bool> {
        let state = self.shared.state();
        let Some(followed) = state.sidecars.get(pod) else {
            return Some(false);
        };
        let ours = |line: &AccessLogLine| line.downstream_remote_address.as_deref() == address;
        if address.is_some() && followed.lines.iter().any(ours) {
            return Some(true);
        }
        (address.is_none() || followed.state.is_final()).then_some(false)
    }

    /// Ends with the next change. Take it before looking: what changes between looking and waiting is not lost then
    /// (`notify_waiters` wakes every future that exists, polled or not).
    pub fn changed(&self) -> impl Future<Output = ()> + '_ {
        self.shared.changed.notified()
    }

    /// The gateway as it stands: its pods, and how each one's log stands.
    pub fn gateway_facts(&self) -> GatewayFacts {
        let state = self.shared.state();
        let pods = state.gateways.iter().map(|(pod, followed)| GatewayPodFacts {
            pod: pod.to_string(),
            addresses: followed.addresses.clone(),
            log_state: followed.state.clone(),
        });
        GatewayFacts {
            service_host: self.gateway.service_host(),
            pods: pods.collect(),
        }
    }

    /// How the log of a source's sidecar stands.
    pub fn sidecar_state(&self, pod: &PodName) -> LogState {
        self.shared
            .state()
            .sidecars
            .get(pod)
            .map_or(LogState::Absent, |followed| followed.state.clone())
    }

    /// Lines of a source's sidecar so far.
    pub fn sidecar_lines(&self, pod: &PodName) -> Vec<AccessLogLine> {
        self.shared
            .state()
            .sidecars
            .get(pod)
            .map(|followed| followed.lines.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// Lines of all gateway pods so far, about our sources only.
    pub fn gateway_lines(&self) -> Vec<(String, AccessLogLine)> {
        let state = self.shared.state();
        let lines = state
            .gateways
            .iter()
            .flat_map(|(pod, followed)| followed.lines.iter().map(|line| (pod.to_string(), line.clone())));
        lines.collect()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn add(shared: &Shared, role: Role, pod: &PodName, addresses: Vec<String>) {
    let followed = Followed {
        addresses,
        state: LogState::Absent,
        decided: false,
        lines: VecDeque::new(),
    };
    shared.state().of(role).insert(pod.clone(), followed);
    shared.changed.notify_waiters();
}

/// Keeps the set of followed gateway pods equal to the set of ready ones. Pods that are gone stay known: their
/// lines are evidence.
async fn follow_gateways(cluster: Cluster, shared: Arc<Shared>, gateway: GatewayTarget) {
    let mut changes = cluster.watch_pods(&gateway.namespace, &gateway.label_selector());
    let mut tasks = JoinSet::new();
    let mut followed = BTreeSet::new();
    while let Some(change) = changes.recv().await {
        match change {
            PodChange::Present(pod) if pods::is_ready(&pod) && followed.insert(pods::name(&pod)) => {
                let name = pods::name(&pod);
                add(&shared, Role::Gateway, &name, pods::addresses(&pod));
                tasks.spawn(follow(
                    cluster.clone(),
                    shared.clone(),
                    Role::Gateway,
                    name,
                    Some(gateway.tls_target_port),
                ));
            }
            PodChange::Present(_) | PodChange::Gone(_) => {}
            PodChange::Synced => {
                shared.state().synced = true;
                shared.changed.notify_waiters();
            }
            // What is followed is followed; of other pods nothing is known.
            PodChange::Failed(_) => break,
        }
    }
    // The watch ended (no permission to watch): what is followed is followed, the rest is not known.
    shared.state().synced = true;
    shared.changed.notify_waiters();
    while tasks.join_next().await.is_some() {}
}

/// Follows one proxy's log; sends sentinels to `sentinel_port` until one is seen.
async fn follow(cluster: Cluster, shared: Arc<Shared>, role: Role, pod: PodName, sentinel_port: Option<u16>) {
    let mut log = cluster.follow_log(&pod, names::PROXY_CONTAINER, LogStart::Now);
    let nonce = sentinel::server_name();
    let mut deadline: Option<tokio::time::Instant> = None;
    let mut next_sentinel: Option<tokio::time::Instant> = None;
    loop {
        let due = next_sentinel.into_iter().chain(deadline).min();
        let event = tokio::select! {
            event = log.next() => event,
            () = sleep_until(due) => {
                if deadline.is_some_and(|deadline| deadline <= tokio::time::Instant::now()) {
                    (deadline, next_sentinel) = (None, None);
                    decide(&shared, role, &pod, LogState::Silent);
                } else if let Some(port) = sentinel_port {
                    next_sentinel = Some(tokio::time::Instant::now() + SENTINEL_PAUSE);
                    // Its failure shows as a line that never comes.
                    tokio::spawn(sentinel::send(cluster.clone(), pod.clone(), port, nonce.clone()));
                }
                continue;
            }
        };
        match event {
            LogEvent::Opened if sentinel_port.is_some() && !is_decided(&shared, role, &pod) => {
                let now = tokio::time::Instant::now();
                (deadline, next_sentinel) = (Some(now + SENTINEL_DEADLINE), Some(now));
            }
            LogEvent::Opened => {}
            LogEvent::Line(raw) => {
                let Some(line) = parse_line(&raw) else { continue };
                if line.requested_server_name.as_deref() == Some(nonce.as_str()) {
                    (deadline, next_sentinel) = (None, None);
                    decide(&shared, role, &pod, LogState::Delivering);
                }
                keep(&shared, role, &pod, line);
            }
            LogEvent::Gap(reason) => interrupt(&shared, role, &pod, reason),
            LogEvent::Forbidden(error) => {
                return decide(&shared, role, &pod, LogState::Forbidden(error.to_string()));
            }
            LogEvent::Failed(error) => {
                return decide(&shared, role, &pod, LogState::Unreadable(error.to_string()));
            }
            LogEvent::Ended => {
                interrupt(&shared, role, &pod, format!("the pod {pod} is gone"));
                return;
            }
        }
    }
}

async fn sleep_until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn is_decided(shared: &Shared, role: Role, pod: &PodName) -> bool {
    shared
        .state()
        .of(role)
        .get(pod)
        .is_some_and(|followed| followed.decided)
}

fn decide(shared: &Shared, role: Role, pod: &PodName, state: LogState) {
    if let Some(followed) = shared.state().of(role).get_mut(pod) {
        followed.state = state;
        followed.decided = true;
    }
    shared.changed.notify_waiters();
}

/// A gap after the follower was shown to deliver makes missing lines prove nothing again.
fn interrupt(shared: &Shared, role: Role, pod: &PodName, reason: String) {
    decide(shared, role, pod, LogState::Interrupted(reason));
}

fn keep(shared: &Shared, role: Role, pod: &PodName, line: AccessLogLine) {
    let ours = |address: &String| {
        let host = address
            .rsplit_once(':')
            .map_or(address.as_str(), |(host, _)| host.trim_matches(['[', ']']));
        shared.sources.contains(host)
    };
    let relevant = line.downstream_remote_address.as_ref().is_some_and(ours)
        || line
            .requested_server_name
            .as_deref()
            .is_some_and(sentinel::is_server_name);
    if relevant && let Some(followed) = shared.state().of(role).get_mut(pod) {
        if followed.lines.len() == KEPT_LINES {
            followed.lines.pop_front();
        }
        followed.lines.push_back(line);
    }
    shared.changed.notify_waiters();
}
