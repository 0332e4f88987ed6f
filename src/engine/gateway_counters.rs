//! What the gateway's proxies counted: around a round of probes as corroboration, and for `status` as it stands.

use super::pods;
use super::proxy::ProxyAdmin;
use crate::cluster::Cluster;
use crate::error::Result;
use crate::evidence::{AccessLogLine, Counters, ProbeResult, UpstreamCluster, corroborate, read_counters};
use crate::plan::journal::Journal;
use crate::vocabulary::{PodName, Witness};
use futures::future::join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Each pod's counters.
pub(super) type Counted = BTreeMap<String, Counters>;

/// Reads the counters of some gateway pods. One that cannot be read is left out.
pub(super) async fn read(cluster: &Cluster, pods: &[PodName]) -> Counted {
    let of = |pod: PodName| async move {
        let counted = ProxyAdmin::new(cluster, &pod).counters().await.ok()?;
        Some((pod.to_string(), read_counters(&counted)?))
    };
    let read = join_all(pods.iter().cloned().map(of)).await;
    read.into_iter().flatten().collect()
}

/// What some pods counted meanwhile, by cluster, in words; of Istio's own clusters and those with plain names nothing.
pub(super) fn rose(before: &Counted, after: &Counted) -> String {
    let mut risen = Vec::new();
    for (pod, later) in after {
        let Some(earlier) = before.get(pod) else { continue };
        for (name, counters) in later {
            if matches!(UpstreamCluster::parse(name), UpstreamCluster::Other(_)) {
                continue;
            }
            let requests = earlier.get(name).copied().unwrap_or_default().requests;
            let more = counters.requests.saturating_sub(requests);
            if more > 0 {
                risen.push(format!("{pod} +{more} at {name}"));
            }
        }
    }
    if risen.is_empty() {
        "the proxies counted nothing meanwhile".to_owned()
    } else {
        format!("counted meanwhile, whoever sent it: {}", risen.join(", "))
    }
}

/// Compares each probe that a gateway pod's line tells of with what that pod counted meanwhile.
pub(super) fn compare<'run>(
    results: impl Iterator<Item = &'run mut ProbeResult>,
    lines: &[(String, AccessLogLine)],
    before: &Counted,
    after: &Counted,
    read_at: Option<&str>,
) {
    for result in results {
        let receipts = result.hops.iter().flat_map(|hop| &hop.receipts);
        let told = receipts
            .filter(|receipt| receipt.witness == Witness::GatewayLog)
            .find_map(|receipt| {
                let told =
                    |(pod, line): &&(String, AccessLogLine)| *pod == receipt.pod && line.raw == receipt.text;
                let (pod, line) = lines.iter().find(told)?;
                Some((pod.clone(), line.upstream_cluster.as_ref()?.to_string()))
            });
        let Some((pod, cluster)) = told else { continue };
        let of = |counted: &Counted| counted.get(&pod)?.get(&cluster).copied();
        if let (Some(earlier), Some(later)) = (of(before), of(after)) {
            corroborate(result, &pod, earlier, later, read_at);
        }
    }
}

/// What one gateway pod counted for one host of a plan, since the pod started or the host's addresses changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostCounters {
    /// The pod.
    pub pod: String,
    /// The proxy's name for the host and port.
    pub cluster: String,
    /// Connections begun, failed ones included.
    pub connections: u64,
    /// Connections that failed.
    pub connect_failures: u64,
    /// Requests; for TCP and TLS connections that were carried.
    pub requests: u64,
}

/// Reads the counters of a plan's hosts from every ready pod of its gateway.
///
/// # Errors
/// If the gateway's pods cannot be listed. A pod whose counters cannot be read is left out.
pub(super) async fn of_plan(cluster: &Cluster, journal: &Journal) -> Result<Vec<HostCounters>> {
    let gateway = &journal.gateway;
    let through: Vec<_> = journal
        .plan
        .hosts
        .iter()
        .filter(|planned| planned.how.through_gateway())
        .collect();
    if through.is_empty() {
        return Ok(Vec::new());
    }
    let pods = pods::ready(cluster, &gateway.namespace, &gateway.label_selector()).await?;
    let mut found = Vec::new();
    for (pod, counted) in read(cluster, &pods).await {
        for (name, counters) in counted {
            let upstream = UpstreamCluster::parse(&name);
            let of_host = |host: &str| {
                through
                    .iter()
                    .any(|planned| planned.host.to_string().eq_ignore_ascii_case(host))
            };
            let UpstreamCluster::Outbound { host, .. } = &upstream else {
                continue;
            };
            if !of_host(host) {
                continue;
            }
            found.push(HostCounters {
                pod: pod.clone(),
                cluster: name,
                connections: counters.connections,
                connect_failures: counters.connect_failures,
                requests: counters.requests,
            });
        }
    }
    Ok(found)
}
