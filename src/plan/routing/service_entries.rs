//! ServiceEntries: what makes hosts known to the mesh.

use super::{base_name, exported_to, gateway_and_users, part_name, spec};
use crate::istio::{Endpoint, Port, ServiceEntrySpec, kinds};
use crate::plan::ownership::{Manifest, owned};
use crate::plan::{GatewayTarget, HOSTS_PER_OBJECT, Plan, PlannedHost};
use crate::vocabulary::{HostName, Scheme};
use std::collections::BTreeMap;

/// What hosts must have in common to stand in one ServiceEntry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Form {
    ports: Vec<EntryPort>,
    through_gateway: bool,
    dynamic: bool,
    server: Option<HostName>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct EntryPort {
    number: u16,
    scheme: Scheme,
    target: Option<u16>,
}

impl Form {
    fn of(ports: &[&PlannedHost]) -> Self {
        let first = &ports[0].how;
        Self {
            ports: ports.iter().map(|planned| EntryPort::of(planned)).collect(),
            through_gateway: ports.iter().any(|planned| planned.how.through_gateway()),
            dynamic: first.resolution.is_some(),
            server: first.server.clone(),
        }
    }

    /// `80-443`, `80to443`, and more where that is not enough.
    fn name(&self) -> String {
        let ports: Vec<_> = self.ports.iter().map(|port| port.name()).collect();
        let mut name = ports.join("-");
        if !self.through_gateway {
            name.push_str("-direct");
        }
        if self.dynamic {
            name.push_str("-dynamic");
        }
        if let Some(server) = &self.server {
            name = format!("{name}.{server}");
        }
        name
    }
}

impl EntryPort {
    fn of(planned: &PlannedHost) -> Self {
        let (number, target) = (planned.port(), planned.how.target_port());
        Self {
            number,
            scheme: planned.how.scheme(),
            target: (target != number).then_some(target),
        }
    }

    fn name(self) -> String {
        match self.target {
            Some(target) => format!("{}to{target}", self.number),
            None => self.number.to_string(),
        }
    }

    fn port(self) -> Port {
        let (name, protocol) = match self.scheme {
            Scheme::Http => ("http", "HTTP"),
            Scheme::Https => ("tls", "TLS"),
        };
        Port {
            number: self.number,
            name: format!("{name}-{}", self.number),
            protocol: protocol.to_owned(),
            target_port: self.target,
        }
    }
}

/// Hosts of one form share objects of at most [`HOSTS_PER_OBJECT`]; a host stands in one object with all its ports.
pub(super) fn objects(plan: &Plan, gateway: &GatewayTarget) -> Vec<Manifest> {
    // A host that applications reach by a proxy of their own is nothing that a sidecar sends to.
    let planned: Vec<_> = plan
        .hosts
        .iter()
        .filter(|planned| planned.how.own_proxy().is_none())
        .collect();
    let mut by_form: BTreeMap<Form, Vec<&HostName>> = BTreeMap::new();
    for ports in planned.chunk_by(|left, right| left.host == right.host) {
        by_form.entry(Form::of(ports)).or_default().push(&ports[0].host);
    }
    let mut objects = Vec::new();
    for (form, hosts) in &by_form {
        let name = format!("{}-{}", base_name(plan), form.name());
        for (index, chunk) in hosts.chunks(HOSTS_PER_OBJECT).enumerate() {
            let body = body(plan, gateway, form, chunk);
            objects.push(owned(
                &plan.identity,
                &kinds::service_entry(),
                &plan.identity.namespace,
                &part_name(&name, index),
                spec(&body),
            ));
        }
    }
    objects
}

fn body(plan: &Plan, gateway: &GatewayTarget, form: &Form, hosts: &[&HostName]) -> ServiceEntrySpec {
    let endpoint = |server: &HostName| Endpoint {
        address: server.to_string(),
        ports: BTreeMap::new(),
    };
    ServiceEntrySpec {
        addresses: Vec::new(),
        hosts: hosts.iter().map(ToString::to_string).collect(),
        export_to: if form.through_gateway {
            gateway_and_users(plan, gateway)
        } else {
            exported_to(plan)
        },
        location: "MESH_EXTERNAL".to_owned(),
        ports: form.ports.iter().map(|port| port.port()).collect(),
        resolution: if form.dynamic { "DYNAMIC_DNS" } else { "DNS" }.to_owned(),
        endpoints: form.server.iter().map(endpoint).collect(),
    }
}
