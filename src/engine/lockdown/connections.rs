//! Connections that were open before the lock. Engines keep them (truth.md 2), so they are named, never called blocked. Our own source's are ended with
//! its pod, so that a later probe does not use one of them.

use crate::cluster::Cluster;
use crate::engine::pods;
use crate::engine::proxy::{OpenConnections, ProxyAdmin};
use crate::finding::{Finding, catalogue};
use crate::plan::source;
use crate::vocabulary::{Object, PodName};
use futures::stream::{self, StreamExt};

/// Sidecars read at a time.
const READS: usize = 8;
/// Sidecars read at all: a namespace of thousands would take minutes, and the lock waits.
const MOST: usize = 200;

/// What was found open.
#[derive(Debug, Default)]
pub(super) struct OpenBefore {
    /// Pods of our own source among them: nobody minds their restart.
    pub(super) own: Vec<PodName>,
    /// Everything else, as findings.
    pub(super) findings: Vec<Finding>,
}

/// Sidecars of `pods` with open connections to somewhere that is not in the mesh and not the gateway.
pub(super) async fn open_before(cluster: &Cluster, pods_there: &[Object], gateway_host: &str) -> OpenBefore {
    let own: Vec<PodName> = pods_there
        .iter()
        .filter(|pod| pod.labels_match("/metadata/labels", &source::selector()))
        .map(pods::name)
        .collect();
    let meshed: Vec<PodName> = pods_there
        .iter()
        .filter(|pod| pods::has_sidecar(pod) && pods::is_ready(pod))
        .map(pods::name)
        .collect();
    let left_out = meshed.len().saturating_sub(MOST);
    let read = stream::iter(meshed.into_iter().take(MOST)).map(|pod| async move {
        let mut admin = ProxyAdmin::new(cluster, &pod);
        let open = admin.open_connections().await;
        (pod, open)
    });
    let answers: Vec<_> = read.buffered(READS).collect().await;
    let mut found = OpenBefore::default();
    let mut unread = left_out;
    for (pod, answer) in answers {
        match answer.map(|open| of_pod(&pod, &open, gateway_host)) {
            Ok(Some(_)) if own.contains(&pod) => found.own.push(pod),
            Ok(finding) => found.findings.extend(finding),
            Err(_) => unread += 1,
        }
    }
    if unread > 0 {
        found.findings.push(Finding::new(
            &catalogue::CONNECTIONS_FROM_BEFORE,
            format!("the open connections of {unread} sidecars could not be read"),
        ));
    }
    found
}

fn of_pod(pod: &PodName, open: &OpenConnections, gateway_host: &str) -> Option<Finding> {
    let outside: Vec<String> = open
        .iter()
        .filter(|(cluster, _)| leads_outside(cluster, gateway_host))
        .map(|(cluster, count)| format!("{count} by {cluster}"))
        .collect();
    (!outside.is_empty()).then(|| {
        Finding::new(
            &catalogue::CONNECTIONS_FROM_BEFORE,
            format!(
                "pod {pod} has open connections past the gateway: {}",
                outside.join(", ")
            ),
        )
        .about(format!("Pod {pod}"))
    })
}

/// Clusters that lead out of the cluster: unknown hosts, and declared ones without the gateway. A Service of the
/// cluster ends in `.svc.` and its domain.
fn leads_outside(cluster: &str, gateway_host: &str) -> bool {
    if cluster == "PassthroughCluster" {
        return true;
    }
    let host = cluster
        .strip_prefix("outbound|")
        .and_then(|rest| rest.rsplit('|').next());
    host.is_some_and(|host| host != gateway_host && !host.contains(".svc.") && !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leads_outside_past_the_gateway_counts() {
        let gateway = "istio-egressgateway.istio-system.svc.cluster.local";
        for outside in ["PassthroughCluster", "outbound|443||www.example.com"] {
            assert!(leads_outside(outside, gateway), "{outside}");
        }
        let gateway_cluster = format!("outbound|443|egress-default|{gateway}");
        for inside in [
            gateway_cluster.as_str(),
            "xds-grpc",
            "BlackHoleCluster",
            "outbound|80||shop.demo.svc.cluster.local",
        ] {
            assert!(!leads_outside(inside, gateway), "{inside}");
        }
    }
}
