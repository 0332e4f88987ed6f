//! 101 to 121, and 143 to 149: what became of a request.

use super::catalogue;

catalogue! {
    /// The request went out through the sidecar but not through the gateway.
    BYPASSED_AT_SIDECAR = "EGR-101", Error, "request left directly from the sidecar",
        "The sidecar had no route to the gateway for this host and port, so outboundTrafficPolicy ALLOW_ANY, or the ServiceEntry alone, let it out directly.",
        "run `kubectl egress setup HOST`, or `kubectl egress status` to see which routing object is missing; `kubectl egress lockdown` stops whatever does not go through the gateway";
    /// A pod without sidecar reached the host.
    BYPASSED_WITHOUT_SIDECAR = "EGR-102", Warning, "a pod without sidecar reaches the host directly",
        "Istio routes only what passes a sidecar; nothing below the mesh stops other pods.",
        "`kubectl egress lockdown` lets out only DNS, istiod and the gateway's pods, and proves it";
    /// The gateway's line for a probe did not arrive.
    NO_GATEWAY_LINE = "EGR-103", Warning, "no line of the gateway's access log for this probe",
        "The follower did not deliver, the access log is off, or the request did not reach this gateway.",
        "switch the gateway's access log on: `kubectl egress enable-gateway`";
    /// The sidecar's line for a probe did not arrive.
    NO_SIDECAR_LINE = "EGR-104", Warning, "no line of the sidecar's access log for this probe",
        "The access log of the source's sidecar is off, or its line did not come in time.",
        "our source's is switched on by `kubectl egress deploy-curl`, that of a workload of your own by `kubectl egress setup --from deploy/NAME`";
    /// A follower could not be shown to deliver.
    FOLLOWER_SILENT = "EGR-105", Warning, "the gateway's access log does not arrive",
        "A sentinel connection to the gateway pod left no line in its log, so a missing line proves nothing.",
        "switch the gateway's access log on: `kubectl egress enable-gateway`";
    /// No permission to read logs.
    LOGS_FORBIDDEN = "EGR-106", Warning, "no permission to read a proxy's log",
        "The user may not `get pods/log` there, so nothing can be proven about what passed the proxy.",
        "ask for `get` on `pods/log` in that namespace";
    /// The probe's exec ended without a status.
    EXEC_LOST = "EGR-107", Warning, "the connection to the probing container was lost",
        "The exec ended without an exit status, so the probe may or may not have run.",
        "run the command again";
    /// The host did not answer.
    HOST_UNREACHABLE = "EGR-108", Error, "the host did not answer",
        "The gateway, or the sidecar, let the request out and the connection failed behind it.",
        "check from outside the cluster that the host answers on this port, and that the network lets the gateway's node out";
    /// The sidecar refused because of REGISTRY_ONLY.
    REGISTRY_ONLY = "EGR-109", Info, "stopped by REGISTRY_ONLY",
        "outboundTrafficPolicy REGISTRY_ONLY lets the sidecar refuse hosts that no ServiceEntry declares. It proves nothing about pods without sidecar.",
        "to allow the host: `kubectl egress setup HOST`";
    /// The gateway refused.
    GATEWAY_REFUSED = "EGR-110", Error, "the gateway has no route for the host",
        "The sidecar sent the request to the gateway, whose listener has no filter chain or route for this SNI or Host.",
        "run `kubectl egress setup HOST` again; `kubectl egress status` shows which object is missing or selects another gateway";
    /// curl failed before anything was sent.
    NAME_NOT_RESOLVED = "EGR-111", Error, "the host name does not resolve in the pod",
        "DNS in the pod answered that the name does not exist, or did not answer.",
        "check the spelling, and that the cluster's DNS forwards outside names";
    /// curl does not trust the server's certificate.
    CERTIFICATE_REFUSED = "EGR-112", Error, "the source does not accept the host's certificate",
        "The request reached a server whose certificate the source does not trust for this name.",
        "give the CA with `--cacert`, or correct the server's certificate";
    /// The sidecar has a route but the gateway cannot be connected to.
    GATEWAY_UNREACHABLE = "EGR-113", Error, "the sidecar could not connect to the gateway",
        "The route names the gateway, but no gateway pod accepts connections on its target port.",
        "`kubectl egress status` shows the gateway's pods; `kubectl egress enable-gateway` starts them";
    /// The proxy has the route, but its cluster is missing.
    CLUSTER_MISSING = "EGR-114", Error, "the route names a cluster that the proxy does not have",
        "A VirtualService names a subset, and no DestinationRule that this proxy sees defines it.",
        "run `kubectl egress setup HOST` again: it applies the DestinationRule";
    /// Evidence contradicts itself.
    CONTRADICTION = "EGR-115", Warning, "the witnesses contradict each other",
        "For example curl succeeded while the proxy's line shows a failure.",
        "run the command again; if it persists, `kubectl egress logs` shows the raw lines";
    /// The probing tool is too old or missing.
    NO_CURL = "EGR-116", Warning, "the source has no usable curl",
        "curl 7.75 or newer is needed for its per-transfer report.",
        "use our source (`kubectl egress deploy-curl`), or `--from deploy/NAME` with `--yes` for an ephemeral container";
    /// The workload has no sidecar.
    SOURCE_NOT_MESHED = "EGR-117", Warning, "the source has no sidecar",
        "Nothing routes its traffic to the gateway.",
        "label the namespace `istio-injection=enabled` (or the pod `sidecar.istio.io/inject=true`) and restart the workload";
    /// A host that must not be reachable is reachable, by the planned way.
    FORBIDDEN_HOST_REACHABLE = "EGR-118", Warning, "a host that must not be reachable is reachable through the gateway",
        "The gateway has a route for the host: another plan, or somebody by hand, declared it.",
        "`kubectl egress status` names the routing objects of the host; take them away, or allow the host in the plan";
    /// A proxy ended the request in a way that decides nothing.
    NOT_EXPLAINED = "EGR-119", Warning, "the evidence does not explain what happened",
        "The lines that were found show neither a complete way nor a refusal that is known.",
        "`kubectl egress logs --raw` shows the lines word for word";
    /// A policy stops a declared host.
    STOPPED_BY_POLICY = "EGR-120", Error, "a policy stops a declared host",
        "A NetworkPolicy or an AuthorizationPolicy selects the source or the gateway and does not allow the host.",
        "allow the way to the gateway and to the host in that policy: `kubectl get networkpolicy,authorizationpolicy -A`";
    /// Packets do not pass a NetworkPolicy.
    STOPPED_BY_NETWORK_POLICY = "EGR-121", Info, "stopped by a NetworkPolicy",
        "NetworkPolicies select the pod, and none of them allows this destination and port; its packets are dropped.",
        "to allow the host: `kubectl egress setup HOST`, which routes it through the gateway; `kubectl get networkpolicy -A` lists the policies";
    /// A proxy that is no gateway has no route.
    NO_ROUTE = "EGR-143", Error, "a proxy has no route for the request",
        "At a sidecar: a VirtualService or Service claims this host and port, and none of its routes fits the request (its path, its headers, its protocol), or a Sidecar object hides the destination.",
        "`istioctl proxy-config routes POD.NAMESPACE` shows the routes; take the VirtualService away, or give it a route that fits";
    /// A cluster without endpoints.
    NO_ENDPOINT = "EGR-144", Error, "a proxy has a route and no address to send to",
        "The host's name did not resolve in the proxy (resolution DNS), or the ServiceEntry has resolution NONE or DYNAMIC_DNS at the gateway, where only a sidecar can use it, or the Service has no ready pod.",
        "give the ServiceEntry resolution DNS with the exact host, or endpoints; for a wildcard at the gateway one fixed server: `kubectl egress setup '*.HOST' --wildcard-server SERVER`";
}
