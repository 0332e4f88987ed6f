//! External HTTPS proxies (CONNECT): what makes them known to the mesh, and the tunnels through them.

use super::virtual_services::to_proxy;
use super::{destination_rules, exported_to, gateway_and_users, names, spec};
use crate::istio::{
    DestinationRuleSpec, Port, ServiceEntrySpec, Subset, TlsMatch, TlsRoute, TrafficPolicy, Tunnel,
    VirtualServiceSpec, kinds,
};
use crate::plan::ownership::{Manifest, owned};
use crate::plan::{GatewayTarget, Plan, PlannedHost};
use crate::vocabulary::{HostName, HostPort, Mode};
use std::collections::{BTreeMap, BTreeSet};

/// Who uses one external proxy.
struct Users<'plan> {
    proxy: &'plan HostName,
    hosts: Vec<(&'plan PlannedHost, &'plan HostPort)>,
}

impl Users<'_> {
    /// Whether an application speaks to it: then its addresses must be known, to tell its port from other hosts' same.
    fn by_application(&self) -> bool {
        self.hosts.iter().any(|(planned, _)| !planned.how.tunnel)
    }

    fn by_tunnel(&self) -> bool {
        self.hosts.iter().any(|(planned, _)| planned.how.tunnel)
    }

    fn exported_to(&self, plan: &Plan, gateway: &GatewayTarget) -> Vec<String> {
        if self
            .hosts
            .iter()
            .any(|(planned, _)| planned.how.through_gateway())
        {
            gateway_and_users(plan, gateway)
        } else {
            exported_to(plan)
        }
    }
}

fn by_proxy(plan: &Plan) -> Vec<Users<'_>> {
    let mut users: BTreeMap<&HostName, Vec<(&PlannedHost, &HostPort)>> = BTreeMap::new();
    for planned in &plan.hosts {
        if let Some(proxy) = &planned.how.proxy {
            users.entry(&proxy.host).or_default().push((planned, proxy));
        }
    }
    let users = users.into_iter();
    users.map(|(proxy, hosts)| Users { proxy, hosts }).collect()
}

/// One rule per proxy, with a subset per host and port that is tunnelled to.
pub(super) fn destination_rules(plan: &Plan, gateway: &GatewayTarget) -> Vec<Manifest> {
    let users = by_proxy(plan).into_iter().filter(Users::by_tunnel);
    users
        .map(|users| {
            let tunnelled = users.hosts.iter().filter(|(planned, _)| planned.how.tunnel);
            let subset = |(planned, _): &(&PlannedHost, &HostPort)| Subset {
                name: names::tunnel_subset(plan, planned),
                traffic_policy: Some(TrafficPolicy {
                    tunnel: Some(Tunnel {
                        protocol: "CONNECT".to_owned(),
                        target_host: planned.host.to_string(),
                        target_port: planned.how.target_port(),
                    }),
                    ..TrafficPolicy::default()
                }),
            };
            let body = DestinationRuleSpec {
                host: users.proxy.to_string(),
                export_to: users.exported_to(plan, gateway),
                subsets: tunnelled.map(subset).collect(),
                ..DestinationRuleSpec::default()
            };
            destination_rules::rule(plan, &names::proxy_object_name(plan, users.proxy), &body)
        })
        .collect()
}

/// The routes of hosts that the sidecar tunnels. Those that the gateway tunnels stand with all that go through it.
pub(super) fn virtual_services(plan: &Plan) -> Vec<Manifest> {
    let tunnelled: Vec<_> = plan
        .hosts
        .iter()
        .filter(|planned| planned.how.mode == Mode::Direct && planned.how.tunnel)
        .collect();
    tunnelled
        .chunk_by(|left, right| left.host == right.host)
        .map(|ports| {
            let host = ports[0].host.to_string();
            let route = |planned: &&PlannedHost| {
                let proxy = planned.how.tunnel_proxy()?;
                Some(TlsRoute {
                    matches: vec![TlsMatch {
                        gateways: vec![super::MESH.to_owned()],
                        port: planned.port(),
                        sni_hosts: vec![host.clone()],
                    }],
                    route: vec![to_proxy(plan, planned, proxy)],
                })
            };
            let body = VirtualServiceSpec {
                hosts: vec![host.clone()],
                gateways: vec![super::MESH.to_owned()],
                export_to: exported_to(plan),
                tls: ports.iter().filter_map(route).collect(),
                ..VirtualServiceSpec::default()
            };
            let name = names::host_object_name(plan, &ports[0].host);
            let kind = kinds::virtual_service();
            owned(
                &plan.identity,
                &kind,
                &plan.identity.namespace,
                &name,
                spec(&body),
            )
        })
        .collect()
}

/// One ServiceEntry per proxy, with all its ports.
///
/// - An application opens its connection to an address: as opaque TCP only addresses tell the proxy from whatever else
///   has the same port; without them every connection to that port would be sent to the proxy (Istio's task "Using an
///   external HTTPS proxy"). `NONE` sends it where the application wanted.
/// - A tunnel is a cluster that routes name. Said to carry TLS, its port takes nothing else: only a server name leads
///   there by itself (both measured on the lab).
pub(super) fn service_entries(plan: &Plan, gateway: &GatewayTarget) -> Vec<Manifest> {
    by_proxy(plan)
        .iter()
        .map(|users| {
            let addresses: BTreeSet<String> = users
                .hosts
                .iter()
                .flat_map(|(planned, _)| &planned.how.addresses)
                .map(ToString::to_string)
                .collect();
            let ports: BTreeSet<u16> = users.hosts.iter().map(|(_, proxy)| proxy.port).collect();
            let (name, protocol) = if users.by_application() {
                ("tcp", "TCP")
            } else {
                ("tls", "TLS")
            };
            let port = |number: u16| Port {
                number,
                name: format!("{name}-{number}"),
                protocol: protocol.to_owned(),
                target_port: None,
            };
            let body = ServiceEntrySpec {
                hosts: vec![users.proxy.to_string()],
                export_to: users.exported_to(plan, gateway),
                addresses: addresses.into_iter().collect(),
                location: "MESH_EXTERNAL".to_owned(),
                ports: ports.into_iter().map(port).collect(),
                resolution: if users.by_tunnel() { "DNS" } else { "NONE" }.to_owned(),
                ..ServiceEntrySpec::default()
            };
            let name = names::proxy_object_name(plan, users.proxy);
            let kind = kinds::service_entry();
            owned(
                &plan.identity,
                &kind,
                &plan.identity.namespace,
                &name,
                spec(&body),
            )
        })
        .collect()
}
