//! Faults, each beside its repaired twin: what the outside world sees shows that the one is a fault and the other not.
//!
//! `PLACE` is the namespace, `NAME` the case's own name for all its objects, `HOST` its host, `GW` the lab's gateway.

use super::Seen::{self, Direct, Gateway, Nothing};

/// A fault and its twin.
pub(super) struct Case {
    /// The code that `check` has for it.
    pub(super) code: &'static str,
    /// Names of its objects.
    pub(super) name: &'static str,
    /// Host; empty for one of its own.
    pub(super) host: &'static str,
    /// Scheme of the request.
    pub(super) scheme: &'static str,
    /// Objects of the fault.
    pub(super) fault: String,
    /// What becomes of a request.
    pub(super) faulty: Seen,
    /// Objects of the twin.
    pub(super) repaired: String,
    /// What becomes of a request then.
    pub(super) good: Seen,
}

const GW: &str = "istio-egressgateway.istio-system.svc.cluster.local";

fn object(kind: &str, spec: &str) -> String {
    named(kind, "NAME", spec)
}

fn named(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: PLACE}}\nspec: {spec}\n"
    )
}

fn entry_with(more: &str) -> String {
    object(
        "ServiceEntry",
        &format!(
            "{{hosts: [HOST], location: MESH_EXTERNAL, ports: [{{number: 443, name: tls, protocol: TLS}}, {{number: 80, name: http, protocol: HTTP}}], {more}}}"
        ),
    )
}

fn entry() -> String {
    entry_with("resolution: DNS")
}

fn server(port: u16, protocol: &str, mode: &str) -> String {
    format!(
        "{{port: {{number: {port}, name: {}-NAME, protocol: {protocol}}}, hosts: [HOST], tls: {{mode: {mode}}}}}",
        protocol.to_lowercase()
    )
}

fn gateway_with(selector: &str, servers: &str) -> String {
    object(
        "Gateway",
        &format!("{{selector: {{istio: {selector}}}, servers: [{servers}]}}"),
    )
}

fn gateway() -> String {
    gateway_with("egressgateway", &server(443, "TLS", "PASSTHROUGH"))
}

fn rule_with(subset: &str, more: &str) -> String {
    object(
        "DestinationRule",
        &format!("{{host: {GW}, exportTo: [.], subsets: [{{name: {subset}{more}}}]}}"),
    )
}

fn rule() -> String {
    rule_with("NAME", "")
}

/// Mutual TLS of the mesh towards the gateway.
fn mutual_rule() -> String {
    rule_with("NAME", ", trafficPolicy: {tls: {mode: ISTIO_MUTUAL, sni: HOST}}")
}

fn to_gateway(port: u16) -> String {
    format!(
        "{{match: [{{gateways: [mesh], port: 443, sniHosts: [HOST]}}], route: [{{destination: {{host: {GW}, subset: NAME, port: {{number: {port}}}}}}}]}}"
    )
}

fn on_from(gateway: &str) -> String {
    format!(
        "{{match: [{{gateways: [{gateway}], port: 443, sniHosts: [HOST]}}], route: [{{destination: {{host: HOST, port: {{number: 443}}}}}}]}}"
    )
}

fn route_with(gateways: &str, legs: &str) -> String {
    object(
        "VirtualService",
        &format!("{{hosts: [HOST], gateways: [{gateways}], {legs}}}"),
    )
}

fn route() -> String {
    route_with(
        "mesh, NAME",
        &format!("tls: [{}, {}]", to_gateway(443), on_from("NAME")),
    )
}

/// HTTP to the gateway's port 80, and on to a port of the host.
fn http_route(port: u16) -> String {
    route_with(
        "mesh, NAME",
        &format!(
            "http: [{{match: [{{gateways: [mesh], port: 80}}], route: [{{destination: {{host: {GW}, subset: NAME, port: {{number: 80}}}}}}]}}, \
             {{match: [{{gateways: [NAME], port: 80}}], route: [{{destination: {{host: HOST, port: {{number: {port}}}}}}}]}}]"
        ),
    )
}

fn http_gateway() -> String {
    gateway_with("egressgateway", &server(80, "HTTPS", "ISTIO_MUTUAL"))
}

/// TLS that the gateway makes, and a rule for the leg to it.
fn origination(tls: &str) -> String {
    named(
        "DestinationRule",
        "NAME-out",
        &format!(
            "{{host: HOST, exportTo: [istio-system], trafficPolicy: {{portLevelSettings: [{{port: {{number: 443}}, tls: {{{tls}}}}}]}}}}"
        ),
    )
}

fn passthrough() -> String {
    [entry(), gateway(), rule(), route()].concat()
}

fn case(code: &'static str, name: &'static str, fault: &[String], faulty: Seen) -> Case {
    Case {
        code,
        name,
        host: "",
        scheme: "https",
        fault: fault.concat(),
        faulty,
        repaired: passthrough(),
        good: Gateway,
    }
}

/// Every fault that one namespace can hold beside the others.
pub(super) fn all() -> Vec<Case> {
    [legs(), rules(), gateways(), http()]
        .into_iter()
        .flatten()
        .collect()
}

fn legs() -> Vec<Case> {
    let only = |leg: String, gateways: &str| route_with(gateways, &format!("tls: [{leg}]"));
    let hidden = route_with(
        "mesh, NAME",
        &format!("exportTo: [.], tls: [{}, {}]", to_gateway(443), on_from("NAME")),
    );
    vec![
        case(
            "EGR-310",
            "no-mesh-leg",
            &[entry(), gateway(), rule(), only(on_from("NAME"), "NAME")],
            Direct,
        ),
        case(
            "EGR-311",
            "no-gateway-leg",
            &[entry(), gateway(), rule(), only(to_gateway(443), "mesh")],
            Nothing,
        ),
        case(
            "EGR-311",
            "hidden-route",
            &[entry(), gateway(), rule(), hidden],
            Nothing,
        ),
        case("EGR-316", "no-gateway", &[entry(), rule(), route()], Nothing),
        case(
            "EGR-321",
            "none",
            &[entry_with("resolution: NONE"), gateway(), rule(), route()],
            Nothing,
        ),
        case(
            "EGR-324",
            "hidden-entry",
            &[
                entry_with("resolution: DNS, exportTo: [.]"),
                gateway(),
                rule(),
                route(),
            ],
            Nothing,
        ),
        Case {
            scheme: "http",
            ..case("EGR-313", "port-open", &[], Direct)
        }
        .with(&passthrough(), &open_port_routed()),
        case(
            "EGR-323",
            "twice",
            &[
                // The older one, which is used, knows no server that answers.
                named(
                    "ServiceEntry",
                    "NAME-a",
                    "{hosts: [HOST], location: MESH_EXTERNAL, resolution: STATIC, endpoints: [{address: 203.0.113.99}], ports: [{number: 443, name: tls, protocol: TLS}]}",
                ),
                named(
                    "ServiceEntry",
                    "NAME-b",
                    "{hosts: [HOST], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 443, name: tls, protocol: TLS}]}",
                ),
                gateway(),
                rule(),
                route(),
            ],
            Nothing,
        ),
    ]
}

impl Case {
    fn with(mut self, fault: &str, repaired: &str) -> Self {
        fault.clone_into(&mut self.fault);
        repaired.clone_into(&mut self.repaired);
        self
    }

    fn to(mut self, host: &'static str, scheme: &'static str, good: Seen) -> Self {
        self.host = host;
        self.scheme = scheme;
        self.good = good;
        self
    }
}

/// Both ports through the gateway.
fn open_port_routed() -> String {
    let servers = format!(
        "{}, {}",
        server(443, "TLS", "PASSTHROUGH"),
        server(80, "HTTPS", "ISTIO_MUTUAL")
    );
    let subsets = "NAME}, {name: NAME-http, trafficPolicy: {tls: {mode: ISTIO_MUTUAL, sni: HOST}}";
    let legs = format!(
        "tls: [{}, {}], http: [{{match: [{{gateways: [mesh], port: 80}}], route: [{{destination: {{host: {GW}, subset: NAME-http, port: {{number: 80}}}}}}]}}, \
         {{match: [{{gateways: [NAME], port: 80}}], route: [{{destination: {{host: HOST, port: {{number: 80}}}}}}]}}]",
        to_gateway(443),
        on_from("NAME")
    );
    [
        entry(),
        gateway_with("egressgateway", &servers),
        rule_with(subsets, ""),
        route_with("mesh, NAME", &legs),
    ]
    .concat()
}

fn rules() -> Vec<Case> {
    let elsewhere = object(
        "DestinationRule",
        &format!("{{host: {GW}, exportTo: [kube-public], subsets: [{{name: NAME}}]}}"),
    );
    vec![
        case(
            "EGR-314",
            "hidden-rule",
            &[entry(), gateway(), elsewhere, route()],
            Nothing,
        ),
        case(
            "EGR-315",
            "no-subset",
            &[entry(), gateway(), rule_with("another", ""), route()],
            Nothing,
        ),
        case("EGR-139", "no-mutual", &[], Nothing)
            .with(
                &[entry(), http_gateway(), rule(), http_route(80)].concat(),
                &[entry(), http_gateway(), mutual_rule(), http_route(80)].concat(),
            )
            .to("", "http", Gateway),
        case(
            "EGR-139",
            "mutual-passed",
            &[entry(), gateway(), mutual_rule(), route()],
            Nothing,
        ),
        case(
            "EGR-139",
            "no-sni",
            &[
                entry(),
                gateway_with("egressgateway", &server(443, "TLS", "ISTIO_MUTUAL")),
                rule_with("NAME", ", trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}"),
                tcp_route(),
            ],
            Nothing,
        )
        .with_repaired(&inside_mutual(&tcp_route())),
    ]
}

impl Case {
    fn with_repaired(mut self, repaired: &str) -> Self {
        repaired.clone_into(&mut self.repaired);
        self
    }
}

/// Behind a server that ends the outer TLS.
fn tcp_route() -> String {
    let on =
        "{match: [{gateways: [NAME], port: 443}], route: [{destination: {host: HOST, port: {number: 443}}}]}";
    route_with("mesh, NAME", &format!("tls: [{}], tcp: [{on}]", to_gateway(443)))
}

fn inside_mutual(route: &str) -> String {
    let gateway = gateway_with("egressgateway", &server(443, "TLS", "ISTIO_MUTUAL"));
    [entry(), gateway, mutual_rule(), route.to_owned()].concat()
}

fn gateways() -> Vec<Case> {
    let nobody = gateway_with("nobody", &server(443, "TLS", "PASSTHROUGH"));
    let port = gateway_with("egressgateway", &server(8445, "TLS", "PASSTHROUGH"));
    let to_port = route_with(
        "mesh, NAME",
        &format!("tls: [{}, {}]", to_gateway(8445), on_from("NAME")),
    );
    vec![
        case("EGR-317", "no-pods", &[entry(), nobody, rule(), route()], Nothing),
        case(
            "EGR-318",
            "no-port",
            &[entry(), port, rule(), to_port.clone()],
            Nothing,
        ),
        case(
            "EGR-324",
            "no-service-port",
            &[entry(), gateway(), rule(), to_port],
            Nothing,
        ),
        case("EGR-319", "tls-routes", &[], Nothing)
            .with(&inside_mutual(&route()), &inside_mutual(&tcp_route())),
    ]
}

/// Faults of what the gateway, or the sidecar, makes TLS of.
fn http() -> Vec<Case> {
    let with = |tls: &str| {
        [
            entry(),
            http_gateway(),
            mutual_rule(),
            http_route(443),
            origination(tls),
        ]
        .concat()
    };
    let at_sidecar = |tls: &str| {
        let ports = "ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}]";
        let entry = object(
            "ServiceEntry",
            &format!("{{hosts: [HOST], location: MESH_EXTERNAL, resolution: DNS, {ports}}}"),
        );
        let rule = object(
            "DestinationRule",
            &format!("{{host: HOST, trafficPolicy: {{tls: {{{tls}}}}}}}"),
        );
        [entry, rule].concat()
    };
    let named = "mode: SIMPLE, credentialName: check-authority, sni: wrongsan.test";
    let hidden =
        with("mode: SIMPLE, insecureSkipVerify: true").replace("exportTo: [istio-system]", "exportTo: [.]");
    vec![
        // The server's certificate is for other.test only.
        case("EGR-312", "sni-alone", &[], Gateway)
            .with(
                &with(named),
                &with(&format!("{named}, subjectAltNames: [wrongsan.test]")),
            )
            .to("wrongsan.test", "http", Nothing),
        case("EGR-314", "hidden-tls", &[], Nothing)
            .with(&hidden, &with("mode: SIMPLE, insecureSkipVerify: true"))
            .to("", "http", Gateway),
        case("EGR-325", "at-sidecar", &[], Nothing)
            .with(
                &at_sidecar("mode: SIMPLE, credentialName: check-authority"),
                &at_sidecar("mode: SIMPLE, insecureSkipVerify: true"),
            )
            .to("", "http", Direct),
        case("EGR-420", "no-secret", &[], Nothing)
            .with(
                &with("mode: SIMPLE, credentialName: check-nothing"),
                &with("mode: SIMPLE, credentialName: check-authority"),
            )
            .to("", "http", Gateway),
    ]
}
