//! The ingress gateway of an embedded cluster, as the outside sees it: servers with a certificate of their own, clients'
//! certificates, and the workload behind it, which answers with what it was told.

use super::controllers::{container_names, is_meshed, is_ready};
use super::network::access_log::LogFields;
use super::network::proxies::write_line;
use super::secret::text_of;
use super::state::{Inner, State};
use crate::certificate::Inspected;
use crate::vocabulary::PodName;
use crate::vocabulary::names::{ISTIO_NAMESPACE, PROXY_CONTAINER};
use serde_json::{Map, Value, json};

/// Name of its Service.
pub(super) const SERVICE: &str = "istio-ingressgateway";

/// A server of a Gateway that ends TLS with a certificate of its own.
#[derive(Debug, Clone)]
pub(super) struct IngressServer {
    /// Its chain (PEM).
    pub(super) chain: String,
    /// Its key (PEM).
    pub(super) key: String,
    /// The authorities of the clients that it lets in (PEM); `None`: it asks for no certificate.
    pub(super) clients: Option<String>,
    /// Its Gateway, as `namespace/name`.
    gateway: String,
}

/// A request that arrives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival<'request> {
    pub(super) host: &'request str,
    /// Port of the Service.
    pub(super) port: u16,
    pub(super) method: &'request str,
    pub(super) path: &'request str,
    pub(super) user_agent: &'request str,
    /// Address of who opened the connection.
    pub(super) peer: &'request str,
    /// The certificate that it showed.
    pub(super) client: Option<&'request Inspected>,
}

/// The address of its load balancer.
pub(super) fn address(inner: &Inner) -> Option<String> {
    let state = inner.lock();
    let service = state.object("", "services", ISTIO_NAMESPACE, SERVICE)?;
    let address = service["status"]["loadBalancer"]["ingress"][0]["ip"].as_str()?;
    Some(address.to_owned())
}

/// That address, if some server is for a host: as if whoever owns the name had made its DNS record.
pub(super) fn address_serving(inner: &Inner, host: &str) -> Option<String> {
    {
        let state = inner.lock();
        let pod = pod(&state)?.clone();
        servers(&state, &pod, None).find(|(_, server)| serves(server, host))?;
    }
    address(inner)
}

/// Whether anything listens at a port of the Service.
pub(super) fn listens(inner: &Inner, port: u16) -> bool {
    let state = inner.lock();
    pod(&state).is_some_and(|pod| servers(&state, pod, Some(port)).next().is_some())
}

/// The server for a name at a port of the Service, if it has its certificate.
pub(super) fn server(inner: &Inner, port: u16, name: &str) -> Option<IngressServer> {
    let state = inner.lock();
    let pod = pod(&state)?;
    of_pod(&state, pod, port, name)
}

/// The same at a target port of a gateway's pod.
pub(super) fn server_at_pod(
    state: &State,
    pod: &Value,
    target_port: u16,
    name: &str,
) -> Option<IngressServer> {
    of_pod(state, pod, service_port(state, pod, target_port), name)
}

/// The port of the Service that leads to a target port.
pub(super) fn service_port(state: &State, pod: &Value, target_port: u16) -> u16 {
    let namespace = pod["metadata"]["namespace"].as_str();
    let mut ports = state
        .store
        .list("", "services", namespace)
        .filter(|(_, service)| selects(&service["spec"]["selector"], pod))
        .flat_map(|(_, service)| service["spec"]["ports"].as_array().into_iter().flatten());
    let found = ports.find(|port| port["targetPort"] == target_port);
    let number = found
        .and_then(|port| port["port"].as_u64())
        .and_then(|port| u16::try_from(port).ok());
    number.unwrap_or(target_port)
}

fn of_pod(state: &State, pod: &Value, port: u16, name: &str) -> Option<IngressServer> {
    let (gateway, server) = servers(state, pod, Some(port)).find(|(_, server)| serves(server, name))?;
    let mode = server["tls"]["mode"].as_str()?;
    if !["SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"].contains(&mode) {
        return None;
    }
    let namespace = pod["metadata"]["namespace"].as_str()?;
    let secret = state.object(
        "",
        "secrets",
        namespace,
        server["tls"]["credentialName"].as_str()?,
    )?;
    let any = |names: [&str; 2]| names.into_iter().find_map(|name| text_of(secret, name));
    Some(IngressServer {
        chain: any(["cert", "tls.crt"])?,
        key: any(["key", "tls.key"])?,
        clients: if mode == "MUTUAL" {
            Some(any(["cacert", "ca.crt"])?)
        } else {
            None
        },
        gateway,
    })
}

/// The first ready pod of the ingress gateway.
fn pod(state: &State) -> Option<&Value> {
    let service = state.object("", "services", ISTIO_NAMESPACE, SERVICE)?;
    let mut pods = state.store.list("", "pods", Some(ISTIO_NAMESPACE));
    let found = pods.find(|(_, pod)| selects(&service["spec"]["selector"], pod) && is_ready(pod));
    found.map(|(_, pod)| pod)
}

fn selects(selector: &Value, pod: &Value) -> bool {
    selector.as_object().is_some_and(|wanted| {
        let labels = &pod["metadata"]["labels"];
        !wanted.is_empty() && wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
    })
}

/// Servers of the Gateways that select a pod, with `namespace/name` of each one's Gateway.
fn servers<'state>(
    state: &'state State,
    pod: &Value,
    port: Option<u16>,
) -> impl Iterator<Item = (String, &'state Value)> {
    let gateways = state.store.list("networking.istio.io", "gateways", None);
    gateways
        .filter(|(_, gateway)| selects(&gateway["spec"]["selector"], pod))
        .flat_map(|(key, gateway)| {
            let servers = gateway["spec"]["servers"].as_array().into_iter().flatten();
            servers.map(|server| (format!("{}/{}", key.namespace, key.name), server))
        })
        .filter(move |(_, server)| port.is_none_or(|port| server["port"]["number"] == port))
        .collect::<Vec<_>>()
        .into_iter()
}

fn serves(server: &Value, host: &str) -> bool {
    let hosts = server["hosts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    hosts
        .map(|entry| entry.rsplit('/').next().unwrap_or(entry))
        .any(|name| {
            name == host
                || name
                    .strip_prefix('*')
                    .is_some_and(|domain| host.ends_with(domain))
        })
}

/// Carries a request from the gateway to the workload; status and body.
pub(super) fn serve(inner: &Inner, arrival: &Arrival<'_>) -> (u16, Vec<u8>) {
    let answer = {
        let mut state = inner.lock();
        let Some(pod) = pod(&state).cloned() else {
            return (503, Vec::new());
        };
        let (status, cluster) = match of_pod(&state, &pod, arrival.port, arrival.host) {
            Some(server) => route(&state, &server, arrival.host),
            None => (404, None),
        };
        log(inner, &mut state, &pod, arrival, status, cluster);
        let body = if status == 200 { told(arrival) } else { Vec::new() };
        (status, body)
    };
    inner.ring();
    answer
}

/// Status and cluster of what a VirtualService makes of a host at a server.
fn route(state: &State, server: &IngressServer, host: &str) -> (u16, Option<String>) {
    let mut services = state.store.list("networking.istio.io", "virtualservices", None);
    let found = services.find_map(|(key, service)| {
        let has = |field: &str, wanted: &str| {
            let list = service["spec"][field].as_array().into_iter().flatten();
            list.filter_map(Value::as_str).any(|entry| {
                entry == wanted || (field == "gateways" && format!("{}/{entry}", key.namespace) == wanted)
            })
        };
        let destination = &service["spec"]["http"][0]["route"][0]["destination"];
        (has("hosts", host) && has("gateways", &server.gateway)).then_some((key, destination))
    });
    let Some((key, destination)) = found else {
        return (404, None);
    };
    let name = destination["host"].as_str().unwrap_or_default();
    let (service, rest) = name.split_once('.').unwrap_or((name, &key.namespace));
    let namespace = rest.split('.').next().unwrap_or_default();
    let cluster = format!(
        "outbound|{}||{service}.{namespace}.svc.cluster.local",
        destination["port"]["number"]
    );
    let selector = state
        .object("", "services", namespace, service)
        .map(|service| &service["spec"]["selector"]);
    let mut pods = state.store.list("", "pods", Some(namespace));
    let ready = selector.is_some_and(|selector| pods.any(|(_, pod)| selects(selector, pod) && is_ready(pod)));
    (if ready { 200 } else { 503 }, Some(cluster))
}

fn log(
    inner: &Inner,
    state: &mut State,
    pod: &Value,
    arrival: &Arrival<'_>,
    status: u16,
    cluster: Option<String>,
) {
    let text = |name: &str| pod["metadata"][name].as_str().unwrap_or_default();
    let name = PodName::new(text("namespace"), text("name"));
    let own = pod["status"]["podIP"].as_str().unwrap_or_default();
    let some = |text: &str| Some(text.to_owned());
    let (flags, details) = match status {
        200 => (None, "via_upstream"),
        404 => (some("NR"), "route_not_found"),
        _ => (some("UH"), "no_healthy_upstream"),
    };
    let fields = LogFields {
        method: some(arrival.method),
        path: some(arrival.path),
        protocol: some("HTTP/1.1"),
        response_code: status,
        flags,
        details: some(details),
        forwarded_for: some(arrival.peer),
        user_agent: some(arrival.user_agent),
        request_id: Some(format!("5a4db0c5-0000-4000-a000-{:012x}", state.next_number())),
        authority: some(arrival.host),
        upstream_cluster: cluster,
        downstream_local: format!("{own}:{}", arrival.port),
        downstream_remote: format!("{}:{}", arrival.peer, state.next_port()),
        server_name: some(arrival.host),
        ..LogFields::default()
    };
    write_line(inner, state, &name, &fields);
}

/// What the workload answers: what it was told of the request.
fn told(arrival: &Arrival<'_>) -> Vec<u8> {
    let mut added = vec![("X-Envoy-External-Address".to_owned(), arrival.peer.to_owned())];
    if let Some(forwarded) = arrival.client.map(forwarded) {
        added.push(("X-Forwarded-Client-Cert".to_owned(), forwarded));
    }
    added.push(("X-Forwarded-For".to_owned(), arrival.peer.to_owned()));
    added.push(("X-Forwarded-Proto".to_owned(), "https".to_owned()));
    let url = format!("https://{}{}", arrival.host, arrival.path);
    document(arrival.host, arrival.user_agent, arrival.method, &url, &added)
}

/// `X-Forwarded-Client-Cert` for a client's certificate.
fn forwarded(leaf: &Inspected) -> String {
    format!(
        "Hash={};Subject=\"{}\";URI=",
        leaf.fingerprint_sha256, leaf.subject
    )
}

/// A request as httpbin writes it down.
pub(super) fn document(
    host: &str,
    user_agent: &str,
    method: &str,
    url: &str,
    added: &[(String, String)],
) -> Vec<u8> {
    let usual = [("Accept", "*/*"), ("Host", host), ("User-Agent", user_agent)];
    let usual = usual.map(|(name, value)| (name.to_owned(), json!([value])));
    let added = added.iter().map(|(name, value)| (name.clone(), json!([value])));
    let headers: Map<String, Value> = usual.into_iter().chain(added).collect();
    format!("{}\n", json!({"headers": headers, "method": method, "url": url})).into_bytes()
}

/// Whether a pod is a gateway's.
pub(super) fn is_gateway(pod: &Value) -> bool {
    !is_meshed(pod) && container_names(pod).any(|name| name == PROXY_CONTAINER)
}
