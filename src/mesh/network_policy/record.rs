//! A policy, read once.

use super::Direction;
use super::peer::Peer;
use super::port::{Destination, PortRule};
use crate::istio::kinds;
use crate::vocabulary::{LabelSelector, Object, ObjectReference};
use serde_json::Value;

/// A NetworkPolicy.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    pub(super) reference: ObjectReference,
    pub(super) namespace: String,
    selector: LabelSelector,
    /// `None`: it does not isolate for this direction.
    ingress: Option<Vec<Rule>>,
    egress: Option<Vec<Rule>>,
}

/// One rule: it lets through what matches one of the peers and one of the ports. Without any, all match.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) peers: Vec<Peer>,
    pub(super) ports: Vec<PortRule>,
}

impl Policy {
    /// `None` for other kinds. Objects inside lists carry no kind and are taken as policies.
    pub(super) fn read(object: &Object) -> Option<Self> {
        let kind = object.text("/kind");
        let version = object.text("/apiVersion");
        let named = !kind.is_empty() || !version.is_empty();
        if named && !(kind == "NetworkPolicy" && version.starts_with("networking.k8s.io/")) {
            return None;
        }
        let isolates = isolated_directions(object);
        let rules = |direction, field: &str, peers: &str| {
            let rules = object.items(field).iter().map(|rule| Rule::read(rule, peers));
            isolates.contains(&direction).then(|| rules.collect())
        };
        Some(Self {
            reference: object.reference(&kinds::network_policy()),
            namespace: object.namespace().unwrap_or_default().to_owned(),
            selector: LabelSelector::from_object(object.at("/spec/podSelector")),
            ingress: rules(Direction::Ingress, "/spec/ingress", "from"),
            egress: rules(Direction::Egress, "/spec/egress", "to"),
        })
    }

    pub(super) fn selects(&self, pod: &Object) -> bool {
        pod.namespace() == Some(&self.namespace) && self.selector.matches(pod.at("/metadata/labels"))
    }

    /// The rules of a direction; `None` if it does not isolate for it.
    pub(super) fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }
}

/// `policyTypes`, with the API server's defaults: always Ingress, and Egress if there are egress rules.
fn isolated_directions(policy: &Object) -> Vec<Direction> {
    let types = policy.items("/spec/policyTypes");
    if types.is_empty() {
        let mut directions = vec![Direction::Ingress];
        if !policy.items("/spec/egress").is_empty() {
            directions.push(Direction::Egress);
        }
        return directions;
    }
    let named = |name: &Value| match name.as_str() {
        Some("Ingress") => Some(Direction::Ingress),
        Some("Egress") => Some(Direction::Egress),
        _ => None,
    };
    types.iter().filter_map(named).collect()
}

impl Rule {
    fn read(rule: &Value, peers: &str) -> Self {
        let list = |field: &str| rule[field].as_array().map_or(&[][..], Vec::as_slice);
        Self {
            peers: list(peers).iter().map(Peer::read).collect(),
            ports: list("ports").iter().map(PortRule::read).collect(),
        }
    }

    /// Whether it is about this port.
    pub(super) fn covers(&self, destination: Destination<'_>) -> bool {
        self.ports.is_empty() || self.ports.iter().any(|rule| rule.covers(destination))
    }
}
