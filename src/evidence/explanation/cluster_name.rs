//! Names of clusters, read into words.

use super::super::UpstreamCluster;

/// A cluster of the inbound side: `inbound|PORT||`.
pub(super) const INBOUND_PASSTHROUGH: &[&str] = &[
    "InboundPassthroughCluster",
    "InboundPassthroughClusterIpv4",
    "InboundPassthroughClusterIpv6",
];

/// What a cluster is, as a sentence without its full stop.
pub fn cluster_meaning(cluster: &UpstreamCluster) -> String {
    match cluster {
        UpstreamCluster::Passthrough => {
            "destinations that the mesh does not know, let out because of outboundTrafficPolicy ALLOW_ANY"
                .to_owned()
        }
        UpstreamCluster::BlackHole => {
            "destinations that the mesh does not know, stopped because of outboundTrafficPolicy REGISTRY_ONLY"
                .to_owned()
        }
        UpstreamCluster::Outbound { port, subset, host } => outbound(*port, subset, host),
        UpstreamCluster::Other(name) => other(name),
    }
}

fn outbound(port: u16, subset: &str, host: &str) -> String {
    let what = match service_of(host) {
        Some((name, namespace)) => format!("port {port} of the Service {namespace}/{name}"),
        None => format!("port {port} of {host}, as a ServiceEntry declares it"),
    };
    if subset.is_empty() {
        what
    } else {
        format!("{what}, with the settings of subset {subset} of a DestinationRule")
    }
}

fn other(name: &str) -> String {
    if INBOUND_PASSTHROUGH.contains(&name) {
        return "a port of the pod itself that no Service names".to_owned();
    }
    match name.split('|').collect::<Vec<_>>().as_slice() {
        ["inbound", port, ..] => format!("port {port} of the pod itself: a request that came in"),
        _ => match name {
            "agent" | "prometheus_stats" | "xds-grpc" | "sds-grpc" | "zipkin" => {
                "the proxy's own agent or telemetry".to_owned()
            }
            _ => "a cluster that is none of Istio's own".to_owned(),
        },
    }
}

/// Name and namespace in `NAME.NAMESPACE.svc.DOMAIN`.
pub fn service_of(host: &str) -> Option<(&str, &str)> {
    let (name, rest) = host.split_once('.')?;
    let (namespace, rest) = rest.split_once('.')?;
    (rest == "svc" || rest.starts_with("svc.")).then_some((name, namespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_name_is_read() {
        for (name, says) in [
            ("PassthroughCluster", "ALLOW_ANY"),
            ("BlackHoleCluster", "REGISTRY_ONLY"),
            ("InboundPassthroughCluster", "pod itself"),
            ("inbound|8080||", "port 8080 of the pod itself"),
            ("outbound|443||kyma-project.io;", "port 443 of kyma-project.io"),
            (
                "outbound|443|kyma-project|istio-egressgateway.istio-system.svc.cluster.local",
                "the Service istio-system/istio-egressgateway, with the settings of subset kyma-project",
            ),
            ("xds-grpc", "agent"),
            ("mine", "none of Istio's own"),
        ] {
            let meaning = cluster_meaning(&UpstreamCluster::parse(name));
            assert!(meaning.contains(says), "{name}: {meaning}");
        }
    }

    #[test]
    fn only_names_of_services_are_services() {
        assert_eq!(service_of("a.b.svc.cluster.local"), Some(("a", "b")));
        assert_eq!(service_of("a.b.svc"), Some(("a", "b")));
        assert_eq!(service_of("a.b.svcx.local"), None);
        assert_eq!(service_of("www.kyma-project.io"), None);
        assert_eq!(service_of("a"), None);
    }
}
