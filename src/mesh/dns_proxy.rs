//! DNS that a sidecar answers itself (`ISTIO_META_DNS_CAPTURE`), and the addresses that it gives for hosts outside.
//!
//! Seen on the lab (Istio 1.31): istiod writes an address of 240.240.0.0/16 into the status of each ServiceEntry without
//! addresses of its own, unless it resolves nothing, is a wildcard or is opted out by its label. A sidecar that answers
//! DNS gives its application that address, and takes the host's streams there alone; all others go by the host's real
//! addresses as ever. On a port that the ServiceEntry does not declare nobody is behind it.

use super::records::{Origin, is_ipv6};
use super::viewer::Viewer;
use super::world::World;
use crate::istio::ServiceEntrySpec;
use crate::vocabulary::Object;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Takes a ServiceEntry out of the allocation of addresses.
const OPT_OUT: &str = "networking.istio.io/enable-autoallocate-ip";

/// What a sidecar does with its application's DNS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct DnsCapture {
    /// It answers for the hosts that it knows.
    pub(super) on: bool,
    /// With addresses that no object shows, where istiod writes none (`ISTIO_META_DNS_AUTO_ALLOCATE`).
    by_itself: bool,
}

impl DnsCapture {
    /// As the environment of a proxy's container says: the injector writes it there, also what the mesh configuration
    /// or an annotation of the pod asks for.
    pub(super) fn of_container(container: &Value) -> Self {
        let environment = container["env"].as_array().into_iter().flatten();
        let on: BTreeSet<&str> = environment
            .filter(|variable| is_true(&variable["value"]))
            .filter_map(|variable| variable["name"].as_str())
            .collect();
        Self {
            on: on.contains("ISTIO_META_DNS_CAPTURE"),
            by_itself: on.contains("ISTIO_META_DNS_AUTO_ALLOCATE"),
        }
    }

    /// As the mesh configuration says for pods that say nothing.
    pub(super) fn of_mesh(mesh: &Value) -> Self {
        let metadata = &mesh["defaultConfig"]["proxyMetadata"];
        Self {
            on: is_true(&metadata["ISTIO_META_DNS_CAPTURE"]),
            by_itself: is_true(&metadata["ISTIO_META_DNS_AUTO_ALLOCATE"]),
        }
    }
}

fn is_true(value: &Value) -> bool {
    value == true || value == "true"
}

/// Addresses that istiod gave a host of a ServiceEntry; `None` if it gives one and has not, as far as is known.
pub(super) fn allocated(object: &Object, entry: &ServiceEntrySpec, host: &str) -> Option<Vec<String>> {
    let wildcard = host.starts_with('*') && entry.resolution != "DYNAMIC_DNS";
    let opted_out = object
        .label(OPT_OUT)
        .is_some_and(|value| value.eq_ignore_ascii_case("false"));
    if wildcard || opted_out || entry.resolution == "NONE" || !entry.addresses.is_empty() {
        return Some(Vec::new());
    }
    let written = object.items("/status/addresses").iter();
    let of_host: Vec<String> = written
        .filter(|one| one["host"] == host)
        .filter_map(|one| Some(one["value"].as_str()?.to_owned()))
        .collect();
    (!of_host.is_empty()).then_some(of_host)
}

/// What an application is told for a host.
pub(super) enum Answer {
    /// An address of a ServiceEntry (`Kind namespace/name`).
    Given(IpAddr, String),
    /// It depends on what is not known: what.
    NotModelled(String),
}

/// What a sidecar answers for a host; `None` if it asks the cluster's DNS.
pub(super) fn answer(world: &World, viewer: &Viewer<'_>, host: &str) -> Option<Answer> {
    let capture = viewer.dns(world);
    if !capture.on {
        return None;
    }
    let entries = world
        .services_of(host)
        .filter(|service| viewer.sees_service(world, service));
    let mut given: Vec<(IpAddr, String)> = Vec::new();
    for entry in entries {
        let Origin::Entry { allocated, .. } = &entry.origin else {
            continue;
        };
        if allocated.is_none() && capture.by_itself {
            let what = format!(
                "the address that the sidecar's own DNS gives for {host}, of {}",
                entry.title()
            );
            return Some(Answer::NotModelled(what));
        }
        let single = entry.addresses(true).iter().filter(|text| !is_ipv6(text));
        given.extend(single.filter_map(|text| Some((text.parse().ok()?, entry.title()))));
    }
    let titles: BTreeSet<&String> = given.iter().map(|(_, title)| title).collect();
    if titles.len() > 1 {
        let what = format!("which address of {host} an application takes, of {titles:?}");
        return Some(Answer::NotModelled(what.replace(['{', '}', '"'], "")));
    }
    let (address, title) = given.into_iter().next()?;
    Some(Answer::Given(address, title))
}
