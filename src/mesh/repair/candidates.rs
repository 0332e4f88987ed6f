//! What may be tried, the likeliest mistakes first.

use super::edit::Edit;
use crate::mesh::Request;
use crate::mesh::names::{covers, full_host, visible};
use crate::vocabulary::{Object, Scheme};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The objects, and what of them concerns the request.
pub(super) struct Scene<'a> {
    pub(super) objects: &'a [&'a Object],
    pub(super) request: &'a Request,
    /// Services that routes of the host lead to: index among the objects.
    pub(super) services: Vec<usize>,
}

impl<'a> Scene<'a> {
    pub(super) fn of(objects: &'a [&'a Object], request: &'a Request) -> Self {
        let mut scene = Self {
            objects,
            request,
            services: Vec::new(),
        };
        let hosts: BTreeSet<String> = scene
            .of_kind("VirtualService")
            .flat_map(|(_, owner)| destinations(owner))
            .map(|to| to.host)
            .collect();
        scene.services = scene
            .of_kind("Service")
            .filter(|(_, service)| hosts.contains(&service_host(service)))
            .map(|(index, _)| index)
            .collect();
        scene
    }

    /// All candidates: wrong names first, then visibility, then what a port or a leg carries.
    pub(super) fn candidates(&self) -> Vec<Edit> {
        let mut edits = self.routes();
        edits.extend(self.servers());
        edits.extend(self.scopes());
        edits.extend(self.visibility());
        edits.extend(self.entries());
        edits.extend(self.protections());
        edits.extend(self.without_subsets());
        edits
    }

    pub(super) fn of_kind(&self, kind: &'static str) -> impl Iterator<Item = (usize, &'a Object)> {
        let objects = self.objects.iter().copied().enumerate();
        objects.filter(move |(_, object)| {
            object.text("/kind") == kind
                && !object
                    .text("/apiVersion")
                    .starts_with("gateway.networking.k8s.io")
        })
    }

    /// Ports of the Services that routes lead to.
    pub(super) fn service_ports(&self) -> BTreeSet<u64> {
        let services = self.services.iter().map(|index| self.objects[*index]);
        services
            .flat_map(|service| service.items("/spec/ports"))
            .filter_map(|port| port["port"].as_u64())
            .collect()
    }

    /// Namespaces that have to see what the host is about: the source's and those of the gateways.
    fn viewers(&self) -> BTreeSet<&'a str> {
        let services = self.services.iter().map(|index| self.objects[*index]);
        services
            .filter_map(|service| service.namespace())
            .chain([self.request.source.namespace.as_str()])
            .collect()
    }

    /// `exportTo` that leaves a viewer out.
    fn visibility(&self) -> Vec<Edit> {
        let mut edits = Vec::new();
        for kind in ["ServiceEntry", "VirtualService", "DestinationRule"] {
            for (index, object) in self.of_kind(kind) {
                let own = object.namespace().unwrap_or_default();
                let exported = object.items("/spec/exportTo").iter();
                let mut to: Vec<String> = exported.filter_map(|to| Some(to.as_str()?.to_owned())).collect();
                let viewers = self.viewers().into_iter();
                let missing: Vec<&str> = viewers.filter(|viewer| !visible(&to, own, viewer)).collect();
                if missing.is_empty() {
                    continue;
                }
                let own_or_other = |viewer: &&str| if *viewer == own { "." } else { viewer }.to_owned();
                to.extend(missing.iter().map(own_or_other));
                let says = format!("let {} see it too", missing.join(" and "));
                // Rules of one host merge only where their exportTo is the same.
                if let Some(other) = self.sibling(kind, object) {
                    let edit = Edit::of(index, says.clone());
                    edits.push(if other.is_null() {
                        edit.remove("/spec/exportTo")
                    } else {
                        edit.replace("/spec/exportTo", other)
                    });
                }
                edits.push(Edit::of(index, says).replace("/spec/exportTo", &json!(to)));
            }
        }
        edits
    }

    /// `exportTo` of another DestinationRule for the same host in the same namespace.
    fn sibling(&self, kind: &'static str, object: &Object) -> Option<&'a Value> {
        let mut others = self.of_kind(kind).filter(|(_, other)| {
            kind == "DestinationRule"
                && other.name() != object.name()
                && other.namespace() == object.namespace()
                && other.text("/spec/host") == object.text("/spec/host")
        });
        others.next().map(|(_, other)| other.at("/spec/exportTo"))
    }

    /// A `Sidecar` that lists too little.
    fn scopes(&self) -> Vec<Edit> {
        let source = &self.request.source.namespace;
        let scopes = self
            .of_kind("Sidecar")
            .filter(|(_, scope)| scope.namespace() == Some(source));
        let listener = |(index, scope): (usize, &Object)| {
            let hosts = scope.items("/spec/egress").first()?["hosts"].as_array()?;
            let listed = |host: &str| hosts.iter().any(|listed| listed == host);
            let own = if listed("./*") {
                None
            } else {
                Some("./*".to_owned())
            };
            let others = self
                .viewers()
                .into_iter()
                .filter(|viewer| viewer != source)
                .map(|viewer| format!("{viewer}/*"));
            let others: Vec<String> = others.filter(|host| !listed(host)).chain(own).collect();
            let mut all = hosts.clone();
            all.extend(others.iter().map(|host| json!(host)));
            let says = format!("let its pods see {}", others.join(" and "));
            Some(Edit::of(index, says).replace("/spec/egress/0/hosts", &json!(all)))
        };
        scopes.filter_map(listener).collect()
    }

    /// ServiceEntries of the host: a missing port, another protocol, a resolution that leads nowhere.
    fn entries(&self) -> Vec<Edit> {
        let Request {
            host, port, scheme, ..
        } = self.request;
        let protocol = match scheme {
            Scheme::Https => "TLS",
            Scheme::Http => "HTTP",
        };
        let mut edits = Vec::new();
        for (index, entry) in self.of_kind("ServiceEntry") {
            if !entry
                .items("/spec/hosts")
                .iter()
                .filter_map(Value::as_str)
                .any(|name| covers(name, host))
            {
                continue;
            }
            let ports = entry.items("/spec/ports");
            if ports.iter().all(|declared| declared["number"] != json!(port)) {
                let name = format!("{}-{port}", protocol.to_lowercase());
                let declared = json!({"number": port, "name": name, "protocol": protocol});
                edits.push(Edit::of(index, format!("declare port {port}")).set("/spec/ports/-", &declared));
            }
            for (number, declared) in ports.iter().enumerate() {
                let path = format!("/spec/ports/{number}");
                if declared["number"] == json!(port) {
                    let says = format!("declare port {port} as {protocol}");
                    edits.push(Edit::of(index, says).replace(&format!("{path}/protocol"), &json!(protocol)));
                }
                if !declared["targetPort"].is_null() {
                    let says = format!("send port {} to the same port of the host", declared["number"]);
                    edits.push(Edit::of(index, says).remove(&format!("{path}/targetPort")));
                }
            }
            let dns = Edit::of(index, "resolve the host by DNS").set("/spec/resolution", &json!("DNS"));
            if !entry.items("/spec/endpoints").is_empty() {
                edits.push(dns.clone().remove("/spec/endpoints"));
            }
            edits.push(dns);
            if !entry.items("/spec/addresses").is_empty() {
                edits.push(Edit::of(index, "declare no address").remove("/spec/addresses"));
            }
        }
        edits
    }
}

/// A destination of a VirtualService.
pub(super) struct LeadsTo<'a> {
    /// JSON pointer (RFC 6901).
    pub(super) path: String,
    /// Full name of its host.
    pub(super) host: String,
    pub(super) destination: &'a Value,
}

/// Every destination of a VirtualService.
pub(super) fn destinations(owner: &Object) -> Vec<LeadsTo<'_>> {
    let mut found = Vec::new();
    for part in ["http", "tls", "tcp"] {
        for (number, route) in owner.items(&format!("/spec/{part}")).iter().enumerate() {
            for (way, to) in route["route"].as_array().into_iter().flatten().enumerate() {
                let destination = &to["destination"];
                found.push(LeadsTo {
                    path: format!("/spec/{part}/{number}/route/{way}/destination"),
                    host: host_of(owner, destination),
                    destination,
                });
            }
        }
    }
    found
}

/// Full name of the host of a part of an object.
pub(super) fn host_of(owner: &Object, part: &Value) -> String {
    full_host(
        part["host"].as_str().unwrap_or_default(),
        owner.namespace().unwrap_or_default(),
    )
}

/// The full name of a Service.
pub(super) fn service_host(service: &Object) -> String {
    full_host(service.name(), service.namespace().unwrap_or_default())
}
