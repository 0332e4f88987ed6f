//! What is inside the cluster: addresses of pods, Services and nodes, and which Services are egress gateways. Pure.

use crate::engine::{gateway_finder, pods};
use crate::vocabulary::{HostName, Object};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

/// Who has an address.
#[derive(Debug, Clone, Copy)]
enum Owner {
    Pod(usize),
    Service(usize),
}

/// The cluster's pods and Services, as far as they may be listed.
#[derive(Debug, Default)]
pub struct Inside {
    pods: Vec<Object>,
    services: Vec<Object>,
    by_name: HashMap<(String, String), usize>,
    by_address: HashMap<IpAddr, Owner>,
    nodes: HashSet<IpAddr>,
    gateways: BTreeMap<(String, String), usize>,
}

/// What a Service's name leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// An egress gateway, `NAMESPACE/NAME`.
    Gateway(String),
    /// Something in the cluster.
    Service,
    /// A name outside: a Service of type `ExternalName`.
    External {
        /// `NAMESPACE/NAME` of the Service.
        service: String,
        /// What it stands for.
        host: Option<HostName>,
    },
}

impl Inside {
    /// Reads pods and Services.
    pub fn new(pods: Vec<Object>, services: Vec<Object>) -> Self {
        let mut inside = Self {
            pods,
            services,
            ..Self::default()
        };
        for (index, service) in inside.services.iter().enumerate() {
            let name = (
                service.namespace().unwrap_or_default().to_owned(),
                service.name().to_owned(),
            );
            let carries =
                |pod: &Object| gateway_finder::is_gateway_pod(pod) && gateway_finder::selects(service, pod);
            if gateway_finder::named_like_egress(service) && !gateway_finder::is_ingress(service)
                || !gateway_finder::is_ingress(service) && inside.pods.iter().any(carries)
            {
                inside.gateways.insert(name.clone(), index);
            }
            inside.by_name.insert(name, index);
            let addresses = service
                .items("/spec/clusterIPs")
                .iter()
                .filter_map(|address| address.as_str());
            for address in addresses
                .chain([service.text("/spec/clusterIP")])
                .filter_map(|address| address.parse().ok())
            {
                inside.by_address.insert(address, Owner::Service(index));
            }
        }
        for (index, pod) in inside.pods.iter().enumerate() {
            let node = pod.text("/status/hostIP").parse::<IpAddr>();
            inside.nodes.extend(node);
            if pod.at("/spec/hostNetwork") == true || is_over(pod) {
                continue;
            }
            for address in pods::addresses(pod)
                .iter()
                .filter_map(|address| address.parse().ok())
            {
                inside.by_address.insert(address, Owner::Pod(index));
            }
        }
        inside
    }

    /// Whether an address is a pod's, a Service's or a node's.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.by_address.contains_key(&address) || self.nodes.contains(&address)
    }

    /// What a cluster's host leads to; `None` if it is no Service's name. One that may not be listed is taken as what
    /// it is called.
    pub(super) fn named(&self, host: &str) -> Option<Named> {
        let (namespace, name) = service_of(host)?;
        let key = (namespace.to_owned(), name.to_owned());
        if self.gateways.contains_key(&key) {
            return Some(Named::Gateway(format!("{namespace}/{name}")));
        }
        let service = self.by_name.get(&key).map(|index| &self.services[*index]);
        Some(match service {
            Some(service) if service.text("/spec/type") == "ExternalName" => Named::External {
                service: format!("{namespace}/{name}"),
                host: service
                    .text("/spec/externalName")
                    .to_ascii_lowercase()
                    .parse()
                    .ok(),
            },
            _ => Named::Service,
        })
    }

    /// The pod that has an address.
    pub(in crate::engine) fn pod_at(&self, address: IpAddr) -> Option<&Object> {
        match self.by_address.get(&address)? {
            Owner::Pod(index) => Some(&self.pods[*index]),
            Owner::Service(_) => None,
        }
    }

    /// The pods behind the Service that has an address, with the port of theirs that its port leads to.
    pub(in crate::engine) fn behind_address(&self, address: IpAddr, port: u16) -> Vec<(&Object, u16)> {
        let Some(Owner::Service(index)) = self.by_address.get(&address) else {
            return Vec::new();
        };
        let service = &self.services[*index];
        let entry = service
            .items("/spec/ports")
            .iter()
            .find(|entry| entry["port"] == port);
        let target = entry.and_then(|entry| u16::try_from(entry["targetPort"].as_u64()?).ok());
        self.selected(service)
            .map(|pod| (pod, target.unwrap_or(port)))
            .collect()
    }

    /// The pods behind a Service that a cluster's host names.
    pub(in crate::engine) fn behind_host(&self, host: &str) -> Vec<&Object> {
        let service = service_of(host)
            .and_then(|(namespace, name)| self.by_name.get(&(namespace.to_owned(), name.to_owned())));
        service.map_or_else(Vec::new, |index| self.selected(&self.services[*index]).collect())
    }

    fn selected<'a>(&'a self, service: &'a Object) -> impl Iterator<Item = &'a Object> {
        let pods = self.pods.iter().filter(|pod| !is_over(pod));
        pods.filter(|pod| gateway_finder::selects(service, pod))
    }
}

/// Whether a pod has ended: its address may be another's.
pub(super) fn is_over(pod: &Object) -> bool {
    matches!(pod.text("/status/phase"), "Succeeded" | "Failed")
}

/// Namespace and name in `NAME.NAMESPACE.svc.DOMAIN`.
fn service_of(host: &str) -> Option<(&str, &str)> {
    let (before, _) = host
        .split_once(".svc.")
        .or_else(|| host.strip_suffix(".svc").map(|before| (before, "")))?;
    let (name, namespace) = before.rsplit_once('.')?;
    Some((namespace, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn services_are_told_by_what_they_lead_to() {
        let service = |name: &str, spec: serde_json::Value| {
            Object(json!({"metadata": {"namespace": "a", "name": name}, "spec": spec}))
        };
        let gateway_pod = Object(
            json!({"metadata": {"namespace": "a", "name": "g", "labels": {"x": "way"}},
            "spec": {"containers": [{"name": "istio-proxy", "args": ["proxy", "router"]}]},
            "status": {"podIP": "198.18.0.9", "hostIP": "198.51.100.2"}}),
        );
        let services = vec![
            service(
                "way-out",
                json!({"selector": {"x": "way"}, "clusterIP": "198.19.0.1", "ports": [{"port": 443, "targetPort": 8443}]}),
            ),
            service("web", json!({"selector": {"x": "web"}, "clusterIP": "None"})),
            service(
                "alias",
                json!({"type": "ExternalName", "externalName": "API.example.com"}),
            ),
        ];
        let inside = Inside::new(vec![gateway_pod], services);
        let named = |host: &str| inside.named(host);
        assert_eq!(
            named("way-out.a.svc.cluster.local"),
            Some(Named::Gateway("a/way-out".to_owned()))
        );
        assert_eq!(named("web.a.svc.cluster.local"), Some(Named::Service));
        assert_eq!(named("unseen.b.svc.my.domain"), Some(Named::Service));
        assert_eq!(
            named("alias.a.svc.cluster.local"),
            Some(Named::External {
                service: "a/alias".to_owned(),
                host: "api.example.com".parse().ok()
            })
        );
        assert_eq!(named("www.example.com"), None);
        for address in ["198.18.0.9", "198.19.0.1", "198.51.100.2"] {
            assert!(inside.has(address.parse().unwrap()), "{address}");
        }
        assert!(!inside.has("203.0.113.1".parse().unwrap()));
        let behind = inside.behind_address("198.19.0.1".parse().unwrap(), 443);
        assert_eq!(
            behind
                .iter()
                .map(|(pod, port)| (pod.name(), *port))
                .collect::<Vec<_>>(),
            [("g", 8443)]
        );
    }
}
