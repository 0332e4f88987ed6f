//! 310 to 349: what objects say before anything is sent.

use super::guides;

guides! {
    "EGR-310": "The host goes out directly, and the gateway's log has no line of it.";
        "kubectl get virtualservice -A -o yaml | grep -B8 -A14 'mesh'    # a route for HOST with gateway mesh and the gateway as its destination?",
        "istioctl proxy-config listeners POD.NAMESPACE --port 443";
        EGRESS_GATEWAYS, TRAFFIC_PROBLEMS;
    "EGR-311": "The sidecar sends to the gateway, and the gateway's line has NR or leads elsewhere.";
        "kubectl get virtualservice -A -o yaml | grep -A20 gateways:    # a route for HOST with the Gateway's own name",
        "istioctl proxy-config listeners GATEWAY-POD.istio-system --port 8443";
        EGRESS_GATEWAYS, TRAFFIC_PROBLEMS;
    "EGR-312": "Nothing is noticed: a server with any certificate of that authority is accepted.";
        "istioctl proxy-config cluster GATEWAY-POD.istio-system --fqdn HOST -o json | grep -iE 'matchTypedSubjectAltNames|matchSubjectAltNames|autoSanValidation'    # none",
        "kubectl get destinationrule -A -o yaml | grep -A3 -E 'sni:|subjectAltNames:'";
        DESTINATION_RULE, SERVICE_IDENTITY;
    "EGR-313": "https of a host goes through the gateway and http directly, or the other way round.";
        "kubectl exec POD -n NAMESPACE -- curl -sS -o /dev/null -w '%{http_code} %{remote_ip}\\n' http://HOST https://HOST",
        "kubectl logs POD -c istio-proxy -n NAMESPACE | grep HOST    # PassthroughCluster for one of them";
        EGRESS_GATEWAYS, EXTERNAL_SERVICES;
    "EGR-314": "The proxy's line has NC, or TLS is not made, although the DestinationRule exists.";
        "istioctl proxy-config clusters POD.NAMESPACE --fqdn HOST    # last column: the rule that it sees",
        "kubectl get destinationrule -A -o yaml | grep -B4 -A4 exportTo";
        DESTINATION_RULE;
    "EGR-315": "curl ends in 35 (https) or prints 503 (http); the proxy's line has NC.";
        "kubectl get virtualservice -A -o yaml | grep -B3 subset:",
        "kubectl get destinationrule -A -o yaml | grep -A6 subsets:";
        DESTINATION_RULE, RESPONSE_FLAGS;
    "EGR-316": "The VirtualService is accepted, and the gateway has no route for the host (NR).";
        "kubectl get virtualservice -A -o yaml | grep -A3 gateways:",
        "kubectl get gateways.networking.istio.io -A";
        GATEWAY, TRAFFIC_PROBLEMS;
    "EGR-317": "curl ends in 35; the gateway's line has NR.";
        "kubectl get gateways.networking.istio.io -A -o yaml | grep -A3 selector:",
        "kubectl get pods -A -l istio=egressgateway --show-labels; istioctl analyze -n NAMESPACE    # IST0101";
        GATEWAY;
    "EGR-318": "The sidecar's line has UF,URX towards the gateway, or the gateway has no listener.";
        "kubectl get service istio-egressgateway -n istio-system -o jsonpath='{.spec.ports}'",
        "kubectl get gateways.networking.istio.io -A -o yaml | grep -A4 'port:'";
        GATEWAY, EGRESS_GATEWAYS;
    "EGR-319": "curl ends in 35; istiod's log says `listener missed network filter`; istioctl analyze finds nothing.";
        "kubectl logs -n istio-system deploy/istiod | grep 'listener missed'",
        "istioctl proxy-config listeners GATEWAY-POD.istio-system --port 8443    # no chain for the host";
        GATEWAY, EGRESS_GATEWAYS;
    "EGR-320": "One of two hosts on the same gateway port works, the other one does not.";
        "kubectl get gateways.networking.istio.io -A -o yaml | grep -A8 servers:",
        "kubectl logs -n istio-system deploy/istiod | grep -iE 'conflict|skipping server'";
        GATEWAY, TRAFFIC_PROBLEMS;
    "EGR-321": "curl ends in 35 or prints 503; the gateway's line has UH.";
        "kubectl get serviceentry -A -o yaml | grep -B8 resolution:",
        "istioctl proxy-config endpoints GATEWAY-POD.istio-system --cluster 'outbound|443||HOST'    # none";
        SERVICE_ENTRY, WILDCARDS;
    "EGR-322": "Hosts that nobody declared are reached although the mesh says REGISTRY_ONLY.";
        "kubectl get serviceentry -A -o yaml | grep -B10 -E 'resolution: NONE'",
        "istioctl proxy-config listeners POD.NAMESPACE";
        SERVICE_ENTRY, EXTERNAL_SERVICES;
    "EGR-323": "One port of a host works and another does not, and it changes with the order of creation.";
        "kubectl get serviceentry -A --sort-by=.metadata.creationTimestamp    # the oldest wins",
        "istioctl proxy-config clusters POD.NAMESPACE --fqdn HOST";
        SERVICE_ENTRY;
    "EGR-324": "The proxy's line has NC or NR, although the VirtualService is there.";
        "kubectl get serviceentry,service -A | grep HOST",
        "istioctl proxy-config clusters POD.NAMESPACE | grep HOST    # none";
        TRAFFIC_PROBLEMS, SERVICE_ENTRY;
    "EGR-325": "curl prints 503 (UC), or the host answers 400; a packet capture shows plaintext at port 443.";
        "istioctl proxy-config cluster POD.NAMESPACE --fqdn HOST -o json | grep -i transportSocket    # none",
        "kubectl get destinationrule -A -o yaml | grep -B12 credentialName";
        DESTINATION_RULE, TLS_ORIGINATION;
    "EGR-326": "A namespace goes out directly, or is refused, while other namespaces use the gateway.";
        "kubectl get sidecar -A -o yaml | grep -A8 egress:    # istio-system/* and the host must be among its hosts",
        "istioctl proxy-config clusters POD.NAMESPACE | grep -E 'HOST|egressgateway'    # none";
        MESH_CONFIG, TRAFFIC_PROBLEMS;
    "EGR-327": "kubectl apply is refused: `hosts must be FQDN … if no endpoints are provided for resolution mode DNS`.";
        "kubectl get serviceentry -A -o yaml | grep -B12 'resolution: DNS'",
        "kubectl apply --dry-run=server -f FILE";
        SERVICE_ENTRY, WILDCARDS;
    "EGR-330": "Some requests have a line in the gateway's log and others, often those of TCP and TLS, have none.";
        "kubectl get telemetry -A -o yaml | grep -A4 filter:",
        "kubectl logs -n istio-system -l istio=egressgateway -c istio-proxy --tail=20";
        TELEMETRY, ACCESS_LOGS;
    "EGR-331": "A Telemetry resource is there and changes nothing.";
        "kubectl get telemetry -A --sort-by=.metadata.creationTimestamp    # of two without a selector in one namespace the oldest counts",
        "istioctl analyze -A | grep IST0160";
        TELEMETRY;
    "EGR-335": "Whoever goes past the sidecar goes out: nothing stops the packets.";
        "kubectl get networkpolicy -A",
        "kubectl run probe -n NAMESPACE --rm -it --restart=Never --labels=sidecar.istio.io/inject=false --image=docker.io/curlimages/curl -- -sS -m 12 https://HOST";
        EGRESS_GATEWAYS, SECURITY_PRACTICES, NETWORK_POLICIES;
    "EGR-336": "A firewall by node addresses cannot tell the gateway's traffic from that of applications.";
        "kubectl get pods -A -o wide --field-selector spec.nodeName=NODE",
        "kubectl get pods -n istio-system -l istio=egressgateway -o wide";
        EGRESS_GATEWAYS;
    "EGR-337": "Pods of the namespace have no container istio-proxy, and their requests still pass the mesh.";
        "kubectl get namespaces -L istio.io/dataplane-mode,istio.io/use-waypoint",
        "istioctl ztunnel-config workloads; istioctl waypoint status -A";
        AMBIENT;
    "EGR-349": "kubectl apply refuses the object, or a field of it has no effect.";
        "kubectl apply --dry-run=server -f FILE",
        "kubectl explain KIND.spec";
        TRAFFIC_PROBLEMS;
}
