//! The objects, indexed for the rules; who sees what, and which pods a Gateway is for.

mod behind;
mod used;

use super::super::names::visible;
use super::super::network_policy::NetworkPolicies;
use super::index::{ByHost, ByLabel, by_namespace};
use super::legs::{At, Leg, legs_of};
use super::pods::{is_alive, is_for_egress};
pub(super) use super::pods::{is_meshed, is_router, selects};
use super::{Remark, Subject};
use crate::finding::catalogue;
use crate::istio::mesh_configuration;
use crate::istio::{DestinationRuleSpec, GatewaySpec, Server, ServiceEntrySpec, VirtualServiceSpec};
use crate::vocabulary::{Object, names};
pub(super) use behind::Behind;
use behind::Reach;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;
pub(super) use used::Used;

/// An Istio object with its specification.
pub(super) struct Item<'a, Specification> {
    pub(super) object: &'a Object,
    pub(super) namespace: &'a str,
    pub(super) spec: Specification,
}

impl<Specification> Item<'_, Specification> {
    /// `namespace/name`.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.namespace, self.object.name())
    }
}

/// `Kind namespace/name`.
pub(super) fn name_of(object: &Object) -> String {
    let kind = object.text("/kind");
    match object.namespace() {
        Some(namespace) => format!("{kind} {namespace}/{}", object.name()),
        None => format!("{kind} {}", object.name()),
    }
}

/// All objects that rules look at.
pub(super) struct Scene<'a> {
    pub(super) live: bool,
    partial: &'a BTreeSet<String>,
    /// Kubernetes Services by full host name.
    pub(super) services: BTreeMap<String, &'a Object>,
    pub(super) entries: Vec<Item<'a, ServiceEntrySpec>>,
    pub(super) gateways: Vec<Item<'a, GatewaySpec>>,
    pub(super) virtual_services: Vec<Item<'a, VirtualServiceSpec>>,
    pub(super) rules: Vec<Item<'a, DestinationRuleSpec>>,
    /// Pods that run or are about to.
    pub(super) pods: Vec<&'a Object>,
    pub(super) sidecars: Vec<&'a Object>,
    pub(super) telemetries: Vec<&'a Object>,
    pub(super) policies: Vec<&'a Object>,
    pub(super) network: NetworkPolicies,
    pub(super) mesh: Value,
    pub(super) legs: Vec<Leg>,
    index: Index<'a>,
    known: Known<'a>,
}

/// Where to look among all objects; positions are those in the scene's lists.
#[derive(Default)]
struct Index<'a> {
    pods_by_label: ByLabel,
    pods_by_namespace: HashMap<&'a str, Vec<usize>>,
    /// Services in the order of their hosts.
    services: Vec<&'a Object>,
    services_by_selector: ByLabel,
    services_by_namespace: HashMap<&'a str, Vec<usize>>,
    policies_by_namespace: HashMap<&'a str, Vec<usize>>,
    sidecars_by_namespace: HashMap<&'a str, Vec<usize>>,
    gateways: HashMap<String, usize>,
    entries: ByHost,
    /// DestinationRules of each namespace, and of all.
    rules: HashMap<&'a str, ByHost>,
    all_rules: ByHost,
    /// Legs of sidecars, and of each Gateway.
    mesh_legs: ByHost,
    gateway_legs: HashMap<String, ByHost>,
    /// All legs of each Gateway.
    by_gateway: HashMap<String, Vec<usize>>,
    /// Servers as positions of their Gateway and in it.
    servers: Vec<(usize, usize)>,
    servers_by_host: ByHost,
}

/// What was found out already; rules ask the same for many hosts.
#[derive(Default)]
struct Known<'a> {
    /// By selector, as text.
    reach: RefCell<HashMap<String, Rc<Reach<'a>>>>,
    behind: RefCell<HashMap<String, Option<Rc<Behind>>>>,
    used: RefCell<HashMap<(String, String), Rc<Used>>>,
    held: RefCell<HashMap<String, bool>>,
    gateways_of_services: OnceCell<HashMap<String, Vec<usize>>>,
    gateway_namespaces: OnceCell<BTreeSet<&'a str>>,
    sent_to: OnceCell<HashSet<usize>>,
    sent_opaque: OnceCell<HashSet<usize>>,
    routers: OnceCell<Vec<&'a Object>>,
}

impl<'a> Scene<'a> {
    /// Indexes the objects; what cannot be read is a finding.
    pub(super) fn new(subject: &'a Subject<'a>) -> (Self, Vec<Remark>) {
        let objects = subject.objects;
        let mut remarks = Vec::new();
        let mesh = of_kind(objects, "", "ConfigMap")
            .find(|map| map.name() == "istio")
            .and_then(mesh_configuration)
            .unwrap_or(Value::Null);
        let policies: Vec<&Object> = of_kind(objects, "networking.k8s.io", "NetworkPolicy").collect();
        let copies: Vec<Object> = policies.iter().map(|policy| (*policy).clone()).collect();
        let namespaces: Vec<Object> = of_kind(objects, "", "Namespace").cloned().collect();
        let mut scene = Self {
            live: subject.live,
            partial: &subject.partial,
            services: of_kind(objects, "", "Service")
                .map(|service| (host_of(service), service))
                .collect(),
            entries: read(objects, "ServiceEntry", &mut remarks),
            gateways: read(objects, "Gateway", &mut remarks),
            virtual_services: read(objects, "VirtualService", &mut remarks),
            rules: read(objects, "DestinationRule", &mut remarks),
            pods: of_kind(objects, "", "Pod").filter(|pod| is_alive(pod)).collect(),
            sidecars: of_kind(objects, "networking.istio.io", "Sidecar").collect(),
            telemetries: of_kind(objects, "telemetry.istio.io", "Telemetry").collect(),
            network: NetworkPolicies::new(&copies, &namespaces),
            policies,
            mesh,
            legs: Vec::new(),
            index: Index::default(),
            known: Known::default(),
        };
        scene.legs = scene
            .virtual_services
            .iter()
            .enumerate()
            .flat_map(|(index, item)| legs_of(index, item))
            .collect();
        scene.index = scene.indexed();
        (scene, remarks)
    }

    fn indexed(&self) -> Index<'a> {
        let mut index = Index {
            pods_by_namespace: by_namespace(self.pods.iter().copied()),
            services: self.services.values().copied().collect(),
            services_by_namespace: by_namespace(self.services.values().copied()),
            policies_by_namespace: by_namespace(self.policies.iter().copied()),
            sidecars_by_namespace: by_namespace(self.sidecars.iter().copied()),
            ..Index::default()
        };
        for (position, pod) in self.pods.iter().enumerate() {
            index.pods_by_label.add(pod.at("/metadata/labels"), position);
        }
        for (position, service) in index.services.iter().enumerate() {
            let selector = service.at("/spec/selector");
            index.services_by_selector.add(selector, position);
        }
        for (position, entry) in self.entries.iter().enumerate() {
            for host in &entry.spec.hosts {
                index.entries.add(host, position);
            }
        }
        for (position, rule) in self.rules.iter().enumerate() {
            let host = rule.host();
            index
                .rules
                .entry(rule.namespace)
                .or_default()
                .add(&host, position);
            index.all_rules.add(&host, position);
        }
        for (position, gateway) in self.gateways.iter().enumerate() {
            index.gateways.entry(gateway.name()).or_insert(position);
            for (number, server) in gateway.spec.servers.iter().enumerate() {
                for pattern in &server.hosts {
                    let host = super::two_hops::host_part(pattern);
                    index.servers_by_host.add(host, index.servers.len());
                }
                index.servers.push((position, number));
            }
        }
        for (position, leg) in self.legs.iter().enumerate() {
            if let At::Gateway(name) = &leg.at {
                index.by_gateway.entry(name.clone()).or_default().push(position);
            }
            let at = match &leg.at {
                At::Mesh => &mut index.mesh_legs,
                At::Gateway(name) => index.gateway_legs.entry(name.clone()).or_default(),
            };
            for host in &leg.hosts {
                at.add(host, position);
            }
        }
        index
    }

    /// Whether an object of this kind that is not here is nowhere.
    pub(super) fn knows(&self, kind: &str) -> bool {
        self.live && !self.partial.contains(kind)
    }

    /// The same for kinds that stand together in files: what is missing there is told as a warning.
    pub(super) fn tells(&self, kind: &str) -> bool {
        !self.partial.contains(kind)
    }

    pub(super) fn root(&self) -> &str {
        self.mesh["rootNamespace"]
            .as_str()
            .unwrap_or(names::ISTIO_NAMESPACE)
    }

    /// Whether an object's `exportTo`, or the mesh's default for its kind, lets a namespace see it.
    pub(super) fn sees(&self, viewer: &str, owner: &str, export_to: &[String], default: &str) -> bool {
        if !export_to.is_empty() {
            return visible(export_to, owner, viewer);
        }
        let default: Vec<String> = self.mesh[default]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.as_str().map(str::to_owned))
            .collect();
        visible(&default, owner, viewer)
    }

    pub(super) fn sees_entry(&self, viewer: &str, entry: &Item<'_, ServiceEntrySpec>) -> bool {
        self.sees(
            viewer,
            entry.namespace,
            &entry.spec.export_to,
            "defaultServiceExportTo",
        )
    }

    pub(super) fn sees_route(&self, viewer: &str, route: &Item<'_, VirtualServiceSpec>) -> bool {
        self.sees(
            viewer,
            route.namespace,
            &route.spec.export_to,
            "defaultVirtualServiceExportTo",
        )
    }

    pub(super) fn sees_rule(&self, viewer: &str, rule: &Item<'_, DestinationRuleSpec>) -> bool {
        self.sees(
            viewer,
            rule.namespace,
            &rule.spec.export_to,
            "defaultDestinationRuleExportTo",
        )
    }

    /// ServiceEntries that declare exactly this host.
    pub(super) fn entries_of(&self, host: &str) -> impl Iterator<Item = &Item<'a, ServiceEntrySpec>> {
        let positions = self.index.entries.exactly(host).iter();
        positions.map(|position| &self.entries[*position])
    }

    /// Pairs of ServiceEntries that have a host in common, each once; the older one first.
    pub(super) fn entries_of_one_host(&self) -> BTreeSet<(usize, usize)> {
        let mut pairs = BTreeSet::new();
        for (newer, entry) in self.entries.iter().enumerate() {
            for host in &entry.spec.hosts {
                let of_host = self.index.entries.exactly(host).iter();
                let older = of_host.take_while(|older| **older < newer);
                pairs.extend(older.map(|older| (*older, newer)));
            }
        }
        pairs
    }

    /// Pods of a namespace.
    pub(super) fn pods_in(&self, namespace: &str) -> impl Iterator<Item = &'a Object> + Clone {
        let positions = self.index.pods_by_namespace.get(namespace).into_iter().flatten();
        positions.map(|position| self.pods[*position])
    }

    /// Pods that a Service selects.
    pub(super) fn pods_behind(&self, service: &Object) -> impl Iterator<Item = &'a Object> {
        let likely = self
            .index
            .pods_by_label
            .likely(service.at("/spec/selector"))
            .iter();
        likely
            .map(|position| self.pods[*position])
            .filter(move |pod| selects(service, pod))
    }

    /// Pods of gateways.
    pub(super) fn routers(&self) -> &[&'a Object] {
        let find = || self.pods.iter().copied().filter(|pod| is_router(pod)).collect();
        self.known.routers.get_or_init(find)
    }

    /// Sidecar resources of a namespace.
    pub(super) fn sidecars_in(&self, namespace: &str) -> impl Iterator<Item = &'a Object> {
        let positions = self
            .index
            .sidecars_by_namespace
            .get(namespace)
            .into_iter()
            .flatten();
        positions.map(|position| self.sidecars[*position])
    }

    /// Legs of sidecars that are for a host, or for some of those that a wildcard stands for.
    pub(super) fn mesh_legs_for(&self, host: &str) -> impl Iterator<Item = &Leg> {
        let positions = self.index.mesh_legs.overlapping(host).into_iter();
        positions.map(|position| &self.legs[position])
    }

    /// The same of a Gateway's proxies, with their positions among all legs.
    pub(super) fn gateway_legs_for(&self, gateway: &str, host: &str) -> impl Iterator<Item = (usize, &Leg)> {
        let of_gateway = self.index.gateway_legs.get(gateway);
        let positions = of_gateway.map_or_else(Vec::new, |legs| legs.overlapping(host));
        positions
            .into_iter()
            .map(|position| (position, &self.legs[position]))
    }

    /// All legs of a Gateway's proxies.
    pub(super) fn legs_of(&self, gateway: &str) -> impl Iterator<Item = &Leg> {
        let positions = self.index.by_gateway.get(gateway).into_iter().flatten();
        positions.map(|position| &self.legs[*position])
    }

    /// Servers for a host, or for some of those that a wildcard stands for, with the positions of their Gateways.
    pub(super) fn servers_for(&self, host: &str) -> impl Iterator<Item = (usize, &Server)> {
        let positions = self.index.servers_by_host.overlapping(host).into_iter();
        positions.map(|position| {
            let (gateway, number) = self.index.servers[position];
            (gateway, &self.gateways[gateway].spec.servers[number])
        })
    }

    /// Namespaces whose sidecars use a VirtualService, as far as it names them: its own, and those it is exported to.
    pub(super) fn clients_of(&self, leg: &Leg) -> Vec<String> {
        let item = &self.virtual_services[leg.route];
        let mut clients: Vec<String> = item
            .spec
            .export_to
            .iter()
            .filter(|entry| !["*", ".", "~"].contains(&entry.as_str()))
            .cloned()
            .collect();
        // A gateway's namespace is named for the gateway's leg, also while its Gateway is missing.
        let gateways = self.gateway_namespaces();
        let led_to = in_cluster_namespace(&leg.destination);
        clients.retain(|client| !gateways.contains(client.as_str()) && led_to != Some(client));
        if self.sees_route(item.namespace, item) {
            clients.push(item.namespace.to_owned());
        }
        clients.dedup();
        clients
    }

    /// Namespaces in which pods or Services of Gateways are.
    pub(super) fn gateway_namespaces(&self) -> &BTreeSet<&'a str> {
        let find = || {
            self.gateways
                .iter()
                .flat_map(|gateway| self.homes_of(gateway))
                .collect()
        };
        self.known.gateway_namespaces.get_or_init(find)
    }

    /// Namespaces of the pods that a Gateway is for.
    pub(super) fn homes_of(&self, gateway: &Item<'_, GatewaySpec>) -> BTreeSet<&'a str> {
        let pods = self.pods_of(gateway);
        let services = self.services_of(gateway);
        pods.into_iter()
            .chain(services)
            .filter_map(Object::namespace)
            .collect()
    }

    pub(super) fn gateway(&self, name: &str) -> Option<&Item<'a, GatewaySpec>> {
        self.position_of(name).map(|position| &self.gateways[position])
    }

    fn position_of(&self, gateway: &str) -> Option<usize> {
        self.index.gateways.get(gateway).copied()
    }

    /// Whether NetworkPolicies hold everything that leaves a namespace's pods: one that selects all, or each pod.
    pub(super) fn is_held(&self, namespace: &str) -> bool {
        if let Some(known) = self.known.held.borrow().get(namespace) {
            return *known;
        }
        let of_namespace = self.index.policies_by_namespace.get(namespace);
        let all = of_namespace.into_iter().flatten().any(|position| {
            let policy = self.policies[*position];
            let selector = policy.at("/spec/podSelector");
            let everybody = selector.as_object().is_none_or(serde_json::Map::is_empty);
            everybody && is_for_egress(policy)
        });
        let mut pods = self.pods_in(namespace).peekable();
        let held = all || (pods.peek().is_some() && pods.all(|pod| self.is_pod_held(pod)));
        self.known.held.borrow_mut().insert(namespace.to_owned(), held);
        held
    }

    /// Whether a NetworkPolicy holds what leaves a pod.
    pub(super) fn is_pod_held(&self, pod: &Object) -> bool {
        pod.at("/spec/hostNetwork") != &Value::Bool(true) && !self.network.egress_policies_of(pod).is_empty()
    }
}

impl Item<'_, DestinationRuleSpec> {
    /// The host with its full name.
    pub(super) fn host(&self) -> String {
        super::super::names::full_host(&self.spec.host, self.namespace)
    }
}

fn of_kind<'a>(objects: &'a [Object], group: &str, kind: &str) -> impl Iterator<Item = &'a Object> {
    objects.iter().filter(move |object| {
        let version = object.text("/apiVersion");
        let of_group = version.rsplit_once('/').map_or("", |(group, _)| group);
        object.text("/kind") == kind && of_group == group
    })
}

fn read<'a, Specification: DeserializeOwned>(
    objects: &'a [Object],
    kind: &str,
    remarks: &mut Vec<Remark>,
) -> Vec<Item<'a, Specification>> {
    let mut items = Vec::new();
    for object in of_kind(objects, "networking.istio.io", kind) {
        match Specification::deserialize(object.at("/spec")) {
            Ok(spec) => items.push(Item {
                object,
                namespace: object.namespace().unwrap_or_default(),
                spec,
            }),
            Err(error) => {
                let message = format!("{} cannot be understood: {error}", name_of(object));
                remarks.push(Remark::new(&catalogue::OBJECT_UNREADABLE, message).about(object));
            }
        }
    }
    // Oldest first, as Istio takes them; RFC 3339 in UTC sorts by time.
    items.sort_by_key(|item| {
        let created = item.object.text("/metadata/creationTimestamp");
        (
            created.to_owned(),
            item.object.name().to_owned(),
            item.namespace.to_owned(),
        )
    });
    items
}

/// `name.namespace.svc.cluster.local`.
fn host_of(service: &Object) -> String {
    let namespace = service.namespace().unwrap_or_default();
    format!("{}.{namespace}.svc.cluster.local", service.name())
}

/// The namespace in the full name of a Service.
pub(super) fn in_cluster_namespace(host: &str) -> Option<&str> {
    let (_, namespace) = host.strip_suffix(".svc.cluster.local")?.split_once('.')?;
    Some(namespace)
}
