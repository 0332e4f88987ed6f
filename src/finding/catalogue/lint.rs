//! 310 to 349: what objects say before anything is sent.

use super::catalogue;

catalogue! {
    /// A gateway would carry a host that no sidecar sends to it.
    MESH_LEG_MISSING = "EGR-310", Error, "the leg from sidecar to gateway is missing",
        "A Gateway and a VirtualService lead the host on from the egress gateway, but no VirtualService for `mesh` leads it there: sidecars send it out directly, and the gateway never sees it (seen as 200 without a line of the gateway).",
        "add a route for `mesh` to the gateway's Service; or let `kubectl egress setup HOST` make both legs";
    /// Sidecars send a host to a gateway that does not know it.
    GATEWAY_LEG_MISSING = "EGR-311", Error, "the leg from the gateway to the host is missing",
        "Sidecars send the host to the gateway, where no Gateway listens for it on that port, or no VirtualService that the gateway's namespace sees leads it on. The gateway ends the connection (NR), or answers 404.",
        "add the Gateway's server, and a route for that Gateway to the host, and export it to the gateway's namespace; or let `kubectl egress setup HOST` make both legs";
    /// `sni` without names.
    NAMES_NOT_CHECKED = "EGR-312", Warning, "the server's name is not checked",
        "A DestinationRule sets `sni` without `subjectAltNames`. That switches Istio's own check of the certificate's names off: every certificate of the authority is accepted. Without both fields the name is checked against the Host.",
        "name the host in `subjectAltNames` beside `sni`, or leave both out";
    /// One of 80 and 443 is routed.
    PORT_LEFT_OPEN = "EGR-313", Warning, "another port of a routed host goes out directly",
        "Only the port that a VirtualService names goes through the gateway. The host's other usual port (80 or 443) leaves at the sidecar, as outboundTrafficPolicy ALLOW_ANY or a ServiceEntry lets it, and nothing below the mesh stops it.",
        "route both ports: `kubectl egress setup HOST:443 HOST:80`; or stop what does not go through the gateway: `kubectl egress lockdown`";
    /// A DestinationRule that its client does not get.
    RULE_NOT_SEEN = "EGR-314", Error, "a proxy does not see the DestinationRule that it needs",
        "Istio takes the DestinationRules of the first of these namespaces that has one for the host: the client's, the Service's or ServiceEntry's (if exported to the client), the root namespace (likewise). One elsewhere, or one with another `exportTo`, is never looked at: its subset is missing (NC, cluster_not_found), or its TLS.",
        "put the DestinationRule into the client's namespace, or export it from the destination's: `exportTo: [\"*\"]`";
    /// A subset that is nowhere.
    SUBSET_UNDEFINED = "EGR-315", Error, "no DestinationRule defines the subset",
        "A route names a subset, and no DestinationRule for that host has it: the proxy has no cluster of that name and refuses each request (NC, cluster_not_found).",
        "define the subset in a DestinationRule for the destination, or leave `subset` out of the route";
    /// A Gateway that is not there.
    GATEWAY_NOT_THERE = "EGR-316", Error, "a VirtualService names a Gateway that does not exist",
        "Routes for a Gateway that is not there are routes for nobody. A name without a namespace is looked for in the VirtualService's own.",
        "make the Gateway, or correct its name: NAMESPACE/NAME";
    /// A selector without pods.
    GATEWAY_SELECTS_NOTHING = "EGR-317", Error, "a Gateway selects no pod",
        "No pod has all labels of the Gateway's selector, so that nobody listens. Labels differ between istioctl's gateway (istio: egressgateway) and Helm's (istio: the release's name without `istio-`).",
        "compare with the gateway's pods: `kubectl get pods -A --show-labels`; correct `selector`";
    /// A port that the gateway's Service does not have.
    GATEWAY_PORT_NOT_SERVED = "EGR-318", Error, "the gateway's Service does not have the Gateway's port",
        "A Gateway listens on ports of the gateway's Service. One that the Service does not have is opened in the pod, and no sidecar that goes by the Service reaches it.",
        "use a port of the Service, or add the port to the Service";
    /// TLS ends, and routes look for SNI.
    TLS_ROUTES_UNUSED = "EGR-319", Error, "`tls` routes behind a server that ends TLS",
        "A server of protocol TLS with mode ISTIO_MUTUAL (or SIMPLE, MUTUAL) takes the outer TLS off; what is left is TCP, which only `tcp` routes match. With `tls` routes the gateway gets no filter chain for the host (only istiod's log says so: listener missed network filter).",
        "write the gateway's leg as a `tcp` route, with a server and a Gateway of its own for each host";
    /// Servers that do not go together.
    PROTOCOLS_COLLIDE = "EGR-320", Error, "servers of one gateway port do not go together",
        "Of Gateways for the same pods the oldest comes first. Where its server of a port is plain HTTP or TCP, a newer one with TLS (or the other plain protocol) on that port is dropped; where it is TLS, a newer one with the same host is. Only istiod's log says so (skipping server).",
        "give one of them another port of the gateway's Service, or put both into one Gateway";
    /// A gateway cannot resolve it.
    RESOLUTION_AT_GATEWAY = "EGR-321", Error, "the gateway has no address for the host",
        "With `resolution: NONE` a proxy sends to the address that the client asked for: at a gateway that is its own. DYNAMIC_DNS works at sidecars only, for TLS. The gateway ends each connection (UH).",
        "use `resolution: DNS`; for a wildcard with one `endpoints` entry, the server that answers for all names: `kubectl egress setup '*.DOMAIN' --server HOST`";
    /// Opens more than it says.
    CATCH_ALL_ENTRY = "EGR-322", Warning, "a ServiceEntry catches more than its host",
        "A ServiceEntry with a wildcard of a whole top-level domain, or with all addresses, lets out what nobody listed, also under REGISTRY_ONLY.",
        "name the hosts, or the addresses";
    /// Two entries.
    HOST_DECLARED_TWICE = "EGR-323", Warning, "two ServiceEntries declare the same host",
        "Istio does not merge them: for a port that both have, the oldest one's resolution and endpoints are used, and the other's are ignored.",
        "put all ports of the host into one ServiceEntry, and delete the other one";
    /// A route to nowhere.
    DESTINATION_UNKNOWN = "EGR-324", Error, "a route leads to a host that its proxy does not know",
        "A route's destination must be a Service, or a host that a ServiceEntry declares with that port, and be visible (`exportTo`) in the namespace of the proxy: the gateway's for its leg. Else the cluster is missing: HTTP 503 or 500, and a reset for TLS.",
        "declare the host and port in a ServiceEntry, exported to the gateway's namespace; or let `kubectl egress setup HOST` make it";
    /// A Secret that sidecars do not read.
    CREDENTIAL_AT_SIDECAR = "EGR-325", Error, "a sidecar drops credentialName and sends plaintext",
        "Sidecars take Secrets only by a DestinationRule with a `workloadSelector`. Without one the whole TLS setting is dropped, silently, and the request leaves in plaintext, to port 443 too.",
        "let the gateway make TLS: `kubectl egress setup HOST --mode tls-origination`, and export the DestinationRule to the gateway's namespace only";
    /// A Sidecar without the route.
    SIDECAR_LEAVES_OUT = "EGR-326", Error, "a Sidecar resource hides the route from its own namespace",
        "`egress.hosts` of the Sidecar is a list of what its proxies get. A VirtualService whose namespace and host are not in it is not known to them: the host goes out directly, or is refused.",
        "add `./*` (the own namespace) and the gateway's namespace, as `istio-system/*`, to egress.hosts";
    /// Refused by istiod.
    WILDCARD_WITHOUT_ENDPOINTS = "EGR-327", Error, "a wildcard host with resolution DNS and no endpoint",
        "A wildcard cannot be resolved by DNS. Istio's webhook refuses the ServiceEntry, while the other objects of the file are made: the host then goes out directly.",
        "name the server that answers for all names in `endpoints`: `kubectl egress setup '*.DOMAIN' --server HOST`";
    /// Lines that a filter eats.
    ACCESS_LOG_FILTERED = "EGR-330", Warning, "the gateway's access log is filtered",
        "A Telemetry with `filter.expression` decides which lines are written. A field that a connection does not have (as response.code of TLS passthrough) makes the expression fail, and the line is dropped: a missing line then proves nothing.",
        "leave the filter out for the gateway: `kubectl egress setup` gives its pods a Telemetry of their own";
    /// A Telemetry without effect.
    TELEMETRY_IGNORED = "EGR-331", Warning, "two Telemetry resources are for the same scope",
        "Of several Telemetries for a whole namespace Istio takes the oldest, and ignores all that the others say. Of several for the same pods the newest has the last word on the access log.",
        "put both into one Telemetry, and delete the other one: `kubectl get telemetry -A --sort-by=.metadata.creationTimestamp`";
    /// Nothing below the mesh.
    NOTHING_ENFORCES = "EGR-335", Warning, "no NetworkPolicy holds the pods that use the egress gateway",
        "Istio routes what passes a sidecar and stops nobody: pods without one, and whoever goes past it, get out without the gateway.",
        "`kubectl egress lockdown` lets out only DNS, istiod and the gateway's pods, and proves it";
    /// One node for both.
    NODES_SHARED = "EGR-336", Info, "the egress gateway shares its nodes with applications",
        "Outside of the cluster, traffic is often told apart by the node's address. While no NetworkPolicy holds the applications' pods on the gateway's nodes, a firewall that lets these nodes out lets the applications out too.",
        "give the gateway nodes of its own: `kubectl egress enable-gateway --node-selector KEY=VALUE --toleration KEY`; or `kubectl egress lockdown`";
    /// Nothing is known of it.
    AMBIENT_NOT_MODELLED = "EGR-337", Warning, "ambient mode is not modelled",
        "Pods in ambient mode have no sidecar: ztunnel and waypoints carry their requests, by rules of their own. What else is found, or not found, says nothing about these pods, and `setup` refuses such a namespace.",
        "prove it by hand from such a pod; or give the workload a sidecar: take the label istio.io/dataplane-mode away, label the namespace istio-injection=enabled, restart the pods";
    /// Fields of the wrong type.
    OBJECT_UNREADABLE = "EGR-349", Error, "an object's fields are not what its kind has",
        "A field has another type than Istio's API says, such as a text in place of a number; the API server refuses it, or the proxies never get it.",
        "`kubectl apply --dry-run=server -f FILE` names the field; `kubectl explain KIND.spec` shows its type";
}
