//! Who is meant by an entry of `to` or `from`.

use super::address_block::AddressBlock;
use crate::vocabulary::{LabelSelector, Object};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Label that the API server puts on every namespace.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Whether a peer is meant, from the weakest to the strongest answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Match {
    No,
    /// It depends on an address that is not known.
    Unknown,
    Yes,
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Other<'a> {
    address: Option<IpAddr>,
    pod: Option<&'a Object>,
}

impl<'a> Other<'a> {
    /// Something outside, at an address that nobody told.
    pub(super) const UNKNOWN: Other<'static> = Other {
        address: None,
        pod: None,
    };

    pub(super) fn new(address: IpAddr, pod: Option<&'a Object>) -> Self {
        Self {
            address: Some(address),
            pod,
        }
    }

    /// Whether it is this pod.
    pub(super) fn is(self, pod: &Object) -> bool {
        self.pod
            .is_some_and(|other| other.namespace() == pod.namespace() && other.name() == pod.name())
    }
}

/// Whether a pod has the node's address.
pub(super) fn on_host_network(pod: &Object) -> bool {
    pod.at("/spec/hostNetwork") == true
}

/// One entry of `to` or `from`.
#[derive(Debug, Clone)]
pub(super) enum Peer {
    /// Pods with these labels, in namespaces with those; `None` is the policy's own namespace.
    Pods {
        namespaces: Option<LabelSelector>,
        pods: LabelSelector,
    },
    /// Addresses.
    Block(AddressBlock),
    /// The API server admits no such entry: it names nothing, or what is no block.
    Nobody,
}

impl Peer {
    pub(super) fn read(peer: &Value) -> Self {
        let (namespaces, pods, block) = (&peer["namespaceSelector"], &peer["podSelector"], &peer["ipBlock"]);
        if !block.is_null() {
            return AddressBlock::read(block).map_or(Self::Nobody, Self::Block);
        }
        if namespaces.is_null() && pods.is_null() {
            return Self::Nobody;
        }
        Self::Pods {
            namespaces: (!namespaces.is_null()).then(|| LabelSelector::from_object(namespaces)),
            pods: LabelSelector::from_object(pods),
        }
    }

    /// Whether it means the other end, for a policy of a namespace.
    pub(super) fn matches(
        &self,
        own_namespace: &str,
        other: Other<'_>,
        namespaces: &BTreeMap<String, Value>,
    ) -> Match {
        let yes = match self {
            Self::Block(block) => match other.address {
                Some(address) => block.contains(address),
                None => return Match::Unknown,
            },
            Self::Pods { .. } => other
                .pod
                .is_some_and(|pod| self.selects(own_namespace, pod, namespaces)),
            Self::Nobody => false,
        };
        if yes { Match::Yes } else { Match::No }
    }

    /// Whether its selectors select a pod.
    pub(super) fn selects(
        &self,
        own_namespace: &str,
        pod: &Object,
        namespaces: &BTreeMap<String, Value>,
    ) -> bool {
        let Self::Pods {
            namespaces: wanted,
            pods,
        } = self
        else {
            return false;
        };
        let namespace = pod.namespace().unwrap_or_default();
        let namespace_fits = match wanted {
            None => namespace == own_namespace,
            Some(selector) => {
                let mut labels = match namespaces.get(namespace) {
                    Some(labels) if labels.is_object() => labels.clone(),
                    _ => json!({}),
                };
                labels[NAME_LABEL] = json!(namespace);
                selector.matches(&labels)
            }
        };
        namespace_fits && !on_host_network(pod) && pods.matches(pod.at("/metadata/labels"))
    }
}
