//! Listens before anything is sent: followers on every gateway pod (new ones included) and on the sources' sidecars,
//! each shown to deliver.
//!
//! A follower starts with no old lines. A gateway pod's is shown to deliver by a TLS hello with a server name that
//! nobody else uses, sent through a port-forward to its TLS port: the gateway refuses it and must write a line about it
//! (truth.md 15). One that takes plain HTTP only is sent a request for such a name instead. Only lines about our own sources and sentinels are kept, so that memory does not grow with the log.

mod follow;

use super::access_logs::AccessLogs;
use super::probe::ProbeSource;
use super::sentinel::{self, Door};
use crate::cluster::Cluster;
use crate::evidence::{
    AccessLogLine, GatewayFacts, GatewayPodFacts, LogFormats, LogState, Needs, line_mentions,
};
use crate::plan::GatewayTarget;
use crate::vocabulary::PodName;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use follow::{follow, follow_gateways};

/// Lines kept per proxy; a run's own lines are far fewer.
const KEPT_LINES: usize = 10_000;
/// How long a follower has to show that it delivers. Envoy flushes its log once a second.
const SENTINEL_DEADLINE: Duration = Duration::from_secs(6);
/// The same where no configuration that is known switches the log on: one flush and a bit.
const OFF_DEADLINE: Duration = Duration::from_secs(2);
/// After this long without its line another sentinel is sent: the listener may have been changing.
const SENTINEL_PAUSE: Duration = Duration::from_millis(2500);
/// How long the source's sidecar has, which is sent connections of its own.
const SIDECAR_DEADLINE: Duration = Duration::from_secs(4);

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
    logs: AccessLogs,
    /// Whether plain HTTP is to be judged.
    http: bool,
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
    /// How its log is laid out; empty if no configuration that is known switches it on.
    formats: LogFormats,
    state: LogState,
    /// Whether `state` is the last word, so that a probe may leave.
    decided: bool,
    lines: VecDeque<AccessLogLine>,
}

impl Followed {
    /// What it means that no sentinel's line came.
    fn unanswered(&self) -> LogState {
        if self.formats.is_empty() {
            LogState::Off
        } else {
            LogState::Silent
        }
    }
}

impl Shared {
    /// Whether a line can be about our own sources or sentinels: on a busy gateway few are, and only those are read.
    fn may_concern(&self, raw: &[u8]) -> bool {
        sentinel::is_mentioned(raw) || self.sources.iter().any(|address| line_mentions(raw, address))
    }

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
    /// Starts following: the gateway's pods, now and as they come, and the source's sidecar, if it has one.
    pub(super) fn start(
        cluster: &Cluster,
        gateway: &GatewayTarget,
        door: Option<Door>,
        source: &ProbeSource,
        (logs, http): (AccessLogs, bool),
    ) -> Self {
        let addresses = if source.meshed {
            source.addresses.clone()
        } else {
            Vec::new()
        };
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Notify::new(),
            sources: addresses.iter().cloned().collect(),
            logs,
            http,
        });
        let mut tasks = Vec::new();
        if source.meshed {
            let pod = &source.pod;
            add(&shared, Role::Sidecar, pod, addresses, &source.labels);
            let following = follow(cluster.clone(), shared.clone(), Role::Sidecar, pod.clone(), None);
            tasks.push(tokio::spawn(following).abort_handle());
        }
        tasks.push(
            tokio::spawn(follow_gateways(
                cluster.clone(),
                shared.clone(),
                gateway.clone(),
                door,
            ))
            .abort_handle(),
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

    /// How long a sidecar has to show that it delivers.
    pub(super) fn sidecar_deadline(&self, pod: &PodName) -> Duration {
        let state = self.shared.state();
        match state.sidecars.get(pod) {
            Some(followed) if followed.formats.is_empty() => OFF_DEADLINE,
            _ => SIDECAR_DEADLINE,
        }
    }

    /// Waits until a line about a connection from one of `addresses` came from this pod's sidecar, at most `deadline`,
    /// and no longer than the log can be read.
    pub(super) async fn sidecar_delivers(
        &self,
        pod: &PodName,
        addresses: &[String],
        deadline: Duration,
    ) -> bool {
        let is_known = async {
            loop {
                let changed = self.shared.changed.notified();
                if let Some(delivers) = self.is_sidecar_known(pod, addresses) {
                    return delivers;
                }
                changed.await;
            }
        };
        tokio::time::timeout(deadline, is_known).await.unwrap_or(false)
    }

    /// The last word on a sidecar's follower, unless the log itself has said it already.
    pub(super) fn decide_sidecar(&self, pod: &PodName, delivers: bool) {
        if let Some(followed) = self.shared.state().sidecars.get_mut(pod)
            && !followed.decided
        {
            followed.decided = true;
            followed.state = if delivers {
                LogState::Delivering
            } else {
                followed.unanswered()
            };
        }
    }

    /// Whether the sidecar's log delivers, once that is known.
    fn is_sidecar_known(&self, pod: &PodName, addresses: &[String]) -> Option<bool> {
        let state = self.shared.state();
        let Some(followed) = state.sidecars.get(pod) else {
            return Some(false);
        };
        let ours = |line: &AccessLogLine| {
            let from = line.downstream_remote_address.as_ref();
            from.is_some_and(|from| addresses.contains(from))
        };
        if followed.lines.iter().any(ours) {
            return Some(true);
        }
        followed.state.is_final().then_some(false)
    }

    /// Ends with the next change. Take it before looking: what changes between looking and waiting is not lost then
    /// (`notify_waiters` wakes every future that exists, polled or not).
    pub fn changed(&self) -> impl Future<Output = ()> + '_ {
        self.shared.changed.notified()
    }

    /// The gateway's pods as they are known now.
    pub(super) fn gateway_pods(&self) -> Vec<PodName> {
        self.shared.state().gateways.keys().cloned().collect()
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

    /// The same after lines were waited for in vain: a log that delivered before, and that no configuration switches on,
    /// was being switched off meanwhile.
    pub(super) fn gateway_facts_in_the_end(&self) -> GatewayFacts {
        let mut facts = self.gateway_facts();
        let state = self.shared.state();
        for (followed, pod) in state.gateways.values().zip(&mut facts.pods) {
            if followed.formats.is_empty() && pod.log_state == LogState::Delivering {
                pod.log_state = LogState::Off;
            }
        }
        facts
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

fn add(shared: &Shared, role: Role, pod: &PodName, addresses: Vec<String>, labels: &Value) {
    let formats = shared.logs.formats(&pod.namespace, labels);
    let lacks = formats.lacks(Needs {
        source: role == Role::Sidecar,
        http: shared.http,
    });
    // Nobody waits for lines that cannot tell what is asked.
    let (state, decided) = if lacks.is_empty() {
        (LogState::Absent, false)
    } else {
        (LogState::Lacking(lacks), true)
    };
    let followed = Followed {
        addresses,
        formats,
        state,
        decided,
        lines: VecDeque::new(),
    };
    shared.state().of(role).insert(pod.clone(), followed);
    shared.changed.notify_waiters();
}
