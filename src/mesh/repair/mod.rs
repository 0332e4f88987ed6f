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
use super::{Prediction, Request, World, predict};
use crate::vocabulary::{BlockedBy, Object, Outcome};
use candidates::Scene;
use edit::Edit;
use nearby::nearby;
use std::collections::BTreeSet;

/// How many changes are proposed for one request.
const PROPOSED: usize = 2;

/// Changes of one object each after which the model carries the request through the gateway, the likeliest first; none
/// if it goes there already, or if a policy stops it. The world is that of the objects, and is so again afterwards.
pub fn repairs(world: &mut World, objects: &[Object], request: &Request) -> Vec<Repair> {
    let now = predict(world, request);
    if now.outcome == Outcome::Routed || !request.source.meshed || is_on_purpose(&now) {
        return Vec::new();
    }
    let nearby = nearby(objects, request);
    let before = World::new(&nearby);
    let mut found: Vec<Repair> = Vec::new();
    for edit in Scene::of(&nearby, request).candidates() {
        if found.len() == PROPOSED {
            break;
        }
        let same = |repair: &Repair| repair.object == edit.title(&nearby);
        if found.iter().any(same) {
            continue;
        }
        let Some(changed) = helpful(&nearby, &before, request, &edit) else {
            continue;
        };
        world.exchange(&changed);
        let also_among_all = is_mended(&predict(world, request));
        world.exchange(&nearby[edit.object]);
        if also_among_all {
            found.push(edit.repair(&nearby));
        }
    }
    found
}

/// Whether a policy stops it. A gateway or a sidecar that has no route for it has been told too little.
fn is_on_purpose(prediction: &Prediction) -> bool {
    let told_too_little = [BlockedBy::Gateway, BlockedBy::RegistryOnly];
    prediction.dropped.is_some()
        || prediction
            .blocked_by
            .is_some_and(|by| !told_too_little.contains(&by))
}

/// The object with the change, if the request goes through the gateway with it.
fn helpful(objects: &[Object], before: &World, request: &Request, edit: &Edit) -> Option<Object> {
    let changed = edit.on(objects)?;
    let with = objects
        .iter()
        .enumerate()
        .map(|(index, object)| if index == edit.object { &changed } else { object });
    let world = World::new(with);
    let helps = is_mended(&predict(&world, request))
        && (changed.text("/kind") != "DestinationRule" || keeps_subsets(before, &world, request));
    helps.then_some(changed)
}

fn is_mended(prediction: &Prediction) -> bool {
    prediction.outcome == Outcome::Routed
        && prediction.findings.is_empty()
        && prediction.not_modelled.is_empty()
}

/// Whether the source's sidecar still has every subset that it had: those that it lost would be other hosts' ways.
fn keeps_subsets(before: &World, after: &World, request: &Request) -> bool {
    let subsets = |world: &World| -> BTreeSet<(String, String)> {
        let source = &request.source;
        let viewer = || Viewer::of_source(world, source);
        let of_service = |service: &ServiceRecord| {
            let rules = destination_rules(world, viewer(), service);
            let subsets = rules.into_iter().flat_map(|rule| &rule.specification.subsets);
            let names = subsets.map(|subset| (service.host.clone(), subset.name.clone()));
            names.collect::<Vec<_>>()
        };
        world.services.iter().flat_map(of_service).collect()
    };
    subsets(before).is_subset(&subsets(after))
}
