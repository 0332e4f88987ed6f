//! What the tests put into the cluster beside the tool.

/// Image of workloads with curl.
pub(crate) const CURL: &str = "docker.io/curlimages/curl:8.18.0";
/// Image of workloads without curl.
pub(crate) const BUSYBOX: &str = "docker.io/lab/busybox:latest";

/// A Deployment of somebody else's with one pod that waits; `inject` as the label on its pod.
pub(crate) fn workload(namespace: &str, name: &str, image: &str, inject: bool) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}, sidecar.istio.io/inject: \"{inject}\"}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {{name: main, image: \"{image}\", imagePullPolicy: IfNotPresent, command: [sleep, infinity]}}
"
    )
}

/// A second egress gateway, by injection (truth.md 11).
pub(crate) fn gateway(namespace: &str, name: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{istio: {name}}}
  ports: [{{name: http, port: 80, targetPort: 8080}}, {{name: tls, port: 443, targetPort: 8443}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{istio: {name}}}}}
  template:
    metadata:
      annotations: {{inject.istio.io/templates: gateway}}
      labels: {{istio: {name}, sidecar.istio.io/inject: \"true\"}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{{name: istio-proxy, image: auto, imagePullPolicy: IfNotPresent}}]
"
    )
}

/// Somebody's VirtualService for a host.
pub(crate) fn virtual_service(namespace: &str, name: &str, host: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  hosts: [{host}]
  exportTo: [\".\"]
  tls:
  - match: [{{port: 443, sniHosts: [{host}]}}]
    route: [{{destination: {{host: {host}, port: {{number: 443}}}}}}]
"
    )
}

/// A Telemetry that switches the access log of one workload on.
pub(crate) fn access_log(namespace: &str, app: &str) -> String {
    format!(
        "apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: {app}, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: {app}}}}}
  accessLogging: [{{providers: [{{name: envoy}}]}}]
"
    )
}
