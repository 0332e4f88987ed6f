//! TLS of the application end to end: the tutorial of the Kyma project that this program replaces.

use super::section::{Section, Way, Work};
use crate::vocabulary::Mode;

/// Told before the first section: what has to be there. Never run.
pub(super) const PREREQUISITES: &[&str] =
    &["a cluster with Istio and an egress gateway; on Kyma the Istio module, whose gateway `setup` enables"];

/// The sections, in order.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "setup",
        title: "Set up",
        prose: "Traffic to kyma-project.io is to leave through the egress gateway. One command makes the namespace, a source to send requests from, the access log of both proxies, and four routing objects, side by side, and waits until both proxies hold the route: a request that is sent too early is a clean 200 that went around the gateway.",
        by_hand: &[
            "kubectl create namespace NAMESPACE; kubectl label namespace NAMESPACE istio-injection=enabled",
            "kubectl apply -f telemetry.yaml; kubectl apply -f curl.yaml; kubectl wait …",
            "kubectl apply -f serviceentry.yaml; kubectl apply -f gateway-destinationrule-virtualservice.yaml",
        ],
        command: "kubectl egress setup kyma-project.io -n NAMESPACE --create-namespace",
        work: &[Work::SetUp(Way {
            host: "kyma-project.io",
            port: 443,
            mode: Mode::Passthrough,
            mesh_mtls: None,
        })],
        shows: "",
        continues: false,
    },
    Section {
        name: "verify",
        title: "Prove it",
        prose: "A 200 proves nothing, and neither does some line in the gateway's log. Here every probe is followed by its socket addresses from curl through the sidecar to the gateway, and what should not get out is tried as well.",
        by_hand: &[
            "kubectl exec -n NAMESPACE $SOURCE_POD -c curl -- curl -sSL -o /dev/null -D - https://kyma-project.io",
            "kubectl logs -l istio=egressgateway -n istio-system",
        ],
        command: "kubectl egress verify -n NAMESPACE",
        work: &[Work::Verify],
        shows: "The declared host is routed. What is not declared, such as kyma-project.io on port 80, still leaves directly, and a pod without sidecar reaches everything: Istio routes, it does not lock. Only a policy below the mesh does. The gateway does not see into TLS. In modes that carry HTTP (--mode http, tls-origination) Istio would tell the host who called: X-Forwarded-Client-Cert holds the workload's own certificate. The routes made here take that header out, and six more; --keep-headers leaves them in, and `verify --echo PATH` asks the host what it saw.",
        continues: true,
    },
    Section {
        name: "lockdown",
        title: "Lock it",
        prose: "The lock lets the namespace's pods reach DNS, istiod and the gateway's pods, and nothing else. Before it is applied, a Job is armed in the cluster that takes it back unless the proof succeeds, whatever becomes of this program. The proof comes from pods that started under the lock, with sidecar and without.",
        by_hand: &[
            "export KUBE_DNS_ADDRESS=$(kubectl get svc -n kube-system kube-dns -o jsonpath='{.spec.clusterIP}')",
            "kubectl apply -f networkpolicy.yaml (which opens all of istio-system, its ingress gateway included)",
            "kubectl exec … curl https://www.google.com (exit 35, which a sidecar gives without any policy as well)",
        ],
        command: "kubectl egress lockdown -n NAMESPACE",
        work: &[Work::Lock],
        shows: "",
        continues: true,
    },
    Section {
        name: "cleanup",
        title: "Put everything back",
        prose: "The set-up wrote down what it changed, and what was there before, before it changed it.",
        by_hand: &["kubectl delete … (some twelve objects and a label, from memory)"],
        command: "kubectl egress cleanup -n NAMESPACE --verify",
        work: &[Work::CleanUp],
        shows: "",
        continues: true,
    },
];
