//! Counters of a proxy's clusters, from `clusters?format=json` of its admin port.
//!
//! They corroborate or contradict; alone they prove nothing, because others may use the same gateway.

use super::ProbeResult;
use crate::finding::{Finding, catalogue};
use crate::vocabulary::{HopEnd, Outcome, Receipt, Witness, names};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Counters of one cluster, summed over its hosts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClusterCounters {
    /// Connections begun, failed ones included.
    pub connections: u64,
    /// Connections that failed.
    pub connect_failures: u64,
    /// Requests, or for TCP connections that were carried. A success over TCP shows here, not in `connections`
    /// (measured on the lab).
    pub requests: u64,
    /// HTTP responses that were no errors; stays 0 for TCP.
    pub successes: u64,
}

#[derive(Deserialize)]
struct Clusters {
    #[serde(default)]
    cluster_statuses: Vec<Cluster>,
}

#[derive(Deserialize)]
struct Cluster {
    name: String,
    #[serde(default)]
    host_statuses: Vec<Host>,
}

#[derive(Deserialize)]
struct Host {
    #[serde(default)]
    stats: Vec<Counter>,
}

#[derive(Deserialize)]
struct Counter {
    #[serde(default)]
    name: String,
    /// A text; absent where the value is zero (measured on the lab).
    #[serde(default)]
    value: Option<serde_json::Value>,
}

impl Cluster {
    fn sum(&self) -> ClusterCounters {
        let mut sum = ClusterCounters::default();
        for counter in self.host_statuses.iter().flat_map(|host| &host.stats) {
            let field = match counter.name.as_str() {
                "cx_total" => &mut sum.connections,
                "cx_connect_fail" => &mut sum.connect_failures,
                "rq_total" => &mut sum.requests,
                "rq_success" => &mut sum.successes,
                _ => continue,
            };
            *field = field.saturating_add(counter.number());
        }
        sum
    }
}

impl Counter {
    fn number(&self) -> u64 {
        match &self.value {
            Some(serde_json::Value::String(text)) => text.parse().unwrap_or_default(),
            Some(other) => other.as_u64().unwrap_or_default(),
            None => 0,
        }
    }
}

/// Counters by cluster.
pub type Counters = BTreeMap<String, ClusterCounters>;

/// Reads the counters of every cluster. `None` if the text is no such document.
pub fn read_counters(clusters_json: &[u8]) -> Option<Counters> {
    let clusters: Clusters = serde_json::from_slice(clusters_json).ok()?;
    let summed = clusters.cluster_statuses.into_iter().map(|cluster| {
        let sum = cluster.sum();
        (cluster.name, sum)
    });
    Some(summed.collect())
}

/// Adds the counters of the gateway's cluster of the host to a result, read before and after the probe.
///
/// - A routed probe whose request was not counted is contradicted: inconclusive, EGR-115.
/// - A counter that went back (the proxy restarted, or an address left the cluster) says nothing.
/// - Nothing becomes better by counters.
///
/// `read_at`: when the later ones were read, RFC 3339.
pub fn corroborate(
    result: &mut ProbeResult,
    pod: &str,
    before: ClusterCounters,
    after: ClusterCounters,
    read_at: Option<&str>,
) {
    let (Some(requests), Some(connections)) = (
        after.requests.checked_sub(before.requests),
        after.connections.checked_sub(before.connections),
    ) else {
        return;
    };
    let text = format!("requests +{requests}, connections +{connections}");
    if result.outcome == Outcome::Routed && requests == 0 {
        result.outcome = Outcome::Inconclusive;
        result.findings.push(
            Finding::new(
                &catalogue::CONTRADICTION,
                format!(
                    "the access logs show the request to {} at {pod}, its counters do not ({text})",
                    result.host
                ),
            )
            .about(format!("Pod {pod}")),
        );
    }
    if let Some(hop) = result
        .hops
        .iter_mut()
        .find(|hop| hop.from == HopEnd::Gateway && hop.to == HopEnd::Host)
    {
        hop.receipts.push(Receipt {
            witness: Witness::GatewayCounters,
            pod: pod.to_owned(),
            container: Some(names::PROXY_CONTAINER.to_owned()),
            time: read_at.map(str::to_owned),
            text,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: &str = "outbound|443||kyma-project.io";

    #[test]
    fn zero_has_no_key_and_values_are_texts() {
        let json = br#"{"cluster_statuses":[{"name":"other"},{"name":"outbound|443||kyma-project.io","observability_name":"outbound|443||kyma-project.io;","host_statuses":[
            {"stats":[{"name":"cx_connect_fail"},{"name":"cx_total","value":"3"},{"name":"rq_success"},{"name":"rq_total","value":"2"},{"type":"GAUGE","name":"cx_active"}]},
            {"stats":[{"name":"cx_total","value":"1"},{"name":"rq_total"}]}]}]}"#;
        let read = |json: &[u8], cluster: &str| read_counters(json)?.get(cluster).copied();
        let counters = read(json, CLUSTER);
        assert_eq!(
            counters,
            Some(ClusterCounters {
                connections: 4,
                connect_failures: 0,
                requests: 2,
                successes: 0
            })
        );
        assert_eq!(read(json, "outbound|80||kyma-project.io"), None);
        assert_eq!(read(json, "other"), Some(ClusterCounters::default()));
        assert_eq!(read(b"upstream connect error", CLUSTER), None);
    }
}
