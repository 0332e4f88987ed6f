//! What stands behind a Service: its own addresses, its pods with their target ports, its other endpoints.

use super::{Observed, Peer, Target, Why};
use crate::vocabulary::{Object, Protocol};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// A Service of which one port is let through.
pub(super) struct Behind<'a> {
    /// The Service.
    pub(super) service: &'a Object,
    /// Its port.
    pub(super) port: u16,
    /// Labels of its pods; of the Service, unless somebody knows better.
    pub(super) selector: BTreeMap<String, String>,
    /// What the Service's addresses are for.
    pub(super) why_service: Why,
    /// What its pods are for.
    pub(super) why_pods: Why,
}

impl<'a> Behind<'a> {
    /// A port of a Service, with the Service's own selector.
    pub(super) fn new(service: &'a Object, port: u16, why_service: Why, why_pods: Why) -> Self {
        let selector = service
            .at("/spec/selector")
            .as_object()
            .map(texts)
            .unwrap_or_default();
        Self {
            service,
            port,
            selector,
            why_service,
            why_pods,
        }
    }

    /// The peers that let it through.
    ///
    /// # Errors
    /// What is missing, as one sentence.
    pub(super) fn peers(&self, observed: &Observed) -> Result<Vec<Peer>, String> {
        let name = name_of(self.service);
        let ports: Vec<&Value> = self.service_ports().collect();
        if ports.is_empty() {
            return Err(format!("{name} has no port {}", self.port));
        }
        let protocols: BTreeSet<Protocol> = ports.iter().filter_map(|port| protocol(port)).collect();
        let mut peers = Vec::new();
        let addresses = cluster_addresses(self.service);
        if !addresses.is_empty() {
            let ports = protocols.iter().map(|protocol| (*protocol, self.port)).collect();
            peers.push(peer(self.why_service, &name, Target::Addresses(addresses), ports));
        }
        peers.extend(self.endpoints(observed, &name, &ports)?);
        Ok(peers)
    }

    fn endpoints(&self, observed: &Observed, name: &str, ports: &[&Value]) -> Result<Vec<Peer>, String> {
        let pods = self.pods(observed);
        let slices: Vec<&Object> = slices_of(self.service, &observed.endpoint_slices).collect();
        let (of_host, of_cluster): (Vec<&Object>, Vec<&Object>) =
            pods.iter().copied().partition(|pod| on_host_network(pod));
        // Without a selector, somebody else keeps the endpoints, and only their addresses are known.
        let addresses: BTreeSet<IpAddr> = if self.selector.is_empty() {
            slices.iter().flat_map(|slice| slice_addresses(slice)).collect()
        } else {
            of_host.iter().flat_map(|pod| pod_addresses(pod)).collect()
        };
        if addresses.is_empty() && of_cluster.is_empty() {
            return Err(format!("no pod stands behind {name}"));
        }
        let mut targets = BTreeSet::new();
        for port in ports {
            let found = target_ports(port, &pods, &slices);
            if found.is_empty() {
                return Err(format!(
                    "the target port of port {} of {name} is not to be found in its pods or endpoints",
                    self.port
                ));
            }
            targets.extend(found);
        }
        let targets: Vec<_> = targets
            .into_iter()
            .map(|(port, protocol)| (protocol, port))
            .collect();
        let mut peers = Vec::new();
        if !of_cluster.is_empty() {
            let namespace = self.service.namespace().unwrap_or_default().to_owned();
            let labels = self.selector.clone();
            peers.push(peer(
                self.why_pods,
                name,
                Target::Pods { namespace, labels },
                targets.clone(),
            ));
        }
        if !addresses.is_empty() {
            peers.push(peer(self.why_pods, name, Target::Addresses(addresses), targets));
        }
        Ok(peers)
    }

    fn service_ports(&self) -> impl Iterator<Item = &'a Value> {
        let wanted = self.port;
        self.service
            .items("/spec/ports")
            .iter()
            .filter(move |port| port["port"] == wanted)
    }

    /// Its pods that are not finished.
    fn pods<'o>(&self, observed: &'o Observed) -> Vec<&'o Object> {
        if self.selector.is_empty() {
            return Vec::new();
        }
        let namespace = self.service.namespace();
        let labels = serde_json::json!(self.selector);
        observed
            .pods
            .iter()
            .filter(|pod| pod.namespace() == namespace && pod.labels_match("/metadata/labels", &labels))
            .filter(|pod| !["Succeeded", "Failed"].contains(&pod.text("/status/phase")))
            .collect()
    }
}

fn peer(why: Why, of: &str, target: Target, ports: Vec<(Protocol, u16)>) -> Peer {
    Peer {
        why,
        of: of.to_owned(),
        target,
        ports,
    }
}

/// How messages name a Service.
pub(super) fn name_of(service: &Object) -> String {
    format!(
        "Service {}/{}",
        service.namespace().unwrap_or_default(),
        service.name()
    )
}

/// The cluster addresses of a Service, of every family; a headless one has none.
pub(super) fn cluster_addresses(service: &Object) -> BTreeSet<IpAddr> {
    let several = service.items("/spec/clusterIPs").iter().filter_map(Value::as_str);
    let one = std::iter::once(service.text("/spec/clusterIP"));
    several.chain(one).filter_map(|text| text.parse().ok()).collect()
}

/// The addresses of an EndpointSlice.
pub(super) fn slice_addresses(slice: &Object) -> BTreeSet<IpAddr> {
    let endpoints = slice.items("/endpoints").iter();
    let addresses = endpoints
        .filter_map(|endpoint| endpoint.get("addresses")?.as_array())
        .flatten();
    addresses
        .filter_map(|address| address.as_str()?.parse().ok())
        .collect()
}

/// Every address with every port.
pub(super) fn with_ports(addresses: &BTreeSet<IpAddr>, ports: &[u16]) -> BTreeSet<SocketAddr> {
    let pairs = addresses
        .iter()
        .flat_map(|address| ports.iter().map(move |port| (*address, *port)));
    pairs.map(SocketAddr::from).collect()
}

fn slices_of<'a>(service: &'a Object, slices: &'a [Object]) -> impl Iterator<Item = &'a Object> {
    slices.iter().filter(|slice| {
        slice.namespace() == service.namespace()
            && slice.label("kubernetes.io/service-name") == Some(service.name())
    })
}

/// Whether a pod has no address of its own: no policy sees its labels then.
pub(super) fn on_host_network(pod: &Object) -> bool {
    pod.at("/spec/hostNetwork") == true
}

fn pod_addresses(pod: &Object) -> BTreeSet<IpAddr> {
    let several = pod
        .items("/status/podIPs")
        .iter()
        .filter_map(|entry| entry.get("ip")?.as_str());
    let one = std::iter::once(pod.text("/status/podIP"));
    several.chain(one).filter_map(|text| text.parse().ok()).collect()
}

/// The ports of the pods that a Service's port leads to. A name is looked up in each pod, as kube-proxy's endpoints
/// do, so that two pods may give two numbers (API reference of ServicePort, `targetPort`).
fn target_ports(port: &Value, pods: &[&Object], slices: &[&Object]) -> BTreeSet<(u16, Protocol)> {
    let Some(protocol) = protocol(port) else {
        return BTreeSet::new();
    };
    let number = |value: &Value| value.as_u64().and_then(|number| u16::try_from(number).ok());
    let numbers: BTreeSet<u16> = match &port["targetPort"] {
        Value::Number(_) => number(&port["targetPort"]).into_iter().collect(),
        Value::String(name) => {
            let in_pods = pods.iter().flat_map(|pod| container_ports(pod));
            let named =
                in_pods.filter(|port| port["name"] == **name && self::protocol(port) == Some(protocol));
            named.filter_map(|port| number(&port["containerPort"])).collect()
        }
        _ => number(&port["port"]).into_iter().collect(),
    };
    let numbers = if numbers.is_empty() || pods.is_empty() {
        let name = port["name"].as_str().unwrap_or_default();
        let in_slices = slices.iter().flat_map(|slice| slice.items("/ports"));
        let same = in_slices.filter(|port| port["name"].as_str().unwrap_or_default() == name);
        same.filter_map(|port| number(&port["port"]))
            .chain(numbers)
            .collect()
    } else {
        numbers
    };
    numbers.into_iter().map(|number| (number, protocol)).collect()
}

/// Ports of a pod's containers; native sidecars are init containers.
fn container_ports(pod: &Object) -> impl Iterator<Item = &Value> {
    let containers = pod
        .items("/spec/containers")
        .iter()
        .chain(pod.items("/spec/initContainers"));
    containers
        .filter_map(|container| container.get("ports")?.as_array())
        .flatten()
}

fn protocol(port: &Value) -> Option<Protocol> {
    Protocol::of_field(&port["protocol"])
}

/// A JSON object of texts as a map.
pub(super) fn texts(object: &Map<String, Value>) -> BTreeMap<String, String> {
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    object.iter().filter_map(text).collect()
}
