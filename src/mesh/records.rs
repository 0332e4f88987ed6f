//! The objects of a world, reduced to what carries requests.

use super::dns_proxy::{self, DnsCapture};
use super::names::covers;
use crate::istio::{DestinationRuleSpec, Endpoint, GatewaySpec, ServiceEntrySpec, VirtualServiceSpec};
use crate::vocabulary::{Object, PodName};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::Ipv6Addr;

/// Name, namespace and age of an object: the order in which Istio takes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    created: String,
    pub(super) name: String,
    pub(super) namespace: String,
}

impl Identity {
    pub(super) fn of(object: &Object) -> Self {
        Self {
            created: object.text("/metadata/creationTimestamp").to_owned(),
            name: object.name().to_owned(),
            namespace: object.namespace().unwrap_or_default().to_owned(),
        }
    }

    /// `Kind namespace/name`.
    pub(super) fn title(&self, kind: &str) -> String {
        format!("{kind} {}/{}", self.namespace, self.name)
    }
}

/// An Istio object with its specification.
#[derive(Debug, Clone)]
pub(super) struct Configured<Specification> {
    pub(super) identity: Identity,
    pub(super) specification: Specification,
    /// Fields that the typed specification does not hold and that matter.
    pub(super) not_modelled: Vec<String>,
}

pub(super) type GatewayRecord = Configured<GatewaySpec>;
pub(super) type VirtualServiceRecord = Configured<VirtualServiceSpec>;
pub(super) type DestinationRuleRecord = Configured<DestinationRuleSpec>;

impl<Specification: serde::de::DeserializeOwned + Default> Configured<Specification> {
    pub(super) fn read(object: &Object) -> Self {
        let kind = object.text("/kind").to_owned();
        let identity = Identity::of(object);
        let mut not_modelled = Vec::new();
        let specification = Specification::deserialize(object.at("/spec")).unwrap_or_else(|error| {
            let Identity { namespace, name, .. } = &identity;
            not_modelled.push(format!("not modelled: {kind} {namespace}/{name}: {error}"));
            Specification::default()
        });
        Self {
            identity,
            specification,
            not_modelled,
        }
    }

    /// Notes a field that is there and that the model does not know.
    pub(super) fn note(&mut self, kind: &str, what: &str) {
        let Identity { namespace, name, .. } = &self.identity;
        self.not_modelled
            .push(format!("not modelled: {what} of {kind} {namespace}/{name}"));
    }
}

impl VirtualServiceRecord {
    /// Whether one of its hosts covers this one.
    pub(super) fn is_for(&self, host: &str) -> bool {
        let mut patterns = self.specification.hosts.iter();
        patterns.any(|pattern| covers(pattern, host))
    }
}

/// What is spoken on a port, as far as routing cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PortProtocol {
    Tls,
    Http,
    /// Opaque bytes.
    Tcp,
    /// Not said: the proxy looks at the first bytes.
    Unsaid,
    /// UDP and what else no proxy carries.
    Other,
}

impl PortProtocol {
    pub(super) fn of(text: &str) -> Self {
        match text.to_ascii_uppercase().as_str() {
            "TLS" | "HTTPS" => Self::Tls,
            "HTTP" | "HTTP2" | "GRPC" | "GRPC-WEB" => Self::Http,
            "TCP" | "MONGO" | "REDIS" | "MYSQL" => Self::Tcp,
            "UDP" => Self::Other,
            _ => Self::Unsaid,
        }
    }

    /// Whether its listener reads server names or nothing: no HTTP.
    pub(super) fn is_stream(self) -> bool {
        matches!(self, Self::Tls | Self::Tcp)
    }
}

/// A port of a service.
#[derive(Debug, Clone)]
pub(super) struct ServicePort {
    pub(super) number: u16,
    pub(super) protocol: PortProtocol,
    /// Name; endpoints of a ServiceEntry may give it a port of their own.
    pub(super) name: String,
    /// Target port: a number, of a Kubernetes Service also a name; null if it is the port itself.
    pub(super) target: Value,
}

/// Where a service's endpoints come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// A ServiceEntry: its resolution, and addresses that are written into it.
    Entry {
        resolution: String,
        endpoints: Vec<Endpoint>,
        /// Virtual addresses; empty: every address.
        addresses: Vec<String>,
        /// Virtual addresses that istiod gave the host, for sidecars that answer DNS; `None` if they are not known.
        allocated: Option<Vec<String>>,
        /// Pods of its namespace, in place of endpoints.
        selects_pods: bool,
    },
    /// A Kubernetes Service: the pods of this selector.
    Pods(BTreeMap<String, String>),
    /// A Kubernetes Service without selector, or an `ExternalName`.
    Elsewhere(&'static str),
}

/// Something that has a host name in the mesh.
#[derive(Debug, Clone)]
pub(super) struct ServiceRecord {
    pub(super) host: String,
    pub(super) identity: Identity,
    pub(super) export_to: Vec<String>,
    pub(super) ports: Vec<ServicePort>,
    pub(super) origin: Origin,
    /// The cluster's DNS.
    pub(super) dns: bool,
}

impl ServiceRecord {
    /// One record per host of a ServiceEntry.
    pub(super) fn of_entry(object: &Object) -> Vec<Self> {
        let entry: ServiceEntrySpec = serde_json::from_value(object.at("/spec").clone()).unwrap_or_default();
        let ports: Vec<_> = entry
            .ports
            .iter()
            .map(|port| ServicePort {
                number: port.number,
                protocol: PortProtocol::of(&port.protocol),
                name: port.name.clone(),
                target: port.target_port.map_or(Value::Null, Value::from),
            })
            .collect();
        entry
            .hosts
            .iter()
            .map(|host| Self {
                host: host.clone(),
                identity: Identity::of(object),
                export_to: entry.export_to.clone(),
                ports: ports.clone(),
                dns: false,
                origin: Origin::Entry {
                    resolution: entry.resolution.clone(),
                    endpoints: entry.endpoints.clone(),
                    addresses: entry.addresses.clone(),
                    allocated: dns_proxy::allocated(object, &entry, host),
                    selects_pods: !object.at("/spec/workloadSelector").is_null(),
                },
            })
            .collect()
    }

    pub(super) fn of_service(object: &Object) -> Self {
        let identity = Identity::of(object);
        let ports = object.items("/spec/ports").iter().filter_map(|port| {
            let name = port["appProtocol"].as_str().or_else(|| port["name"].as_str());
            let protocol = name.and_then(|name| name.split('-').next()).unwrap_or_default();
            let protocol = match port["protocol"].as_str() {
                Some("UDP" | "SCTP") => "UDP",
                _ => protocol,
            };
            Some(ServicePort {
                name: port["name"].as_str().unwrap_or_default().to_owned(),
                number: u16::try_from(port["port"].as_u64()?).ok()?,
                protocol: PortProtocol::of(protocol),
                target: port.get("targetPort").unwrap_or(&port["port"]).clone(),
            })
        });
        Self {
            host: format!("{}.{}.svc.cluster.local", identity.name, identity.namespace),
            export_to: object
                .annotation("networking.istio.io/exportTo")
                .map(|list| list.split(',').map(|entry| entry.trim().to_owned()).collect())
                .unwrap_or_default(),
            ports: ports.collect(),
            origin: match (object.text("/spec/type"), object.at("/spec/selector").is_null()) {
                ("ExternalName", _) => Origin::Elsewhere("a Service of type ExternalName"),
                (_, true) => Origin::Elsewhere("a Service without selector"),
                _ => Origin::Pods(text_map(object.at("/spec/selector"))),
            },
            // Every distribution labels it so, whatever it is called.
            dns: object.label("k8s-app") == Some("kube-dns")
                || (identity.namespace == "kube-system" && identity.name == "kube-dns"),
            identity,
        }
    }

    /// What it is, as `Kind namespace/name`.
    pub(super) fn title(&self) -> String {
        self.identity.title(if self.is_external() {
            "ServiceEntry"
        } else {
            "Service"
        })
    }

    /// Virtual addresses: those that are written into it, or, for a sidecar that answers DNS, those that it was given.
    pub(super) fn addresses(&self, captures_dns: bool) -> &[String] {
        match &self.origin {
            Origin::Entry {
                addresses, allocated, ..
            } if addresses.is_empty() && captures_dns => allocated.as_deref().unwrap_or_default(),
            Origin::Entry { addresses, .. } => addresses,
            Origin::Pods(_) | Origin::Elsewhere(_) => &[],
        }
    }

    /// Whether it comes from a ServiceEntry.
    pub(super) fn is_external(&self) -> bool {
        matches!(self.origin, Origin::Entry { .. })
    }

    /// What is spoken on a port; `None` if it has no such port.
    pub(super) fn protocol(&self, number: u16) -> Option<PortProtocol> {
        self.port(number).map(|port| port.protocol)
    }

    pub(super) fn port(&self, number: u16) -> Option<&ServicePort> {
        self.ports.iter().find(|port| port.number == number)
    }
}

/// A pod. There are more of them than of all the rest, and few are on a request's way: what is not asked of each is read
/// when it is asked for.
#[derive(Debug, Clone)]
pub(super) struct PodRecord<'object> {
    /// As the API server gave it: NetworkPolicies look at all of it.
    pub(super) object: Cow<'object, Object>,
    pub(super) name: PodName,
}

impl<'object> PodRecord<'object> {
    pub(super) fn read(object: Cow<'object, Object>) -> Self {
        Self {
            name: PodName::new(object.namespace().unwrap_or_default(), object.name()),
            object,
        }
    }

    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        text_map(self.object.at("/metadata/labels"))
    }

    /// Its address; empty if it has none yet.
    pub(super) fn address(&self) -> &str {
        self.object.text("/status/podIP")
    }

    pub(super) fn is_ready(&self) -> bool {
        let mut conditions = self.object.items("/status/conditions").iter();
        conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
            && self.object.at("/metadata/deletionTimestamp").is_null()
    }

    /// Whether the proxy is its ordinary and only container.
    pub(super) fn is_gateway(&self) -> bool {
        let containers = self.object.items("/spec/containers");
        containers.len() == 1 && containers.iter().any(is_proxy)
    }

    /// Whether the proxy stands beside an application.
    pub(super) fn has_sidecar(&self) -> bool {
        !self.is_gateway() && self.proxy().is_some()
    }

    /// What its sidecar does with the application's DNS.
    pub(super) fn dns(&self) -> DnsCapture {
        self.proxy().map(DnsCapture::of_container).unwrap_or_default()
    }

    fn proxy(&self) -> Option<&Value> {
        let containers = self.object.items("/spec/containers").iter();
        let mut containers = containers.chain(self.object.items("/spec/initContainers"));
        containers.find(|container| is_proxy(container))
    }

    /// Whether it is known to have addresses of IPv4 only.
    pub(super) fn has_only_ipv4(&self) -> bool {
        let all = self.object.items("/status/podIPs").iter();
        let mut all = all
            .filter_map(|entry| entry["ip"].as_str())
            .chain([self.address()]);
        !self.address().is_empty() && all.all(|address| !is_ipv6(address))
    }

    /// The number of a target port, which may be a name.
    pub(super) fn target_port(&self, target: &Value) -> Option<u16> {
        match target {
            Value::Number(number) => u16::try_from(number.as_u64()?).ok(),
            Value::String(name) => {
                let containers = self.object.items("/spec/containers").iter();
                let mut ports =
                    containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
                let named = ports.find(|port| port["name"] == name.as_str())?;
                u16::try_from(named["containerPort"].as_u64()?).ok()
            }
            _ => None,
        }
    }

    pub(super) fn has_labels(&self, selector: &BTreeMap<String, String>) -> bool {
        let labels = self.object.at("/metadata/labels");
        let mut pairs = selector.iter();
        pairs.all(|(name, value)| labels.get(name).is_some_and(|label| label == value.as_str()))
    }
}

fn is_proxy(container: &Value) -> bool {
    container["name"] == crate::vocabulary::names::PROXY_CONTAINER
}

/// Whether a text is an address, or a range of addresses, of IPv6.
pub(super) fn is_ipv6(text: &str) -> bool {
    let address = text.split_once('/').map_or(text, |(address, _)| address);
    address.parse::<Ipv6Addr>().is_ok()
}

/// A map of texts.
pub(super) fn text_map(value: &Value) -> BTreeMap<String, String> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}
