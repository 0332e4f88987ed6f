//! Looks for a small change of one object after which a request goes through the gateway.
//!
//! Nothing is proposed on suspicion: every candidate is made on a copy of the objects nearby, and the model is asked
//! again; and once more among all objects, if it helps.
//! What stops a request on purpose (a policy) is never changed.

mod candidates;
mod edit;
mod gateways;
mod nearby;
mod routes;

pub use edit::Repair;

use super::cluster::destination_rules;
use super::records::ServiceRecord;
use super::viewer::Viewer;
use super::{Prediction, Request, SourcePod, World, predict};
use crate::vocabulary::{BlockedBy, Object, Outcome};
use candidates::Scene;
use nearby::{Kinds, nearby};
use std::collections::BTreeSet;

/// How many changes are proposed for one request.
const PROPOSED: usize = 2;

/// The world of some objects, in which changes are tried for requests from one source to one host.
#[derive(Debug)]
pub struct Trial<'a> {
    world: World<'a>,
    /// The objects that can matter for these requests.
    objects: Vec<&'a Object>,
    world_nearby: World<'a>,
}

impl<'a> Trial<'a> {
    /// Reads objects: all of them, and beside it those that can matter for a host, as both take long in a large cluster.
    pub fn of(objects: &'a [Object], source: &SourcePod, host: &str) -> Self {
        std::thread::scope(|scope| {
            let small = scope.spawn(|| {
                let nearby = nearby(&Kinds::new(objects), source, host);
                let world = World::new(nearby.iter().copied());
                (nearby, world)
            });
            let world = World::new(objects);
            match small.join() {
                Ok((objects, world_nearby)) => Self {
                    world,
                    objects,
                    world_nearby,
                },
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// The world of the objects, without any change.
    pub fn world(&self) -> &World<'a> {
        &self.world
    }

    /// Changes of one object each after which the model carries the request through the gateway, the likeliest first;
    /// none if it goes there already, or if a policy stops it. The request is of the source and the host of this trial;
    /// `now` is what the model says of it without a change.
    pub fn repairs(&mut self, request: &Request, now: &Prediction) -> Vec<Repair> {
        if now.outcome == Outcome::Routed || !request.source.meshed || is_on_purpose(now) {
            return Vec::new();
        }
        let objects = &self.objects;
        let mut found: Vec<Repair> = Vec::new();
        for edit in Scene::of(objects, request).candidates() {
            if found.len() == PROPOSED {
                break;
            }
            let same = |repair: &Repair| repair.object == edit.title(objects);
            if found.iter().any(same) {
                continue;
            }
            let Some(changed) = edit.on(objects) else { continue };
            let subject = Subject {
                before: objects[edit.object],
                changed: &changed,
                request,
            };
            let nearby = &mut self.world_nearby;
            if subject.mends(nearby) && subject.keeps_subsets(nearby) && subject.mends(&mut self.world) {
                found.push(edit.repair(objects));
            }
        }
        found
    }
}

/// Whether a policy stops it. A gateway or a sidecar that has no route for it has been told too little.
fn is_on_purpose(prediction: &Prediction) -> bool {
    let told_too_little = [BlockedBy::Gateway, BlockedBy::RegistryOnly];
    prediction.dropped.is_some()
        || prediction
            .blocked_by
            .is_some_and(|by| !told_too_little.contains(&by))
}

/// A change that is tried.
struct Subject<'a> {
    before: &'a Object,
    changed: &'a Object,
    request: &'a Request,
}

impl Subject<'_> {
    /// Asks a world with the change, which is as before afterwards.
    fn with<Answer>(&self, world: &mut World<'_>, ask: impl FnOnce(&World<'_>) -> Answer) -> Answer {
        world.exchange(self.changed);
        let answer = ask(world);
        world.exchange(self.before);
        answer
    }

    /// Whether the request goes through the gateway with it.
    fn mends(&self, world: &mut World<'_>) -> bool {
        self.with(world, |world| is_mended(&predict(world, self.request)))
    }

    /// Whether the source's sidecar still has every subset that it had: one that it loses would be another host's way.
    fn keeps_subsets(&self, world: &mut World<'_>) -> bool {
        self.changed.text("/kind") != "DestinationRule" || {
            let had = subsets(world, self.request);
            had.is_subset(&self.with(world, |world| subsets(world, self.request)))
        }
    }
}

fn is_mended(prediction: &Prediction) -> bool {
    prediction.outcome == Outcome::Routed
        && prediction.findings.is_empty()
        && prediction.not_modelled.is_empty()
}

/// Every subset that the source's sidecar has, with its host.
fn subsets(world: &World<'_>, request: &Request) -> BTreeSet<(String, String)> {
    let viewer = Viewer::of_source(world, &request.source);
    let of_service = |service: &ServiceRecord| {
        let rules = destination_rules(world, viewer, service);
        let subsets = rules.into_iter().flat_map(|rule| &rule.specification.subsets);
        let names = subsets.map(|subset| (service.host.clone(), subset.name.clone()));
        names.collect::<Vec<_>>()
    };
    world.services.iter().flat_map(of_service).collect()
}
