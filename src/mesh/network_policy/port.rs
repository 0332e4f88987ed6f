//! Which ports a rule is about.

use crate::vocabulary::{Object, Protocol};
use serde_json::Value;
use std::fmt;
use std::ops::RangeInclusive;

/// Where a connection goes to: the port is the destination's in both directions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Destination<'a> {
    pub(super) port: u16,
    pub(super) protocol: Protocol,
    /// Where a named port is looked up.
    pub(super) pod: Option<&'a Object>,
}

/// One entry of `ports`.
#[derive(Debug, Clone)]
pub(super) struct PortRule {
    /// `None`: no protocol that Kubernetes has; the API server admits none.
    pub(super) protocol: Option<Protocol>,
    pub(super) ports: Ports,
}

/// The ports of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ports {
    /// All of the protocol.
    All,
    /// By number.
    Range(RangeInclusive<u16>),
    /// By the name that the destination pod gives it.
    Named(String),
    /// What the API server does not admit.
    None,
}

impl PortRule {
    pub(super) fn read(entry: &Value) -> Self {
        let number = |value: &Value| u16::try_from(value.as_u64()?).ok();
        let ports = match (&entry["port"], &entry["endPort"]) {
            (Value::Null, Value::Null) => Ports::All,
            (Value::String(name), Value::Null) => Ports::Named(name.clone()),
            (first, Value::Null) => number(first).map_or(Ports::None, |port| Ports::Range(port..=port)),
            (first, last) => number(first)
                .zip(number(last))
                .map_or(Ports::None, |(first, last)| Ports::Range(first..=last)),
        };
        Self {
            protocol: Protocol::of_field(&entry["protocol"]),
            ports,
        }
    }

    pub(super) fn covers(&self, destination: Destination<'_>) -> bool {
        self.protocol == Some(destination.protocol)
            && match &self.ports {
                Ports::All => true,
                Ports::Range(range) => range.contains(&destination.port),
                Ports::Named(name) => destination
                    .pod
                    .is_some_and(|pod| named(pod, name, destination.protocol).contains(&destination.port)),
                Ports::None => false,
            }
    }
}

/// The numbers that a pod's containers give a name; sidecars among the init containers count as containers, as for
/// the target port of a Service.
pub(super) fn named(pod: &Object, name: &str, protocol: Protocol) -> Vec<u16> {
    let containers = pod.items("/spec/containers").iter();
    let sidecars = pod.items("/spec/initContainers").iter();
    containers
        .chain(sidecars.filter(|container| container["restartPolicy"] == "Always"))
        .flat_map(|container| container["ports"].as_array().into_iter().flatten())
        .filter(|port| port["name"] == name && Protocol::of_field(&port["protocol"]) == Some(protocol))
        .filter_map(|port| u16::try_from(port["containerPort"].as_u64()?).ok())
        .collect()
}

impl fmt::Display for PortRule {
    /// `443`, `53/UDP`, `8000-8999`, `any TCP port`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = self.protocol.unwrap_or_default();
        match &self.ports {
            Ports::All | Ports::None => return write!(formatter, "any {protocol} port"),
            Ports::Range(range) if range.start() == range.end() => write!(formatter, "{}", range.start())?,
            Ports::Range(range) => write!(formatter, "{}-{}", range.start(), range.end())?,
            Ports::Named(name) => formatter.write_str(name)?,
        }
        if protocol == Protocol::Tcp {
            Ok(())
        } else {
            write!(formatter, "/{protocol}")
        }
    }
}
