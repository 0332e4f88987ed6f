//! A plan for each row of the table of issue 5 whose objects are rendered, in the words of a plan file.
//!
//! Row 7's objects are the target cluster's (`two_clusters.rs`); row 9 annotates workloads of the user's own.

/// One way in which a plan can be written.
pub(crate) struct Row {
    /// Number in the table, and what is special.
    pub(crate) name: &'static str,
    /// `spec` of the plan file, in YAML flow style; HOST and OTHER stand for a host and a second namespace.
    spec: &'static str,
    /// The first minor version of Istio 1 whose API knows all that is in it.
    pub(crate) since: u32,
}

/// The oldest Istio that setup does not refuse.
const OLDEST: u32 = 21;

const fn row(name: &'static str, spec: &'static str) -> Row {
    Row {
        name,
        spec,
        since: OLDEST,
    }
}

/// Every plan.
pub(crate) const ROWS: &[Row] = &[
    row("01 passthrough", "{hosts: [{host: HOST}]}"),
    row(
        "02 http",
        "{hosts: [{host: HOST, ports: [{port: 80, mode: http}]}]}",
    ),
    row(
        "02 http, plaintext mesh leg",
        "{hosts: [{host: HOST, ports: [{port: 8080, mode: http, meshMtls: false, keepHeaders: true}]}]}",
    ),
    row(
        "03 origination at the gateway",
        "{hosts: [{host: HOST, ports: [{port: 80, mode: tls-origination}, {port: 443}]}]}",
    ),
    row(
        "03 origination, plaintext mesh leg",
        "{hosts: [{host: HOST, ports: [{port: 80, mode: tls-origination, meshMtls: false, targetPort: 8443}]}]}",
    ),
    row(
        "04 origination at the sidecar",
        "{hosts: [{host: HOST, ports: [{port: 80, mode: tls-origination, at: sidecar, caFile: /etc/ca/root.pem}]}]}",
    ),
    row(
        "05 client certificate",
        "{hosts: [{host: HOST, ports: [{port: 80, mode: mtls-origination, clientCertificate: {secret: client-credential}}]}]}",
    ),
    row(
        "06 passthrough inside mutual TLS",
        "{hosts: [{host: HOST, ports: [{port: 443, meshMtls: true, allowFrom: [OTHER]}]}]}",
    ),
    row(
        "08 direct, registry only",
        "{outboundPolicy: registry-only, hosts: [{host: HOST, ports: [{port: 443, mode: direct}, {port: 80, mode: direct}]}]}",
    ),
    row(
        "08 direct, allow any",
        "{outboundPolicy: allow-any, hosts: [{host: HOST, ports: [{port: 443, mode: direct}]}]}",
    ),
    row(
        "10 wildcard with its server",
        "{hosts: [{host: '*.HOST', ports: [{port: 443, server: HOST, sample: a.HOST}]}]}",
    ),
    Row {
        name: "10 wildcard resolved by the sidecar",
        spec: "{hosts: [{host: '*.HOST', ports: [{port: 443, mode: direct, resolution: dynamic, sample: a.HOST}]}]}",
        since: 28,
    },
    row(
        "11 ExternalName",
        "{hosts: [{host: HOST, ports: [{port: 443, mode: direct, service: NAMESPACE/outside}, {port: 80, mode: tls-origination, at: sidecar, service: NAMESPACE/outside}]}]}",
    ),
    row(
        "11 headless",
        "{hosts: [{host: HOST, ports: [{port: 443, mode: direct, service: NAMESPACE/outside, addresses: [203.0.113.20]}]}]}",
    ),
    row(
        "12 the application speaks to a proxy",
        "{hosts: [{host: HOST, ports: [{port: 443, mode: direct, proxy: 'proxy.test:3128', addresses: [203.0.113.32, 203.0.113.33]}]}]}",
    ),
    row(
        "12 tunnel at the sidecar",
        "{hosts: [{host: HOST, ports: [{port: 443, mode: direct, proxy: 'proxy.test:3128', tunnel: true}]}]}",
    ),
    row(
        "12 tunnel at the gateway",
        "{hosts: [{host: HOST, ports: [{port: 443, proxy: 'proxy.test:3128', tunnel: true}]}]}",
    ),
    row(
        "15 many modes, exported",
        "{exportTo: [OTHER], outboundPolicy: registry-only, hosts: [
           {host: HOST}, {host: http.HOST, ports: [{port: 80, mode: http}]},
           {host: tls.HOST, ports: [{port: 80, mode: tls-origination, caCertificate: {secret: authority}}]},
           {host: direct.HOST, ports: [{port: 443, mode: direct}, {port: 9443, mode: direct}]},
           {host: '*.wild.HOST', ports: [{port: 443, server: HOST, sample: a.wild.HOST}]}]}",
    ),
];

impl Row {
    /// The plan file.
    pub(crate) fn file(&self, namespace: &str, other: &str, host: &str) -> String {
        let spec = self.spec.replace("NAMESPACE", namespace);
        let spec = spec.replace("OTHER", other).replace("HOST", host);
        format!(
            "apiVersion: kubectl-egress.dev/v1alpha1\nkind: EgressPlan\nmetadata: {{name: default, namespace: {namespace}}}\nspec: {spec}\n"
        )
    }
}
