//! Mutual TLS from one cluster to a workload in another: the tutorial of the Kyma project that this program replaces.

use super::section::{Section, Work};

/// The name that the target's ingress gateway answers to.
const HOST: &str = "target.example.com";

/// Told before the first section: what has to be there. Never run.
pub(super) const PREREQUISITES: &[&str] = &[
    "two clusters with Istio: this one with an egress gateway, the other, CONTEXT, with an ingress gateway",
    "a DNS record by which target.example.com leads from this one to that ingress gateway",
];

/// The sections, in order.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "setup",
        title: "Both ends of mutual TLS",
        prose: "One command makes a CA, a server's and a client's certificate with names that are really compared, and forgets the CA's key. In the other cluster it puts httpbin behind the ingress gateway, which lets in only clients of that CA; it asks there without certificate, which must be refused, and with it. In this cluster the egress gateway gets the client's certificate in a Secret of its own namespace and adds it to what the application sends by plain HTTP.",
        by_hand: &[
            "openssl req -x509 …; openssl req …; openssl x509 -req … (twice, without names that a client compares)",
            "export KUBECONFIG=…; kubectl create secret generic -n istio-system kyma-mtls-certs --from-file=cacert=… --from-file=key=… --from-file=cert=…",
            "kubectl apply -f httpbin.yaml; kubectl apply -f gateway.yaml; kubectl apply -f apirule.yaml",
            "curl -ik https://target.example.com/headers; curl --cert … --key … --cacert … -ik https://target.example.com/headers",
            "export KUBECONFIG=…; kubectl create secret -n istio-system generic client-credential --from-file=tls.key=… --from-file=tls.crt=… --from-file=ca.crt=…",
            "kubectl apply -f serviceentry.yaml; kubectl apply -f gateway.yaml; kubectl apply -f virtualservice.yaml; kubectl apply -f destinationrules.yaml",
        ],
        command: "kubectl egress setup target.example.com --target-context CONTEXT -n NAMESPACE --create-namespace",
        work: &[Work::TwoClusters(HOST)],
        shows: "The workload was told of exactly the certificate that the egress gateway holds, and was asked from that gateway's pod: neither the application nor its pod ever had the key.",
        continues: false,
    },
    Section {
        name: "verify",
        title: "Prove it",
        prose: "Every probe is followed from curl through the sidecar to the gateway, and what should not get out is tried as well.",
        by_hand: &[
            "kubectl exec -n NAMESPACE $SOURCE_POD -c curl -- curl -sSL -o /dev/null -D - http://target.example.com/headers",
            "kubectl logs -l istio=egressgateway -n istio-system",
        ],
        command: "kubectl egress verify -n NAMESPACE",
        work: &[Work::Verify],
        shows: "Only http://target.example.com is routed. HTTPS that an application makes itself has no client certificate, and the target refuses it.",
        continues: true,
    },
    Section {
        name: "lockdown",
        title: "Lock it",
        prose: "The lock lets the namespace's pods reach DNS, istiod and the gateway's pods, and nothing else, so that the gateway is the only way to the target.",
        by_hand: &[
            "kubectl apply -f networkpolicy.yaml (which opens all of istio-system, its ingress gateway included)",
            "kubectl exec … curl https://kyma-project.io (a host that this tutorial never routes)",
        ],
        command: "kubectl egress lockdown -n NAMESPACE",
        work: &[Work::Lock],
        shows: "",
        continues: true,
    },
    Section {
        name: "cleanup",
        title: "Put everything back, in both clusters",
        prose: "Each cluster has the journal of what was changed in it, and this one's names the other.",
        by_hand: &["kubectl delete … (in one cluster, then in the other)"],
        command: "kubectl egress cleanup -n NAMESPACE --verify",
        work: &[Work::CleanUp],
        shows: "",
        continues: true,
    },
];
