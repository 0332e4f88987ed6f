//! `learn`: what leaves a namespace, as its sidecars tell it, and a plan made of it. Changes nothing.
//!
//! | file | holds |
//! |---|---|
//! | `scene` | what is asked for before anybody listens |
//! | `listen` | reads the sidecars' logs, or follows them for a time |
//! | `flow` | one line: where it went, and which way |
//! | `inside` | what is inside the cluster, and which Services are gateways |
//! | `tally` | counts by workload and destination, bounded |
//! | `open` | connections that are open and have no line yet |
//! | `owner` | the workload that a pod belongs to |
//! | `roster` | the pods of which nothing, or not everything, is known |
//! | `proposal` | from destinations to an `EgressPlan` |
//! | `document` | what `learn -o json` prints |
//!
//! What a lock would break of it is `lockdown`'s to say ([`simulation`]).

mod document;
mod flow;
mod inside;
mod listen;
mod open;
mod owner;
mod proposal;
mod roster;
mod scene;
mod tally;

#[cfg(test)]
mod tests;

pub use document::{DestinationSeen, Learned, MoreDestinations, NotProposed, Observed};
pub use flow::{Destination, Spoken, Way};
pub use inside::Inside;
pub use open::Open;
pub use roster::NotKnown;
pub use tally::{Flow, OfWorkload, Tally};

pub(super) use scene::Scene;

use super::event::Events;
use super::holders;
use super::lockdown::simulation::{self, Wanted};
use super::pods;
use crate::cluster::{Cluster, LogReach};
use crate::error::{Error, Result};
use crate::plan::lock::LockSettings;
use crate::plan::{GatewayTarget, Plan, PlanSettings};
use crate::vocabulary::PlanIdentity;
use roster::Roster;
use std::collections::BTreeSet;
use std::time::Duration;

/// What is listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// What is written from now on, for so long.
    For(Duration),
    /// What was written in the last so long, as far as the nodes still have it.
    Since(Duration),
    /// The last so many lines of each sidecar.
    Tail(u32),
}

/// What the user wants.
#[derive(Debug, Clone)]
pub struct LearnSettings {
    /// The plan that the proposal is for, whether it exists or not.
    pub plan: PlanIdentity,
    /// The namespace that is watched.
    pub namespace: String,
    /// When.
    pub window: Window,
    /// `NAMESPACE/SERVICE` of the gateway, if it was named.
    pub gateway: Option<String>,
}

/// What the sidecars of a namespace told.
#[derive(Debug)]
pub struct Observation {
    /// When it was listened to.
    pub observed: Observed,
    /// By workload and destination.
    pub tally: Tally,
    /// What is open still.
    pub open: Vec<Open>,
    /// Of whom not everything is known.
    pub not_known: Vec<NotKnown>,
    /// Workloads of ours: what they call are probes.
    pub own: BTreeSet<String>,
}

/// Listens, to one window after the other. Ends early, with what came until then, when `interrupted` does.
pub(super) async fn observe(
    cluster: &Cluster,
    scene: &Scene,
    windows: &[Window],
    events: &Events,
    interrupted: impl Future<Output = ()>,
) -> Observation {
    let (mut tally, mut roster) = (Tally::default(), Roster::of(scene));
    let mut observed = Observed::over(windows);
    let mut interrupted = std::pin::pin!(interrupted);
    for window in windows {
        let (into, end) = ((&mut tally, &mut roster), interrupted.as_mut());
        observed.interrupted = match *window {
            Window::For(time) => listen::watch(cluster, scene, time, into, events, end).await,
            Window::Since(time) => listen::read(cluster, scene, LogReach::Since(time), into, end).await,
            Window::Tail(lines) => listen::read(cluster, scene, LogReach::Tail(lines), into, end).await,
        };
        if observed.interrupted {
            break;
        }
    }
    let meshed = scene
        .pods
        .iter()
        .filter(|pod| pods::has_sidecar(pod) && pods::is_ready(pod));
    let meshed: Vec<_> = meshed.map(pods::name).collect();
    let beyond: Vec<_> = meshed
        .iter()
        .skip(open::MOST)
        .map(|pod| pod.name.clone())
        .collect();
    for (pod, counted) in open::read(cluster, meshed).await {
        roster.count_after(&pod, counted);
    }
    for pod in beyond {
        roster.count_after(&pod, None);
    }
    observed.sidecars = roster.heard();
    observed.lines = tally.lines;
    Observation {
        observed,
        open: open::by_workload(roster.counted(), &scene.inside),
        not_known: roster.not_known(),
        own: roster.own(),
        tally,
    }
}

/// Listens, proposes a plan and a lock, and says what a lock now would break.
///
/// # Errors
/// If the cluster refuses, or the stored plan cannot be read.
pub async fn learn(
    cluster: &Cluster,
    settings: &LearnSettings,
    events: &Events,
    mut interrupted: impl Future<Output = ()> + Unpin,
) -> Result<Learned> {
    let beginning = async {
        let scene = Scene::gather(cluster, &settings.plan, &settings.namespace).await?;
        let journal = super::journal_store::read(cluster, &settings.plan).await?;
        Ok::<_, Error>((scene, journal))
    };
    let (scene, journal) = tokio::select! {
        begun = beginning => begun?,
        () = &mut interrupted => {
            return Err(Error::interrupted().because("nothing was heard yet"));
        }
    };
    let stored = journal.as_ref().map(|journal| &journal.plan);
    let observation = observe(cluster, &scene, &[settings.window], events, interrupted).await;
    let named = settings.gateway.as_deref();
    let gateway: Result<Option<GatewayTarget>> = match &journal {
        Some(journal) if named.is_none() => Ok(Some(journal.gateway.clone())),
        _ => scene.facts.gateway(cluster, named).await,
    };
    let (gateway, no_gateway) = match gateway {
        Ok(Some(gateway)) => (Some(gateway), None),
        Ok(None) => (
            None,
            Some("there is no egress gateway yet; `setup` makes one".to_owned()),
        ),
        Err(error) => (None, Some(error.to_string())),
    };
    let held = |plan: &Plan| match &gateway {
        Some(gateway) => holders::check(plan, gateway, &scene.facts).map_err(|error| error.to_string()),
        None => Ok(()),
    };
    let proposal = proposal::propose(&observation, stored, &held, settings);
    let lock = lock_settings(stored);
    let mut learned = Learned::new(settings, &observation, stored, proposal);
    match gateway {
        None => learned.lock_unknown = no_gateway,
        Some(gateway) => {
            let plan = learned.plan_to_be(stored);
            let wanted = Wanted {
                plan,
                gateway,
                lock: &lock,
            };
            match simulation::lock_now(cluster, &scene, &wanted).await {
                Ok(now) => {
                    learned.network_policy = Some(now.manifest());
                    let ground = simulation::Ground {
                        inside: &scene.inside,
                        pods_of: &|workload| scene.representatives(workload),
                        before: &now.before(),
                        after: &now.after(),
                        routed_since: &|host| scene.routed_since(host),
                        plan: &settings.plan,
                    };
                    learned.shadow = Some(simulation::simulate(&observation, &ground));
                }
                Err(error) => learned.lock_unknown = Some(error.to_string()),
            }
        }
    }
    Ok(learned)
}

fn lock_settings(stored: Option<&Plan>) -> LockSettings {
    let of_plan = stored.and_then(|plan| plan.settings.lockdown.clone());
    of_plan.unwrap_or_default()
}

impl LearnSettings {
    /// Settings of a plan that does not exist yet.
    fn plan_settings(&self) -> PlanSettings {
        PlanSettings {
            gateway: self.gateway.clone(),
            ..PlanSettings::default()
        }
    }
}
