//! Row 4: the workload's own sidecar makes TLS; no gateway carries it.

use super::{legs, mentions};
use crate::support::open;

#[test]
fn http_becomes_https_at_the_sidecar_and_is_reported_as_direct() {
    let stage = open!(shared);
    let host = &stage.host;
    let setup = stage.egress(&format!(
        "setup {host} --mode tls-origination --at sidecar --create-namespace"
    ));
    mentions(setup.exits(0), &["direct, as planned", "EGR-130"]);
    let probed = stage.probe(&format!("http://{host}"));
    probed
        .is("direct", &stage.source_addresses())
        .finds("EGR-130")
        .run
        .exits(0);
    assert_eq!(legs(&probed.probe), ["sidecar-host: tls"], "{}", probed.run);
    let seen = &probed.seen[0];
    assert_eq!(
        (seen.port, seen.sni.as_deref()),
        (443, Some(host.as_str())),
        "{seen:?}"
    );
    // https of the application keeps working.
    stage.probe_host().is("direct", &stage.source_addresses());
    let verify = stage.egress("verify --skip-unmeshed -o json");
    assert_eq!(verify.exits(0).json()["claims"]["routed"], "proven", "{verify}");
    assert!(
        stage
            .kubectl
            .names(&format!("get gateway,virtualservice -n {}", stage.namespace))
            .is_empty(),
        "nothing for a gateway"
    );
    stage.egress("cleanup --verify").exits(0);
}

#[test]
fn the_sidecar_checks_the_servers_name_and_age() {
    let stage = open!(alone);
    stage
        .egress(
            "setup wrongsan.test:80 expired.test:80 --mode tls-origination --at sidecar --create-namespace --no-probe",
        )
        .exits(0);
    for (url, code) in [
        ("http://wrongsan.test", "EGR-133"),
        ("http://expired.test", "EGR-134"),
    ] {
        stage.probe(url).is("unreachable", &[].into()).finds(code);
    }
}

/// Both files are in the lab's proxies: the roots of their image, and the mesh's own, which signed no host.
#[test]
fn the_sidecar_trusts_the_file_that_it_is_told_to() {
    let stage = open!(shared);
    let host = &stage.host;
    let setup = |file: &str| {
        format!(
            "setup {host}:80 --mode tls-origination --at sidecar --ca-file {file} --create-namespace --no-probe"
        )
    };
    let url = format!("http://{host}");
    stage
        .egress(&setup("/var/run/secrets/istio/root-cert.pem"))
        .exits(0);
    let probed = stage.probe_until(&url, "unreachable");
    probed.is("unreachable", &[].into()).finds("EGR-132");
    stage
        .egress(&setup("/etc/ssl/certs/ca-certificates.crt"))
        .exits(0);
    let probed = stage.probe_until(&url, "direct");
    probed.is("direct", &stage.source_addresses());
}

#[test]
fn a_client_certificate_at_the_sidecar_is_refused_before_anything_is_changed() {
    let stage = open!(shared).with_namespace("");
    let refused =
        stage.changes_nothing("setup mtls.test --mode mtls-origination --at sidecar --client-secret any");
    refused
        .exits(2)
        .says(&["credentialName", "plaintext", "--at gateway"]);
}
