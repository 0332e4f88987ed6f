//! Telemetry resources that leave lines out of the gateway's access log, or have no effect.
//!
//! Source: domain.md problems 33, 34; Istio's Telemetry reference and code (`applicableTelemetries`), and the lab. Whether a log is on at
//! all is `plan::access_log`'s knowledge.

use super::Remark;
use super::scene::{Scene, name_of};
use crate::finding::catalogue;
use crate::vocabulary::Object;

pub(super) fn check(scene: &Scene<'_>, remarks: &mut Vec<Remark>) {
    let mut all: Vec<&Object> = scene.telemetries.clone();
    all.sort_by(|left, right| created(left).cmp(&created(right)));
    for (index, older) in all.iter().enumerate() {
        remarks.extend(filtered(scene, older));
        let mut of_namespace = all[index + 1..].iter();
        while let Some(newer) = of_namespace.find(|newer| newer.namespace() == older.namespace()) {
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
        .routers()
        .iter()
        .find(|pod| !is_ingress(pod) && applies(telemetry, pod, scene.root()))?;
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

/// Whether another Telemetry has the last word for a pod: a narrower one; of wide ones the oldest; of those for single
/// workloads the newest (Istio, `applicableTelemetries`).
fn overruled(scene: &Scene<'_>, telemetry: &Object, pod: &Object) -> bool {
    let rank = |telemetry: &Object| match (selector(telemetry), telemetry.namespace() == Some(scene.root())) {
        (Some(_), _) => 0,
        (None, false) => 1,
        (None, true) => 2,
    };
    let own = created(telemetry);
    scene.telemetries.iter().any(|other| {
        let speaks = !other.items("/spec/accessLogging").is_empty();
        let same = rank(other) == rank(telemetry);
        let last = if rank(telemetry) == 0 {
            created(other) > own
        } else {
            created(other) < own
        };
        speaks && (rank(other) < rank(telemetry) || (same && last)) && applies(other, pod, scene.root())
    })
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
