//! The Gateway: what the gateway's pods listen for.

use super::{base_name, names, spec};
use crate::istio::{GatewaySpec, Port, Server, ServerTls, kinds};
use crate::plan::ownership::{Manifest, owned};
use crate::plan::{GatewayTarget, Plan, PlannedHost};
use crate::vocabulary::Scheme;

/// The plan's Gateway; none if nothing goes through the gateway.
pub(super) fn object(plan: &Plan, gateway: &GatewayTarget) -> Option<Manifest> {
    let through: Vec<_> = plan
        .hosts
        .iter()
        .filter(|planned| planned.how.through_gateway())
        .collect();
    let (http, tls): (Vec<_>, Vec<_>) = through
        .into_iter()
        .partition(|planned| planned.how.scheme() == Scheme::Http);
    let (protected, opaque): (Vec<_>, Vec<_>) = tls
        .iter()
        .copied()
        .partition(|planned: &&PlannedHost| planned.how.mesh_mtls());
    let mut servers = Vec::new();
    if !opaque.is_empty() {
        servers.push(server(
            port(gateway.tls_port, "tls", "TLS"),
            &opaque,
            Some("PASSTHROUGH"),
        ));
    }
    // A `tcp` route has no server name to match, so each host has a server of its own (truth.md 3).
    for planned in protected {
        let name = format!("tls-{}", names::host_subset(plan, &planned.host));
        let port = port(gateway.tls_port, &name, "TLS");
        servers.push(server(port, &[planned], Some("ISTIO_MUTUAL")));
    }
    if let Some(first) = http.first() {
        let number = names::gateway_port(gateway, first);
        // All are alike: the plan's rules refuse a mixture.
        servers.push(if first.how.mesh_mtls() {
            server(port(number, "https", "HTTPS"), &http, Some("ISTIO_MUTUAL"))
        } else {
            server(port(number, "http", "HTTP"), &http, None)
        });
    }
    let body = GatewaySpec {
        selector: gateway.selector.clone(),
        servers,
    };
    (!body.servers.is_empty()).then(|| {
        owned(
            &plan.identity,
            &kinds::gateway(),
            &plan.identity.namespace,
            &base_name(plan),
            spec(&body),
        )
    })
}

fn port(number: u16, name: &str, protocol: &str) -> Port {
    Port {
        number,
        name: name.to_owned(),
        protocol: protocol.to_owned(),
        target_port: None,
    }
}

fn server(port: Port, hosts: &[&PlannedHost], tls: Option<&str>) -> Server {
    Server {
        port,
        hosts: hosts.iter().map(|planned| planned.host.to_string()).collect(),
        tls: tls.map(|mode| ServerTls {
            mode: mode.to_owned(),
        }),
    }
}
