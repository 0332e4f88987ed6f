//! Whose eyes: what a proxy sees of the objects depends on its namespace, its kind and its `Sidecar` resource.

use super::dns_proxy::DnsCapture;
use super::names::visible;
use super::prediction::SourcePod;
use super::records::{GatewayRecord, PodRecord, ServiceRecord, VirtualServiceRecord};
use super::scope::Scope;
use super::world::World;
use crate::vocabulary::PodName;
use std::collections::BTreeMap;

/// A proxy that looks at the objects.
#[derive(Debug, Clone, Copy)]
pub(super) struct Viewer<'world> {
    pub(super) namespace: &'world str,
    pub(super) gateway: bool,
    scope: Option<&'world Scope>,
    /// Its pod, if it is one that is there.
    pod: Option<&'world PodRecord<'world>>,
}

impl<'world> Viewer<'world> {
    /// The sidecar of a pod.
    pub(super) fn of_source(world: &'world World<'world>, source: &'world SourcePod) -> Self {
        Self {
            pod: world.pod(&PodName::new(&source.namespace, &source.name)),
            ..Self::sidecar(world, &source.namespace, &source.labels)
        }
    }

    /// The sidecar of a pod that is there.
    pub(super) fn of_pod(world: &'world World<'world>, pod: &'world PodRecord<'world>) -> Self {
        Self {
            pod: Some(pod),
            ..Self::sidecar(world, &pod.name.namespace, &pod.labels())
        }
    }

    /// The sidecar of a pod with these labels.
    pub(super) fn sidecar(
        world: &'world World<'world>,
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
    pub(super) fn gateway(pod: &'world PodRecord<'world>) -> Self {
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
        self.pod.map_or(world.dns, PodRecord::dns)
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
        let mut leading = world.routes.leading_to(&service.host).iter();
        leading.any(|index| self.sees_virtual_service(&world.virtual_services[*index]))
    }

    fn sees_virtual_service(&self, service: &VirtualServiceRecord) -> bool {
        let owner = &service.identity.namespace;
        visible(&service.specification.export_to, owner, self.namespace)
            && self.scope.is_none_or(|scope| scope.sees_virtual_service(service))
    }

    /// VirtualServices that it sees, oldest first.
    pub(super) fn virtual_services(
        self,
        world: &'world World<'world>,
    ) -> impl Iterator<Item = &'world VirtualServiceRecord> {
        let all = world.virtual_services.iter();
        all.filter(move |service| self.sees_virtual_service(service))
    }

    /// VirtualServices for a host that it sees, oldest first.
    pub(super) fn virtual_services_for<'host>(
        self,
        world: &'world World<'world>,
        host: &'host str,
    ) -> impl Iterator<Item = &'world VirtualServiceRecord> + use<'world, 'host> {
        let indexes = world.routes.of_host(host).into_iter();
        let named = indexes.map(|index| &world.virtual_services[index]);
        named.filter(move |service| service.is_for(host) && self.sees_virtual_service(service))
    }

    /// VirtualServices of a Gateway that it sees, oldest first.
    pub(super) fn virtual_services_of(
        self,
        world: &'world World<'world>,
        gateway: &GatewayRecord,
    ) -> impl Iterator<Item = &'world VirtualServiceRecord> + use<'world> {
        let indexes = world.routes.of_gateway(gateway).iter();
        let named = indexes.map(|index| &world.virtual_services[*index]);
        named.filter(move |service| self.sees_virtual_service(service))
    }
}
