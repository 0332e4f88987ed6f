//! 60n: attempts to get out without the gateway.

use super::catalogue;

catalogue! {
    /// An attempt got out.
    ATTEMPT_GOT_OUT = "EGR-601", Error, "an attempt got out without the gateway",
        "`kubectl egress verify --bypass` makes pods that go past the sidecar, and tries. Without a lock nothing below the mesh stops them; under one, another NetworkPolicy or the network plugin lets them through.",
        "`kubectl egress lockdown` lets out only DNS, istiod and the gateway's pods, and proves it";
    /// An attempt without a control.
    ATTEMPT_INCONCLUSIVE = "EGR-602", Warning, "an attempt decided nothing",
        "Silence is a block only where somebody would have answered. Under a lock that takes a record of `kubectl egress verify --bypass` from before the lock, or a pod that no lock holds.",
        "compare with a pod of a namespace that is not locked: `kubectl egress verify --bypass --attempts all`; or make the record: unlock, `kubectl egress verify --bypass`, lockdown";
    /// The gateway's port is open to pods without sidecar.
    GATEWAY_CARRIES_ANYBODY = "EGR-603", Warning, "the gateway carries pods without sidecar",
        "A passthrough listener asks nobody who they are: whoever reaches the gateway's port and names a declared host is carried, logged but not authenticated.",
        "ask for mutual TLS between sidecar and gateway: `kubectl egress setup HOST --mesh-mtls`, and name who may: `--allow-from`";
    /// The ingress gateway can be reached under a lock.
    INGRESS_GATEWAY_REACHABLE = "EGR-604", Error, "the ingress gateway can be reached under the lock",
        "A NetworkPolicy lets all of its namespace through, as tutorials do for istio-system. The ingress gateway is a proxy like the egress gateway: whoever may make a Gateway and a VirtualService for it leaves through it, past the egress gateway.",
        "let the policy name the egress gateway's pods and istiod's by podSelector, as `kubectl egress lockdown` does; `kubectl describe networkpolicy -n NAMESPACE` shows which rule lets all of a namespace through";
    /// hostNetwork.
    HOST_NETWORK_GETS_OUT = "EGR-605", Error, "a pod on the host's network gets out",
        "NetworkPolicies hold pods, and a pod with hostNetwork has the node's address. Only admission stops it.",
        "`kubectl label namespace NAMESPACE pod-security.kubernetes.io/enforce=baseline`";
    /// Another namespace is open.
    OTHER_NAMESPACE_GETS_OUT = "EGR-606", Warning, "a pod of another namespace gets out",
        "A lock holds the pods of its namespace. Whoever may make pods in another one, or reaches one there that passes traffic on, is not held by it.",
        "lock the other namespaces as well: `kubectl egress lockdown -n OTHER --plan NAMESPACE/NAME`; see who may make pods: `kubectl auth can-i create pods -A --list`";
    /// What no lock closes.
    OPEN_BY_DESIGN = "EGR-607", Info, "ways that no lock closes",
        "Inside the TLS of a declared host nobody sees which Host is asked for (domain fronting), and the resolver that pods must reach passes names on to the outside (DNS tunnelling).",
        "let the TLS end at the gateway (modes http and tls-origination); give the namespace a resolver that answers for the cluster and the declared hosts only";
}
