//! The process that keeps the kernel's rules up to date: it follows policies, pods and namespaces, and loads a new
//! ruleset a moment after any of them has changed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::announce::{self, Announced};
use super::compile::{Objects, compile};
use super::connection;
use super::engine::PolicyEngine;
use super::nftables;
use super::object::{Metadata, Namespace, Pod};
use super::status::{InForce, PolicyStatus};
use super::timeline::{Policies, Timeline};
use super::watch::{Access, Event, Kind, follow};
use crate::output;
use crate::shell::{command, output_with_input};

/// How often the wish for another engine is looked for, and how long at most changes wait for each other.
const TICK: Duration = Duration::from_millis(50);
/// Changes that follow each other this closely are loaded together.
const TOGETHER: Duration = Duration::from_millis(15);
/// How long after a failed load the next one is tried.
const RETRY: Duration = Duration::from_secs(1);

/// What the process needs to know.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The engine's folder.
    pub(crate) folder: PathBuf,
    /// The API server.
    pub(crate) access: Access,
    /// The node's own addresses.
    pub(crate) node_addresses: Vec<IpAddr>,
}

/// Enforces policies in the network namespace that it runs in, until it is stopped.
///
/// # Errors
/// The folder is not writable.
pub(crate) fn run(settings: &Settings) -> Result<()> {
    let (sender, events) = channel();
    for kind in Kind::ALL {
        let (access, sender) = (settings.access.clone(), sender.clone());
        std::thread::spawn(move || follow(&access, kind, &sender));
    }
    drop(sender);
    let mut known = Known::default();
    let mut kernel = Kernel::default();
    let mut timeline = Timeline::default();
    let mut engine = None;
    loop {
        let mut changed = take_all(&events, &mut known)?;
        let announced = announce::read_all(&settings.folder);
        changed |= announced != known.announced;
        known.announced = announced;
        let wanted = PolicyEngine::wanted(&settings.folder);
        let Some(policies) = known.complete() else {
            continue;
        };
        if engine != Some(wanted) {
            timeline.restart(policies);
            changed = true;
        }
        engine = Some(wanted);
        let now = Instant::now();
        timeline.observe(now, policies, wanted.delay());
        changed |= timeline.advance(now);
        if changed || kernel.is_due() {
            let in_force = timeline.in_force();
            kernel.load(&known.objects(&in_force, wanted, settings), wanted, settings)?;
        }
    }
}

/// Takes what has happened; waits for it for one tick at most.
fn take_all(events: &Receiver<Event>, known: &mut Known) -> Result<bool> {
    let end = Instant::now() + TICK;
    let mut changed = false;
    loop {
        let patience = if changed { TOGETHER } else { TICK };
        match events.recv_timeout(patience) {
            Ok(event) => {
                known.take(event);
                changed = true;
            }
            Err(RecvTimeoutError::Timeout) => return Ok(changed),
            Err(RecvTimeoutError::Disconnected) => bail!("nobody follows the API server any more"),
        }
        if Instant::now() >= end {
            return Ok(changed);
        }
    }
}

/// The objects as the API server told them last.
#[derive(Debug, Default)]
struct Known {
    policies: Option<Policies>,
    pods: Option<BTreeMap<String, Pod>>,
    namespaces: Option<BTreeMap<String, Namespace>>,
    announced: Announced,
}

impl Known {
    /// The policies, once every kind was listed: rules from half of the objects would be wrong.
    fn complete(&self) -> Option<&Policies> {
        let complete = self.pods.is_some() && self.namespaces.is_some();
        self.policies.as_ref().filter(|_| complete)
    }

    fn take(&mut self, event: Event) {
        let (Event::Listed(kind, _) | Event::Changed(kind, _) | Event::Gone(kind, _)) = event;
        match kind {
            Kind::NetworkPolicy => take(&mut self.policies, event, |object| &object.metadata),
            Kind::Pod => take(&mut self.pods, event, |object| &object.metadata),
            Kind::Namespace => take(&mut self.namespaces, event, |object| &object.metadata),
        }
    }

    fn objects<'a>(
        &'a self,
        in_force: &'a Policies,
        engine: PolicyEngine,
        settings: &'a Settings,
    ) -> Objects<'a> {
        Objects {
            policies: in_force.values().collect(),
            pods: self.pods.iter().flat_map(BTreeMap::values).collect(),
            namespaces: self.namespaces.iter().flat_map(BTreeMap::values).collect(),
            announced: self.announced.clone(),
            outside_blocks: if engine.blocks_find_nodes() {
                &[]
            } else {
                &settings.node_addresses
            },
        }
    }
}

fn take<T: DeserializeOwned>(
    objects: &mut Option<BTreeMap<String, T>>,
    event: Event,
    metadata: fn(&T) -> &Metadata,
) {
    match event {
        Event::Listed(_, items) => {
            let read = items.into_iter().filter_map(read::<T>);
            *objects = Some(read.map(|object| (metadata(&object).key(), object)).collect());
        }
        Event::Changed(_, item) => {
            if let Some(object) = read::<T>(item) {
                let key = metadata(&object).key();
                objects.get_or_insert_default().insert(key, object);
            }
        }
        Event::Gone(_, item) => {
            if let Some(object) = read::<T>(item) {
                objects.get_or_insert_default().remove(&metadata(&object).key());
            }
        }
    }
}

fn read<T: DeserializeOwned>(item: Value) -> Option<T> {
    serde_json::from_value(item)
        .inspect_err(|error| output::note(&format!("an object that cannot be read: {error}")))
        .ok()
}

/// What is in force in the kernel.
#[derive(Debug, Default)]
struct Kernel {
    text: String,
    status: Option<PolicyStatus>,
    failed: Option<Instant>,
}

impl Kernel {
    fn is_due(&self) -> bool {
        self.failed.is_some_and(|failed| failed.elapsed() >= RETRY)
    }

    /// Loads the rules that the objects ask for, where they are others than those that are loaded, and says so.
    fn load(&mut self, objects: &Objects<'_>, engine: PolicyEngine, settings: &Settings) -> Result<()> {
        let rules = compile(objects);
        let text = nftables::text(&rules, engine);
        let mut status = describe(objects, engine);
        let before = self.status.take().unwrap_or_default();
        status.loads = before.loads;
        self.failed = None;
        if text != self.text {
            match output_with_input(command("nft").args(["-f", "-"]), &text) {
                Ok(_) => {
                    self.text = text;
                    if engine.cuts() {
                        connection::cut(&rules, &settings.node_addresses);
                    }
                    status.loads += 1;
                }
                Err(error) => {
                    output::note(&format!("{error:#}\n{text}"));
                    self.failed = Some(Instant::now());
                    status = PolicyStatus {
                        error: Some(format!("{error:#}")),
                        ..before.clone()
                    };
                }
            }
        }
        if status != before {
            status.write(&settings.folder)?;
        }
        self.status = Some(status);
        Ok(())
    }
}

fn describe(objects: &Objects<'_>, engine: PolicyEngine) -> PolicyStatus {
    let policies = objects
        .policies
        .iter()
        .map(|policy| (policy.metadata.key(), InForce::from(&policy.metadata)));
    let pods = objects
        .pods
        .iter()
        .map(|pod| (pod.metadata.key(), objects.addresses(pod)));
    PolicyStatus {
        engine,
        loads: 0,
        policies: policies.collect(),
        pods: pods.filter(|(_, addresses)| !addresses.is_empty()).collect(),
        error: None,
    }
}
