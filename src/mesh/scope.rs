//! What a sidecar sees: the `Sidecar` resource that holds for a workload.
//!
//! Source: Istio's reference of Sidecar. One that selects the workload comes before one for its whole namespace, that
//! before one of the root namespace; of two alike the older holds.

use super::names::covers;
use super::records::{Identity, ServiceRecord, VirtualServiceRecord, text_map};
use crate::vocabulary::Object;
use std::collections::BTreeMap;

/// A `Sidecar` resource.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) identity: Identity,
    pub(super) selector: BTreeMap<String, String>,
    /// `namespace/host` patterns of egress; `None`: everything.
    egress: Option<Vec<(String, String)>>,
    /// Its own outbound policy.
    pub(super) registry_only: Option<bool>,
    pub(super) not_modelled: Vec<String>,
}

impl Scope {
    pub(super) fn read(object: &Object) -> Self {
        let identity = Identity::of(object);
        let listeners = object.items("/spec/egress");
        let mut not_modelled = Vec::new();
        let title = identity.title("Sidecar");
        for listener in listeners {
            if !listener["port"].is_null() || !listener["bind"].is_null() {
                not_modelled.push(format!("not modelled: a port of its own in {title}"));
            }
        }
        let hosts = listeners
            .iter()
            .flat_map(|listener| listener["hosts"].as_array().into_iter().flatten())
            .filter_map(|host| host.as_str()?.split_once('/'))
            .map(|(namespace, host)| (namespace.to_owned(), host.to_owned()));
        let mode = object.text("/spec/outboundTrafficPolicy/mode");
        let policy = !object.at("/spec/outboundTrafficPolicy").is_null();
        Self {
            selector: text_map(object.at("/spec/workloadSelector/labels")),
            egress: (!listeners.is_empty()).then(|| hosts.collect()),
            // REGISTRY_ONLY is the enum's zero: a policy without a mode means it.
            registry_only: policy.then(|| mode != "ALLOW_ANY"),
            not_modelled,
            identity,
        }
    }

    fn names(&self, namespace: &str, host: &str) -> bool {
        let Some(egress) = &self.egress else { return true };
        egress.iter().any(|(of, pattern)| {
            let place = match of.as_str() {
                "*" => true,
                "." => namespace == self.identity.namespace,
                other => namespace == other,
            };
            place && (covers(pattern, host) || covers(host, pattern))
        })
    }

    /// Whether a VirtualService is seen: one of its hosts is named.
    pub(super) fn sees_virtual_service(&self, service: &VirtualServiceRecord) -> bool {
        let namespace = &service.identity.namespace;
        service
            .specification
            .hosts
            .iter()
            .any(|host| self.names(namespace, host))
    }

    /// Whether a service is seen by its name; destinations of seen VirtualServices are, too, which the caller adds.
    pub(super) fn sees_service(&self, service: &ServiceRecord) -> bool {
        self.names(&service.identity.namespace, &service.host)
    }
}
