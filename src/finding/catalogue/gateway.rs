//! 2nn: the gateway and its logs.

use super::catalogue;

catalogue! {
    /// The gateway has no ready pod.
    GATEWAY_NOT_READY = "EGR-201", Error, "the egress gateway has no ready pod",
        "Its Deployment is scaled to zero, or its pods do not start.",
        "`kubectl egress enable-gateway`, or scale the Deployment up";
    /// Access log off.
    ACCESS_LOG_OFF = "EGR-202", Warning, "the access log is off",
        "Neither meshConfig.accessLogFile nor a Telemetry resource switches it on for this proxy.",
        "`kubectl egress setup` switches it on for the gateway and the source only, with `--from deploy/NAME` for a workload of your own";
    /// The proxy's configuration could not be read.
    PROXY_UNREADABLE = "EGR-203", Info, "the proxy's configuration could not be read",
        "A port-forward to the proxy's admin port was refused, so the encryption of its hops stays unknown.",
        "ask for `create` on `pods/portforward` in that namespace";
    /// An Istio custom resource of Kyma that does not count.
    ISTIO_CR_IGNORED = "EGR-204", Info, "an Istio custom resource is ignored",
        "The Kyma module follows the oldest Istio custom resource in kyma-system; newer ones, and those in other namespaces, change nothing.",
        "move its settings to the one that counts, and delete it: `kubectl get istios -A` lists all";
    /// The Kyma module is in state Warning or Error.
    MODULE_TROUBLED = "EGR-205", Warning, "the Istio module reports trouble",
        "The state of the Istio custom resource is Warning or Error, for the reason that it names. A Warning rarely concerns the egress gateway.",
        "`kubectl describe istios -n kyma-system` shows its conditions; the set-up goes on as long as the egress gateway gets ready";
    /// A pod lacks the label that the gateway's network policy asks for.
    GATEWAY_LABEL_MISSING = "EGR-206", Warning, "a pod may not reach the egress gateway",
        "The network policies of Kyma's Istio module let only pods with the label networking.kyma-project.io/to-egressgateway=allowed reach the egress gateway.",
        "add the label networking.kyma-project.io/to-egressgateway=allowed to the pod template of its workload";
    /// The access log's format tells too little.
    LOG_FORMAT_LACKS = "EGR-207", Warning, "the access log's format lacks what a proof rests on",
        "The log is on, but the format of this mesh (meshConfig.accessLogFormat, or the provider's logFormat) leaves out a field, or has it between two headers, where a client could forge it. The proxies' counters say that something was carried, not whose it was.",
        "add the operators that are named to the format, as %NAME%, before or behind all headers; or let a Telemetry use a provider with Istio's own format for this proxy";
}
