//! The egress gateway that a plan uses, as far as routing needs to know it.

use crate::vocabulary::LabelSelector;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// An egress gateway: its Service, its pods' labels and the port that takes TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayTarget {
    /// Namespace of Service and pods.
    pub namespace: String,
    /// Name of the Service.
    pub service: String,
    /// Labels that select its pods, as the Service does.
    pub selector: BTreeMap<String, String>,
    /// Port of the Service that takes TLS, 443 as a rule.
    pub tls_port: u16,
    /// Port of the pods behind it, 8443 as a rule. A NetworkPolicy names this one.
    pub tls_target_port: u16,
    /// Port that takes HTTP, if the Service has one: port 80 as a rule. An HTTPS server for mutual TLS listens there too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<GatewayPort>,
    /// Whether we create its workload.
    #[serde(default)]
    pub created: bool,
}

/// A port of a gateway's Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayPort {
    /// Port of the Service.
    pub port: u16,
    /// Port of the pods behind it.
    pub target_port: u16,
}

impl GatewayPort {
    /// What Istio's own egress gateways have: 80, at 8080 of the pods.
    pub const CUSTOMARY_HTTP: Self = Self {
        port: 80,
        target_port: 8080,
    };
}

impl GatewayTarget {
    /// DNS name of the Service, as routes and clusters name it. The lab and nearly all clusters use `cluster.local`.
    pub fn service_host(&self) -> String {
        format!("{}.{}.svc.cluster.local", self.service, self.namespace)
    }

    /// The selector as the API's label selector text.
    pub fn label_selector(&self) -> String {
        LabelSelector::from_labels(&self.selector).to_string()
    }
}

impl fmt::Display for GatewayTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.service)
    }
}
