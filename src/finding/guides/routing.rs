//! 3nn: routing objects.

use super::guides;

guides! {
    "EGR-301": "A host that worked goes out directly, or not at all, and one of its four objects is not there.";
        "kubectl get serviceentry,gateways.networking.istio.io,virtualservice,destinationrule -n NAMESPACE",
        "istioctl analyze -n NAMESPACE    # it says nothing about a missing ServiceEntry or DestinationRule of two hops";
        EGRESS_GATEWAYS;
    "EGR-302": "A host behaves otherwise than when it was set up, and an object has another manager than ours.";
        "kubectl get virtualservice NAME -n NAMESPACE -o yaml --show-managed-fields    # who wrote which field, and when",
        "istioctl proxy-config routes POD.NAMESPACE";
        APPLY;
    "EGR-303": "Settings of a DestinationRule for the gateway (connection pool, TLS) have no effect in one namespace.";
        "kubectl get destinationrule -A | grep istio-egressgateway    # the client's own namespace wins",
        "istioctl proxy-config cluster POD.NAMESPACE --fqdn istio-egressgateway.istio-system.svc.cluster.local    # last column: the rule";
        DESTINATION_RULE;
}
