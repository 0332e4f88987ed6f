//! Telemetry resources that leave lines out of the gateway's access log, or have no effect.
//!
//! Source: domain.md problems 33, 34, and [`log_merge`]. Whether a log is on at all is `plan::access_log`'s knowledge.

use super::Remark;
use super::scene::{Scene, name_of};
use crate::finding::catalogue;
use crate::istio::log_merge::{self, LogMode};
use crate::vocabulary::Object;
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) fn check(scene: &Scene<'_>, remarks: &mut Vec<Remark>) {
    remarks.extend(filtered(scene));
    let mut all: Vec<&Object> = scene.telemetries.clone();
    all.sort_by(|left, right| created(left).cmp(&created(right)));
    for (index, older) in all.iter().enumerate() {
        let mut of_namespace = all[index + 1..].iter();
        while let Some(newer) = of_namespace.find(|newer| newer.namespace() == older.namespace()) {
            remarks.extend(ignored(scene, older, newer));
        }
    }
}

fn selector(telemetry: &Object) -> Option<&Value> {
    let selector = telemetry.at("/spec/selector/matchLabels");
    selector
        .as_object()
        .is_some_and(|pairs| !pairs.is_empty())
        .then_some(selector)
}

/// Telemetries that have the last word on a gateway's log and let only some of its lines through, each with one gateway.
fn filtered(scene: &Scene<'_>) -> Vec<Remark> {
    let defaults = log_merge::default_providers(&scene.mesh);
    let mut remarks = BTreeMap::new();
    for gateway in scene.routers().iter().filter(|pod| !is_ingress(pod)) {
        let home = gateway.namespace().unwrap_or_default();
        let labels = gateway.at("/metadata/labels");
        let speaking = log_merge::speaking(scene.telemetries.iter().copied(), home, labels, scene.root());
        let merged = log_merge::merged(&speaking, &defaults, LogMode::Client);
        let on = || merged.values().filter(|writing| !writing.disabled);
        // One provider may be filtered while another one gets all lines.
        if on().any(|writing| writing.filter.is_none()) {
            continue;
        }
        for (telemetry, expression) in on().filter_map(|writing| Some((writing.by?, writing.filter?))) {
            let remark = || filter_remark(scene, telemetry, expression, gateway);
            remarks.entry(name_of(telemetry)).or_insert_with(remark);
        }
    }
    remarks.into_values().collect()
}

fn filter_remark(scene: &Scene<'_>, telemetry: &Object, expression: &str, gateway: &Object) -> Remark {
    let home = gateway.namespace().unwrap_or_default();
    let message = format!(
        "{} writes a line for pod {home}/{} only if `{expression}`",
        name_of(telemetry),
        gateway.name()
    );
    let remark = Remark::new(&catalogue::ACCESS_LOG_FILTERED, message)
        .about(telemetry)
        .of(home);
    users(scene, home)
        .into_iter()
        .fold(remark, |remark, user| remark.of(&user))
}

fn is_ingress(pod: &Object) -> bool {
    pod.label("istio") == Some("ingressgateway")
}

/// The order in which Istio takes them.
fn created(telemetry: &Object) -> (&str, &str) {
    (telemetry.text("/metadata/creationTimestamp"), telemetry.name())
}

/// Namespaces whose VirtualServices are for Gateways of the pods of a namespace.
fn users(scene: &Scene<'_>, home: &str) -> Vec<String> {
    let legs = scene.legs.iter().filter(|leg| match &leg.at {
        super::legs::At::Gateway(name) => scene
            .gateway(name)
            .is_some_and(|gateway| scene.homes_of(gateway).contains(home)),
        super::legs::At::Mesh => false,
    });
    legs.map(|leg| scene.virtual_services[leg.route].namespace.to_owned())
        .collect()
}

fn ignored(scene: &Scene<'_>, older: &Object, newer: &Object) -> Option<Remark> {
    // Targets by reference (`targetRefs`) are scopes of another kind.
    let by_reference = |telemetry: &Object| !telemetry.at("/spec/targetRefs").is_null();
    if older.namespace() != newer.namespace() || by_reference(older) || by_reference(newer) {
        return None;
    }
    let (last, lost) = match (selector(older), selector(newer)) {
        (None, None) => (older, newer),
        (Some(left), Some(right)) => {
            let both = |pod: &&Object| {
                pod.labels_match("/metadata/labels", left) && pod.labels_match("/metadata/labels", right)
            };
            let logging = |telemetry: &Object| telemetry.at("/spec/accessLogging").clone();
            let (first, second) = (logging(older), logging(newer));
            // What only one of them speaks of, or both alike, holds.
            let differ = !first.is_null() && !second.is_null() && first != second;
            if !differ
                || !(left == right
                    || scene
                        .pods_in(older.namespace().unwrap_or_default())
                        .any(|pod| both(&pod)))
            {
                return None;
            }
            (newer, older)
        }
        _ => return None,
    };
    let message = format!(
        "{} decides in place of {}, which is for the same {}",
        name_of(last),
        name_of(lost),
        if selector(older).is_some() {
            "pods"
        } else {
            "namespace"
        }
    );
    let remark = Remark::new(&catalogue::TELEMETRY_IGNORED, message)
        .about(lost)
        .about(last);
    // Whose requests the gateway's log tells of.
    let users = users(scene, newer.namespace().unwrap_or_default());
    Some(users.into_iter().fold(remark, |remark, user| remark.of(&user)))
}
