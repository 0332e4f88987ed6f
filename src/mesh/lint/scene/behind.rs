//! What a Gateway leads to, and which Gateways a host name or a leg leads to.

use super::{Item, Scene, host_of};
use crate::istio::GatewaySpec;
use crate::mesh::lint::legs::{At, Layer, Leg};
use crate::mesh::lint::pods::{is_router, selects};
use crate::vocabulary::Object;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

/// What the selector of a Gateway leads to.
pub(super) struct Reach<'a> {
    pods: Vec<&'a Object>,
    services: Vec<&'a Object>,
}

/// The Gateways whose pods a host name leads to.
pub(in crate::mesh::lint) struct Behind {
    in_order: Vec<usize>,
    all: HashSet<usize>,
}

impl Behind {
    /// Whether a Gateway is among them, by its position.
    pub(in crate::mesh::lint) fn has(&self, gateway: usize) -> bool {
        self.all.contains(&gateway)
    }
}

impl<'a> Scene<'a> {
    fn reach(&self, gateway: &Item<'_, GatewaySpec>) -> Rc<Reach<'a>> {
        let selector = gateway.object.at("/spec/selector");
        let key = selector.to_string();
        if let Some(known) = self.known.reach.borrow().get(&key) {
            return Rc::clone(known);
        }
        let likely = self.index.pods_by_label.likely(selector).iter();
        let pods: Vec<&Object> = likely
            .map(|position| self.pods[*position])
            .filter(|pod| pod.labels_match("/metadata/labels", selector))
            .collect();
        let services = if pods.is_empty() {
            let likely = self.index.services_by_selector.likely(selector).iter();
            likely
                .map(|position| self.index.services[*position])
                .filter(|service| service.labels_match("/spec/selector", selector))
                .collect()
        } else {
            let homes: BTreeSet<&str> = pods.iter().filter_map(|pod| pod.namespace()).collect();
            let nearby = homes
                .iter()
                .filter_map(|home| self.index.services_by_namespace.get(home));
            let nearby: BTreeSet<usize> = nearby.flatten().copied().collect();
            nearby
                .into_iter()
                .map(|position| self.index.services[position])
                .filter(|service| pods.iter().any(|pod| selects(service, pod)))
                .collect()
        };
        let reach = Rc::new(Reach { pods, services });
        self.known.reach.borrow_mut().insert(key, Rc::clone(&reach));
        reach
    }

    /// The pods that a Gateway selects.
    pub(in crate::mesh::lint) fn pods_of(&self, gateway: &Item<'_, GatewaySpec>) -> Vec<&'a Object> {
        if gateway.spec.selector.is_empty() {
            return Vec::new();
        }
        self.reach(gateway).pods.clone()
    }

    /// Services that lead to a Gateway's pods; where there are no pods, those whose own selector says so.
    pub(in crate::mesh::lint) fn services_of(&self, gateway: &Item<'_, GatewaySpec>) -> Vec<&'a Object> {
        if gateway.spec.selector.is_empty() {
            return Vec::new();
        }
        self.reach(gateway).services.clone()
    }

    /// Gateways whose pods a host name leads to; `None` if it is no gateway, as far as that can be told.
    pub(in crate::mesh::lint) fn gateways_behind(&self, host: &str) -> Option<Rc<Behind>> {
        if let Some(known) = self.known.behind.borrow().get(host) {
            return known.clone();
        }
        let found = self.find_gateways_behind(host).map(|in_order| {
            let all = in_order.iter().copied().collect();
            Rc::new(Behind { in_order, all })
        });
        self.known
            .behind
            .borrow_mut()
            .insert(host.to_owned(), found.clone());
        found
    }

    fn find_gateways_behind(&self, host: &str) -> Option<Vec<usize>> {
        if let Some(service) = self.services.get(host) {
            let behind = self.gateways_of_services().get(host).cloned().unwrap_or_default();
            let routers = || self.pods_behind(service).any(is_router);
            return (!behind.is_empty() || routers()).then_some(behind);
        }
        // In files the gateway itself is seldom described.
        let name = host.split('.').next().unwrap_or_default();
        if self.live || !host.ends_with(".svc.cluster.local") || !name.contains("egress") {
            return None;
        }
        let fits = |gateway: &Item<'_, GatewaySpec>| {
            gateway
                .spec
                .selector
                .values()
                .any(|value| name.contains(value.as_str()))
        };
        let all = self.gateways.iter().enumerate();
        Some(
            all.filter(|(_, gateway)| fits(gateway))
                .map(|(position, _)| position)
                .collect(),
        )
    }

    /// By the hosts of Services: the Gateways to whose pods they lead.
    fn gateways_of_services(&self) -> &HashMap<String, Vec<usize>> {
        self.known.gateways_of_services.get_or_init(|| {
            let mut found: HashMap<String, Vec<usize>> = HashMap::new();
            for (position, gateway) in self.gateways.iter().enumerate() {
                for service in self.services_of(gateway) {
                    found.entry(host_of(service)).or_default().push(position);
                }
            }
            found
        })
    }

    /// Whether a leg ends at a Gateway's pods.
    pub(in crate::mesh::lint) fn ends_at(&self, leg: &Leg, gateway: &str) -> bool {
        let behind = self.gateways_behind(&leg.destination);
        let position = self.position_of(gateway);
        behind
            .zip(position)
            .is_some_and(|(behind, position)| behind.has(position))
    }

    /// Whether a leg of sidecars ends at a Gateway's pods.
    pub(in crate::mesh::lint) fn is_sent_to(&self, gateway: &str) -> bool {
        let sent = self.known.sent_to.get_or_init(|| self.ends_of(|_| true));
        self.position_of(gateway)
            .is_some_and(|position| sent.contains(&position))
    }

    /// Whether a leg for streams, of which only addresses say which host they are for, ends at a Gateway's pods.
    pub(in crate::mesh::lint) fn is_sent_streams(&self, gateway: &str) -> bool {
        let is_stream = |leg: &Leg| leg.layer == Layer::Tcp;
        let sent = self.known.sent_opaque.get_or_init(|| self.ends_of(is_stream));
        self.position_of(gateway)
            .is_some_and(|position| sent.contains(&position))
    }

    /// The Gateways at which legs of sidecars end.
    fn ends_of(&self, which: impl Fn(&Leg) -> bool) -> HashSet<usize> {
        let legs = self.legs.iter().filter(|leg| leg.at == At::Mesh && which(leg));
        let destinations: BTreeSet<&str> = legs.map(|leg| leg.destination.as_str()).collect();
        let behind = destinations
            .into_iter()
            .filter_map(|host| self.gateways_behind(host));
        behind.flat_map(|behind| behind.in_order.clone()).collect()
    }
}
