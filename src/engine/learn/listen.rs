//! Reads the sidecars' logs: those that are there, or what comes in a window of time, of pods that start in it too.

use super::inside::is_over;
use super::open;
use super::roster::Roster;
use super::scene::Scene;
use super::tally::Tally;
use crate::cluster::{Cluster, LogEvent, LogReach, LogStart, PodChange};
use crate::engine::event::{Event, Events};
use crate::engine::pods;
use crate::evidence::LogFormats;
use crate::vocabulary::{Object, PodName, names};
use futures::stream::{self, StreamExt};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Logs read at a time.
const READS: usize = 8;
/// Sidecars followed at all.
const MOST_FOLLOWED: usize = 300;
/// How long to wait until every log is open; a pod that is starting may take longer, and is followed when it is there.
const OPENING: Duration = Duration::from_secs(20);
/// Envoy writes its log once a second (truth.md), and the node hands it on: what ended in the window has come by then.
const FLUSH: Duration = Duration::from_millis(2500);
/// How long the end waits for the logs of pods that have only just started.
const LAST_OPENING: Duration = Duration::from_secs(5);
/// Lines of a log that is followed from its beginning.
const FROM_THE_BEGINNING: LogStart = LogStart::Tail(u32::MAX >> 1);

/// Reads what the logs hold. `true` if it was interrupted.
pub(super) async fn read(
    cluster: &Cluster,
    scene: &Scene,
    reach: LogReach,
    (tally, roster): (&mut Tally, &mut Roster),
    interrupted: impl Future<Output = ()>,
) -> bool {
    let readable: Vec<(PodName, String, LogFormats)> = scene
        .pods
        .iter()
        .filter(|pod| Scene::without_witness(pod).is_none())
        .map(|pod| (pods::name(pod), scene.workload(pod), scene.formats(pod)))
        .collect();
    let shared = Mutex::new((tally, roster));
    let with = |work: &mut dyn FnMut(&mut Tally, &mut Roster)| {
        let mut guard = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let (tally, roster) = &mut *guard;
        work(tally, roster);
    };
    let one = |(pod, workload, formats): (PodName, String, LogFormats)| async move {
        with(&mut |_, roster| roster.begin(&pod.name));
        let each = |raw: &[u8]| {
            with(&mut |tally, roster| {
                roster.line(&pod.name, tally.add(&workload, raw, &formats, &scene.inside));
            });
        };
        match cluster.read_log(&pod, names::PROXY_CONTAINER, reach, each).await {
            Ok(()) => with(&mut |_, roster| roster.done(&pod.name)),
            Err(error) => with(&mut |_, roster| roster.broken(&pod.name, &error.to_string())),
        }
    };
    let all = stream::iter(readable)
        .map(one)
        .buffer_unordered(READS)
        .collect::<()>();
    tokio::select! {
        () = all => false,
        () = interrupted => true,
    }
}

/// Follows the logs for a time; `true` if it was interrupted.
pub(super) async fn watch(
    cluster: &Cluster,
    scene: &Scene,
    window: Duration,
    (tally, roster): (&mut Tally, &mut Roster),
    events: &Events,
    interrupted: impl Future<Output = ()>,
) -> bool {
    let (sender, receiver) = mpsc::channel(1024);
    let mut watching = Watching {
        cluster,
        scene,
        tally,
        roster,
        sender,
        receiver,
        followed: BTreeSet::new(),
        opening: BTreeSet::new(),
        awaited: BTreeSet::new(),
        is_synced: false,
    };
    let mut changes = cluster.watch_pods(&scene.namespace, "");
    let mut interrupted = std::pin::pin!(interrupted);
    let mut end = Instant::now() + OPENING;
    let mut has_begun = false;
    loop {
        if !has_begun && watching.is_open() {
            has_begun = true;
            watching.count_before().await;
            end = Instant::now() + window;
            events(Event::Note(format!(
                "watching {} sidecars of namespace {} for {} s",
                watching.followed.len(),
                scene.namespace,
                window.as_secs()
            )));
        }
        tokio::select! {
            () = &mut interrupted => {
                watching.drain(&mut changes).await;
                return true;
            }
            () = tokio::time::sleep_until(end) => {
                if has_begun {
                    watching.drain(&mut changes).await;
                    return false;
                }
                watching.wait_no_longer();
            }
            Some(change) = changes.recv() => watching.pod(change),
            Some((pod, event)) = watching.receiver.recv() => watching.event(&pod, event),
        }
    }
}

struct Watching<'run> {
    cluster: &'run Cluster,
    scene: &'run Scene,
    tally: &'run mut Tally,
    roster: &'run mut Roster,
    sender: mpsc::Sender<(String, LogEvent)>,
    receiver: mpsc::Receiver<(String, LogEvent)>,
    followed: BTreeSet<String>,
    /// Of those, the pods whose log is not open yet.
    opening: BTreeSet<String>,
    /// Pods that were ready at the beginning and whose log is not open yet.
    awaited: BTreeSet<String>,
    is_synced: bool,
}

impl Watching<'_> {
    fn is_open(&self) -> bool {
        self.is_synced && self.awaited.is_empty()
    }

    fn wait_no_longer(&mut self) {
        self.is_synced = true;
        for pod in std::mem::take(&mut self.awaited) {
            self.roster.broken(&pod, "its log did not open in time");
        }
    }

    fn pod(&mut self, change: PodChange) {
        match change {
            PodChange::Present(pod) => self.follow(&pod),
            PodChange::Synced => self.is_synced = true,
            // What could be followed is followed; new pods are not noticed any more.
            PodChange::Gone(_) | PodChange::Failed(_) => {}
        }
    }

    fn follow(&mut self, pod: &Object) {
        self.roster.meet(self.scene, pod);
        if self.followed.contains(pod.name()) || Scene::without_witness(pod).is_some() || is_over(pod) {
            return;
        }
        // The watch tells when there is a log to open; before that the node only refuses.
        if !pods::has_begun(pod, names::PROXY_CONTAINER) {
            return;
        }
        if self.followed.len() >= MOST_FOLLOWED {
            self.roster
                .broken(pod.name(), &format!("only {MOST_FOLLOWED} sidecars are watched"));
            return;
        }
        self.followed.insert(pod.name().to_owned());
        self.opening.insert(pod.name().to_owned());
        self.roster.begin(pod.name());
        // A pod that comes in the window is heard from its first line.
        let start = if self.is_synced {
            FROM_THE_BEGINNING
        } else {
            LogStart::Now
        };
        if !self.is_synced && pods::is_ready(pod) {
            self.awaited.insert(pod.name().to_owned());
        }
        let log = self
            .cluster
            .follow_log(&pods::name(pod), names::PROXY_CONTAINER, start);
        tokio::spawn(log.pass_on(pod.name().to_owned(), self.sender.clone()));
    }

    fn event(&mut self, pod: &str, event: LogEvent) {
        match event {
            LogEvent::Opened => {
                self.opens_no_more(pod);
                self.roster.done(pod);
            }
            LogEvent::Line(raw) => {
                let Some((workload, formats)) = self.roster.reader(pod) else {
                    return;
                };
                let is_access_log = self.tally.add(workload, &raw, formats, &self.scene.inside);
                self.roster.line(pod, is_access_log);
            }
            LogEvent::Gap(why) => self
                .roster
                .broken(pod, &format!("lines of its log may be missing: {why}")),
            LogEvent::Forbidden(error) | LogEvent::Failed(error) => {
                self.opens_no_more(pod);
                self.roster.broken(pod, &error.to_string());
            }
            LogEvent::Ended => self.opens_no_more(pod),
        }
    }

    fn opens_no_more(&mut self, pod: &str) {
        self.awaited.remove(pod);
        self.opening.remove(pod);
    }

    async fn count_before(&mut self) {
        let pods = self
            .followed
            .iter()
            .map(|pod| PodName::new(&self.scene.namespace, pod));
        for (pod, counted) in open::read(self.cluster, pods.collect()).await {
            self.roster.count_before(&pod, counted);
        }
    }

    /// What was written in the window and is on its way, of pods too that started at its end.
    async fn drain(&mut self, changes: &mut mpsc::Receiver<PodChange>) {
        let latest = Instant::now() + LAST_OPENING;
        let mut last = Instant::now() + FLUSH;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(last) => {
                    if self.opening.is_empty() || last >= latest {
                        return;
                    }
                    last = latest;
                }
                Some(change) = changes.recv() => self.pod(change),
                Some((pod, event)) = self.receiver.recv() => {
                    let was_opening = !self.opening.is_empty();
                    self.event(&pod, event);
                    if was_opening && self.opening.is_empty() {
                        last = Instant::now() + FLUSH;
                    }
                }
            }
        }
    }
}
