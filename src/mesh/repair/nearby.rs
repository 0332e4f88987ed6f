//! What can matter for a request: a cluster has thousands of pods and of other hosts, and the model is asked often.

use super::candidates::{destinations, host_of, service_host};
use crate::mesh::Request;
use crate::mesh::names::{covers, full_host};
use crate::vocabulary::{Object, names};
use serde_json::Value;
use std::collections::BTreeSet;

/// Kinds of which each object is judged; of others the namespace decides.
const JUDGED: [&str; 6] = [
    "VirtualService",
    "ServiceEntry",
    "Gateway",
    "DestinationRule",
    "Service",
    "Pod",
];

/// The objects that can matter. Whatever is left out belongs to other hosts' ways, or to workloads that are not on it;
/// what is proposed is asked of all objects once more.
pub(super) fn nearby(objects: &[Object], request: &Request) -> Vec<Object> {
    let host = request.host.as_str();
    let (mut own, mut others) = (Named::default(), Named::default());
    own.destinations.insert(host.to_owned());
    for route in objects.iter().filter(|object| is_kind(object, "VirtualService")) {
        if is_for(route, host) {
            own.add(route);
        } else {
            others.add(route);
        }
    }
    let mut siblings = BTreeSet::new();
    let kept: Vec<&Object> = objects
        .iter()
        .filter(|object| match object.text("/kind") {
            "VirtualService" => is_for(object, host),
            "ServiceEntry" => own.destinations.iter().any(|host| is_for(object, host)),
            "Gateway" => is_gateway_near(object, host, &own, &others),
            "DestinationRule" => is_rule_near(object, &own, &others) || is_first(object, &own, &mut siblings),
            "Service" => {
                own.destinations.contains(&service_host(object))
                    // The cluster's DNS is among them.
                    || object.namespace() == Some("kube-system")
            }
            _ => false,
        })
        .collect();
    let selectors: Vec<&Value> = kept
        .iter()
        .filter(|object| matches!(object.text("/kind"), "Gateway" | "Service"))
        .map(|object| object.at("/spec/selector"))
        .filter(|selector| selector.as_object().is_some_and(|pairs| !pairs.is_empty()))
        .collect();
    let source = &request.source;
    let on_the_way = |pod: &Object| {
        (pod.name() == source.name && pod.namespace() == Some(&source.namespace))
            || selectors
                .iter()
                .any(|selector| pod.labels_match("/metadata/labels", selector))
    };
    let pods: Vec<&Object> = objects
        .iter()
        .filter(|object| is_kind(object, "Pod") && on_the_way(object))
        .collect();
    let places: BTreeSet<&str> = kept
        .iter()
        .chain(&pods)
        .filter_map(|object| object.namespace())
        .chain([source.namespace.as_str(), names::ISTIO_NAMESPACE])
        .collect();
    let holds_there = |object: &&Object| {
        !JUDGED.contains(&object.text("/kind"))
            && object
                .namespace()
                .is_none_or(|namespace| places.contains(namespace))
    };
    let rest = objects.iter().filter(holds_there);
    kept.into_iter().chain(pods).chain(rest).cloned().collect()
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

fn is_kind(object: &Object, kind: &str) -> bool {
    object.text("/kind") == kind
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
