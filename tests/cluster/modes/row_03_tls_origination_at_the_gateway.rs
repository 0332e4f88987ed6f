//! Row 3: the application sends http, the server sees https.

use super::{Secret, TELLING, legs, mentions, pki};
use crate::support::{Stage, open};

fn originated(stage: &Stage, mesh: &str) {
    let host = &stage.host;
    let probed = stage.probe(&format!("http://{host}"));
    probed.is("routed", &stage.gateway_addresses());
    assert_eq!(
        legs(&probed.probe),
        [format!("sidecar-gateway: {mesh}"), "gateway-host: tls".to_owned()],
        "{}",
        probed.run
    );
    let seen = &probed.seen[0];
    assert_eq!(
        (seen.port, seen.sni.as_deref()),
        (443, Some(host.as_str())),
        "{seen:?}"
    );
    for header in TELLING {
        assert!(!seen.headers.contains_key(header), "{header}: {seen:?}");
    }
}

#[test]
fn http_becomes_https_and_the_applications_own_https_keeps_its_way() {
    let stage = open!(shared);
    let host = &stage.host;
    stage
        .egress(&format!("setup {host} --mode tls-origination --create-namespace"))
        .exits(0);
    originated(&stage, "mtls");
    stage.probe_host().is("routed", &stage.gateway_addresses());
    let rule = stage.kubectl.json(&format!(
        "get destinationrule egress-default.{host} -n {}",
        stage.namespace
    ));
    let tls = &rule["spec"]["trafficPolicy"]["portLevelSettings"][0]["tls"];
    assert_eq!(tls["sni"], host.as_str(), "{rule}");
    assert_eq!(tls["subjectAltNames"][0], host.as_str(), "{rule}");
    stage.egress("verify --skip-unmeshed").exits(0);
    stage.egress("cleanup --verify").exits(0);
}

#[test]
fn the_mesh_leg_in_plaintext_is_said_to_be_so() {
    let stage = open!(alone);
    stage
        .egress(&format!(
            "setup {} --mode tls-origination --mesh-mtls=false --create-namespace",
            format_args!("{}:80", stage.host)
        ))
        .exits(0);
    originated(&stage, "plaintext");
}

#[test]
fn what_is_wrong_with_the_servers_certificate_is_named() {
    let mut stage = open!(shared);
    stage
        .egress("setup wrongsan.test:80 expired.test:80 --mode tls-origination --create-namespace --no-probe")
        .exits(0);
    for (url, code, says) in [
        ("http://wrongsan.test", "EGR-133", "other.test"),
        ("http://expired.test", "EGR-134", "not valid now"),
    ] {
        let probed = stage.probe(url);
        probed.is("unreachable", &[].into()).finds(code);
        mentions(&probed.run, &[says]);
    }

    // An authority that did not sign the server's certificate, then the one that did.
    let (other, right) = (pki(&mut stage).join("client-ca.pem"), stage.world.authority());
    let (name, host) = (format!("{}-ca", stage.namespace), stage.host.clone());
    let wrong = Secret::make(&stage, "istio-system", &name, &[("ca.crt", &other)]);
    stage
        .egress(&format!(
            "setup {host}:80 --mode tls-origination --ca-secret {name} --no-probe"
        ))
        .exits(0);
    let probed = stage.probe(&format!("http://{host}"));
    probed.is("unreachable", &[].into()).finds("EGR-132");
    drop(wrong);
    let _right = Secret::make(&stage, "istio-system", &name, &[("ca.crt", &right)]);
    let probed = stage.probe_until(&format!("http://{host}"), "routed");
    probed.is("routed", &stage.gateway_addresses());
}

#[test]
fn a_target_port_without_tls_is_named() {
    let stage = open!(shared);
    let host = &stage.host;
    stage
        .egress(&format!(
            "setup {host}:80 --mode tls-origination --target-port 80 --create-namespace --no-probe"
        ))
        .exits(0);
    let probed = stage.probe(&format!("http://{host}"));
    probed.is("unreachable", &[].into()).finds("EGR-136");
    stage
        .egress(&format!(
            "setup {host}:80 --mode tls-origination --target-port 443 --no-probe"
        ))
        .exits(0);
    stage.probe_until(&format!("http://{host}"), "routed");
}

#[test]
fn an_authority_of_the_users_own_becomes_the_gateways_secret() {
    let mut stage = open!(alone);
    let (right, other) = (stage.world.authority(), pki(&mut stage).join("client-ca.pem"));
    let host = stage.host.clone();
    let setup = |file: &std::path::Path, flags: &str| {
        format!(
            "setup {host}:80 --server-ca {} --create-namespace {flags}",
            file.display()
        )
    };
    stage
        .egress(&setup(&right, "--mode http"))
        .exits(2)
        .says(&["--server-ca", "tls-origination"]);
    stage.egress(&setup(&right, "--mode tls-origination")).exits(0);
    let secret = stage.kubectl.json("get secret server-authority -n istio-system");
    let keys: Vec<&String> = secret["data"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["ca.crt"]);
    stage
        .probe(&format!("http://{host}"))
        .is("routed", &stage.gateway_addresses());
    // Another authority, in the same Secret: the server is not trusted any more, but what is open stays open.
    stage
        .egress(&setup(&other, "--mode tls-origination --no-probe"))
        .exits(0)
        .says(&["EGR-425", "rollout restart"]);
    stage.scale_gateway(0);
    stage.scale_gateway(1);
    let probed = stage.probe_until(&format!("http://{host}"), "unreachable");
    probed.is("unreachable", &[].into()).finds("EGR-132");
    stage.egress("cleanup --verify").exits(0);
    let left = stage
        .kubectl
        .attempt("get secret server-authority -n istio-system");
    assert!(left.is_err(), "{left:?}");
}
