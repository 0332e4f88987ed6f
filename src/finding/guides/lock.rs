//! 5nn: the lock.

use super::guides;

guides! {
    "EGR-501": "Something gets out that the lock does not name.";
        "kubectl describe networkpolicy -n NAMESPACE    # every one that selects the pod adds to what is allowed",
        "kubectl get pods -n NAMESPACE --show-labels";
        NETWORK_POLICIES;
    "EGR-502": "The lock's NetworkPolicy is gone, or its rules are others than on the day of its proof.";
        "kubectl get networkpolicy -n NAMESPACE -o yaml --show-managed-fields | grep -A3 manager:",
        "kubectl get events -n NAMESPACE; or the API server's audit log";
        NETWORK_POLICIES, APPLY;
    "EGR-503": "A pod that a NetworkPolicy isolates reaches everything.";
        "kubectl get pods -A | grep -iE 'calico|cilium|kube-router|antrea|weave'    # is there an engine?",
        "kubectl run probe -n NAMESPACE --rm -it --image=docker.io/curlimages/curl --restart=Never -- -sS -m 12 https://HOST; echo $?";
        NETWORK_POLICIES;
    "EGR-504": "curl ends in 6 after 20 s, or at once, since the lock is there.";
        "kubectl exec POD -n NAMESPACE -- cat /etc/resolv.conf    # 169.254.20.10 is the node's own resolver",
        "kubectl get endpointslices -n kube-system -l kubernetes.io/service-name=kube-dns -o yaml | grep -A3 ports    # policies see the target port, which may be 8053";
        NODE_LOCAL_DNS, DNS, NETWORK_POLICIES;
    "EGR-505": "A new pod stays 1/2, or in Init; its istio-proxy logs that istiod cannot be reached.";
        "kubectl logs POD -c istio-proxy -n NAMESPACE | grep -E 'istiod|15012'",
        "kubectl get pods -n istio-system -l app=istiod --show-labels; kubectl get namespace NAMESPACE -o jsonpath='{.metadata.labels.istio\\.io/rev}'";
        NETWORK_POLICIES, INJECTION;
    "EGR-506": "A declared host answers before the lock, and not under it.";
        "kubectl logs POD -c istio-proxy -n NAMESPACE | grep HOST    # PassthroughCluster or the host's own cluster, not the gateway's",
        "kubectl get virtualservice -A | grep HOST";
        EGRESS_GATEWAYS, NETWORK_POLICIES;
    "EGR-507": "The sidecar's line has UF,URX with the gateway's address since the lock is there.";
        "kubectl get networkpolicy -n istio-system",
        "kubectl get service istio-egressgateway -n istio-system -o jsonpath='{.spec.ports}'    # policies must name the target port";
        NETWORK_POLICIES, EGRESS_GATEWAYS;
    "EGR-508": "Pods that were ready are not any more, a moment after the lock.";
        "kubectl get pods -n NAMESPACE; kubectl describe pod POD -n NAMESPACE | tail -15    # which probe fails, and why",
        "kubectl logs POD -n NAMESPACE --tail=30";
        NETWORK_POLICIES;
    "EGR-509": "The switch's pod cannot reach the API server, or is refused there.";
        "kubectl get endpointslices -n default -l kubernetes.io/service-name=kubernetes    # the address behind the Service",
        "kubectl auth can-i delete networkpolicy/NAME -n NAMESPACE --as system:serviceaccount:NAMESPACE:ACCOUNT";
        NETWORK_POLICIES, RBAC;
    "EGR-510": "An application goes on talking to a host that a new connection does not reach.";
        "kubectl exec POD -n NAMESPACE -c istio-proxy -- pilot-agent request GET clusters | grep cx_active | grep -v ::0$",
        "kubectl logs POD -c istio-proxy -n NAMESPACE --tail=5    # the same upstream port in many lines";
        NETWORK_POLICIES;
    "EGR-511": "A probe says otherwise than the NetworkPolicies of the namespace.";
        "kubectl api-resources | grep -iE 'networkpolic|adminnetworkpolic'",
        "kubectl get ciliumnetworkpolicies,globalnetworkpolicies,adminnetworkpolicies -A    # those that the cluster knows";
        NETWORK_POLICIES;
    "EGR-512": "A pod of a locked namespace gets out.";
        "kubectl get networkpolicy -n NAMESPACE -o jsonpath='{.items[*].spec.podSelector}'; kubectl get pods -n NAMESPACE --show-labels",
        "kubectl get pods -n NAMESPACE -o jsonpath='{range .items[?(@.spec.hostNetwork)]}{.metadata.name}{\"\\n\"}{end}'";
        NETWORK_POLICIES, POD_SECURITY;
    "EGR-513": "The lock was there for a moment and is gone.";
        "kubectl get networkpolicy -n NAMESPACE",
        "kubectl get jobs,pods,events -n NAMESPACE    # what the dead-man's switch did";
        NETWORK_POLICIES;
    "EGR-514": "The lock is there, and so is the Job of its dead-man's switch.";
        "kubectl get networkpolicy,jobs -n NAMESPACE --show-labels",
        "kubectl get leases -n NAMESPACE    # who is at work, and since when";
        NETWORK_POLICIES;
    "EGR-515": "Names, istiod or the gateway are no longer reached under a lock that nobody touched.";
        "kubectl get networkpolicy NAME -n NAMESPACE -o yaml | grep -E 'cidr|port:|namespaceSelector' -A2",
        "kubectl get endpointslices -n kube-system -l kubernetes.io/service-name=kube-dns; kubectl get pods -n istio-system -o wide";
        NETWORK_POLICIES, NODE_LOCAL_DNS;
    "EGR-516": "Applications that worked lose a host, a database or a Service when the namespace is locked.";
        "kubectl logs -n NAMESPACE -l app=NAME -c istio-proxy --tail=-1 | grep -E 'PassthroughCluster|outbound'",
        "kubectl exec POD -n NAMESPACE -c istio-proxy -- pilot-agent request GET clusters | grep cx_total | grep -v ::0$";
        NETWORK_POLICIES, EXTERNAL_SERVICES;
}
