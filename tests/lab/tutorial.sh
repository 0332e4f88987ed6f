#!/usr/bin/env bash
# The tutorial as a shell script of kubectl commands, as somebody types it who knows it by heart and waits for nothing
# longer than it takes: what `kubectl egress setup` is measured against. Arguments: namespace, host, image with curl.
set -euo pipefail
namespace=$1 host=$2 image=$3
gateway=istio-egressgateway.istio-system.svc.cluster.local

kubectl create namespace "$namespace"
kubectl label namespace "$namespace" istio-injection=enabled
kubectl apply -f - <<YAML
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: access-log, namespace: $namespace}
spec: {accessLogging: [{providers: [{name: envoy}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: curl, namespace: $namespace}
spec:
  selector: {matchLabels: {app: curl}}
  template:
    metadata: {labels: {app: curl}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: curl, image: "$image", imagePullPolicy: IfNotPresent, command: [sleep, infinity]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: tutorial, namespace: $namespace}
spec:
  hosts: ["$host"]
  ports: [{number: 443, name: tls, protocol: TLS}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: tutorial, namespace: $namespace}
spec:
  selector: {istio: egressgateway}
  servers:
  - port: {number: 443, name: tls, protocol: TLS}
    hosts: ["$host"]
    tls: {mode: PASSTHROUGH}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: tutorial, namespace: $namespace}
spec: {host: $gateway, subsets: [{name: tutorial}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: tutorial, namespace: $namespace}
spec:
  hosts: ["$host"]
  gateways: [mesh, tutorial]
  tls:
  - match: [{gateways: [mesh], port: 443, sniHosts: ["$host"]}]
    route: [{destination: {host: $gateway, subset: tutorial, port: {number: 443}}}]
  - match: [{gateways: [tutorial], port: 443, sniHosts: ["$host"]}]
    route: [{destination: {host: "$host", port: {number: 443}}}]
YAML
kubectl rollout status deployment/curl -n "$namespace" --timeout 120s
kubectl exec deployment/curl -n "$namespace" -c curl -- curl -sSk -o /dev/null -w '%{http_code}\n' "https://$host"
# One line appeared: what the tutorial takes for the proof. Envoy writes within a second.
for _ in $(seq 1 60); do
  if kubectl logs -n istio-system -l istio=egressgateway --tail 50 | grep -qF "$host"; then exit 0; fi
  sleep 0.1
done
echo "the gateway's log has no line for $host" >&2
exit 1
