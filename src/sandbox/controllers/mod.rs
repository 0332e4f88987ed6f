//! The controllers: they run at once after each write, until nothing changes any more; only what takes time
//! in a real cluster (a pod's start and end) is left to timers.

mod admission;
mod defaults;
mod deployments;
mod injection;
mod jobs;
mod kyma;
mod pods;
mod programs;
mod security;
mod service_accounts;
mod services;
mod start;
mod switch;

pub(super) use admission::{pod as admit_pod, quota};
pub(super) use defaults::fill_in;
pub(super) use pods::{container_names, is_meshed, is_ready};
pub(super) use programs::is_switch;
pub(super) use service_accounts::TOKEN_FOLDER;
pub(super) use switch::rehearse;

use super::api;
use super::state::{Inner, State};
use super::store::Key;
use crate::vocabulary::Kind;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::time::Duration;

/// Work for later.
#[derive(Debug, Clone)]
pub(super) struct Timer {
    pub(super) after: Duration,
    task: Task,
}

#[derive(Debug, Clone)]
enum Task {
    /// A pod's containers start.
    Start(Key),
    /// A pod's grace period ends, or a namespace is empty.
    End(Key),
    /// A finished Job has lived long enough.
    Expire(Key),
    /// The dead-man's switch in this pod, of this UID, acts.
    Switch(Key, String),
    /// Kyma's module goes on.
    Module(Key, kyma::Stage),
}

impl Timer {
    /// A pod's containers start.
    pub(super) fn start(after: Duration, key: Key) -> Self {
        let task = Task::Start(key);
        Self { after, task }
    }

    /// A pod's grace period ends, or a namespace is empty.
    pub(super) fn end(after: Duration, key: Key) -> Self {
        let task = Task::End(key);
        Self { after, task }
    }

    fn expire(after: Duration, key: Key) -> Self {
        let task = Task::Expire(key);
        Self { after, task }
    }

    /// A dead-man's switch acts.
    pub(super) fn switch(after: Duration, key: Key, uid: String) -> Self {
        let task = Task::Switch(key, uid);
        Self { after, task }
    }

    fn module(after: Duration, key: Key, stage: kyma::Stage) -> Self {
        let task = Task::Module(key, stage);
        Self { after, task }
    }
}

/// Does what a timer was set for.
pub(super) fn fire(inner: &Inner, timer: &Timer) {
    match &timer.task {
        // These send requests of their own, so they must not meet the lock held.
        Task::Switch(key, uid) => switch::act(inner, key, uid),
        Task::Module(key, stage) => kyma::go_on(inner, key, *stage),
        Task::Start(_) | Task::End(_) | Task::Expire(_) => {}
    }
    let mut state = inner.lock();
    match &timer.task {
        Task::Start(key) => start::start(inner, &mut state, key),
        Task::End(key) if key.plural == "namespaces" => empty(&mut state, key),
        Task::End(key) => api::forget(&mut state, key),
        Task::Expire(key) => jobs::expire(inner, &mut state, key),
        Task::Switch(..) | Task::Module(..) => {}
    }
    settle(inner, &mut state);
}

/// Removes a namespace with everything in it.
fn empty(state: &mut State, namespace: &Key) {
    let inside: Vec<Key> = state
        .store
        .all()
        .map(|(key, _)| key)
        .filter(|key| key.namespace == namespace.name)
        .cloned()
        .collect();
    for key in &inside {
        api::forget(state, key);
    }
    // One that somebody holds stays, empty and without a way in, until he lets go.
    if !api::is_held(state, namespace) {
        api::forget(state, namespace);
    }
}

/// Runs the controllers that a write of this kind concerns.
pub(super) fn reconcile(inner: &Inner, state: &mut State, kind: &Kind) {
    let of_module = kind.plural == "istios";
    if of_module {
        kyma::reconcile(inner, state);
    }
    let concerned = matches!(
        kind.plural.as_str(),
        "deployments"
            | "replicasets"
            | "pods"
            | "services"
            | "namespaces"
            | "jobs"
            | "nodes"
            | "resourcequotas"
            | "serviceaccounts"
    );
    if kind.plural == "networkpolicies" {
        start::try_again(inner, state);
    }
    if concerned || of_module {
        settle(inner, state);
    }
}

fn settle(inner: &Inner, state: &mut State) {
    // Every round either changes something or is the last; the bound only guards against a bug.
    for _ in 0..50 {
        let before = state.store.revision();
        deployments::reconcile(inner, state);
        jobs::reconcile(inner, state);
        collect_garbage(inner, state);
        api::finish_foreground(state);
        services::reconcile(state);
        if state.store.revision() == before {
            break;
        }
    }
}

/// Deletes what belongs to an owner that is gone or waits for its end.
fn collect_garbage(inner: &Inner, state: &mut State) {
    // Of the owners alone, which are few in a large cluster.
    let owners: BTreeSet<&str> = state
        .store
        .all()
        .filter_map(|(_, object)| owner_uid(object))
        .collect();
    if owners.is_empty() {
        return;
    }
    let living: BTreeSet<&str> = state
        .store
        .all()
        .filter_map(|(_, object)| Some((object["metadata"]["uid"].as_str()?, object)))
        .filter(|(uid, object)| owners.contains(uid) && !api::waits_for_owned(object))
        .map(|(uid, _)| uid)
        .collect();
    let doomed: Vec<Key> = state
        .store
        .all()
        .filter(|(_, object)| object["metadata"]["deletionTimestamp"].is_null())
        .filter(|(_, object)| owner_uid(object).is_some_and(|uid| !living.contains(uid)))
        .map(|(key, _)| key.clone())
        .collect();
    for key in doomed {
        api::remove_object(inner, state, &key, None);
    }
}

/// The UID of an object's first owner.
pub(super) fn owner_uid(object: &Value) -> Option<&str> {
    object["metadata"]["ownerReferences"][0]["uid"].as_str()
}

/// The reference by which a controller owns what it made.
fn owner_reference(owner: &Value) -> Value {
    json!([{
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
    }])
}

/// A time as Kubernetes writes it.
pub(super) fn time_text(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Whether the API server counts generations of a kind.
pub(super) fn has_generation(kind: &Kind) -> bool {
    !matches!(
        kind.group.as_str(),
        "" | "rbac.authorization.k8s.io" | "coordination.k8s.io" | "discovery.k8s.io"
    )
}

/// A suffix as Kubernetes makes them, without vowels; the same for the same seed.
pub(super) fn suffix(seed: impl std::fmt::Display, length: usize) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    Sha256::digest(seed.to_string())
        .iter()
        .cycle()
        .take(length)
        .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]))
        .collect()
}

/// What the API server warns of when this object is written.
pub(super) fn warning(state: &State, kind: &Kind, object: &Value) -> Option<String> {
    if kind.kind != "Deployment" {
        return None;
    }
    let namespace = object["metadata"]["namespace"].as_str()?;
    let violations = security::violations(state, namespace, &object["spec"]["template"]["spec"])?;
    Some(format!(
        "would violate PodSecurity \"restricted:latest\": {violations}"
    ))
}
