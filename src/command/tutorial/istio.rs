//! Istio's own egress tutorials, section by section: an external service, HTTP through the gateway, TLS origination,
//! HTTPS passed through, network policies. Each section stands for itself.

use super::section::{Section, Way, Work};
use crate::vocabulary::Mode;

/// Told before the first section: what has to be there. Never run.
pub(super) const PREREQUISITES: &[&str] = &[
    "kind create cluster",
    "istioctl install --set profile=minimal --set \"components.egressGateways[0].name=istio-egressgateway\" --set \"components.egressGateways[0].enabled=true\"",
];

const fn set_up(host: &'static str, port: u16, mode: Mode, mesh_mtls: Option<bool>) -> Work {
    Work::SetUp(Way {
        host,
        port,
        mode,
        mesh_mtls,
    })
}

/// The sections, in order.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "direct",
        title: "An external service, without the gateway",
        prose: "A ServiceEntry tells the mesh of the host, so that its traffic is counted, logged and routed by name; it still leaves from the workload's own sidecar.",
        by_hand: &[
            "kubectl label namespace NAMESPACE istio-injection=enabled; kubectl apply -f simple-curl-pod.yaml",
            "kubectl apply -f serviceentry-httpbin.yaml",
            "kubectl exec curl -c curl -- curl -sS http://httpbin.org/headers",
        ],
        command: "kubectl egress setup httpbin.org:80 --mode direct -n NAMESPACE --create-namespace",
        work: &[set_up("httpbin.org", 80, Mode::Direct, None), Work::Verify],
        shows: "Nothing here is secure: whoever goes around the sidecar goes around everything.",
        continues: false,
    },
    Section {
        name: "http",
        title: "HTTP through the gateway",
        prose: "The sidecar sends requests for the host to the gateway, and only the gateway sends them on: one place from which they leave, with one log. The leg between the two is plain here, as in the tutorial; without --mesh-mtls=false it would be protected by Istio's mutual TLS.",
        by_hand: &[
            "kubectl apply -f serviceentry-cnn.yaml",
            "kubectl apply -f gateway-cnn.yaml; kubectl apply -f destinationrule-egressgateway-for-cnn.yaml",
            "kubectl apply -f virtualservice-direct-cnn-through-egress-gateway.yaml",
            "kubectl exec \"$SOURCE_POD\" -c curl -- curl -sSL -o /dev/null -D - http://edition.cnn.com/politics",
            "kubectl logs -l istio=egressgateway -c istio-proxy -n istio-system | tail",
        ],
        command: "kubectl egress setup edition.cnn.com --mode http --mesh-mtls=false -n NAMESPACE --create-namespace",
        work: &[
            set_up("edition.cnn.com", 80, Mode::Http, Some(false)),
            Work::Verify,
        ],
        shows: "The host's port 443 still leaves directly: it has to be routed as well, which the next sections do.",
        continues: false,
    },
    Section {
        name: "tls-origination",
        title: "TLS origination at the gateway",
        prose: "The application speaks plain HTTP; the leg to the gateway is protected by Istio's mutual TLS, and the gateway makes the TLS of the outside. It checks the host's name in the certificate, which the tutorials' `mode: SIMPLE` alone does not.",
        by_hand: &[
            "kubectl apply -f serviceentry.yaml; kubectl apply -f gateway.yaml",
            "kubectl apply -f virtualservice.yaml; kubectl apply -f destinationrule-originate-tls.yaml",
            "kubectl exec curl -c curl -- curl -sS http://edition.cnn.com/politics",
        ],
        command: "kubectl egress setup edition.cnn.com --mode tls-origination -n NAMESPACE --create-namespace",
        work: &[
            set_up("edition.cnn.com", 80, Mode::TlsOrigination, None),
            Work::Verify,
        ],
        shows: "",
        continues: false,
    },
    Section {
        name: "passthrough",
        title: "HTTPS through the gateway",
        prose: "The application makes its own TLS, and both proxies pass it through by its server name: encrypted from end to end, and neither path nor method is seen on the way.",
        by_hand: &[
            "kubectl apply -f serviceentry-https.yaml",
            "kubectl apply -f gateway-passthrough.yaml; kubectl apply -f virtualservice-sni.yaml",
            "kubectl exec \"$SOURCE_POD\" -c curl -- curl -sSL -o /dev/null -D - https://edition.cnn.com/politics",
        ],
        command: "kubectl egress setup edition.cnn.com -n NAMESPACE --create-namespace",
        work: &[
            set_up("edition.cnn.com", 443, Mode::Passthrough, None),
            Work::Verify,
        ],
        shows: "",
        continues: false,
    },
    Section {
        name: "network-policies",
        title: "Network policies",
        prose: "Istio alone cannot make all traffic go through the gateway: a NetworkPolicy below the mesh does. It is derived from what the cluster has, applied with a dead-man's switch, and proven.",
        by_hand: &[
            "kubectl label ns istio-system istio=system; kubectl label ns kube-system kube-system=true",
            "kubectl apply -f networkpolicy-allow-egress-to-istio-system-and-kube-dns.yaml",
            "kubectl exec … curl https://www.wikipedia.org (from a pod without sidecar, then with one)",
        ],
        command: "kubectl egress setup edition.cnn.com -n NAMESPACE --create-namespace; kubectl egress lockdown -n NAMESPACE",
        work: &[
            set_up("edition.cnn.com", 443, Mode::Passthrough, None),
            Work::Lock,
        ],
        shows: "The tutorial's policy also lets pods reach every port of istio-system, and its proof is a meshed pod's exit code; here the lock names the gateway's target ports, and a pod without sidecar proves it.",
        continues: false,
    },
];
