//! Looks for a small change of one object after which a request goes through the gateway.
//!
//! Nothing is proposed on suspicion: every candidate is made on a copy of the objects, and the model is asked again.
//! What stops a request on purpose (a policy) is never changed.

mod candidates;
mod edit;
mod gateways;
mod routes;

pub use edit::Repair;

use super::cluster::destination_rules;
use super::names::covers;
use super::records::ServiceRecord;
use super::viewer::Viewer;
use super::{Prediction, Request, World, predict};
use crate::vocabulary::{BlockedBy, Object, Outcome};
use candidates::Scene;
use edit::Edit;
use serde_json::Value;
use std::collections::BTreeSet;

/// How many changes are proposed for one request.
const PROPOSED: usize = 2;

/// Changes of one object each after which the model carries the request through the gateway, the likeliest first; none
/// if it goes there already, or if a policy stops it.
pub fn repairs(objects: &[Object], request: &Request) -> Vec<Repair> {
    let concerned = concerned(objects, request);
    let before = World::new(&concerned);
    let now = predict(&before, request);
    if now.outcome == Outcome::Routed || !request.source.meshed || is_on_purpose(&now) {
        return Vec::new();
    }
    let mut found: Vec<Repair> = Vec::new();
    for edit in Scene::of(&concerned, request).candidates() {
        if found.len() == PROPOSED {
            break;
        }
        let same = |repair: &Repair| repair.object == edit.title(&concerned);
        if !found.iter().any(same) && helps(&concerned, &before, request, &edit) {
            found.push(edit.repair(&concerned));
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

/// Whether the request goes through the gateway with it.
fn helps(objects: &[Object], before: &World, request: &Request, edit: &Edit) -> bool {
    let Some(changed) = edit.on(objects) else {
        return false;
    };
    let with = objects
        .iter()
        .enumerate()
        .map(|(index, object)| if index == edit.object { &changed } else { object });
    let world = World::new(with);
    let Prediction {
        outcome,
        findings,
        not_modelled,
        ..
    } = predict(&world, request);
    outcome == Outcome::Routed
        && findings.is_empty()
        && not_modelled.is_empty()
        && (changed.text("/kind") != "DestinationRule" || keeps_subsets(before, &world, request))
}

/// Whether the source's sidecar still has every subset that it had: those that it lost would be other hosts' ways.
fn keeps_subsets(before: &World, after: &World, request: &Request) -> bool {
    let subsets = |world: &World| -> BTreeSet<(String, String)> {
        let source = &request.source;
        let viewer = || Viewer::sidecar(world, &source.namespace, &source.labels);
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

/// What can matter for the request: a cluster has thousands of pods and of other hosts, and the model is asked often.
fn concerned(objects: &[Object], request: &Request) -> Vec<Object> {
    let selectors: Vec<&Value> = objects
        .iter()
        .filter(|object| matches!(object.text("/kind"), "Gateway" | "Service"))
        .map(|object| object.at("/spec/selector"))
        .filter(|selector| selector.as_object().is_some_and(|pairs| !pairs.is_empty()))
        .collect();
    let selected = |pod: &Object| {
        let chosen = |selector: &&Value| pod.labels_match("/metadata/labels", selector);
        selectors.iter().any(chosen)
    };
    let for_host = |object: &Object| {
        let hosts = object.items("/spec/hosts").iter();
        let mut hosts = hosts.filter_map(Value::as_str);
        hosts.any(|host| covers(host, &request.host))
    };
    let matters = |object: &&Object| match object.text("/kind") {
        "Pod" => selected(object),
        "VirtualService" | "ServiceEntry" => for_host(object),
        _ => true,
    };
    objects.iter().filter(matters).cloned().collect()
}
