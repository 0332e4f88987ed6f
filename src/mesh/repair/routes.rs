//! Mistakes in VirtualServices.

use super::candidates::{LeadsTo, Scene, destinations, host_of};
use super::edit::Edit;
use crate::vocabulary::Object;
use serde_json::{Value, json};
use std::collections::BTreeSet;

impl Scene<'_> {
    /// A wrong subset, port or gateway.
    pub(super) fn routes(&self) -> Vec<Edit> {
        let mut edits = Vec::new();
        for (index, owner) in self.of_kind("VirtualService") {
            edits.extend(self.gateways_of(index, owner));
            for to in destinations(owner) {
                edits.extend(self.subsets(index, owner, &to));
                edits.extend(self.ports(index, &to));
            }
            for (path, one) in matches(owner) {
                edits.extend(self.match_ports(index, &path, one));
            }
            edits.extend(streams(index, owner));
        }
        edits
    }

    /// Without the subset: the leg loses what its DestinationRule says of it.
    pub(super) fn without_subsets(&self) -> Vec<Edit> {
        let mut edits = Vec::new();
        for (index, owner) in self.of_kind("VirtualService") {
            for to in destinations(owner) {
                if !to.destination["subset"].is_null() {
                    let says = format!("lead to {} without a subset", to.host);
                    edits.push(Edit::of(index, says).remove(&format!("{}/subset", to.path)));
                }
            }
        }
        edits
    }

    /// `spec.gateways` without `mesh`, or without a Gateway that has the host.
    fn gateways_of(&self, index: usize, owner: &Object) -> Vec<Edit> {
        let named = owner.items("/spec/gateways");
        let mut edits = Vec::new();
        let mut add = |name: &str| {
            if named.iter().all(|gateway| gateway != name) {
                let mut all = named.to_vec();
                all.push(json!(name));
                let says = match name {
                    "mesh" => "make it hold for sidecars, too".to_owned(),
                    gateway => format!("bind it to Gateway {gateway}"),
                };
                edits.push(Edit::of(index, says).set("/spec/gateways", &json!(all)));
            }
        };
        add("mesh");
        for (_, gateway) in self.of_kind("Gateway") {
            if gateway.namespace() == owner.namespace() {
                add(gateway.name());
            } else {
                add(&format!(
                    "{}/{}",
                    gateway.namespace().unwrap_or_default(),
                    gateway.name()
                ));
            }
        }
        edits
    }

    /// A subset of a rule that is called like the VirtualService is the likeliest: the others are other hosts'.
    fn subsets(&self, index: usize, owner: &Object, to: &LeadsTo<'_>) -> Vec<Edit> {
        let rules = self.of_kind("DestinationRule");
        let known: BTreeSet<(bool, &str)> = rules
            .filter(|(_, rule)| host_of(rule, rule.at("/spec")) == to.host)
            .flat_map(|(_, rule)| {
                let subsets = rule.items("/spec/subsets").iter();
                let alike = rule.name() == owner.name();
                subsets.filter_map(move |subset| Some((!alike, subset["name"].as_str()?)))
            })
            .collect();
        let now = to.destination["subset"].as_str().unwrap_or_default();
        let path = format!("{}/subset", to.path);
        let others = known
            .into_iter()
            .map(|(_, name)| name)
            .filter(|name| *name != now);
        others
            .map(|name| Edit::of(index, format!("lead to subset {name}")).set(&path, &json!(name)))
            .collect()
    }

    /// Ports that a DestinationRule gives TLS come first: nothing is to go out less protected than it was meant to.
    fn ports(&self, index: usize, to: &LeadsTo<'_>) -> Vec<Edit> {
        let now = &to.destination["port"]["number"];
        let LeadsTo { path, host, .. } = to;
        let protected: BTreeSet<u64> = self
            .of_kind("DestinationRule")
            .filter(|(_, rule)| host_of(rule, rule.at("/spec")) == *host)
            .flat_map(|(_, rule)| rule.items("/spec/trafficPolicy/portLevelSettings"))
            .filter_map(|settings| settings["port"]["number"].as_u64())
            .collect();
        let mut ports: Vec<u64> = self.service_ports().into_iter().collect();
        ports.push(self.request.port.into());
        ports.extend(&protected);
        ports.sort_unstable_by_key(|port| (!protected.contains(port), *port));
        ports.dedup();
        ports
            .into_iter()
            .filter(|port| *now != json!(port))
            .map(|port| {
                let says = format!("lead to port {port} of {host}");
                Edit::of(index, says).set(&format!("{path}/port"), &json!({"number": port}))
            })
            .collect()
    }

    fn match_ports(&self, index: usize, path: &str, one: &Value) -> Vec<Edit> {
        if one["port"].is_null() {
            return Vec::new();
        }
        let servers = self
            .of_kind("Gateway")
            .flat_map(|(_, gateway)| gateway.items("/spec/servers"));
        let mut ports: BTreeSet<u64> = servers
            .filter_map(|server| server["port"]["number"].as_u64())
            .collect();
        ports.insert(self.request.port.into());
        ports
            .into_iter()
            .filter(|port| one["port"] != json!(port))
            .map(|port| {
                let says = format!("match port {port} instead of {}", one["port"]);
                Edit::of(index, says).replace(&format!("{path}/port"), &json!(port))
            })
            .collect()
    }
}

/// Every match of a VirtualService, with its path.
fn matches(owner: &Object) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for part in ["http", "tls", "tcp"] {
        for (number, route) in owner.items(&format!("/spec/{part}")).iter().enumerate() {
            for (which, one) in route["match"].as_array().into_iter().flatten().enumerate() {
                found.push((format!("/spec/{part}/{number}/match/{which}"), one));
            }
        }
    }
    found
}

/// Behind a server that ends TLS of the mesh a stream is routed by `tcp`, before one that lets TLS pass by `tls`.
fn streams(index: usize, owner: &Object) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (from, to) in [("tls", "tcp"), ("tcp", "tls")] {
        for (number, route) in owner.items(&format!("/spec/{from}")).iter().enumerate() {
            let at_mesh = |one: &Value| {
                one["gateways"]
                    .as_array()
                    .is_none_or(|names| names.iter().any(|name| name == "mesh"))
            };
            let matched = route["match"].as_array().into_iter().flatten();
            if matched.clone().count() == 0 || matched.clone().any(at_mesh) {
                continue;
            }
            let mut moved = route.clone();
            for one in moved["match"].as_array_mut().into_iter().flatten() {
                if to == "tcp" {
                    one.as_object_mut().map(|fields| fields.remove("sniHosts"));
                } else {
                    one["sniHosts"] = owner.at("/spec/hosts").clone();
                }
            }
            let there = !owner.items(&format!("/spec/{to}")).is_empty();
            let says = format!("route the gateway's leg by {to} instead of {from}");
            let edit = Edit::of(index, says).remove(&format!("/spec/{from}/{number}"));
            edits.push(if there {
                edit.set(&format!("/spec/{to}/-"), &moved)
            } else {
                edit.set(&format!("/spec/{to}"), &json!([moved]))
            });
        }
    }
    edits
}
