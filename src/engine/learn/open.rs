//! Connections that are open still: they have no line yet, only the sidecars' counters tell of them.

use super::flow::{self, Way};
use super::inside::Inside;
use crate::cluster::Cluster;
use crate::engine::proxy::{ProxyAdmin, items};
use crate::evidence::UpstreamCluster;
use crate::vocabulary::PodName;
use futures::stream::{self, StreamExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Sidecars read at a time.
const READS: usize = 8;
/// Sidecars read at all, as for a lock.
pub(super) const MOST: usize = 200;

/// Connections of one workload that are open, by cluster and address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Open {
    /// The workload.
    pub workload: String,
    /// The sidecar's cluster.
    pub cluster: String,
    /// `ADDRESS:PORT` that the sidecar is connected to, if it is one.
    pub address: Option<String>,
    /// Which way they take.
    pub way: Way,
    /// How many there are.
    pub connections: u64,
}

/// What one sidecar counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Open connections by cluster and address.
    pub(super) open: BTreeMap<(String, Option<SocketAddr>), u64>,
    /// Connections since it started, open ones included.
    pub(super) total: u64,
}

/// Reads some sidecars; `None` for one that could not be read.
pub(super) async fn read(cluster: &Cluster, pods: Vec<PodName>) -> BTreeMap<String, Option<Counted>> {
    let of = |pod: PodName| async move {
        let counters = ProxyAdmin::new(cluster, &pod).counters().await;
        let read = counters
            .ok()
            .and_then(|counters| serde_json::from_slice(&counters).ok());
        (pod.name, read.map(|clusters: Value| counted(&clusters)))
    };
    stream::iter(pods.into_iter().take(MOST).map(of))
        .buffered(READS)
        .collect()
        .await
}

/// Reads `clusters?format=json`: outgoing clusters alone. A value of zero is not there (truth.md 9).
pub(super) fn counted(clusters: &Value) -> Counted {
    let mut found = Counted::default();
    for status in items(clusters, "cluster_statuses") {
        let Some(name) = status["name"].as_str() else {
            continue;
        };
        if !leads_out_of_the_pod(name) {
            continue;
        }
        for host in items(status, "host_statuses") {
            let value = |wanted: &str| -> u64 {
                let named = items(host, "stats")
                    .iter()
                    .filter(|gauge| gauge["name"] == wanted);
                named
                    .filter_map(|gauge| gauge["value"].as_str()?.parse::<u64>().ok())
                    .sum()
            };
            found.total += value("cx_total");
            let active = value("cx_active");
            if active > 0 {
                *found.open.entry((name.to_owned(), address(host))).or_default() += active;
            }
        }
    }
    found
}

fn address(host: &Value) -> Option<SocketAddr> {
    let socket = &host["address"]["socket_address"];
    let ip: IpAddr = socket["address"].as_str()?.parse().ok()?;
    let port = u16::try_from(socket["port_value"].as_u64()?).ok()?;
    Some(SocketAddr::new(ip.to_canonical(), port))
}

fn leads_out_of_the_pod(cluster: &str) -> bool {
    !matches!(UpstreamCluster::parse(cluster), UpstreamCluster::Other(_))
}

/// Adds up what the sidecars of each workload hold open.
pub(super) fn by_workload<'a>(
    counted: impl Iterator<Item = (&'a str, &'a Counted)>,
    inside: &Inside,
) -> Vec<Open> {
    let mut sums: BTreeMap<(String, String, Option<SocketAddr>), u64> = BTreeMap::new();
    for (workload, counted) in counted {
        for ((cluster, address), count) in &counted.open {
            *sums
                .entry((workload.to_owned(), cluster.clone(), *address))
                .or_default() += count;
        }
    }
    let open = sums
        .into_iter()
        .filter_map(|((workload, cluster, address), connections)| {
            let place = flow::place(&UpstreamCluster::parse(&cluster), address, || None, inside)?;
            Some(Open {
                workload,
                cluster,
                address: address.map(|address| address.to_string()),
                way: place.way,
                connections,
            })
        });
    open.collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::inside;
    use super::*;
    use serde_json::json;

    #[test]
    fn open_connections_are_told_by_cluster_and_address() {
        let host = |address: &str, port: u16, active: &str| {
            json!({"address": {"socket_address": {"address": address, "port_value": port}}, "stats": [
                {"name": "cx_total", "value": "5"}, {"type": "GAUGE", "name": "cx_active", "value": active}]})
        };
        let clusters = json!({"cluster_statuses": [
            {"name": "PassthroughCluster", "host_statuses": [host("203.0.113.10", 443, "2"), {"stats": [{"name": "cx_active"}]}]},
            {"name": "outbound|80||web.demo.svc.cluster.local", "host_statuses": [host("198.18.0.30", 8080, "1")]},
            {"name": "xds-grpc", "host_statuses": [{"address": {"pipe": {"path": "./XDS"}}, "stats": [{"name": "cx_active", "value": "9"}]}]},
            {"name": "inbound|8080||", "host_statuses": [host("198.18.0.2", 8080, "4")]}]});
        let counted = counted(&clusters);
        assert_eq!(counted.total, 10);
        let open = by_workload(
            [("Deployment/shop", &counted), ("Deployment/shop", &counted)].into_iter(),
            &inside(),
        );
        let told: Vec<_> = open
            .iter()
            .map(|open| (open.address.as_deref(), open.way, open.connections))
            .collect();
        assert_eq!(
            told,
            [
                (Some("203.0.113.10:443"), Way::Direct, 4),
                (Some("198.18.0.30:8080"), Way::InCluster, 2)
            ]
        );
    }
}
