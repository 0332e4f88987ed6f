//! The part of Envoy's admin interface that tools read: clusters, listeners, server info.

use crate::mesh::{self, LegTls, Listener, ProxyConfiguration};
use crate::sandbox::state::{Counters, Inner};
use crate::vocabulary::PodName;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::io::DuplexStream;

/// Serves a pod's admin port on one connection.
pub(super) async fn serve(inner: Arc<Inner>, pod: PodName, stream: DuplexStream) {
    let service = service_fn(move |request: Request<Incoming>| {
        let path = request
            .uri()
            .path_and_query()
            .map_or_else(String::new, ToString::to_string);
        let body = answer(&inner, &pod, &path);
        async move { Ok::<_, Infallible>(reply(body)) }
    });
    // The connection ends when the port-forward does.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn reply(body: Option<String>) -> Response<Full<Bytes>> {
    let code = if body.is_some() {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    };
    let text = body.unwrap_or_else(|| "invalid path. admin commands are: ...\n".to_owned());
    let mut reply = Response::new(Full::new(Bytes::from(text)));
    *reply.status_mut() = code;
    reply
}

/// The answer to a path with its query; `None` if Envoy, or this part of it, does not know it.
pub(super) fn answer(inner: &Inner, pod: &PodName, path: &str) -> Option<String> {
    let mut state = inner.lock();
    let world = inner.world(&state);
    let configuration = mesh::configuration(&world, pod)?;
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let as_json = query.split('&').any(|pair| pair == "format=json");
    let pod_counters: Vec<(&str, &str, Counters)> = state
        .counters
        .iter()
        .filter(|((name, _, _), _)| *name == pod.to_string())
        .map(|((_, cluster, address), counters)| (cluster.as_str(), address.as_str(), *counters))
        .collect();
    match path {
        "/clusters" if as_json => Some(clusters(&configuration, &pod_counters).to_string()),
        "/clusters" => Some(configuration.clusters.keys().fold(String::new(), |text, name| {
            text + name + "::observability_name::" + name + ";\n"
        })),
        "/config_dump" if query.contains("resource=dynamic_route_configs") => {
            let routes = super::envoy_routes::routes(&state, &world, pod);
            Some(json!({"configs": routes}).to_string())
        }
        "/config_dump" if query.contains("resource=dynamic_active_secrets") => {
            let secrets = super::envoy_secrets::secrets(inner, &mut state, pod);
            Some(json!({"configs": secrets}).to_string())
        }
        "/config_dump" => config_dump(&configuration, query).map(|dump| dump.to_string()),
        "/listeners" if as_json => {
            let statuses: Vec<Value> = configuration
                .listeners
                .iter()
                .map(|listener| json!({"name": listener.name, "local_address": address(listener.port)}))
                .collect();
            Some(json!({"listener_statuses": statuses}).to_string())
        }
        "/listeners" => Some(
            configuration
                .listeners
                .iter()
                .fold(String::new(), |text, listener| {
                    text + &listener.name + "::0.0.0.0:" + &listener.port.to_string() + "\n"
                }),
        ),
        "/server_info" => Some(server_info(inner).to_string()),
        "/ready" => Some("LIVE\n".to_owned()),
        "/stats" => Some("server.live: 1\nserver.state: 0\n".to_owned()),
        _ => None,
    }
}

fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "0.0.0.0", "port_value": port}})
}

fn server_info(inner: &Inner) -> Value {
    json!({
        "version": "0000000000000000000000000000000000000000/1.37.0/Clean/RELEASE/BoringSSL", "state": "LIVE",
        "node": {"metadata": {"ISTIO_VERSION": inner.settings.istio_version}},
    })
}

/// Counters, and gauges that are zero: a zero value has no `value` key (truth.md 9).
fn statistics(counters: Counters) -> Value {
    let counter = |name: &str, value: u64| {
        if value == 0 {
            json!({"name": name})
        } else {
            json!({"name": name, "value": value.to_string()})
        }
    };
    let mut list = vec![
        json!({"name": "cx_active", "type": "GAUGE"}),
        counter("cx_connect_fail", counters.failed_connections),
        counter("cx_total", counters.connections),
        counter("rq_error", 0),
        counter("rq_success", counters.successes),
        counter("rq_timeout", 0),
        counter("rq_total", counters.requests),
    ];
    if counters.open > 0 {
        list[0]["value"] = json!(counters.open.to_string());
    }
    for name in ["rq_active", "rq_pending_active"] {
        list.push(json!({"type": "GAUGE", "name": name}));
    }
    Value::Array(list)
}

fn clusters(configuration: &ProxyConfiguration, counters: &[(&str, &str, Counters)]) -> Value {
    let statuses: Vec<Value> = configuration
        .clusters
        .keys()
        .map(|name| {
            let hosts: Vec<Value> = counters
                .iter()
                .filter(|(cluster, _, _)| cluster == name)
                .map(|(_, endpoint, counters)| {
                    let (ip, port) = endpoint.rsplit_once(':').unwrap_or((endpoint, "0"));
                    json!({
                        "address": {"socket_address": {"address": ip, "port_value": port.parse::<u16>().unwrap_or(0)}},
                        "stats": statistics(*counters), "health_status": {"eds_health_status": "HEALTHY"}, "weight": 1,
                    })
                })
                .collect();
            let mut status = json!({"name": name, "observability_name": format!("{name};"), "added_via_api": true});
            if !hosts.is_empty() {
                status["host_statuses"] = Value::Array(hosts);
            }
            status
        })
        .collect();
    json!({"cluster_statuses": statuses})
}

fn dynamic_listener(listener: &Listener) -> Value {
    let chains: Vec<Value> = listener
        .chains
        .iter()
        .map(|chain| {
            json!({
                "filter_chain_match": {"server_names": chain.server_names},
                "filters": [{
                    "name": "envoy.filters.network.tcp_proxy",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                        "stat_prefix": chain.cluster, "cluster": chain.cluster,
                    },
                }],
            })
        })
        .collect();
    json!({
        "name": listener.name,
        "active_state": {"listener": {
            "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
            "name": listener.name, "address": address(listener.port), "filter_chains": chains,
        }},
    })
}

/// A cluster with its transport socket: one with a certificate of its own where the TLS is mutual.
fn dynamic_cluster(name: &str, tls: &LegTls) -> Value {
    let mut cluster = json!({"name": name});
    let own = match tls {
        LegTls::None => return json!({"cluster": cluster}),
        LegTls::Mesh { .. } => Some("default"),
        LegTls::Originated { mutual, .. } => mutual.then_some("kubernetes://client"),
    };
    let mut context = json!({"combined_validation_context": {}});
    if let Some(own) = own {
        context["tls_certificate_sds_secret_configs"] = json!([{"name": own}]);
    }
    cluster["transport_socket"] = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "common_tls_context": context,
        },
    });
    json!({"cluster": cluster})
}

fn config_dump(configuration: &ProxyConfiguration, query: &str) -> Option<Value> {
    let resource = query.split('&').find_map(|pair| pair.strip_prefix("resource="));
    let listeners = || -> Vec<Value> { configuration.listeners.iter().map(dynamic_listener).collect() };
    let active_clusters = || -> Vec<Value> {
        let clusters = configuration.clusters.iter();
        clusters.map(|(name, tls)| dynamic_cluster(name, tls)).collect()
    };
    let typed = |name: &str, mut value: Value| {
        value["@type"] = json!(format!("type.googleapis.com/envoy.admin.v3.{name}"));
        value
    };
    let configs = match resource {
        Some("dynamic_listeners") => listeners()
            .into_iter()
            .map(|listener| typed("ListenersConfigDump.DynamicListener", listener))
            .collect(),
        Some("dynamic_active_clusters") => active_clusters()
            .into_iter()
            .map(|cluster| typed("ClustersConfigDump.DynamicCluster", cluster))
            .collect(),
        // Its clusters name no transport sockets, among which an endpoint would choose.
        Some("dynamic_endpoint_configs") => Vec::new(),
        Some(_) => return None,
        None => vec![
            typed(
                "ClustersConfigDump",
                json!({"dynamic_active_clusters": active_clusters()}),
            ),
            typed("ListenersConfigDump", json!({"dynamic_listeners": listeners()})),
        ],
    };
    Some(json!({"configs": configs}))
}
