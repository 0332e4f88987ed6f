//! 60n: attempts to get out without the gateway.

use super::guides;

guides! {
    "EGR-601": "A pod that goes past its sidecar reaches the outside.";
        "kubectl run probe -n NAMESPACE --rm -it --restart=Never --labels=sidecar.istio.io/inject=false --image=docker.io/curlimages/curl -- -sS -m 12 https://HOST",
        "kubectl run probe -n NAMESPACE --rm -it --restart=Never --image=docker.io/curlimages/curl --overrides='{\"spec\":{\"securityContext\":{\"runAsUser\":1337}}}' -- -sS -m 12 https://HOST";
        SECURITY_PRACTICES, EGRESS_GATEWAYS, NETWORK_POLICIES;
    "EGR-602": "An attempt had no answer, and nobody knows whether there would have been one.";
        "kubectl run control -n OTHER --rm -it --restart=Never --image=docker.io/curlimages/curl -- -sS -m 12 https://HOST; echo $?",
        "kubectl get networkpolicy -n OTHER    # none may hold the control";
        NETWORK_POLICIES, CURL;
    "EGR-603": "A pod without sidecar reaches a declared host by the gateway's address.";
        "kubectl exec POD -n NAMESPACE -- curl -sS --connect-to HOST:443:istio-egressgateway.istio-system:443 https://HOST",
        "kubectl get gateways.networking.istio.io -A -o yaml | grep -A3 'tls:'    # PASSTHROUGH asks nobody";
        EGRESS_GATEWAYS, AUTHORIZATION, SNI;
    "EGR-604": "A locked pod reaches the ingress gateway's ports.";
        "kubectl exec POD -n NAMESPACE -- curl -sS -m 5 -o /dev/null -w '%{http_code}\\n' http://istio-ingressgateway.istio-system",
        "kubectl get networkpolicy -n NAMESPACE -o yaml | grep -A6 namespaceSelector    # without a podSelector beside it";
        NETWORK_POLICIES, SECURITY_PRACTICES;
    "EGR-605": "A pod with hostNetwork reaches the outside from a locked namespace.";
        "kubectl get pods -n NAMESPACE -o jsonpath='{range .items[?(@.spec.hostNetwork)]}{.metadata.name}{\"\\n\"}{end}'",
        "kubectl get namespace NAMESPACE --show-labels | grep pod-security";
        POD_SECURITY, NETWORK_POLICIES;
    "EGR-606": "What a locked namespace cannot do is done from another one.";
        "kubectl get networkpolicy -A",
        "kubectl auth can-i create pods -n OTHER --as USER";
        NETWORK_POLICIES, RBAC;
    "EGR-607": "Nothing is noticed: the traffic looks like that of a declared host, or like names that are asked for.";
        "kubectl exec POD -n NAMESPACE -- curl -sS https://HOST -H 'Host: other.example'    # TLS to one name, a request for another",
        "kubectl exec POD -n NAMESPACE -- nslookup some.long.label.a-domain-of-your-own.example";
        SNI, DNS;
}
