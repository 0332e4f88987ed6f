//! The tasks of a witness: one per followed log, and one that knows which gateway pods there are.

use super::{Followed, KEPT_LINES, OFF_DEADLINE, Role, SENTINEL_DEADLINE, SENTINEL_PAUSE, Shared, add};
use crate::cluster::{Cluster, LogEvent, LogStart, PodChange};
use crate::engine::pods;
use crate::engine::sentinel::{self, Door};
use crate::evidence::{AccessLogLine, LogState};
use crate::plan::GatewayTarget;
use crate::vocabulary::{PodName, names};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Keeps the set of followed gateway pods equal to the set of ready ones. Pods that are gone stay known: their
/// lines are evidence.
pub(super) async fn follow_gateways(
    cluster: Cluster,
    shared: Arc<Shared>,
    gateway: GatewayTarget,
    door: Option<Door>,
) {
    let mut changes = cluster.watch_pods(&gateway.namespace, &gateway.label_selector());
    let mut tasks = JoinSet::new();
    let mut followed = BTreeSet::new();
    while let Some(change) = changes.recv().await {
        match change {
            PodChange::Present(pod) if pods::is_ready(&pod) && followed.insert(pods::name(&pod)) => {
                let name = pods::name(&pod);
                let labels = pod.at("/metadata/labels");
                add(&shared, Role::Gateway, &name, pods::addresses(&pod), labels);
                tasks.spawn(follow(cluster.clone(), shared.clone(), Role::Gateway, name, door));
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

/// Follows one proxy's log; sends sentinels to its door until one is seen.
pub(super) async fn follow(
    cluster: Cluster,
    shared: Arc<Shared>,
    role: Role,
    pod: PodName,
    door: Option<Door>,
) {
    let mut log = cluster.follow_log(&pod, names::PROXY_CONTAINER, LogStart::Now);
    let nonce = sentinel::server_name();
    let formats = with(&shared, role, &pod, |followed| followed.formats.clone()).unwrap_or_default();
    let mut deadline: Option<tokio::time::Instant> = None;
    let mut next_sentinel: Option<tokio::time::Instant> = None;
    loop {
        let due = next_sentinel.into_iter().chain(deadline).min();
        let event = tokio::select! {
            event = log.next() => event,
            () = sleep_until(due) => {
                if deadline.is_some_and(|deadline| deadline <= tokio::time::Instant::now()) {
                    (deadline, next_sentinel) = (None, None);
                    let unanswered = with(&shared, role, &pod, Followed::unanswered);
                    decide(&shared, role, &pod, unanswered.unwrap_or(LogState::Silent));
                } else if let Some(door) = door {
                    next_sentinel = Some(tokio::time::Instant::now() + SENTINEL_PAUSE);
                    // Its failure shows as a line that never comes.
                    tokio::spawn(sentinel::send(cluster.clone(), pod.clone(), door, nonce.clone()));
                }
                continue;
            }
        };
        match event {
            LogEvent::Opened
                if door.is_some()
                    && with(&shared, role, &pod, |followed| followed.decided) == Some(false) =>
            {
                let now = tokio::time::Instant::now();
                let off = with(&shared, role, &pod, |followed| followed.formats.is_empty()) == Some(true);
                let patience = if off { OFF_DEADLINE } else { SENTINEL_DEADLINE };
                (deadline, next_sentinel) = (Some(now + patience), Some(now));
            }
            // Nothing that is planned goes through this gateway, so nothing is waited for.
            LogEvent::Opened
                if role == Role::Gateway
                    && door.is_none()
                    && with(&shared, role, &pod, |followed| followed.decided) == Some(false) =>
            {
                decide(&shared, role, &pod, LogState::Silent);
            }
            LogEvent::Opened => {}
            LogEvent::Line(raw) => {
                if !shared.may_concern(&raw) {
                    continue;
                }
                let Some(line) = formats.parse(&raw) else { continue };
                if is_about(&line, |name| name == nonce) {
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

/// Whether a line is about a name, by its server name (TLS) or its Host (HTTP).
fn is_about(line: &AccessLogLine, named: impl Fn(&str) -> bool) -> bool {
    let names = [&line.requested_server_name, &line.authority];
    names.into_iter().flatten().any(|name| named(name))
}

async fn sleep_until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn with<T>(shared: &Shared, role: Role, pod: &PodName, read: impl FnOnce(&Followed) -> T) -> Option<T> {
    shared.state().of(role).get(pod).map(read)
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
        || is_about(&line, sentinel::is_server_name);
    if relevant && let Some(followed) = shared.state().of(role).get_mut(pod) {
        if followed.lines.len() == KEPT_LINES {
            followed.lines.pop_front();
        }
        followed.lines.push_back(line);
    }
    shared.changed.notify_waiters();
}
