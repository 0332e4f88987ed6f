//! Names of Envoy clusters as Istio makes them.

use crate::istio::access_log::{BLACK_HOLE_CLUSTER, PASSTHROUGH_CLUSTER};
use std::fmt;

/// The cluster that a proxy sent a request to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UpstreamCluster {
    /// `outbound|PORT|SUBSET|HOST`: a Service or ServiceEntry that the proxy knows.
    Outbound {
        /// Port of the Service or ServiceEntry, not of its targets.
        port: u16,
        /// Subset of a DestinationRule; empty if none.
        subset: String,
        /// The host; may begin with `*.`.
        host: String,
    },
    /// Traffic to unknown hosts under ALLOW_ANY.
    Passthrough,
    /// Traffic to unknown hosts under REGISTRY_ONLY.
    BlackHole,
    /// Anything else, for example inbound clusters.
    Other(String),
}

impl UpstreamCluster {
    /// Reads a cluster's name.
    ///
    /// One `;` at the end is taken off: `%UPSTREAM_CLUSTER%` in a format of the operator's own writes the cluster's
    /// observability name, which ends in one (measured on the lab: even `PassthroughCluster;`).
    pub fn parse(name: &str) -> Self {
        let name = name.strip_suffix(';').unwrap_or(name);
        match name {
            PASSTHROUGH_CLUSTER => return Self::Passthrough,
            BLACK_HOLE_CLUSTER => return Self::BlackHole,
            _ => {}
        }
        let mut parts = name.splitn(4, '|');
        let known = (
            parts.next(),
            parts.next().map(str::parse),
            parts.next(),
            parts.next(),
        );
        match known {
            (Some("outbound"), Some(Ok(port)), Some(subset), Some(host)) if !host.is_empty() => {
                Self::Outbound {
                    port,
                    subset: subset.to_owned(),
                    host: host.to_owned(),
                }
            }
            _ => Self::Other(name.to_owned()),
        }
    }

    /// Whether it is the cluster of this very Service, on any port and with any subset.
    pub fn is_of_service(&self, service_host: &str) -> bool {
        matches!(self, Self::Outbound { host, .. } if host.eq_ignore_ascii_case(service_host))
    }

    /// Whether it is the cluster of an external host, by its own name or by a wildcard that covers it.
    ///
    /// A wildcard stands for one or more labels, as in Istio's ServiceEntry.
    pub fn is_of_host(&self, wanted: &str) -> bool {
        let Self::Outbound { host, .. } = self else {
            return false;
        };
        match host.strip_prefix('*') {
            Some(suffix) if suffix.starts_with('.') => wanted
                .len()
                .checked_sub(suffix.len())
                .filter(|start| *start > 0)
                .and_then(|start| wanted.get(start..))
                .is_some_and(|end| end.eq_ignore_ascii_case(suffix)),
            _ => host.eq_ignore_ascii_case(wanted),
        }
    }

    /// Whether it is the cluster of an external host on this port.
    pub fn is_of(&self, wanted: &str, wanted_port: u16) -> bool {
        self.is_of_host(wanted) && matches!(self, Self::Outbound { port, .. } if *port == wanted_port)
    }
}

impl fmt::Display for UpstreamCluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outbound { port, subset, host } => write!(formatter, "outbound|{port}|{subset}|{host}"),
            Self::Passthrough => formatter.write_str(PASSTHROUGH_CLUSTER),
            Self::BlackHole => formatter.write_str(BLACK_HOLE_CLUSTER),
            Self::Other(name) => formatter.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_names_that_istio_makes() {
        let gateway = UpstreamCluster::parse(
            "outbound|443|kyma-project|istio-egressgateway.istio-system.svc.cluster.local",
        );
        assert!(gateway.is_of_service("istio-egressgateway.istio-system.svc.cluster.local"));
        assert!(!gateway.is_of_service("gateway.istio-system.svc.cluster.local"));
        assert_eq!(
            UpstreamCluster::parse("PassthroughCluster;"),
            UpstreamCluster::Passthrough
        );
        assert_eq!(
            UpstreamCluster::parse("BlackHoleCluster"),
            UpstreamCluster::BlackHole
        );
        for other in [
            "",
            "outbound|x||h",
            "outbound|443||",
            "inbound|80||",
            "outbound|443|h",
            "outbound|99999||h",
        ] {
            assert_eq!(
                UpstreamCluster::parse(other),
                UpstreamCluster::Other(other.to_owned())
            );
        }
    }

    #[test]
    fn a_semicolon_of_the_operators_format_is_taken_off() {
        let cluster = UpstreamCluster::parse("outbound|443||kyma-project.io;");
        assert!(cluster.is_of("kyma-project.io", 443));
        assert!(!cluster.is_of("kyma-project.io", 80));
        assert_eq!(cluster.to_string(), "outbound|443||kyma-project.io");
    }

    #[test]
    fn a_wildcard_covers_names_below_it_only() {
        let cluster = UpstreamCluster::parse("outbound|443||*.wild.test");
        assert!(cluster.is_of_host("a.wild.test"));
        assert!(cluster.is_of_host("a.b.wild.test"));
        assert!(!cluster.is_of_host("wild.test"));
        assert!(!cluster.is_of_host(".wild.test"));
        assert!(!cluster.is_of_host("awild.test"));
        assert!(!UpstreamCluster::parse("outbound|443||kyma-project.io").is_of_host("www.kyma-project.io"));
    }
}
