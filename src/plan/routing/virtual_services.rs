//! VirtualServices: from the sidecars to the gateway, and from there to the host.

use super::{MESH, base_name, gateway_and_users, names, part_name, spec};
use crate::istio::{
    Destination, HeaderOperations, Headers, HttpMatch, HttpRoute, PortSelector, RouteDestination, TcpRoute,
    TlsMatch, TlsRoute, VirtualServiceSpec, kinds,
};
use crate::plan::ownership::{Manifest, owned};
use crate::plan::{GatewayTarget, HOSTS_PER_OBJECT, Plan, PlannedHost};
use crate::vocabulary::{HostPort, Scheme};
use std::collections::BTreeMap;

/// Headers by which Istio tells an outside server who called and by which way (truth.md 4 and 15).
pub const TELLING_HEADERS: [&str; 7] = [
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-envoy-attempt-count",
    "x-envoy-external-address",
    "x-envoy-decorator-operation",
    "x-request-id",
];

/// Hosts that are only passed through share objects; any other host has one of its own with all its ports, because
/// sidecars take one VirtualService per host.
pub(super) fn objects(plan: &Plan, gateway: &GatewayTarget) -> Vec<Manifest> {
    let through: Vec<_> = plan
        .hosts
        .iter()
        .filter(|planned| planned.how.through_gateway())
        .collect();
    let (mut shared, mut single) = (Vec::new(), Vec::new());
    for ports in through.chunk_by(|left, right| left.host == right.host) {
        if ports.iter().all(|planned| is_opaque(planned)) {
            shared.extend(ports.iter().copied());
        } else {
            single.push(ports);
        }
    }
    let shared = shared.chunks(HOSTS_PER_OBJECT).enumerate().map(|(index, part)| {
        let name = part_name(&base_name(plan), index);
        object(plan, gateway, &name, part)
    });
    let single = single.into_iter().map(|ports| {
        let name = names::host_object_name(plan, &ports[0].host);
        object(plan, gateway, &name, ports)
    });
    shared.chain(single).collect()
}

/// TLS that only its server name is read of, on both legs.
fn is_opaque(planned: &PlannedHost) -> bool {
    planned.how.scheme() == Scheme::Https && !planned.how.mesh_mtls()
}

fn object(plan: &Plan, gateway: &GatewayTarget, name: &str, part: &[&PlannedHost]) -> Manifest {
    let of_gateway = format!("{}/{}", plan.identity.namespace, base_name(plan));
    let mut hosts: Vec<_> = part.iter().map(|planned| planned.host.to_string()).collect();
    hosts.dedup();
    let mut body = VirtualServiceSpec {
        hosts,
        gateways: vec![MESH.to_owned(), of_gateway.clone()],
        export_to: gateway_and_users(plan, gateway),
        tls: to_gateway_by_name(plan, gateway, part),
        ..VirtualServiceSpec::default()
    };
    for planned in part {
        let way = Legs {
            plan,
            gateway,
            planned,
            of_gateway: &of_gateway,
        };
        if planned.how.scheme() == Scheme::Http {
            body.http.extend(way.http());
        } else if planned.how.mesh_mtls() {
            body.tcp.push(way.tcp());
        } else {
            body.tls.push(way.tls());
        }
    }
    owned(
        &plan.identity,
        &kinds::virtual_service(),
        &plan.identity.namespace,
        name,
        spec(&body),
    )
}

/// The sidecars' side of TLS: one route per port and subset, with all its server names.
fn to_gateway_by_name(plan: &Plan, gateway: &GatewayTarget, part: &[&PlannedHost]) -> Vec<TlsRoute> {
    let mut names_by_way: BTreeMap<(u16, String), Vec<String>> = BTreeMap::new();
    for planned in part
        .iter()
        .filter(|planned| planned.how.scheme() == Scheme::Https)
    {
        let way = (planned.port(), names::subset(plan, planned));
        names_by_way
            .entry(way)
            .or_default()
            .push(planned.host.to_string());
    }
    names_by_way
        .into_iter()
        .map(|((port, subset), sni_hosts)| TlsRoute {
            matches: vec![TlsMatch {
                gateways: vec![MESH.to_owned()],
                port,
                sni_hosts,
            }],
            route: vec![destination(
                gateway.service_host(),
                Some(subset),
                gateway.tls_port,
            )],
        })
        .collect()
}

/// The legs of one host.
struct Legs<'a> {
    plan: &'a Plan,
    gateway: &'a GatewayTarget,
    planned: &'a PlannedHost,
    of_gateway: &'a str,
}

impl Legs<'_> {
    fn tls(&self) -> TlsRoute {
        TlsRoute {
            matches: vec![TlsMatch {
                gateways: vec![self.of_gateway.to_owned()],
                port: self.gateway.tls_port,
                sni_hosts: vec![self.planned.host.to_string()],
            }],
            route: vec![self.to_host()],
        }
    }

    /// At the gateway the outer TLS is gone: a `tls` route would give no filter chain at all (truth.md 3 a).
    fn tcp(&self) -> TcpRoute {
        TcpRoute {
            matches: vec![at(self.of_gateway, self.gateway.tls_port)],
            route: vec![self.to_host()],
        }
    }

    fn http(&self) -> [HttpRoute; 2] {
        let port = names::gateway_port(self.gateway, self.planned);
        let subset = names::subset(self.plan, self.planned);
        let to_gateway = HttpRoute {
            matches: vec![at(MESH, self.planned.port())],
            route: vec![destination(self.gateway.service_host(), Some(subset), port)],
            headers: None,
            rewrite: None,
        };
        let removed = TELLING_HEADERS.map(str::to_owned).to_vec();
        let to_host = HttpRoute {
            matches: vec![at(self.of_gateway, port)],
            route: vec![self.to_host()],
            headers: (!self.planned.how.keep_headers).then_some(Headers {
                request: HeaderOperations { remove: removed },
            }),
            rewrite: None,
        };
        [to_gateway, to_host]
    }

    fn to_host(&self) -> RouteDestination {
        if let Some(proxy) = self.planned.how.tunnel_proxy() {
            return to_proxy(self.plan, self.planned, proxy);
        }
        destination(self.planned.host.to_string(), None, self.planned.port())
    }
}

fn at(gateway: &str, port: u16) -> HttpMatch {
    HttpMatch {
        gateways: vec![gateway.to_owned()],
        port,
    }
}

/// Through the subset of an external proxy that tunnels to the host.
pub(super) fn to_proxy(plan: &Plan, planned: &PlannedHost, proxy: &HostPort) -> RouteDestination {
    let subset = names::tunnel_subset(plan, planned);
    destination(proxy.host.to_string(), Some(subset), proxy.port)
}

pub(super) fn destination(host: String, subset: Option<String>, port: u16) -> RouteDestination {
    RouteDestination {
        destination: Destination {
            host,
            subset,
            port: Some(PortSelector { number: port }),
        },
    }
}
