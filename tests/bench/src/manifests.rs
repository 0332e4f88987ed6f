//! Manifests: the tutorial's four objects for each host, and a cluster's worth of objects.

use serde_json::{Value, json};
use std::io::{Result, Write};

/// Where the routing of each host is.
pub(crate) const GATEWAY: &str = "istio-egressgateway.istio-system.svc.cluster.local";

/// A host that the outside worlds of the lab and of the embedded cluster know.
pub(crate) fn host(number: usize) -> String {
    format!("h{number:05}.wild.test")
}

/// Hosts as arguments of a command.
pub(crate) fn hosts(count: usize) -> Vec<String> {
    (0..count).map(host).collect()
}

/// The tutorial's four objects for one host, as it writes them.
pub(crate) fn of_host(number: usize, namespace: &str) -> String {
    let host = host(number);
    let name = format!("h{number:05}");
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: {name}
  namespace: {namespace}
spec:
  hosts:
  - {host}
  ports:
  - number: 443
    name: tls
    protocol: TLS
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: {name}
  namespace: {namespace}
spec:
  selector:
    istio: egressgateway
  servers:
  - port:
      number: 443
      name: tls
      protocol: TLS
    hosts:
    - {host}
    tls:
      mode: PASSTHROUGH
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: {name}
  namespace: {namespace}
spec:
  host: {GATEWAY}
  subsets:
  - name: {name}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: {name}
  namespace: {namespace}
spec:
  hosts:
  - {host}
  gateways:
  - mesh
  - {name}
  tls:
  - match:
    - gateways:
      - mesh
      port: 443
      sniHosts:
      - {host}
    route:
    - destination:
        host: {GATEWAY}
        subset: {name}
        port:
          number: 443
  - match:
    - gateways:
      - {name}
      port: 443
      sniHosts:
      - {host}
    route:
    - destination:
        host: {host}
        port:
          number: 443
"
    )
}

/// All hosts' objects in one file, as `kubectl apply -f` takes them.
pub(crate) fn of_hosts(count: usize, namespace: &str) -> String {
    (0..count).map(|number| of_host(number, namespace)).collect()
}

/// Hosts that share four objects in [`in_shares`]. A ServiceEntry takes 256 hosts at most (its schema's `maxItems`).
const SHARE: usize = 25;

/// The same routing as four objects for every 25 hosts; a list in JSON.
pub(crate) fn in_shares(count: usize, namespace: &str) -> String {
    let all = hosts(count);
    let shares = all.chunks(SHARE).enumerate();
    let items: Vec<Value> = shares
        .flat_map(|(number, hosts)| share(&format!("share-{number}"), hosts, namespace))
        .collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

fn share(name: &str, all: &[String], namespace: &str) -> [Value; 4] {
    let object = |kind: &str, spec: Value| {
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        })
    };
    let port = json!({"number": 443, "name": "tls", "protocol": "TLS"});
    let to_gateway = json!({
        "match": [{"gateways": ["mesh"], "port": 443, "sniHosts": all}],
        "route": [{"destination": {"host": GATEWAY, "subset": name, "port": {"number": 443}}}],
    });
    let to_host = |host: &String| {
        json!({
            "match": [{"gateways": [name], "port": 443, "sniHosts": [host]}],
            "route": [{"destination": {"host": host, "port": {"number": 443}}}],
        })
    };
    let routes: Vec<Value> = std::iter::once(to_gateway)
        .chain(all.iter().map(to_host))
        .collect();
    [
        object(
            "ServiceEntry",
            json!({"hosts": all, "ports": [port], "resolution": "DNS"}),
        ),
        object(
            "Gateway",
            json!({
                "selector": {"istio": "egressgateway"},
                "servers": [{"port": port, "hosts": all, "tls": {"mode": "PASSTHROUGH"}}],
            }),
        ),
        object(
            "DestinationRule",
            json!({"host": GATEWAY, "subsets": [{"name": name}]}),
        ),
        object(
            "VirtualService",
            json!({"hosts": all, "gateways": ["mesh", name], "tls": routes}),
        ),
    ]
}

/// About so many objects of a cluster: of ten, four route a host, five are pods and one is their Service. A hundred
/// teams share them.
pub(crate) fn write_cluster(mut text: impl Write, count: usize) -> Result<()> {
    text.write_all(EGRESS_GATEWAY.as_bytes())?;
    for number in 0..count / 10 {
        let team = format!("team-{}", number % 100);
        text.write_all(of_host(number, &team).as_bytes())?;
        write!(
            text,
            "---
apiVersion: v1
kind: Service
metadata:
  name: app-{number}
  namespace: {team}
spec:
  selector:
    app: app-{number}
  ports:
  - name: http
    port: 80
    targetPort: 8080
"
        )?;
        for pod in 0..5 {
            write!(
                text,
                "---
apiVersion: v1
kind: Pod
metadata:
  name: app-{number}-{pod}
  namespace: {team}
  labels:
    app: app-{number}
    security.istio.io/tlsMode: istio
spec:
  containers:
  - name: application
    image: registry.example.com/app:1
    ports:
    - containerPort: 8080
  - name: istio-proxy
    image: docker.io/istio/proxyv2:1.29.0
    args: [proxy, sidecar]
status:
  phase: Running
  podIP: 10.{}.{}.{pod}
  conditions:
  - type: Ready
    status: \"True\"
",
                number / 250,
                number % 250
            )?;
        }
    }
    text.flush()
}

const EGRESS_GATEWAY: &str = "apiVersion: v1
kind: Service
metadata:
  name: istio-egressgateway
  namespace: istio-system
  labels:
    istio: egressgateway
spec:
  selector:
    istio: egressgateway
  ports:
  - name: http2
    port: 80
    targetPort: 8080
  - name: https
    port: 443
    targetPort: 8443
---
apiVersion: v1
kind: Pod
metadata:
  name: istio-egressgateway-1
  namespace: istio-system
  labels:
    istio: egressgateway
spec:
  containers:
  - name: istio-proxy
    image: docker.io/istio/proxyv2:1.29.0
    args: [proxy, router]
status:
  phase: Running
  podIP: 10.255.0.1
  conditions:
  - type: Ready
    status: \"True\"
";
