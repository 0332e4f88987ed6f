//! DestinationRules: those that a proxy does not get, subsets that are nowhere, and TLS that checks too little.
//!
//! Source: Istio's lookup of DestinationRules (`PushContext.destinationRule`), domain.md problems 13, 14, 25;
//! truth.md surprise 1 and section 5.

use super::Remark;
use super::legs::{At, Leg};
use super::scene::{Item, Scene, Used, name_of};
use crate::finding::catalogue;
use crate::istio::{ClientTls, DestinationRuleSpec, TrafficPolicy};
use crate::vocabulary::Object;
use std::collections::BTreeSet;

pub(super) fn check(scene: &Scene<'_>, remarks: &mut Vec<Remark>) {
    for rule in &scene.rules {
        remarks.extend(names_not_checked(rule));
    }
    for leg in &scene.legs {
        for viewer in viewers(scene, leg) {
            remarks.extend(subset(scene, leg, &viewer));
            remarks.extend(hidden_tls(scene, leg, &viewer));
        }
    }
}

/// Namespaces of the proxies that a leg is for.
pub(super) fn viewers(scene: &Scene<'_>, leg: &Leg) -> BTreeSet<String> {
    match &leg.at {
        At::Mesh => scene.clients_of(leg).into_iter().collect(),
        At::Gateway(name) => {
            let homes = scene.gateway(name).map(|gateway| scene.homes_of(gateway));
            homes.unwrap_or_default().into_iter().map(str::to_owned).collect()
        }
    }
}

/// Every TLS setting of a rule.
fn settings(rule: &DestinationRuleSpec) -> impl Iterator<Item = &ClientTls> {
    let policies = rule.traffic_policy.iter().chain(
        rule.subsets
            .iter()
            .filter_map(|subset| subset.traffic_policy.as_ref()),
    );
    policies.flat_map(|policy| {
        let of_ports = policy
            .port_level_settings
            .iter()
            .filter_map(|port| port.tls.as_ref());
        policy.tls.iter().chain(of_ports)
    })
}

fn names_not_checked(rule: &Item<'_, DestinationRuleSpec>) -> Option<Remark> {
    let unchecked = settings(&rule.spec).find(|tls| {
        let originates = ["SIMPLE", "MUTUAL"].contains(&tls.mode.as_str());
        originates
            && tls.sni.as_deref().is_some_and(|sni| !sni.is_empty())
            && tls.subject_alt_names.is_empty()
    })?;
    let sni = unchecked.sni.as_deref().unwrap_or_default();
    let message = format!(
        "DestinationRule {} sets sni {sni} without subjectAltNames: a certificate for any name is accepted",
        rule.name()
    );
    let fix = format!("add subjectAltNames: [{sni}] beside sni, or leave both out");
    let mut remark = Remark::new(&catalogue::NAMES_NOT_CHECKED, message).about(rule.object);
    remark.finding = remark.finding.fixed_by(fix);
    Some(remark)
}

fn subset(scene: &Scene<'_>, leg: &Leg, viewer: &str) -> Option<Remark> {
    let wanted = leg.subset.as_deref()?;
    let has =
        |rule: &&Item<'_, DestinationRuleSpec>| rule.spec.subsets.iter().any(|subset| subset.name == wanted);
    let used = scene.used_rules(viewer, &leg.destination);
    if used.defines(wanted) || !scene.tells("DestinationRule") || !scene.tells("Service") {
        return None;
    }
    let route = &scene.virtual_services[leg.route];
    let host = &leg.destination;
    let elsewhere = scene.rules_anywhere(host).find(has);
    let Some(elsewhere) = elsewhere else {
        let message = format!(
            "VirtualService {} leads to subset {wanted} of {host}, which no DestinationRule defines",
            route.name()
        );
        let remark = Remark::new(&catalogue::SUBSET_UNDEFINED, message)
            .about(route.object)
            .of(viewer);
        return Some(remark.unless_elsewhere(scene));
    };
    let message = format!(
        "subset {wanted} of {host} is defined by DestinationRule {}, which proxies of namespace {viewer} do not use: {}",
        elsewhere.name(),
        why_unused(scene, elsewhere, viewer, &used)
    );
    let remark = Remark::new(&catalogue::RULE_NOT_SEEN, message)
        .about(elsewhere.object)
        .about(route.object)
        .of(viewer);
    Some(remark.unless_elsewhere(scene))
}

fn why_unused(scene: &Scene<'_>, rule: &Item<'_, DestinationRuleSpec>, viewer: &str, used: &Used) -> String {
    if !scene.sees_rule(viewer, rule) {
        return format!("it is exported to {} only", rule.spec.export_to.join(", "));
    }
    match scene.rules_in(used).next() {
        Some(first) => format!("DestinationRule {} goes before it", first.name()),
        None => format!(
            "it is neither in {viewer}, nor in the destination's namespace, nor in the root namespace"
        ),
    }
}

/// TLS towards a host that was written down for the gateway, and that its proxies never get.
fn hidden_tls(scene: &Scene<'_>, leg: &Leg, viewer: &str) -> Option<Remark> {
    let At::Gateway(gateway) = &leg.at else {
        return None;
    };
    let host = &leg.destination;
    let external = scene.entries_of(host).next().is_some();
    let used = scene.used_rules(viewer, host);
    if !external || !used.is_empty() || leg.layer != super::legs::Layer::Http {
        return None;
    }
    let port = leg.destination_port;
    let meant = scene.rules_anywhere(host).find(|rule| {
        let tls = rule
            .spec
            .traffic_policy
            .as_ref()
            .and_then(|policy| tls_at(None, policy, port));
        tls.is_some_and(|tls| ["SIMPLE", "MUTUAL"].contains(&tls.mode.as_str()))
    })?;
    let message = format!(
        "the TLS that DestinationRule {} makes for {host} is not seen in the namespace of Gateway {gateway}: {}; the gateway sends plaintext",
        meant.name(),
        why_unused(scene, meant, viewer, &used)
    );
    let route = &scene.virtual_services[leg.route];
    let remark = Remark::new(&catalogue::RULE_NOT_SEEN, message)
        .about(meant.object)
        .about(route.object);
    Some(remark.unless_elsewhere(scene))
}

/// The TLS that a policy sets for a port, over what was set before. A port's own settings replace all others, also
/// with none (Istio, `MergeTrafficPolicy`).
pub(super) fn tls_at(before: Option<ClientTls>, policy: &TrafficPolicy, port: u16) -> Option<ClientTls> {
    let of_port = policy
        .port_level_settings
        .iter()
        .find(|settings| settings.port.number == port);
    match of_port {
        Some(settings) => settings.tls.clone(),
        None => policy.tls.clone().or(before),
    }
}

/// The TLS that a proxy of a namespace uses towards a destination; rules for single workloads are not looked at.
pub(super) fn tls_of(scene: &Scene<'_>, viewer: &str, leg: &Leg) -> Option<ClientTls> {
    let used = scene.used_rules(viewer, &leg.destination);
    let port = leg.destination_port;
    let mut tls = None;
    for policy in scene.policies_in(&used) {
        tls = tls_at(tls, policy, port);
    }
    let Some(wanted) = leg.subset.as_deref() else {
        return tls;
    };
    match scene.subset_in(&used, wanted) {
        Some(subset) => match &subset.traffic_policy {
            Some(policy) => tls_at(tls, policy, port),
            None => tls,
        },
        None => tls,
    }
}

/// Whether a rule is for single workloads.
pub(super) fn is_for_workloads(rule: &Object) -> bool {
    !rule.at("/spec/workloadSelector").is_null()
}

/// `Kind namespace/name` of rules, for messages.
pub(super) fn named(scene: &Scene<'_>, used: &Used) -> String {
    let names: Vec<String> = scene.rules_in(used).map(|rule| name_of(rule.object)).collect();
    names.join(", ")
}
