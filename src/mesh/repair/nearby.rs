//! What can matter for a request: a cluster has thousands of pods and of other hosts, and the model is asked often.

use super::candidates::{destinations, host_of, service_host};
use crate::mesh::SourcePod;
use crate::mesh::names::{covers, full_host};
use crate::vocabulary::{Object, names};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The objects that can matter, of all by their kind. Whatever is left out belongs to other hosts' ways, or to workloads
/// that are not on it; what is proposed is asked of all objects once more.
pub(super) fn nearby<'a>(objects: &Kinds<'a>, source: &SourcePod, host: &str) -> Vec<&'a Object> {
    let (mut own, mut others) = (Named::default(), Named::default());
    own.destinations.insert(host.to_owned());
    for route in objects.of("VirtualService") {
        if is_for(route, host) {
            own.add(route);
        } else {
            others.add(route);
        }
    }
    let mut siblings = BTreeSet::new();
    let mut kept: Vec<&'a Object> = Vec::new();
    let routes = objects.of("VirtualService").iter().copied();
    kept.extend(routes.filter(|route| is_for(route, host)));
    let entries = objects.of("ServiceEntry").iter().copied();
    kept.extend(entries.filter(|entry| own.destinations.iter().any(|host| is_for(entry, host))));
    let gateways = objects.of("Gateway").iter().copied();
    kept.extend(gateways.filter(|gateway| is_gateway_near(gateway, host, &own, &others)));
    let rules = objects.of("DestinationRule").iter().copied();
    kept.extend(
        rules.filter(|rule| is_rule_near(rule, &own, &others) || is_first(rule, &own, &mut siblings)),
    );
    kept.extend(objects.of("Service").iter().copied().filter(|service| {
        // The cluster's DNS is among them.
        service.namespace() == Some("kube-system") || own.destinations.contains(&service_host(service))
    }));
    let selectors: Vec<&Value> = kept
        .iter()
        .filter(|object| matches!(object.text("/kind"), "Gateway" | "Service"))
        .map(|object| object.at("/spec/selector"))
        .filter(|selector| selector.as_object().is_some_and(|pairs| !pairs.is_empty()))
        .collect();
    let on_the_way = |pod: &Object| {
        (pod.name() == source.name && pod.namespace() == Some(&source.namespace))
            || selectors
                .iter()
                .any(|selector| pod.labels_match("/metadata/labels", selector))
    };
    let pods = objects.of("Pod").iter().copied();
    let pods: Vec<&Object> = pods.filter(|pod| on_the_way(pod)).collect();
    let places: BTreeSet<&str> = kept
        .iter()
        .chain(&pods)
        .filter_map(|object| object.namespace())
        .chain([source.namespace.as_str(), names::ISTIO_NAMESPACE])
        .collect();
    let holds_there = |object: &&Object| {
        object
            .namespace()
            .is_none_or(|namespace| places.contains(namespace))
    };
    let rest = objects.others.iter().copied().filter(holds_there);
    kept.into_iter().chain(pods).chain(rest).collect()
}

/// All objects: those of kinds of which each is judged, and others, of which the namespace decides.
#[derive(Debug)]
pub(super) struct Kinds<'a> {
    judged: BTreeMap<&'static str, Vec<&'a Object>>,
    others: Vec<&'a Object>,
}

impl<'a> Kinds<'a> {
    const JUDGED: [&'static str; 6] = [
        "VirtualService",
        "ServiceEntry",
        "Gateway",
        "DestinationRule",
        "Service",
        "Pod",
    ];

    pub(super) fn new(objects: &'a [Object]) -> Self {
        let (mut judged, mut others) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
        for object in objects {
            let kind = object.text("/kind");
            match Self::JUDGED.into_iter().find(|judged| *judged == kind) {
                Some(kind) => judged.entry(kind).or_default().push(object),
                None => others.push(object),
            }
        }
        Self { judged, others }
    }

    fn of(&self, kind: &str) -> &[&'a Object] {
        self.judged.get(kind).map_or(&[], Vec::as_slice)
    }
}

/// What VirtualServices name.
#[derive(Default)]
struct Named {
    /// Gateways, as `namespace/name`.
    gateways: BTreeSet<String>,
    /// Full names of hosts.
    destinations: BTreeSet<String>,
    /// Subsets with their hosts.
    subsets: BTreeSet<(String, String)>,
}

impl Named {
    fn add(&mut self, route: &Object) {
        let namespace = route.namespace().unwrap_or_default();
        let of_matches = ["/spec/http", "/spec/tls", "/spec/tcp"]
            .into_iter()
            .flat_map(|part| route.items(part))
            .flat_map(|part| part["match"].as_array().into_iter().flatten())
            .flat_map(|one| one["gateways"].as_array().into_iter().flatten());
        let named = route.items("/spec/gateways").iter().chain(of_matches);
        for gateway in named.filter_map(Value::as_str) {
            let full = if gateway.contains('/') {
                gateway.to_owned()
            } else {
                format!("{namespace}/{gateway}")
            };
            self.gateways.insert(full);
        }
        for to in destinations(route) {
            if let Some(subset) = to.destination["subset"].as_str() {
                self.subsets.insert((to.host.clone(), subset.to_owned()));
            }
            self.destinations.insert(to.host);
        }
    }
}

fn is_for(object: &Object, host: &str) -> bool {
    let hosts = object.items("/spec/hosts").iter();
    let mut hosts = hosts.filter_map(Value::as_str);
    hosts.any(|pattern| covers(pattern, host))
}

/// A Gateway that only other hosts' routes name, and that does not listen for this one, is theirs.
fn is_gateway_near(gateway: &Object, host: &str, own: &Named, others: &Named) -> bool {
    let name = format!("{}/{}", gateway.namespace().unwrap_or_default(), gateway.name());
    let listens = || {
        let servers = gateway.items("/spec/servers").iter();
        let mut hosts = servers.flat_map(|server| server["hosts"].as_array().into_iter().flatten());
        hosts.any(|pattern| {
            let pattern = pattern.as_str().unwrap_or_default();
            let pattern = pattern.split_once('/').map_or(pattern, |(_, host)| host);
            covers(pattern, host)
        })
    };
    own.gateways.contains(&name) || !others.gateways.contains(&name) || listens()
}

/// The first of those rules that others have for the same host in one namespace with one `exportTo`: with rules of
/// another one they do not merge, so that each sort counts.
fn is_first(rule: &Object, own: &Named, known: &mut BTreeSet<[String; 3]>) -> bool {
    let host = host_of(rule, rule.at("/spec"));
    let namespace = rule.namespace().unwrap_or_default().to_owned();
    own.destinations.contains(&host) && known.insert([namespace, host, rule.at("/spec/exportTo").to_string()])
}

/// A DestinationRule that does no more than define subsets to which only other hosts' routes lead is theirs.
fn is_rule_near(rule: &Object, own: &Named, others: &Named) -> bool {
    let host = host_of(rule, rule.at("/spec"));
    if !own.destinations.iter().any(|own| covers(&host, own)) {
        return false;
    }
    let subsets = rule.items("/spec/subsets");
    let namespace = rule.namespace().unwrap_or_default();
    let of_others = |subset: &Value| {
        let key = (
            full_host(&host, namespace),
            subset["name"].as_str().unwrap_or_default().to_owned(),
        );
        others.subsets.contains(&key) && !own.subsets.contains(&key)
    };
    subsets.is_empty() || !rule.at("/spec/trafficPolicy").is_null() || !subsets.iter().all(of_others)
}
