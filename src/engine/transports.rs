//! How proxies protect what they send, read from their live configuration: what the plan says is not asked.

use super::probe_plan::Planned;
use super::proxy::{ProxyAdmin, items};
use crate::cluster::Cluster;
use crate::evidence::{LiveConfiguration, Transports};
use crate::plan::GatewayTarget;
use crate::vocabulary::{Encryption, PodName};
use futures::future::join_all;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// More names than this are not asked for by name: they travel in the URL of the request.
const MOST_NAMES: usize = 40;

/// Reads the proxies on the way of some probes. One that cannot be read is left out, so that its legs stay unknown.
pub(super) async fn read(
    cluster: &Cluster,
    gateway: &GatewayTarget,
    sidecar: Option<&PodName>,
    gateway_pods: &[PodName],
    probes: &[Planned],
) -> LiveConfiguration {
    let filter = filter(gateway, probes);
    let of = |pod: PodName| {
        let filter = filter.as_str();
        async move {
            let mut admin = ProxyAdmin::new(cluster, &pod);
            (pod, admin.transports(filter).await.unwrap_or_default())
        }
    };
    let of_sidecar = async {
        match sidecar {
            Some(pod) => of(pod.clone()).await.1,
            None => Transports::new(),
        }
    };
    let (sidecar, gateways) = tokio::join!(of_sidecar, join_all(gateway_pods.iter().cloned().map(of)));
    LiveConfiguration {
        sidecar,
        gateway: gateways
            .into_iter()
            .map(|(pod, transports)| (pod.to_string(), transports))
            .collect(),
    }
}

/// The query that leaves out the clusters of other hosts; empty where that would be too long.
fn filter(gateway: &GatewayTarget, probes: &[Planned]) -> String {
    let mut names = BTreeSet::from([gateway.service_host()]);
    for probe in probes {
        names.insert(probe.request.host.clone());
        let planned = probe.way.iter().map(|way| way.planned_host.as_str());
        names.extend(planned.map(|host| host.trim_start_matches("*.").to_owned()));
    }
    if names.len() > MOST_NAMES {
        return String::new();
    }
    let names: Vec<_> = names.into_iter().collect();
    format!("&name_regex=.*({})", names.join("|"))
}

/// What is looked at of `config_dump?resource=dynamic_active_clusters`; the rest of a thousand clusters is not kept.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Clusters {
    configs: Vec<DumpedCluster>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DumpedCluster {
    cluster: EnvoyCluster,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EnvoyCluster {
    name: String,
    transport_socket: Value,
    transport_socket_matches: Vec<Value>,
    load_assignment: Assignment,
}

/// The same of `config_dump?include_eds&resource=dynamic_endpoint_configs`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Endpoints {
    configs: Vec<DumpedAssignment>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DumpedAssignment {
    endpoint_config: Assignment,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Assignment {
    cluster_name: String,
    endpoints: Vec<Locality>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Locality {
    lb_endpoints: Vec<Endpoint>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Endpoint {
    metadata: Value,
}

/// How the clusters protect what they send.
pub(super) fn transports(clusters: Clusters, endpoints: &Endpoints) -> Transports {
    let dumped = clusters.configs.into_iter().map(|dumped| dumped.cluster);
    dumped
        .map(|cluster| {
            let transport = transport(&cluster, endpoints);
            (cluster.name, transport)
        })
        .collect()
}

fn transport(cluster: &EnvoyCluster, endpoints: &Endpoints) -> Encryption {
    let matches = &cluster.transport_socket_matches;
    if matches.is_empty() {
        return protection(&cluster.transport_socket);
    }
    // Istio's automatic mutual TLS: each endpoint's metadata chooses.
    let assigned = (endpoints.configs.iter())
        .map(|dumped| &dumped.endpoint_config)
        .filter(|assignment| assignment.cluster_name == cluster.name);
    let chosen: BTreeSet<Encryption> = assigned
        .chain([&cluster.load_assignment])
        .flat_map(|assignment| &assignment.endpoints)
        .flat_map(|locality| &locality.lb_endpoints)
        .map(|endpoint| {
            let given = &endpoint.metadata["filter_metadata"]["envoy.transport_socket_match"];
            let fits = |candidate: &&Value| {
                candidate["match"]
                    .as_object()
                    .is_none_or(|wanted| wanted.iter().all(|(key, value)| given[key] == *value))
            };
            match matches.iter().find(fits) {
                Some(chosen) => protection(&chosen["transport_socket"]),
                None => protection(&cluster.transport_socket),
            }
        })
        .collect();
    match chosen.first() {
        Some(only) if chosen.len() == 1 => *only,
        _ => Encryption::Unknown,
    }
}

/// What a transport socket does to what passes it.
fn protection(socket: &Value) -> Encryption {
    match socket["name"].as_str() {
        None if socket.is_null() => Encryption::Plaintext,
        Some(name) if name.ends_with("raw_buffer") => Encryption::Plaintext,
        Some(name) if name.ends_with("transport_sockets.tls") => {
            let context = &socket["typed_config"]["common_tls_context"];
            let shows = |key| !items(context, key).is_empty();
            if shows("tls_certificate_sds_secret_configs") || shows("tls_certificates") {
                Encryption::Mtls
            } else {
                Encryption::Tls
            }
        }
        _ => Encryption::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tls(own_certificate: bool) -> Value {
        let mut context = json!({"combined_validation_context": {}});
        if own_certificate {
            context["tls_certificate_sds_secret_configs"] = json!([{"name": "default"}]);
        }
        json!({"name": "envoy.transport_sockets.tls", "typed_config": {"common_tls_context": context}})
    }

    fn read(cluster: &Value, endpoints: Value) -> Encryption {
        let clusters = serde_json::from_value(json!({"configs": [{"cluster": cluster}]})).unwrap();
        transports(clusters, &serde_json::from_value(endpoints).unwrap())["c"]
    }

    #[test]
    fn a_socket_with_a_certificate_of_its_own_is_mutual() {
        let with = |socket: Value| read(&json!({"name": "c", "transport_socket": socket}), json!({}));
        assert_eq!(with(tls(true)), Encryption::Mtls);
        assert_eq!(with(tls(false)), Encryption::Tls);
        assert_eq!(
            with(json!({"name": "envoy.transport_sockets.internal_upstream"})),
            Encryption::Unknown
        );
        assert_eq!(read(&json!({"name": "c"}), json!({})), Encryption::Plaintext);
    }

    /// As the lab's sidecars have it towards a gateway whose pods lack the label `security.istio.io/tlsMode`.
    #[test]
    fn with_automatic_mutual_tls_the_endpoints_choose() {
        let cluster = json!({"name": "c", "transport_socket_matches": [
            {"match": {"tlsMode": "istio"}, "transport_socket": tls(true)},
            {"match": {}, "transport_socket": {"name": "envoy.transport_sockets.raw_buffer"}}]});
        let endpoint = |labelled: bool| {
            let mode = if labelled { "istio" } else { "disabled" };
            json!({"metadata": {"filter_metadata": {"envoy.transport_socket_match": {"tlsMode": mode}}}})
        };
        let with = |endpoints: Value| {
            let assignment = json!({"cluster_name": "c", "endpoints": [{"lb_endpoints": endpoints}]});
            read(&cluster, json!({"configs": [{"endpoint_config": assignment}]}))
        };
        assert_eq!(with(json!([endpoint(true)])), Encryption::Mtls);
        assert_eq!(with(json!([{"metadata": {}}])), Encryption::Plaintext);
        assert_eq!(
            with(json!([endpoint(true), endpoint(false)])),
            Encryption::Unknown
        );
        assert_eq!(with(json!([])), Encryption::Unknown);
    }
}
