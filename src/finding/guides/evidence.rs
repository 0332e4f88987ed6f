//! 101 to 121, and 143 to 149: what became of a request.

use super::guides;

guides! {
    "EGR-101": "curl prints 200, and the gateway's access log has no line of it; the server sees the pod's own address.";
        "kubectl logs POD -c istio-proxy -n NAMESPACE | grep HOST    # PassthroughCluster, or outbound|443||HOST",
        "istioctl proxy-config listeners POD.NAMESPACE --port 443    # is there a filter chain for the SNI?";
        EGRESS_GATEWAYS, EXTERNAL_SERVICES;
    "EGR-102": "A pod without sidecar reaches the host whatever Istio's objects say.";
        "kubectl get pod POD -n NAMESPACE -o jsonpath='{.spec.containers[*].name} {.spec.initContainers[*].name}'    # no istio-proxy",
        "kubectl exec POD -n NAMESPACE -- curl -sS -m 12 -o /dev/null -w '%{http_code} %{remote_ip}\\n' https://HOST";
        EGRESS_GATEWAYS, SECURITY_PRACTICES;
    "EGR-103": "The request went well, and none of the gateway's pods has a line about it.";
        "kubectl logs -n istio-system -l istio=egressgateway -c istio-proxy --tail=-1 --prefix | grep HOST    # -l alone shows ten lines of each pod",
        "kubectl get telemetry -A; kubectl get configmap istio -n istio-system -o yaml | grep accessLog";
        ACCESS_LOGS, TELEMETRY;
    "EGR-104": "The sidecar of the pod that sent the request wrote nothing about it.";
        "kubectl logs POD -c istio-proxy -n NAMESPACE --tail=20",
        "kubectl get telemetry -n NAMESPACE -o yaml; kubectl get configmap istio -n istio-system -o yaml | grep accessLog";
        ACCESS_LOGS, TELEMETRY;
    "EGR-105": "`kubectl logs -f` of the gateway's pod shows nothing, although connections come.";
        "kubectl port-forward -n istio-system POD 8443 & openssl s_client -connect 127.0.0.1:8443 -servername sentinel.invalid </dev/null",
        "kubectl logs -n istio-system POD -c istio-proxy --tail=5    # a line with NR and that name must be there";
        ACCESS_LOGS;
    "EGR-106": "`kubectl logs` of a proxy ends in `Error from server (Forbidden)`.";
        "kubectl auth can-i get pods/log -n istio-system",
        "kubectl auth can-i get pods/log -n NAMESPACE";
        RBAC;
    "EGR-107": "A command in the pod ended without saying how.";
        "kubectl get pod POD -n NAMESPACE    # was it replaced, or its container restarted?",
        "kubectl exec POD -n NAMESPACE -- curl -sS -o /dev/null -w '%{http_code}\\n' https://HOST; echo $?";
        CURL;
    "EGR-108": "curl ends in 28 or 35, or prints 503; a proxy's line has UF, URX, UC or UT.";
        "kubectl logs -n istio-system -l istio=egressgateway -c istio-proxy --tail=-1 | grep HOST",
        "kubectl exec -n istio-system GATEWAY-POD -c istio-proxy -- pilot-agent request GET clusters | grep HOST    # its addresses, cx_connect_fail",
        "curl -v https://HOST    # from outside of the cluster";
        RESPONSE_FLAGS, CURL;
    "EGR-109": "curl ends in 35 within milliseconds (https), or prints 502 with an empty body (http).";
        "kubectl logs POD -c istio-proxy -n NAMESPACE | grep -E 'BlackHoleCluster|block_all'",
        "kubectl get configmap istio -n istio-system -o yaml | grep -A1 outboundTrafficPolicy; kubectl get sidecar -n NAMESPACE -o yaml";
        EXTERNAL_SERVICES, MESH_CONFIG;
    "EGR-110": "curl ends in 35 (https) or prints 404 (http); the gateway's line has NR.";
        "kubectl logs -n istio-system -l istio=egressgateway -c istio-proxy --tail=-1 | grep ' NR '",
        "istioctl proxy-config listeners GATEWAY-POD.istio-system --port 8443    # the names of its filter chains",
        "kubectl get gateways.networking.istio.io,virtualservice -A | grep -i HOST; kubectl logs -n istio-system deploy/istiod | grep 'listener missed'";
        GATEWAY, TRAFFIC_PROBLEMS, RESPONSE_FLAGS;
    "EGR-111": "curl ends in 6, `Could not resolve host`; or in 28, `Resolving timed out`.";
        "kubectl exec POD -n NAMESPACE -- cat /etc/resolv.conf",
        "kubectl exec POD -n NAMESPACE -- nslookup HOST    # 20 s and no answer: DNS is not reached";
        DNS, CURL;
    "EGR-112": "curl ends in 60, `SSL certificate problem`.";
        "kubectl exec POD -n NAMESPACE -- curl -v https://HOST 2>&1 | grep -E 'subject|issuer|SSL'",
        "openssl s_client -connect HOST:443 -servername HOST -showcerts </dev/null | openssl x509 -noout -issuer -ext subjectAltName -dates";
        SERVICE_IDENTITY, CURL;
    "EGR-113": "curl ends in 35, or prints 503; the sidecar's line has UF,URX and the gateway's address with port 8443 or 8080, and the gateway has no line.";
        "kubectl get endpointslices -n istio-system -l kubernetes.io/service-name=istio-egressgateway",
        "kubectl get networkpolicy -n istio-system; kubectl get networkpolicy -n NAMESPACE    # they must name the target port 8443, not the Service's 443";
        EGRESS_GATEWAYS, NETWORK_POLICIES, RESPONSE_FLAGS;
    "EGR-114": "curl ends in 35 (https) or prints 503 (http); the line has NC.";
        "istioctl proxy-config clusters POD.NAMESPACE --fqdn HOST    # is the subset there?",
        "kubectl get destinationrule -A -o wide; kubectl get virtualservice -n NAMESPACE -o yaml | grep -B2 -A2 subset";
        DESTINATION_RULE, TRAFFIC_PROBLEMS, RESPONSE_FLAGS;
    "EGR-115": "Two witnesses of one request say things that cannot both be true.";
        "kubectl logs POD -c istio-proxy -n NAMESPACE --tail=20 --timestamps",
        "kubectl logs -n istio-system -l istio=egressgateway -c istio-proxy --tail=20 --prefix --timestamps";
        ACCESS_LOGS;
    "EGR-116": "`curl: not found`, or a curl that knows no `--write-out '%{json}'`.";
        "kubectl exec POD -n NAMESPACE -- curl --version",
        "kubectl debug POD -n NAMESPACE -it --image=docker.io/curlimages/curl -- sh";
        EPHEMERAL, CURL;
    "EGR-117": "The pod has no container istio-proxy, neither among its containers nor among its init containers.";
        "kubectl get pod POD -n NAMESPACE -o jsonpath='{.spec.containers[*].name} {.spec.initContainers[*].name}'",
        "kubectl get namespace NAMESPACE --show-labels; istioctl x check-inject -n NAMESPACE POD";
        INJECTION;
    "EGR-118": "A host that nobody should reach answers, and its server sees the gateway's address.";
        "kubectl get serviceentry,virtualservice -A -o yaml | grep -B12 HOST",
        "kubectl logs -n istio-system -l istio=egressgateway -c istio-proxy --tail=-1 | grep HOST";
        EGRESS_GATEWAYS, AUTHORIZATION;
    "EGR-119": "A request ended, and no line tells why.";
        "kubectl logs -n istio-system -l istio=egressgateway -c istio-proxy --tail=-1 --prefix | grep HOST",
        "istioctl proxy-config log POD.NAMESPACE --level debug    # and back to warning afterwards";
        RESPONSE_FLAGS, RESPONSE_DETAILS, PROXY_DEBUG;
    "EGR-120": "curl prints 403 with `RBAC: access denied`, or is cut off; the line has rbac_access_denied.";
        "kubectl logs POD -c istio-proxy -n NAMESPACE | grep rbac_access_denied    # names the policy",
        "kubectl get authorizationpolicy,networkpolicy -A; istioctl x authz check POD.NAMESPACE";
        AUTHORIZATION, NETWORK_POLICIES;
    "EGR-121": "From a pod without sidecar curl ends in 28 (dropped) or 7 (rejected), while another pod reaches the host.";
        "kubectl get networkpolicy -n NAMESPACE; kubectl describe networkpolicy -n NAMESPACE",
        "kubectl exec POD -n NAMESPACE -- curl -sS -m 12 https://HOST; echo $?    # beside the same from a pod that may";
        NETWORK_POLICIES, CURL;
    "EGR-143": "curl prints 404, or is cut off; the sidecar's line has NR.";
        "istioctl proxy-config routes POD.NAMESPACE -o json | grep -A5 HOST",
        "kubectl get virtualservice,sidecar -A; istioctl x describe pod POD -n NAMESPACE";
        TRAFFIC_PROBLEMS, RESPONSE_FLAGS;
    "EGR-144": "curl ends in 35 or prints 503; the line has UH (or DF) with the host's own cluster.";
        "istioctl proxy-config endpoints POD.NAMESPACE --cluster 'outbound|443||HOST'    # none",
        "kubectl get serviceentry -A -o yaml | grep -E 'hosts|resolution|- .*HOST'";
        SERVICE_ENTRY, WILDCARDS, RESPONSE_FLAGS;
}
