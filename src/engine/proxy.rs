//! Reads a proxy's configuration over a port-forward to its admin port: for reading only.
//!
//! A probe that is sent before both proxies have the route is a clean 200, direct (measured on the lab), so
//! readiness is what the proxies hold, not what the API accepted. A port-forward takes 7 ms where an exec takes 210.

use super::proxy_dump::{Clusters, Listeners, Routes};
use super::transports;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::evidence::Transports;
use crate::plan::{GatewayTarget, Plan, PlannedHost, routing};
use crate::vocabulary::{PodName, Scheme};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Envoy's admin port in Istio's proxies.
const ADMIN_PORT: u16 = 15000;
/// A configuration dump of a large mesh has tens of megabytes; an answer takes no longer than this.
const DEADLINE: Duration = Duration::from_secs(20);

/// A connection to one proxy's admin port, opened again when it was lost.
#[derive(Debug)]
pub struct ProxyAdmin {
    cluster: Cluster,
    pod: PodName,
    sender: Option<Sender>,
}

type Sender = hyper::client::conn::http1::SendRequest<Empty<Bytes>>;

/// Tries of one read; a port-forward may be cut by whoever is between.
const TRIES: usize = 3;

impl ProxyAdmin {
    /// Names the proxy; the port-forward is opened by the first read.
    pub fn new(cluster: &Cluster, pod: &PodName) -> Self {
        Self {
            cluster: cluster.clone(),
            pod: pod.clone(),
            sender: None,
        }
    }

    async fn open(&self) -> Result<Sender> {
        let stream = self.cluster.port_forward(&self.pod, ADMIN_PORT).await?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.unreadable(&error))?;
        tokio::spawn(async move {
            // Ends with the sender; a broken connection shows at the next request.
            let _ = connection.await;
        });
        Ok(sender)
    }

    /// What is wanted of an answer; the rest of it is not kept.
    async fn read<Wanted: DeserializeOwned>(&mut self, path: &str) -> Result<Wanted> {
        let body = self.get_bytes(path).await?;
        serde_json::from_slice(&body).map_err(|error| self.unreadable(&error))
    }

    async fn get(&mut self, path: &str) -> Result<Value> {
        self.read(path).await
    }

    async fn get_bytes(&mut self, path: &str) -> Result<Bytes> {
        let mut attempt = 1;
        loop {
            match self.get_once(path).await {
                Err(_) if attempt < TRIES => {
                    self.sender = None;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn get_once(&mut self, path: &str) -> Result<Bytes> {
        let request = http::Request::get(path)
            .header(http::header::HOST, "localhost")
            .body(Empty::new())
            .map_err(|error| Error::bug(error.to_string()))?;
        let exchange = async {
            let mut sender = match self.sender.take() {
                Some(sender) => sender,
                None => self.open().await?,
            };
            sender.ready().await.map_err(|error| self.unreadable(&error))?;
            let response = sender
                .send_request(request)
                .await
                .map_err(|error| self.unreadable(&error))?;
            let status = response.status();
            let body = response
                .into_body()
                .collect()
                .await
                .map_err(|error| self.unreadable(&error))?
                .to_bytes();
            if !status.is_success() {
                return Err(self.unreadable(&format!("its admin port answered {status} to {path}")));
            }
            Ok((body, sender))
        };
        match tokio::time::timeout(DEADLINE, exchange).await {
            Ok(Ok((body, sender))) => {
                self.sender = Some(sender);
                Ok(body)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(self.unreadable(&"it did not answer in time")),
        }
    }

    fn unreadable(&self, cause: &dyn std::fmt::Display) -> Error {
        Error::cluster(format!(
            "the configuration of the proxy in {} cannot be read",
            self.pod
        ))
        .because(cause.to_string())
    }

    /// Reads what the proxy holds now.
    ///
    /// # Errors
    /// If the connection is gone or the answer is not what Envoy gives.
    pub async fn configuration(&mut self) -> Result<ProxyConfiguration> {
        // One after the other, so that no two of them are in memory at once.
        let mut configuration = ProxyConfiguration::default();
        configuration.add_listeners(&self.read("/config_dump?resource=dynamic_listeners").await?);
        configuration.add_routes(&self.read("/config_dump?resource=dynamic_route_configs").await?);
        configuration.add_clusters(self.read("/clusters?format=json").await?);
        Ok(configuration)
    }

    /// Reads how the proxy protects what it sends, by cluster; `filter` is a further part of the query.
    ///
    /// # Errors
    /// As [`Self::configuration`].
    pub(super) async fn transports(&mut self, filter: &str) -> Result<Transports> {
        let clusters = self
            .read(&format!("/config_dump?resource=dynamic_active_clusters{filter}"))
            .await?;
        let endpoints = self
            .read(&format!(
                "/config_dump?include_eds&resource=dynamic_endpoint_configs{filter}"
            ))
            .await?;
        Ok(transports::transports(clusters, &endpoints))
    }

    /// Reads the certificates that the proxy holds now, as `config_dump` gives them: without private keys.
    ///
    /// # Errors
    /// If the connection is gone or the answer is not what Envoy gives.
    pub async fn secrets(&mut self) -> Result<Value> {
        self.get("/config_dump?resource=dynamic_active_secrets").await
    }

    /// Reads the counters of every cluster, as `clusters?format=json` gives them: megabytes with a thousand hosts, which
    /// each reader takes apart by itself.
    ///
    /// # Errors
    /// As [`Self::configuration`], but that nobody looked into the answer.
    pub(super) async fn counters(&mut self) -> Result<Bytes> {
        self.get_bytes("/clusters?format=json").await
    }

    /// Reads which upstream connections are open now.
    ///
    /// # Errors
    /// If the connection is gone or the answer is not what Envoy gives.
    pub async fn open_connections(&mut self) -> Result<OpenConnections> {
        Ok(open_connections(&self.get("/clusters?format=json").await?))
    }
}

/// Open upstream connections by cluster; clusters without any are left out.
pub type OpenConnections = BTreeMap<String, u64>;

/// Reads `clusters?format=json`. A gauge of zero has no value (truth.md 9).
fn open_connections(clusters: &Value) -> OpenConnections {
    let statuses = clusters["cluster_statuses"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let mut open = OpenConnections::new();
    for status in statuses {
        let hosts = status["host_statuses"].as_array().map_or(&[][..], Vec::as_slice);
        let gauges = hosts
            .iter()
            .flat_map(|host| host["stats"].as_array().map_or(&[][..], Vec::as_slice))
            .filter(|gauge| gauge["name"] == "cx_active")
            .filter_map(|gauge| gauge["value"].as_str()?.parse::<u64>().ok());
        let active: u64 = gauges.sum();
        if let (Some(name), true) = (status["name"].as_str(), active > 0) {
            *open.entry(name.to_owned()).or_default() += active;
        }
    }
    open
}

/// Key of what a listener takes whatever server name it carries, such as opaque TCP to an address.
const ANY_NAME: &str = "";

/// By which name the sidecar recognises requests to a planned host.
fn name_at_sidecar(planned: &PlannedHost) -> String {
    let how = &planned.how;
    let headless = how.service.is_some() && !how.addresses.is_empty();
    match (how.service_host(), how.scheme()) {
        _ if how.own_proxy().is_some() => ANY_NAME.to_owned(),
        (Some(service), Scheme::Http) => service,
        (Some(_), Scheme::Https) if headless => ANY_NAME.to_owned(),
        _ => planned.host.to_string(),
    }
}

/// The part of a proxy's configuration that routing by server name (SNI) and by Host depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyConfiguration {
    /// Clusters that are active (warming ones are not).
    pub clusters: BTreeSet<String>,
    /// Clusters that a server name leads to, in active listeners, or a Host, in route configurations.
    pub ways: BTreeMap<String, BTreeSet<String>>,
}

impl ProxyConfiguration {
    fn add_clusters(&mut self, clusters: Clusters) {
        self.clusters.extend(clusters.into_names());
    }

    fn add_listeners(&mut self, listeners: &Listeners) {
        for chain in listeners.active_chains() {
            let names = chain.server_names();
            for cluster in chain.clusters() {
                if names.is_empty() {
                    self.add_way(ANY_NAME, cluster);
                }
                for name in names {
                    self.add_way(name, cluster);
                }
            }
        }
    }

    fn add_routes(&mut self, routes: &Routes) {
        for host in routes.virtual_hosts() {
            for domain in &host.domains {
                for cluster in host.clusters() {
                    self.add_way(domain, cluster);
                }
            }
        }
    }

    fn add_way(&mut self, name: &str, cluster: &str) {
        let ways = self.ways.entry(name.to_owned()).or_default();
        ways.insert(cluster.to_owned());
    }

    fn leads(&self, server_name: &str, cluster: &str) -> bool {
        self.clusters.contains(cluster)
            && self
                .ways
                .get(server_name)
                .is_some_and(|clusters| clusters.contains(cluster))
    }

    /// The first host that the source's sidecar does not yet send the planned way.
    pub fn missing_at_sidecar(&self, plan: &Plan, gateway: &GatewayTarget) -> Option<String> {
        let missing = plan.hosts.iter().find(|planned| {
            let way = routing::way(plan, gateway, planned);
            !self.leads(&name_at_sidecar(planned), &way.sidecar_cluster)
        })?;
        let whither = if missing.how.through_gateway() {
            "to the gateway"
        } else {
            "out"
        };
        Some(format!(
            "the sidecar of the source to route {} {whither}",
            missing.host_port()
        ))
    }

    /// The first host that the gateway does not yet send on.
    pub fn missing_at_gateway(&self, plan: &Plan, gateway: &GatewayTarget) -> Option<String> {
        let missing = plan.hosts.iter().find(|planned| {
            routing::way(plan, gateway, planned)
                .gateway
                .is_some_and(|leg| !self.leads(planned.host.as_str(), &leg.cluster))
        })?;
        Some(format!("the gateway to route {} on", missing.host_port()))
    }
}

pub(super) fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[][..], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A configuration of dumps.
    fn read(listeners: Value, routes: Value, clusters: Value) -> ProxyConfiguration {
        let mut configuration = ProxyConfiguration::default();
        configuration.add_listeners(&serde_json::from_value(listeners).unwrap());
        configuration.add_routes(&serde_json::from_value(routes).unwrap());
        configuration.add_clusters(serde_json::from_value(clusters).unwrap());
        configuration
    }

    fn dump(state: &str) -> Value {
        json!({"configs": [{"name": "0.0.0.0_8443", state: {"listener": {"filter_chains": [
            {"filter_chain_match": {"server_names": ["a.example"]},
             "filters": [{"name": "istio.stats"}, {"name": "envoy.filters.network.tcp_proxy", "typed_config": {"cluster": "outbound|443||a.example"}}]}]}}}]})
    }

    #[test]
    fn an_active_chain_with_its_cluster_counts_and_a_draining_one_does_not() {
        let clusters = json!({"cluster_statuses": [{"name": "outbound|443||a.example"}]});
        assert!(
            read(dump("active_state"), json!({}), clusters.clone())
                .leads("a.example", "outbound|443||a.example")
        );
        assert!(
            !read(dump("draining_state"), json!({}), clusters).leads("a.example", "outbound|443||a.example")
        );
    }

    #[test]
    fn a_host_of_plain_http_is_found_in_the_routes() {
        let cluster = "outbound|80|egress-default-a-example|gw.istio-system.svc.cluster.local";
        let routes = json!({"configs": [{"route_config": {"name": "80", "virtual_hosts": [
            {"domains": ["a.example"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": cluster}}]}]}}]});
        let clusters = json!({"cluster_statuses": [{"name": cluster}]});
        let configuration = read(json!({}), routes, clusters);
        assert!(configuration.leads("a.example", cluster));
        assert!(!configuration.leads("b.example", cluster));
    }

    #[test]
    fn open_connections_are_counted_over_the_hosts_of_a_cluster() {
        let host = |stats: Value| json!({"stats": stats});
        let clusters = json!({"cluster_statuses": [
            {"name": "PassthroughCluster", "host_statuses": [
                host(json!([{"name": "cx_total", "value": "9"}, {"name": "cx_active", "type": "GAUGE", "value": "2"}])),
                host(json!([{"name": "cx_active", "type": "GAUGE", "value": "1"}])),
                host(json!([{"name": "cx_active", "type": "GAUGE"}]))]},
            {"name": "idle", "host_statuses": [host(json!([{"name": "cx_active", "type": "GAUGE"}]))]}]});
        let expected = OpenConnections::from([("PassthroughCluster".to_owned(), 3)]);
        assert_eq!(open_connections(&clusters), expected);
    }

    #[test]
    fn a_chain_whose_cluster_is_still_warming_does_not_count() {
        let none = json!({"cluster_statuses": []});
        assert!(!read(dump("active_state"), json!({}), none).leads("a.example", "outbound|443||a.example"));
    }
}
