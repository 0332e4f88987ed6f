//! 2nn: the gateway and its logs.

use super::guides;

guides! {
    "EGR-201": "curl ends in 35 or prints 503; the sidecar's line has UH with the gateway's cluster.";
        "kubectl get deployment,pods,hpa -n istio-system -l istio=egressgateway",
        "kubectl describe pod -n istio-system -l istio=egressgateway | tail -20    # its events";
        EGRESS_GATEWAYS, DEPLOYMENTS;
    "EGR-202": "Traffic flows, and `kubectl logs` of the proxy shows none of it.";
        "kubectl get telemetry -A -o yaml | grep -A6 accessLogging",
        "kubectl get configmap istio -n istio-system -o yaml | grep -E 'accessLogFile|defaultProviders'";
        ACCESS_LOGS, TELEMETRY;
    "EGR-203": "`kubectl port-forward` to the proxy's pod is refused.";
        "kubectl auth can-i create pods/portforward -n istio-system",
        "kubectl exec -n istio-system POD -c istio-proxy -- pilot-agent request GET config_dump    # the same, where exec is allowed";
        RBAC, PROXY_DEBUG;
    "EGR-204": "A change to an Istio custom resource has no effect; its state is Warning or Error.";
        "kubectl get istios -A --sort-by=.metadata.creationTimestamp    # the oldest of kyma-system counts",
        "kubectl get istio NAME -n kyma-system -o jsonpath='{.status.description}'";
        KYMA;
    "EGR-205": "`kubectl get istios -n kyma-system` shows Warning or Error.";
        "kubectl describe istios -n kyma-system    # conditions and their reasons",
        "kubectl logs -n kyma-system deploy/istio-controller-manager --tail=30";
        KYMA;
    "EGR-206": "The sidecar's line has UF,URX with the gateway's address after 10 s, on Kyma with networkPoliciesEnabled.";
        "kubectl get networkpolicy -n istio-system -o yaml | grep -B3 -A3 to-egressgateway",
        "kubectl get pod POD -n NAMESPACE --show-labels";
        KYMA_POLICIES, NETWORK_POLICIES;
    "EGR-207": "The log has lines, and they lack the cluster, the addresses or the flags.";
        "kubectl get configmap istio -n istio-system -o yaml | grep -A12 -E 'accessLogFormat|logFormat'",
        "kubectl logs -n istio-system -l istio=egressgateway -c istio-proxy --tail=2";
        ACCESS_LOGS, MESH_CONFIG;
}
