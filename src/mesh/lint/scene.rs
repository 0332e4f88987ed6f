//! The objects, indexed for the rules; who sees what, and which pods a Gateway is for.

use super::super::names::{covers, specificity, visible};
use super::super::network_policy::NetworkPolicies;
use super::legs::{Leg, legs_of};
use super::pods::{is_alive, is_for_egress};
pub(super) use super::pods::{is_meshed, is_router, selects};
use super::{Remark, Subject};
use crate::finding::catalogue;
use crate::istio::mesh_configuration;
use crate::istio::{DestinationRuleSpec, GatewaySpec, ServiceEntrySpec, VirtualServiceSpec};
use crate::vocabulary::{Object, names};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

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
        };
        scene.legs = scene
            .virtual_services
            .iter()
            .enumerate()
            .flat_map(|(index, item)| legs_of(index, item))
            .collect();
        (scene, remarks)
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
        self.entries
            .iter()
            .filter(move |entry| entry.spec.hosts.iter().any(|known| known == host))
    }

    /// The pods that a Gateway selects.
    pub(super) fn pods_of(&self, gateway: &Item<'_, GatewaySpec>) -> Vec<&'a Object> {
        let selector = gateway.object.at("/spec/selector");
        if gateway.spec.selector.is_empty() {
            return Vec::new();
        }
        self.pods
            .iter()
            .copied()
            .filter(|pod| pod.labels_match("/metadata/labels", selector))
            .collect()
    }

    /// Services that lead to a Gateway's pods; where there are no pods, those whose own selector says so.
    pub(super) fn services_of(&self, gateway: &Item<'_, GatewaySpec>) -> Vec<&'a Object> {
        if gateway.spec.selector.is_empty() {
            return Vec::new();
        }
        let pods = self.pods_of(gateway);
        let leads = |service: &&&Object| {
            if pods.is_empty() {
                return service.labels_match("/spec/selector", gateway.object.at("/spec/selector"));
            }
            pods.iter().any(|pod| selects(service, pod))
        };
        self.services.values().filter(leads).copied().collect()
    }

    /// Gateways whose pods a host name leads to; `None` if it is no gateway, as far as that can be told.
    pub(super) fn gateways_behind(&self, host: &str) -> Option<Vec<&Item<'a, GatewaySpec>>> {
        if let Some(service) = self.services.get(host) {
            let behind: Vec<_> = self
                .gateways
                .iter()
                .filter(|gateway| self.services_of(gateway).iter().any(|known| known.0 == service.0))
                .collect();
            let routers = || {
                self.pods
                    .iter()
                    .any(|pod| selects(service, pod) && is_router(pod))
            };
            return (!behind.is_empty() || routers()).then_some(behind);
        }
        // In files the gateway itself is seldom described.
        let name = host.split('.').next().unwrap_or_default();
        if self.live || !host.ends_with(".svc.cluster.local") || !name.contains("egress") {
            return None;
        }
        let fits = |gateway: &&Item<'_, GatewaySpec>| {
            gateway
                .spec
                .selector
                .values()
                .any(|value| name.contains(value.as_str()))
        };
        Some(self.gateways.iter().filter(fits).collect())
    }

    /// The DestinationRules that a proxy of `client` uses for a host, by Istio's order of namespaces: the client's own,
    /// the destination's, the root namespace. Of the first that has any, those with the most specific host.
    ///
    /// Source: Istio, `PushContext.destinationRule`; truth.md, the note at `plan::routing::destination_rules::mesh_leg`.
    pub(super) fn rules_for(&self, client: &str, host: &str) -> Vec<&Item<'a, DestinationRuleSpec>> {
        let mut owners: Vec<&str> = vec![client];
        if let Some(service) = self.services.get(host) {
            owners.extend(service.namespace());
        } else {
            let entries = self
                .entries_of(host)
                .filter(|entry| self.sees_entry(client, entry));
            owners.extend(entries.map(|entry| entry.namespace));
            owners.extend(in_cluster_namespace(host));
        }
        owners.push(self.root());
        for owner in owners {
            let found: Vec<_> = self
                .rules
                .iter()
                .filter(|rule| rule.namespace == owner && covers(&rule.host(), host))
                .filter(|rule| self.sees_rule(client, rule))
                .collect();
            if let Some(best) = found.iter().map(|rule| specificity(&rule.host())).max() {
                return found
                    .into_iter()
                    .filter(|rule| specificity(&rule.host()) == best)
                    .collect();
            }
        }
        Vec::new()
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
    pub(super) fn gateway_namespaces(&self) -> BTreeSet<&'a str> {
        let homes = |gateway: &Item<'a, GatewaySpec>| {
            let pods = self.pods_of(gateway).into_iter().filter_map(Object::namespace);
            let services = self
                .services_of(gateway)
                .into_iter()
                .filter_map(Object::namespace);
            pods.chain(services).collect::<Vec<_>>()
        };
        self.gateways.iter().flat_map(homes).collect()
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
        self.gateways.iter().find(|gateway| gateway.name() == name)
    }

    /// Whether NetworkPolicies hold everything that leaves a namespace's pods: one that selects all, or each pod.
    pub(super) fn is_held(&self, namespace: &str) -> bool {
        let of_namespace = self
            .policies
            .iter()
            .filter(|policy| policy.namespace() == Some(namespace));
        let all = of_namespace.clone().any(|policy| {
            let selector = policy.at("/spec/podSelector");
            let everybody = selector.as_object().is_none_or(serde_json::Map::is_empty);
            everybody && is_for_egress(policy)
        });
        let mut pods = self
            .pods
            .iter()
            .filter(|pod| pod.namespace() == Some(namespace))
            .peekable();
        all || (pods.peek().is_some() && pods.all(|pod| self.is_pod_held(pod)))
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
