//! What the sandbox knows, behind one lock, and the bells that wake its streams.

use super::fault::Fault;
use super::mesh_authority::MeshAuthority;
use super::network::OutsideRequest;
use super::network::origination::HeldSecret;
use super::public_authority::PublicAuthority;
use super::settings::SandboxSettings;
use super::store::{Key, Store};
use super::{controllers, seed};
use crate::mesh::World;
use crate::vocabulary::Object;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// One request that the API server received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRequest {
    /// HTTP method.
    pub method: String,
    /// Path with its query.
    pub path: String,
    /// `EXEC`, `LOG`, `FORWARD` or `WATCH` for streams.
    pub stream: Option<&'static str>,
    /// Who is impersonated.
    pub impersonated: Option<String>,
}

/// One line of a container's log.
#[derive(Debug, Clone)]
pub(super) struct LogLine {
    pub(super) time: Timestamp,
    pub(super) text: String,
}

/// A container's log: namespace, pod, container.
pub(super) type LogKey = (String, String, String);

/// What Envoy counts of one endpoint of a cluster.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counters {
    /// Connections that are open still: those that carry HTTP are kept for the next request.
    pub(super) open: u64,
    pub(super) connections: u64,
    pub(super) failed_connections: u64,
    pub(super) requests: u64,
    pub(super) successes: u64,
}

/// Everything that changes.
#[derive(Default)]
pub(super) struct State {
    pub(super) store: Store,
    pub(super) logs: BTreeMap<LogKey, Vec<LogLine>>,
    pub(super) requests: Vec<RecordedRequest>,
    pub(super) faults: Vec<Fault>,
    pub(super) outside: Vec<OutsideRequest>,
    /// Counters of the proxies' clusters, by `namespace/pod`, cluster and upstream address.
    pub(super) counters: BTreeMap<(String, String, String), Counters>,
    /// The proxies' ends of the connections that they keep for HTTP, by the same.
    pub(super) pools: BTreeMap<(String, String, String), String>,
    /// What gateways' pods hold of Secrets, by pod and name.
    pub(super) held_secrets: BTreeMap<(String, String), HeldSecret>,
    /// Generations of Istio custom resources that Kyma's module has seen, by their UID.
    pub(super) modules: BTreeMap<String, u64>,
    /// Work for later that a controller asked for.
    pub(super) timers: Vec<controllers::Timer>,
    /// Timers that run, with the time at which they are due by the cluster's clock.
    running: BTreeMap<u64, (Timestamp, controllers::Timer)>,
    started: u64,
    issued: u64,
    /// Which of several clusters it is.
    ordinal: u8,
    addresses: u32,
    service_addresses: u32,
    ports: u16,
}

impl State {
    /// A number that was never given before.
    pub(super) fn next_number(&mut self) -> u64 {
        self.issued += 1;
        self.issued
    }

    /// A UID, unique in this sandbox.
    pub(super) fn next_uid(&mut self) -> String {
        let number = self.next_number();
        format!("5a4db0c5-{:04x}-4000-8000-{number:012x}", self.ordinal)
    }

    /// An address for a pod, in 198.18.0.0/15 (RFC 2544: never routed outside).
    pub(super) fn next_address(&mut self) -> String {
        self.addresses += 1;
        let number = self.addresses + 10;
        let cluster = 18 + self.ordinal % 2;
        format!("198.{cluster}.{}.{}", number / 250, number % 250 + 1)
    }

    /// A cluster address for a Service.
    pub(super) fn next_service_address(&mut self) -> String {
        self.service_addresses += 1;
        let number = self.service_addresses + 10;
        format!("10.96.{}.{}", number / 250, number % 250 + 1)
    }

    /// A local port for a connection.
    pub(super) fn next_port(&mut self) -> u16 {
        self.ports = (self.ports + 1) % 28_000;
        self.ports + 32_768
    }

    /// Appends to a container's log.
    pub(super) fn log(&mut self, time: Timestamp, namespace: &str, pod: &str, container: &str, text: &str) {
        let key = (namespace.to_owned(), pod.to_owned(), container.to_owned());
        self.logs.entry(key).or_default().push(LogLine {
            time,
            text: text.to_owned(),
        });
    }

    /// Objects of a core or named group, by its plural.
    pub(super) fn object(&self, group: &str, plural: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.store.get(&Key::new(group, plural, namespace, name))
    }
}

/// The sandbox itself.
pub(super) struct Inner {
    pub(super) settings: SandboxSettings,
    state: Mutex<State>,
    /// The mesh's view of the objects, at the revision it was made from.
    world: Mutex<Option<(u64, Arc<World<'static>>)>>,
    changed: watch::Sender<u64>,
    cuts: watch::Sender<u64>,
    /// How many connections are refused before one is taken again.
    refused: AtomicU32,
    /// When it began, by the calendar and by the runtime's clock, which a test may let run ahead.
    began: (Timestamp, tokio::time::Instant),
    /// How far the clock was moved on, in milliseconds.
    passed: AtomicI64,
    /// What certificates of hosts outside lead to.
    pub(super) public: PublicAuthority,
    /// What the proxies' identities lead to.
    pub(super) mesh: MeshAuthority,
    /// The other cluster, which is outside.
    target: OnceLock<Arc<Inner>>,
    this: Weak<Inner>,
}

impl Inner {
    pub(super) fn new(settings: SandboxSettings) -> Arc<Self> {
        let state = State {
            ordinal: settings.ordinal,
            ..State::default()
        };
        let inner = Arc::new_cyclic(|this| Self {
            settings,
            state: Mutex::new(state),
            public: PublicAuthority::default(),
            mesh: MeshAuthority::default(),
            target: OnceLock::new(),
            world: Mutex::default(),
            changed: watch::Sender::new(0),
            cuts: watch::Sender::new(0),
            refused: AtomicU32::new(0),
            began: (Timestamp::now(), tokio::time::Instant::now()),
            passed: AtomicI64::new(0),
            this: this.clone(),
        });
        seed::plant(&inner);
        inner
    }

    /// The other cluster. Its lock may be taken while this one's is held; never the other way round.
    pub(super) fn target(&self) -> Option<Arc<Inner>> {
        self.target.get().cloned()
    }

    /// Puts another cluster outside of this one, once.
    pub(super) fn lead_to(&self, target: &Arc<Inner>) {
        let _ = self.target.set(Arc::clone(target));
    }

    /// The state; the lock is never held over an await.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mesh's view of the objects as they are now.
    pub(super) fn world(&self, state: &State) -> Arc<World<'static>> {
        const KINDS: [(&str, &str); 12] = [
            ("", "services"),
            ("", "pods"),
            ("", "configmaps"),
            ("", "namespaces"),
            ("networking.istio.io", "serviceentries"),
            ("networking.istio.io", "gateways"),
            ("networking.istio.io", "virtualservices"),
            ("networking.istio.io", "destinationrules"),
            ("networking.istio.io", "sidecars"),
            ("networking.istio.io", "envoyfilters"),
            ("security.istio.io", "authorizationpolicies"),
            ("networking.k8s.io", "networkpolicies"),
        ];
        let mut known = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let revision = state.store.revision();
        if let Some((_, world)) = known.as_ref().filter(|(made, _)| *made == revision) {
            return Arc::clone(world);
        }
        // A cluster without a policy engine takes the objects and does nothing with them.
        let enforced = |(_, plural): &&(&str, &str)| {
            *plural != "networkpolicies" || self.settings.enforces_network_policies
        };
        let objects: Vec<Object> = KINDS
            .iter()
            .filter(enforced)
            .flat_map(|(group, plural)| state.store.list(group, plural, None))
            .map(|(_, object)| Object(object.clone()))
            .collect();
        let world = Arc::new(World::owned(objects));
        *known = Some((revision, Arc::clone(&world)));
        world
    }

    /// The cluster's clock.
    pub(super) fn now(&self) -> Timestamp {
        let offset = SignedDuration::from_secs(self.settings.clock_offset_seconds)
            + SignedDuration::from_millis(self.passed.load(Ordering::Relaxed));
        let (calendar, clock) = self.began;
        let now = calendar.checked_add(clock.elapsed()).unwrap_or(calendar);
        now.checked_add(offset).unwrap_or(now)
    }

    /// Refuses so many connections from now on.
    pub(super) fn refuse_connections(&self, times: u32) {
        self.refused.store(times, Ordering::Relaxed);
    }

    /// Whether a connection that is opened now is to be refused. Counts it.
    pub(super) fn refuses_connection(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        self.refused
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }

    /// Moves the clock on, and does what becomes due.
    pub(super) fn pass_time(&self, time: Duration) {
        let milliseconds = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.passed.fetch_add(milliseconds, Ordering::Relaxed);
        let now = self.now();
        loop {
            let due = {
                let state = self.lock();
                let due = state.running.iter().filter(|(_, (time, _))| *time <= now);
                due.min_by_key(|(_, (time, _))| *time).map(|(number, _)| *number)
            };
            let Some(number) = due else { break };
            self.fire(number);
        }
    }

    /// Does what a running timer was set for, unless that was done already.
    fn fire(&self, number: u64) {
        let timer = self.lock().running.remove(&number);
        if let Some((_, timer)) = timer {
            controllers::fire(self, &timer);
            self.ring();
        }
    }

    /// Wakes every stream that waits for a change, after starting the timers that the change asked for.
    pub(super) fn ring(&self) {
        let timers = std::mem::take(&mut self.lock().timers);
        let now = self.now();
        for timer in timers {
            let this = self.this.clone();
            let after = timer.after;
            let number = {
                let mut state = self.lock();
                state.started += 1;
                let number = state.started;
                let due = SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX);
                let due = now.checked_add(due).unwrap_or(Timestamp::MAX);
                state.running.insert(number, (due, timer));
                number
            };
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                if let Some(inner) = this.upgrade() {
                    inner.fire(number);
                }
            });
        }
        self.changed.send_modify(|count| *count += 1);
    }

    /// Hears every change from now on.
    pub(super) fn listen(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Hears when streams are to be cut.
    pub(super) fn listen_for_cuts(&self) -> watch::Receiver<u64> {
        self.cuts.subscribe()
    }

    pub(super) fn cut_streams(&self) {
        self.cuts.send_modify(|count| *count += 1);
    }

    pub(super) fn write_log(&self, namespace: &str, pod: &str, container: &str, line: &str) {
        let now = self.now();
        self.lock().log(now, namespace, pod, container, line);
        self.changed.send_modify(|count| *count += 1);
    }

    pub(super) fn dump(&self) -> BTreeMap<String, Value> {
        let state = self.lock();
        state
            .store
            .all()
            .map(|(key, object)| {
                let kind = object["kind"].as_str().unwrap_or(&key.plural);
                let name = if key.namespace.is_empty() {
                    format!("{kind} {}", key.name)
                } else {
                    format!("{kind} {}/{}", key.namespace, key.name)
                };
                (name, object.clone())
            })
            .collect()
    }
}
