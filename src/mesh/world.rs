//! All objects that decide on a request's way.

use super::ambient::AmbientNamespaces;
use super::authorization::AuthorizationRecord;
use super::discovery::Discovery;
use super::dns_proxy::DnsCapture;
use super::names::{covers, specificity};
use super::network_policy::{self, NetworkPolicies};
use super::records::{
    DestinationRuleRecord, GatewayRecord, Identity, Origin, PodRecord, ServiceRecord, VirtualServiceRecord,
    text_map,
};
use super::route_index::RouteIndex;
use super::scope::Scope;
use super::viewer::Viewer;
use crate::istio::mesh_configuration;
use crate::vocabulary::names::ISTIO_NAMESPACE;
use crate::vocabulary::{Object, PodName};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// A policy that the model does not know.
#[derive(Debug, Clone)]
struct PolicyRecord {
    title: String,
    /// `None`: of the whole cluster.
    namespace: Option<String>,
    selector: BTreeMap<String, String>,
    /// It acts below the mesh, on pods without sidecar too.
    below: bool,
}

/// The objects of a cluster, as Istio sees them.
#[derive(Debug, Clone, Default)]
pub struct World<'object> {
    pub(super) services: Vec<ServiceRecord>,
    by_host: HashMap<String, Vec<usize>>,
    wildcards: Vec<usize>,
    pub(super) gateways: Vec<GatewayRecord>,
    pub(super) virtual_services: Vec<VirtualServiceRecord>,
    pub(super) routes: RouteIndex,
    pub(super) destination_rules: Vec<DestinationRuleRecord>,
    pub(super) pods: Vec<PodRecord<'object>>,
    /// Policies below or beside routing, which the model does not know.
    policies: Vec<PolicyRecord>,
    pub(super) authorizations: Vec<AuthorizationRecord>,
    pub(super) scopes: Vec<Scope>,
    /// Names of Secrets by namespace; of a namespace without any nothing is known.
    secrets: BTreeMap<String, BTreeSet<String>>,
    network_policies: NetworkPolicies,
    pub(super) registry_only: bool,
    /// What sidecars do with DNS that say nothing of their own.
    pub(super) dns: DnsCapture,
    pub(super) ambient: AmbientNamespaces,
    pub(super) root_namespace: String,
}

impl<'object> World<'object> {
    /// Reads objects; kinds that carry no requests are skipped. Pods, of which there are the most, are not copied.
    pub fn new(objects: impl IntoIterator<Item = &'object Object>) -> Self {
        Self::of(objects.into_iter().map(Cow::Borrowed).collect())
    }

    /// Reads objects that it keeps itself.
    pub fn owned(objects: Vec<Object>) -> World<'static> {
        World::of(objects.into_iter().map(Cow::Owned).collect())
    }

    fn of(objects: Vec<Cow<'object, Object>>) -> Self {
        let mut world = Self {
            root_namespace: ISTIO_NAMESPACE.to_owned(),
            ..Self::default()
        };
        let is_pod =
            |object: &Cow<'_, Object>| object.text("/kind") == "Pod" && object.text("/apiVersion") == "v1";
        let (pods, others): (Vec<_>, Vec<_>) = objects.into_iter().partition(is_pod);
        world.pods = pods.into_iter().map(PodRecord::read).collect();
        let discovery = Discovery::read(&others);
        for object in others.iter().filter(|object| discovery.sees(object)) {
            world.add(object);
        }
        world.put_in_order();
        world.index_services();
        world.routes = RouteIndex::of(&world.virtual_services);
        world
    }

    /// Oldest first, as Istio takes them.
    fn put_in_order(&mut self) {
        self.scopes
            .sort_by(|left, right| left.identity.cmp(&right.identity));
        self.services
            .sort_by(|left, right| left.identity.cmp(&right.identity));
        self.gateways
            .sort_by(|left, right| left.identity.cmp(&right.identity));
        self.virtual_services
            .sort_by(|left, right| left.identity.cmp(&right.identity));
        self.destination_rules
            .sort_by(|left, right| left.identity.cmp(&right.identity));
    }

    fn index_services(&mut self) {
        self.by_host.clear();
        self.wildcards.clear();
        for (index, service) in self.services.iter().enumerate() {
            if service.host.starts_with('*') {
                self.wildcards.push(index);
            } else {
                self.by_host.entry(service.host.clone()).or_default().push(index);
            }
        }
    }

    /// Puts another state of a configuration object of Istio's in the place of the one that is there: asking what one
    /// change does is much cheaper so than reading all objects anew. What is not there, as istiod does not look at its
    /// namespace, does not come so.
    pub(super) fn exchange(&mut self, object: &Object) {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name());
        let is_it = |identity: &Identity| identity.namespace == namespace && identity.name == name;
        let mut only = World::default();
        only.add(object);
        let kind = object.text("/kind");
        let was_there = match kind {
            "VirtualService" => exchange(&mut self.virtual_services, only.virtual_services, |record| {
                (&record.identity, is_it(&record.identity))
            }),
            "ServiceEntry" => exchange(&mut self.services, only.services, |record| {
                let is_it = record.is_external() && is_it(&record.identity);
                (&record.identity, is_it)
            }),
            "DestinationRule" => exchange(&mut self.destination_rules, only.destination_rules, |record| {
                (&record.identity, is_it(&record.identity))
            }),
            "Gateway" => exchange(&mut self.gateways, only.gateways, |record| {
                (&record.identity, is_it(&record.identity))
            }),
            "Sidecar" => exchange(&mut self.scopes, only.scopes, |record| {
                (&record.identity, is_it(&record.identity))
            }),
            // No other kind is changed.
            _ => false,
        };
        match kind {
            "VirtualService" if was_there => self.routes = RouteIndex::of(&self.virtual_services),
            "ServiceEntry" if was_there => self.index_services(),
            _ => {}
        }
    }

    fn add(&mut self, object: &Object) {
        let group = object
            .text("/apiVersion")
            .rsplit_once('/')
            .map_or("", |(group, _)| group);
        match (group, object.text("/kind")) {
            ("", "Service") => self.services.push(ServiceRecord::of_service(object)),
            ("", "ConfigMap") if object.name() == "istio" => self.read_mesh_configuration(object),
            ("networking.istio.io", "ServiceEntry") => {
                self.services.extend(ServiceRecord::of_entry(object));
            }
            ("networking.istio.io", "Gateway") => self.gateways.push(GatewayRecord::read(object)),
            ("networking.istio.io", "VirtualService") => self.add_virtual_service(object),
            ("networking.istio.io", "DestinationRule") => self.add_destination_rule(object),
            ("security.istio.io", "AuthorizationPolicy") => {
                self.authorizations.push(AuthorizationRecord::read(object));
            }
            ("networking.istio.io", "Sidecar") => self.scopes.push(Scope::read(object)),
            ("", "Secret") => {
                let namespace = object.namespace().unwrap_or_default().to_owned();
                self.secrets
                    .entry(namespace)
                    .or_default()
                    .insert(object.name().to_owned());
            }
            ("networking.istio.io", "EnvoyFilter") => {
                self.add_policy(object, "/spec/workloadSelector/labels");
            }
            ("networking.k8s.io", "NetworkPolicy") => self.network_policies.add_policy(object),
            ("", "Namespace") => {
                self.network_policies.add_namespace(object);
                self.ambient.add(object);
            }
            _ if network_policy::is_foreign(object) => self.add_foreign_policy(object),
            _ => {}
        }
    }

    fn add_destination_rule(&mut self, object: &Object) {
        let mut rule = DestinationRuleRecord::read(object);
        let subsets = object.items("/spec/subsets").iter();
        if subsets.clone().any(|subset| !subset["labels"].is_null()) {
            rule.note("DestinationRule", "labels of a subset");
        }
        let policies = subsets
            .map(|subset| &subset["trafficPolicy"])
            .chain([object.at("/spec/trafficPolicy")]);
        if policies.into_iter().any(|policy| !policy["tunnel"].is_null()) {
            rule.note("DestinationRule", "`tunnel`");
        }
        if !object.at("/spec/workloadSelector").is_null() {
            rule.note("DestinationRule", "`workloadSelector`");
        }
        self.destination_rules.push(rule);
    }

    fn add_virtual_service(&mut self, object: &Object) {
        let mut service = VirtualServiceRecord::read(object);
        let known = ["gateways", "port", "sniHosts", "name"];
        let matches = ["/spec/tls", "/spec/http", "/spec/tcp"]
            .into_iter()
            .flat_map(|pointer| object.items(pointer))
            .flat_map(|route| route["match"].as_array().into_iter().flatten());
        let unknown: Vec<String> = matches
            .flat_map(|one| one.as_object().into_iter().flatten())
            .map(|(name, _)| name.clone())
            .filter(|name| !known.contains(&name.as_str()))
            .collect();
        for name in unknown {
            service.note("VirtualService", &format!("match by `{name}`"));
        }
        for route in object.items("/spec/http") {
            for name in ["redirect", "fault", "directResponse", "delegate"] {
                if !route[name].is_null() {
                    service.note("VirtualService", &format!("`{name}`"));
                }
            }
            if !route["rewrite"].is_null() && route["rewrite"]["authority"].is_null() {
                service.note("VirtualService", "`rewrite` of a path");
            }
        }
        self.virtual_services.push(service);
    }

    fn add_policy(&mut self, object: &Object, selector: &str) {
        let namespace = object.namespace().unwrap_or_default().to_owned();
        self.policies.push(PolicyRecord {
            title: format!("{} {namespace}/{}", object.text("/kind"), object.name()),
            selector: text_map(object.at(selector)),
            namespace: Some(namespace),
            below: false,
        });
    }

    /// Each kind has selectors of its own, so the policy counts for every pod that it could select.
    fn add_foreign_policy(&mut self, object: &Object) {
        let kind = object.text("/kind");
        let name = object.name();
        let title = match object.namespace() {
            Some(namespace) => format!("{kind} {namespace}/{name}"),
            None => format!("{kind} {name}"),
        };
        self.policies.push(PolicyRecord {
            title,
            namespace: object.namespace().map(str::to_owned),
            selector: BTreeMap::new(),
            below: true,
        });
    }

    fn read_mesh_configuration(&mut self, object: &Object) {
        let mesh: Value = mesh_configuration(object).unwrap_or_default();
        let root = mesh["rootNamespace"].as_str().unwrap_or(ISTIO_NAMESPACE);
        if object.namespace() == Some(root) {
            root.clone_into(&mut self.root_namespace);
            self.dns = DnsCapture::of_mesh(&mesh);
            self.registry_only = mesh["outboundTrafficPolicy"]["mode"] == "REGISTRY_ONLY";
        }
    }

    /// The service that a host name belongs to, as a proxy sees it: exact before wildcard, the own namespace's
    /// before others', older before younger. `port`: only services that have it.
    pub(super) fn service(
        &self,
        viewer: &Viewer<'_>,
        host: &str,
        port: Option<u16>,
    ) -> Option<&ServiceRecord> {
        let exact = self.by_host.get(host).into_iter().flatten();
        let fits = |service: &&ServiceRecord| {
            viewer.sees_service(self, service) && port.is_none_or(|port| service.port(port).is_some())
        };
        let exact = exact.map(|index| &self.services[*index]).filter(fits);
        let found = exact.min_by_key(|service| service.identity.namespace != viewer.namespace);
        found.or_else(|| {
            self.wildcards
                .iter()
                .map(|index| &self.services[*index])
                .filter(|service| covers(&service.host, host))
                .filter(fits)
                .max_by_key(|service| specificity(&service.host))
        })
    }

    /// All services of exactly this host.
    pub(super) fn services_of(&self, host: &str) -> impl Iterator<Item = &ServiceRecord> {
        let indexes = self.by_host.get(host).into_iter().flatten();
        indexes.map(|index| &self.services[*index])
    }

    /// Whether a Secret is there; `None` if nothing is known of the namespace's Secrets.
    pub(super) fn has_secret(&self, namespace: &str, name: &str) -> Option<bool> {
        Some(self.secrets.get(namespace)?.contains(name))
    }

    /// A pod by its name.
    pub(super) fn pod(&self, name: &PodName) -> Option<&PodRecord<'_>> {
        self.pods.iter().find(|pod| pod.name == *name)
    }

    /// The NetworkPolicies of the cluster.
    pub fn network_policies(&self) -> &NetworkPolicies {
        &self.network_policies
    }

    /// The pod that has an address of its own.
    pub(super) fn pod_at(&self, address: IpAddr) -> Option<&PodRecord<'_>> {
        let text = address.to_string();
        self.pods
            .iter()
            .filter(|pod| pod.address() == text)
            .find(|pod| pod.object.at("/spec/hostNetwork") != true)
    }

    /// The ready pods of the cluster's DNS, with the port that they answer on; empty if they are not known.
    pub(super) fn dns_pods(&self) -> Vec<(&PodRecord<'_>, u16)> {
        let of_service = |service: &ServiceRecord| {
            let Origin::Pods(selector) = &service.origin else {
                return Vec::new();
            };
            let target = service.port(53).map(|port| port.target.clone());
            let behind = self.pods.iter().filter(|pod| {
                !selector.is_empty()
                    && pod.name.namespace == service.identity.namespace
                    && pod.has_labels(selector)
                    && pod.is_ready()
            });
            behind
                .filter_map(|pod| Some((pod, pod.target_port(target.as_ref()?)?)))
                .collect()
        };
        self.services
            .iter()
            .filter(|service| service.dns)
            .flat_map(of_service)
            .collect()
    }

    /// What selects a pod and is not known to the model. Only what acts below the mesh concerns a pod without proxy.
    pub(super) fn unknown_policies(
        &self,
        namespace: &str,
        labels: &BTreeMap<String, String>,
        proxy: bool,
    ) -> Vec<String> {
        // Istio's own in the root namespace are of the whole mesh.
        let concerns = |policy: &&PolicyRecord| match policy.namespace.as_deref() {
            None => true,
            Some(own) => own == namespace || (!policy.below && own == self.root_namespace),
        };
        self.policies
            .iter()
            .filter(|policy| proxy || policy.below)
            .filter(concerns)
            .filter(|policy| {
                policy
                    .selector
                    .iter()
                    .all(|(name, value)| labels.get(name) == Some(value))
            })
            .map(|policy| format!("not modelled: {}", policy.title))
            .collect()
    }
}

/// Puts an object's new records in the place of its old ones, oldest first as ever; whether there were any. `look` gives
/// a record's identity, and whether it is an old one.
fn exchange<Record>(
    records: &mut Vec<Record>,
    new: Vec<Record>,
    look: impl Fn(&Record) -> (&Identity, bool),
) -> bool {
    let before = records.len();
    records.retain(|record| !look(record).1);
    let was_there = records.len() < before;
    if was_there && let Some(first) = new.first() {
        let at = records.partition_point(|record| look(record).0 <= look(first).0);
        records.splice(at..at, new);
    }
    was_there
}
