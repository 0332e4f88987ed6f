//! How each fault shows, how to see it without this tool, and where to read on: the longer half of an article, by code.

mod bypass;
mod certificates;
mod evidence;
mod gateway;
mod lint;
mod lock;
mod origination;
mod routing;

/// What one looks for, and where, without this tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guide {
    /// `EGR-nnn`.
    pub code: &'static str,
    /// What a user notices.
    pub symptom: &'static str,
    /// Commands of kubectl, istioctl, curl or openssl that show it.
    pub by_hand: &'static [&'static str],
    /// Documents by name; RFCs by number and section.
    pub references: &'static [&'static str],
}

/// The guide of a code.
pub fn guide(code: &str) -> Option<&'static Guide> {
    all().find(|guide| guide.code == code)
}

/// Every guide.
fn all() -> impl Iterator<Item = &'static Guide> {
    [
        evidence::GUIDES,
        origination::GUIDES,
        gateway::GUIDES,
        routing::GUIDES,
        lint::GUIDES,
        certificates::GUIDES,
        lock::GUIDES,
        bypass::GUIDES,
    ]
    .into_iter()
    .flatten()
}

macro_rules! guides {
    ($($code:literal: $symptom:literal; $($hand:literal),+; $($reference:ident),+;)+) => {
        pub(super) static GUIDES: &[$crate::finding::guides::Guide] = &[$($crate::finding::guides::Guide {
            code: $code,
            symptom: $symptom,
            by_hand: &[$($hand),+],
            references: &[$($crate::finding::guides::reference::$reference),+],
        }),+];
    };
}
use guides;

/// Documents that are referred to more than once; a name is written in one place.
mod reference {
    pub(super) const AMBIENT: &str = "Istio, Ambient mode: Overview";
    pub(super) const EGRESS_GATEWAYS: &str = "Istio, Tasks: Egress Gateways";
    pub(super) const EXTERNAL_SERVICES: &str = "Istio, Tasks: Accessing External Services";
    pub(super) const TLS_ORIGINATION: &str = "Istio, Tasks: Egress TLS Origination";
    pub(super) const GATEWAY_ORIGINATION: &str = "Istio, Tasks: Egress Gateways with TLS Origination";
    pub(super) const WILDCARDS: &str = "Istio, Tasks: Egress using Wildcard Hosts";
    pub(super) const ACCESS_LOGS: &str = "Istio, Tasks: Envoy Access Logs";
    pub(super) const TELEMETRY: &str = "Istio, Reference: Telemetry";
    pub(super) const MESH_CONFIG: &str = "Istio, Reference: Global Mesh Options";
    pub(super) const PROXY_DEBUG: &str = "Istio, Operations: Debugging Envoy and Istiod";
    pub(super) const TRAFFIC_PROBLEMS: &str = "Istio, Operations: Traffic Management Problems";
    pub(super) const SECURITY_PRACTICES: &str = "Istio, Operations: Security Best Practices";
    pub(super) const INJECTION: &str = "Istio, Setup: Installing the Sidecar";
    pub(super) const DESTINATION_RULE: &str = "Istio, Reference: Destination Rule";
    pub(super) const SERVICE_ENTRY: &str = "Istio, Reference: Service Entry";
    pub(super) const GATEWAY: &str = "Istio, Reference: Gateway";
    pub(super) const AUTHORIZATION: &str = "Istio, Reference: Authorization Policy";
    pub(super) const RESPONSE_FLAGS: &str = "Envoy: Access logging, response flags";
    pub(super) const RESPONSE_DETAILS: &str = "Envoy: Response Code Details";
    pub(super) const FORWARDED_CERT: &str = "Envoy: HTTP headers, x-forwarded-client-cert";
    pub(super) const CURL: &str = "curl's manual page, EXIT CODES";
    pub(super) const NETWORK_POLICIES: &str = "Kubernetes: Network Policies";
    pub(super) const POD_SECURITY: &str = "Kubernetes: Pod Security Standards";
    pub(super) const DNS: &str = "Kubernetes: DNS for Services and Pods";
    pub(super) const NODE_LOCAL_DNS: &str = "Kubernetes: Using NodeLocal DNSCache";
    pub(super) const RBAC: &str = "Kubernetes: Using RBAC Authorization";
    pub(super) const DEPLOYMENTS: &str = "Kubernetes: Deployments";
    pub(super) const SECRETS: &str = "Kubernetes: Secrets";
    pub(super) const EPHEMERAL: &str = "Kubernetes: Ephemeral Containers";
    pub(super) const APPLY: &str = "Kubernetes: Server-Side Apply";
    pub(super) const KYMA: &str = "Kyma, Istio module: Istio Custom Resource";
    pub(super) const KYMA_POLICIES: &str = "Kyma, Istio module: Network Policies";
    pub(super) const TLS13_ALERTS: &str = "RFC 8446, section 6 (alerts)";
    pub(super) const TLS13_CERTIFICATE: &str = "RFC 8446, section 4.4.2 (Certificate)";
    pub(super) const X509: &str = "RFC 5280, sections 4.1.2.5 (validity) and 4.2.1 (extensions)";
    pub(super) const SERVICE_IDENTITY: &str = "RFC 9525 (service identity in TLS)";
    pub(super) const SNI: &str = "RFC 6066, section 3 (server name indication)";
    pub(super) const PEM: &str = "RFC 7468 (textual encodings of certificates and keys)";
    pub(super) const HTTP: &str = "RFC 9110 (HTTP semantics)";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::catalogue;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_has_one_guide() {
        let codes: Vec<_> = all().map(|guide| guide.code).collect();
        let guided: BTreeSet<_> = codes.iter().copied().collect();
        assert_eq!(guided.len(), codes.len(), "a code has two guides");
        for article in catalogue::all() {
            assert!(guided.contains(article.code), "{} has no guide", article.code);
        }
    }

    #[test]
    fn guides_say_something_and_invent_no_addresses() {
        for guide in all() {
            assert!(
                guide.symptom.len() > 20 && guide.symptom.ends_with('.'),
                "{}",
                guide.code
            );
            assert!(
                !guide.by_hand.is_empty() && !guide.references.is_empty(),
                "{}",
                guide.code
            );
            let text = format!("{guide:?}");
            assert!(
                !text.contains("://") || guide.by_hand.iter().any(|hand| hand.contains("://")),
                "{}",
                guide.code
            );
            assert!(
                !guide.by_hand.iter().any(|hand| hand.contains("kubectl egress")),
                "{}",
                guide.code
            );
        }
    }
}
