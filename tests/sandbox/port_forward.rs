//! port-forward to a gateway's TLS listener and to Envoy's admin port; and the API on a socket.

use super::common::sandbox;
use super::source::{GATEWAY_HOST, curl, gateway_pod, log, logging, routed};
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::client::Client;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A TLS hello that asks for a name.
fn hello(name: &str) -> Vec<u8> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = name.to_owned().try_into().unwrap();
    let mut connection = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_sentinel_through_a_port_forward_leaves_the_refused_line() {
    let (_sandbox, client, _pod) = routed(logging()).await;
    let gateway = gateway_pod(&client).await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "istio-system");
    let mut forward = pods.portforward(&gateway, &[8443]).await.unwrap();
    let mut stream = forward.take_stream(8443).unwrap();
    stream.write_all(&hello("nonce.sentinel.invalid")).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer));
    assert_eq!(read.await.unwrap().unwrap(), 0, "the gateway closes");
    let line = log(&client, "istio-system", &gateway, "istio-proxy")
        .await
        .pop()
        .unwrap();
    assert!(line.contains("0 NR filter_chain_not_found"), "{line}");
    assert!(
        line.contains(" nonce.sentinel.invalid ") && line.contains(" 127.0.0.1:"),
        "{line}"
    );
}

#[tokio::test]
async fn a_port_that_nothing_listens_on_is_refused() {
    let (_sandbox, client) = sandbox();
    let gateway = gateway_pod(&client).await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "istio-system");
    let mut forward = pods.portforward(&gateway, &[8443]).await.unwrap();
    let error = forward.take_error(8443).unwrap();
    let message = tokio::time::timeout(Duration::from_secs(5), error)
        .await
        .unwrap()
        .unwrap();
    assert!(
        message.contains("connection refused"),
        "no Gateway yet: {message}"
    );
}

async fn admin(client: &Client, namespace: &str, pod: &str, path: &str) -> Value {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut forward = pods.portforward(pod, &[15000]).await.unwrap();
    let mut stream = forward.take_stream(15000).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn the_admin_port_shows_chains_clusters_and_counters() {
    let (_sandbox, client, pod) = routed(logging()).await;
    let gateway = gateway_pod(&client).await;
    let path = "/config_dump?resource=dynamic_listeners";
    for (namespace, name, listener, cluster) in [
        (
            "demo",
            &pod,
            "0.0.0.0_443",
            format!("outbound|443|kyma-project|{GATEWAY_HOST}"),
        ),
        (
            "istio-system",
            &gateway,
            "0.0.0.0_8443",
            "outbound|443||kyma-project.io".to_owned(),
        ),
    ] {
        let dump = admin(&client, namespace, name, path).await;
        let active = &dump["configs"][0]["active_state"]["listener"];
        assert_eq!(active["name"], listener);
        let chain = &active["filter_chains"][0];
        assert_eq!(
            chain["filter_chain_match"]["server_names"],
            json!(["kyma-project.io"])
        );
        assert_eq!(chain["filters"][0]["typed_config"]["cluster"], cluster);
    }
    curl(&client, &pod, "https://kyma-project.io/").await;
    let clusters = admin(&client, "istio-system", &gateway, "/clusters?format=json").await;
    let external = clusters["cluster_statuses"]
        .as_array()
        .unwrap()
        .iter()
        .find(|status| status["name"] == "outbound|443||kyma-project.io")
        .unwrap();
    let statistics = external["host_statuses"][0]["stats"].as_array().unwrap();
    let counter = |name: &str| statistics.iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(counter("rq_total")["value"], "1");
    assert!(
        counter("cx_connect_fail").get("value").is_none(),
        "zero has no value"
    );
}

#[tokio::test]
async fn the_server_serves_a_socket_too() {
    let (sandbox, _client) = sandbox();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { sandbox.serve(listener).await });
    let mut config = kube::Config::new(format!("http://{address}").parse().unwrap());
    config.default_namespace = "default".into();
    let client = Client::try_from(config).unwrap();
    assert_eq!(client.apiserver_version().await.unwrap().major, "1");
    serving.abort();
}
