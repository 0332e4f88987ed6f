//! Whose eyes: what a proxy sees of the objects depends on its namespace, its kind and its `Sidecar` resource.

use super::dns_proxy::DnsCapture;
use super::names::{full_host, visible};
use super::prediction::SourcePod;
use super::records::{PodRecord, ServiceRecord, VirtualServiceRecord};
use super::scope::Scope;
use super::sidecar::for_mesh;
use super::world::World;
use crate::istio::HttpMatch;
use crate::vocabulary::PodName;
use std::collections::BTreeMap;

/// A proxy that looks at the objects.
#[derive(Debug, Clone, Copy)]
pub(super) struct Viewer<'world> {
    pub(super) namespace: &'world str,
    pub(super) gateway: bool,
    scope: Option<&'world Scope>,
    /// Its pod, if it is one that is there.
    pod: Option<&'world PodRecord>,
}

impl<'world> Viewer<'world> {
    /// The sidecar of a pod.
    pub(super) fn of_source(world: &'world World, source: &'world SourcePod) -> Self {
        Self {
            pod: world.pod(&PodName::new(&source.namespace, &source.name)),
            ..Self::sidecar(world, &source.namespace, &source.labels)
        }
    }

    /// The sidecar of a pod that is there.
    pub(super) fn of_pod(world: &'world World, pod: &'world PodRecord) -> Self {
        Self {
            pod: Some(pod),
            ..Self::sidecar(world, &pod.name.namespace, &pod.labels)
        }
    }

    /// The sidecar of a pod with these labels.
    pub(super) fn sidecar(
        world: &'world World,
        namespace: &'world str,
        labels: &BTreeMap<String, String>,
    ) -> Self {
        let selects = |scope: &&Scope| {
            scope
                .selector
                .iter()
                .all(|(name, value)| labels.get(name) == Some(value))
        };
        let of = |namespace: &str, with_selector: bool| {
            world
                .scopes
                .iter()
                .filter(|scope| scope.identity.namespace == namespace)
                .filter(|scope| scope.selector.is_empty() != with_selector)
                .find(selects)
        };
        let scope = of(namespace, true)
            .or_else(|| of(namespace, false))
            .or_else(|| of(&world.root_namespace, false));
        Self {
            namespace,
            gateway: false,
            scope,
            pod: None,
        }
    }

    /// A gateway's pod. `Sidecar` resources do not hold for gateways.
    pub(super) fn gateway(pod: &'world PodRecord) -> Self {
        Self {
            namespace: &pod.name.namespace,
            gateway: true,
            scope: None,
            pod: Some(pod),
        }
    }

    /// The `Sidecar` resource that holds.
    pub(super) fn scope(&self) -> Option<&'world Scope> {
        self.scope
    }

    /// What it does with DNS; a pod that is not known does as the mesh configuration says.
    pub(super) fn dns(&self, world: &World) -> DnsCapture {
        self.pod.map_or(world.dns, |pod| pod.dns)
    }

    /// Whether it is known to have addresses of IPv4 only.
    pub(super) fn has_only_ipv4(&self) -> bool {
        self.pod.is_some_and(PodRecord::has_only_ipv4)
    }

    /// The virtual addresses by which it knows a service.
    pub(super) fn addresses_of<'service>(
        &self,
        world: &World,
        service: &'service ServiceRecord,
    ) -> &'service [String] {
        service.addresses(self.dns(world).on)
    }

    /// Whether what no object names is refused.
    pub(super) fn registry_only(&self, world: &World) -> bool {
        self.scope
            .and_then(|scope| scope.registry_only)
            .unwrap_or(world.registry_only)
    }

    /// Whether `exportTo`, and the `Sidecar` resource, let it see a service.
    pub(super) fn sees_service(&self, world: &World, service: &ServiceRecord) -> bool {
        let exported = visible(&service.export_to, &service.identity.namespace, self.namespace);
        exported
            && self.scope.is_none_or(|scope| {
                // A seen route of the mesh brings its destinations with it.
                scope.sees_service(service) || self.routes_to(world, service)
            })
    }

    fn routes_to(&self, world: &World, service: &ServiceRecord) -> bool {
        self.virtual_services(world).any(|owner| {
            let specification = &owner.specification;
            let here = |gateways: &[String]| for_mesh(gateways, &specification.gateways);
            let of_tls = specification.tls.iter().filter(|route| {
                let mut matches = route.matches.iter();
                matches.any(|one| here(&one.gateways))
            });
            let of_requests = |matches: &[HttpMatch]| match matches {
                [] => here(&[]),
                some => some.iter().any(|one| here(&one.gateways)),
            };
            let of_http = specification
                .http
                .iter()
                .filter(|route| of_requests(&route.matches));
            let of_tcp = specification
                .tcp
                .iter()
                .filter(|route| of_requests(&route.matches));
            let destinations = of_tls
                .flat_map(|route| &route.route)
                .chain(of_http.flat_map(|route| &route.route))
                .chain(of_tcp.flat_map(|route| &route.route));
            destinations
                .map(|one| full_host(&one.destination.host, &owner.identity.namespace))
                .any(|host| host == service.host)
        })
    }

    /// VirtualServices that it sees, oldest first.
    pub(super) fn virtual_services(
        self,
        world: &'world World,
    ) -> impl Iterator<Item = &'world VirtualServiceRecord> {
        world.virtual_services.iter().filter(move |service| {
            let owner = &service.identity.namespace;
            visible(&service.specification.export_to, owner, self.namespace)
                && self.scope.is_none_or(|scope| scope.sees_virtual_service(service))
        })
    }
}
