//! ServiceEntries: hosts that two declare, and entries that open more than they say.
//!
//! Source: domain.md problems 2, 11; truth.md section 6 d; the oldest entry wins (the lead's `World`, Istio's
//! `initServiceRegistry`).

use super::Remark;
use super::scene::{Item, Scene};
use crate::finding::catalogue;
use crate::istio::ServiceEntrySpec;

pub(super) fn check(scene: &Scene<'_>, remarks: &mut Vec<Remark>) {
    for entry in &scene.entries {
        remarks.extend(catch_all(entry));
        remarks.extend(wildcard(entry));
    }
    for (older, newer) in scene.entries_of_one_host() {
        remarks.extend(twice(scene, &scene.entries[older], &scene.entries[newer]));
    }
}

fn twice(
    scene: &Scene<'_>,
    older: &Item<'_, ServiceEntrySpec>,
    newer: &Item<'_, ServiceEntrySpec>,
) -> Option<Remark> {
    let host = older
        .spec
        .hosts
        .iter()
        .find(|host| newer.spec.hosts.contains(host))?;
    let both = older
        .spec
        .ports
        .iter()
        .find(|port| newer.spec.ports.iter().any(|other| other.number == port.number))?;
    // Who sees only one of them has no doubt.
    let viewers = [older.namespace, newer.namespace];
    let together = |viewer: &&str| scene.sees_entry(viewer, older) && scene.sees_entry(viewer, newer);
    viewers.iter().find(|viewer| together(viewer))?;
    // Entries of one meaning differ in nothing but their place.
    if older.spec.resolution == newer.spec.resolution
        && older.spec.endpoints == newer.spec.endpoints
        && same_target(older, newer, both.number)
    {
        return None;
    }
    let message = format!(
        "ServiceEntry {} and ServiceEntry {} both declare port {} of {host}; what the older one says is used",
        older.name(),
        newer.name(),
        both.number
    );
    Some(
        Remark::new(&catalogue::HOST_DECLARED_TWICE, message)
            .about(newer.object)
            .about(older.object),
    )
}

fn same_target(older: &Item<'_, ServiceEntrySpec>, newer: &Item<'_, ServiceEntrySpec>, number: u16) -> bool {
    let of = |item: &Item<'_, ServiceEntrySpec>| {
        let port = item.spec.ports.iter().find(|port| port.number == number);
        port.map(|port| (port.target_port, port.protocol.to_ascii_uppercase()))
    };
    of(older) == of(newer)
}

fn catch_all(entry: &Item<'_, ServiceEntrySpec>) -> Option<Remark> {
    let whole_domain = |host: &&String| {
        host.strip_prefix("*.")
            .is_some_and(|domain| !domain.is_empty() && !domain.contains('.') && domain != "local")
            || host.as_str() == "*"
    };
    let every_address = |address: &&String| address.ends_with("/0");
    let what = match (
        entry.spec.hosts.iter().find(whole_domain),
        entry.spec.addresses.iter().find(every_address),
    ) {
        (Some(host), _) => format!("all hosts {host}"),
        (None, Some(address)) => format!("all addresses ({address})"),
        (None, None) => return None,
    };
    let message = format!("ServiceEntry {} lets out {what}", entry.name());
    Some(Remark::new(&catalogue::CATCH_ALL_ENTRY, message).about(entry.object))
}

fn wildcard(entry: &Item<'_, ServiceEntrySpec>) -> Option<Remark> {
    let spec = &entry.spec;
    let wildcard = spec.hosts.iter().find(|host| host.starts_with('*'))?;
    let resolves = ["DNS", "DNS_ROUND_ROBIN"].contains(&spec.resolution.as_str());
    let selects = !entry.object.at("/spec/workloadSelector").is_null();
    if !resolves || !spec.endpoints.is_empty() || selects {
        return None;
    }
    let message = format!(
        "ServiceEntry {} has {wildcard} with resolution {} and no endpoint",
        entry.name(),
        spec.resolution
    );
    Some(Remark::new(&catalogue::WILDCARD_WITHOUT_ENDPOINTS, message).about(entry.object))
}
