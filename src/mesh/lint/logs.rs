//! Telemetry resources that leave lines out of the gateway's access log, or have no effect.
//!
//! Source: domain.md problems 33, 34; Istio's Telemetry reference ("the oldest one is used"). Whether a log is on at
//! all is `plan::access_log`'s knowledge.

use super::Remark;
use super::scene::{Scene, is_router, name_of};
use crate::finding::catalogue;
use crate::vocabulary::Object;

pub(super) fn check(scene: &Scene<'_>, remarks: &mut Vec<Remark>) {
    let mut all: Vec<&Object> = scene.telemetries.clone();
    all.sort_by_key(|telemetry| telemetry.text("/metadata/creationTimestamp").to_owned());
    for (index, older) in all.iter().enumerate() {
        remarks.extend(filtered(scene, older));
        for newer in &all[index + 1..] {
            remarks.extend(ignored(scene, older, newer));
        }
    }
}

fn selector(telemetry: &Object) -> Option<&serde_json::Value> {
    let selector = telemetry.at("/spec/selector/matchLabels");
    selector
        .as_object()
        .is_some_and(|pairs| !pairs.is_empty())
        .then_some(selector)
}

fn applies(telemetry: &Object, pod: &Object, root: &str) -> bool {
    match selector(telemetry) {
        Some(selector) => {
            telemetry.namespace() == pod.namespace() && pod.labels_match("/metadata/labels", selector)
        }
        None => [pod.namespace(), Some(root)].contains(&telemetry.namespace()),
    }
}

fn filtered(scene: &Scene<'_>, telemetry: &Object) -> Option<Remark> {
    let entries = telemetry.items("/spec/accessLogging");
    let expression = entries
        .iter()
        .filter(|entry| entry["match"]["mode"] != "SERVER")
        .find_map(|entry| entry["filter"]["expression"].as_str())?;
    // One provider may be filtered while another one gets all lines.
    let full = entries.iter().any(|entry| {
        entry["filter"]["expression"].is_null()
            && entry["disabled"] != true
            && entry["match"]["mode"] != "SERVER"
    });
    let gateway = scene
        .pods
        .iter()
        .find(|pod| is_router(pod) && !is_ingress(pod) && applies(telemetry, pod, scene.root()))?;
    if full || overruled(scene, telemetry, gateway) {
        return None;
    }
    let message = format!(
        "{} writes a line for pod {}/{} only if `{expression}`",
        name_of(telemetry),
        gateway.namespace().unwrap_or_default(),
        gateway.name()
    );
    let home = gateway.namespace().unwrap_or_default();
    let remark = Remark::new(&catalogue::ACCESS_LOG_FILTERED, message)
        .about(telemetry)
        .of(home);
    Some(
        users(scene, home)
            .into_iter()
            .fold(remark, |remark, user| remark.of(&user)),
    )
}

fn is_ingress(pod: &Object) -> bool {
    pod.label("istio") == Some("ingressgateway")
}

/// Whether a Telemetry of a narrower scope decides for a pod.
fn overruled(scene: &Scene<'_>, telemetry: &Object, pod: &Object) -> bool {
    let rank = |telemetry: &Object| match (selector(telemetry), telemetry.namespace() == Some(scene.root())) {
        (Some(_), _) => 0,
        (None, false) => 1,
        (None, true) => 2,
    };
    scene.telemetries.iter().any(|other| {
        let speaks = !other.items("/spec/accessLogging").is_empty();
        let narrower = rank(other) < rank(telemetry);
        let older = rank(other) == rank(telemetry)
            && other.text("/metadata/creationTimestamp") < telemetry.text("/metadata/creationTimestamp");
        speaks && (narrower || older) && applies(other, pod, scene.root())
    })
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
    if older.namespace() != newer.namespace() {
        return None;
    }
    let same = match (selector(older), selector(newer)) {
        (None, None) => true,
        (Some(left), Some(right)) => {
            let both = |pod: &&&Object| {
                pod.namespace() == older.namespace()
                    && pod.labels_match("/metadata/labels", left)
                    && pod.labels_match("/metadata/labels", right)
            };
            left == right || scene.pods.iter().any(|pod| both(&pod))
        }
        _ => false,
    };
    // Targets by reference (`targetRefs`) are scopes of another kind.
    let by_reference = |telemetry: &Object| !telemetry.at("/spec/targetRefs").is_null();
    if !same || by_reference(older) || by_reference(newer) {
        return None;
    }
    let message = format!(
        "{} is ignored: {} is older and has the same scope",
        name_of(newer),
        name_of(older)
    );
    let remark = Remark::new(&catalogue::TELEMETRY_IGNORED, message)
        .about(newer)
        .about(older);
    if newer.namespace() == Some(scene.root()) {
        let users = users(scene, scene.root());
        return Some(users.into_iter().fold(remark, |remark, user| remark.of(&user)));
    }
    Some(remark)
}
