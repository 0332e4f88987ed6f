//! Row 5: the gateway shows a client certificate of ours.

use super::{Secret, legs, openssl, pki};
use crate::support::{Stage, open};
use kubectl_egress_lab::EventKind;
use std::path::Path;

const HOST: &str = "mtls.test";

/// Makes a Secret with a client's pair and an authority in the gateway's namespace.
fn credential(stage: &Stage, name: &str, certificate: &Path, key: &Path, authority: &Path) -> Secret {
    let files = [("tls.crt", certificate), ("tls.key", key), ("ca.crt", authority)];
    Secret::make(stage, "istio-system", name, &files)
}

/// Leads the host by a Secret, whatever is wrong with it, and requires that the request fails under this name.
fn fails(stage: &Stage, secret: &str, code: &str, says: &str) {
    stage
        .egress(&format!(
            "setup {HOST}:80 --mode mtls-origination --client-secret {secret} --create-namespace --no-probe --yes"
        ))
        .exits(0);
    let probed = stage.probe_until(&format!("http://{HOST}"), "unreachable");
    probed.is("unreachable", &[].into()).finds(code);
    probed.run.says(&[says]);
}

/// One test, because the outside world has one host that wants a certificate, and one host has one plan.
#[test]
fn the_gateway_shows_our_certificate_and_what_is_wrong_is_named() {
    let mut stage = open!(alone);
    let pki = pki(&mut stage);
    let name = |what: &str| format!("{}-{what}", stage.namespace);
    let (certificate, key, authority) = (
        pki.join("client.pem"),
        pki.join("client.key"),
        stage.world.authority(),
    );

    // No secret: asked first, and nothing is changed without a yes.
    let asked = stage.egress(&format!(
        "setup {HOST} --mode mtls-origination --client-secret {} --create-namespace",
        name("none")
    ));
    asked.exits(5).says(&[&name("none"), "is not there", "--yes"]);
    fails(&stage, &name("none"), "EGR-131", &name("none"));

    // In the plan's namespace, where the gateway does not look.
    let files = [
        ("tls.crt", certificate.as_path()),
        ("tls.key", &key),
        ("ca.crt", &authority),
    ];
    let _elsewhere = Secret::make(&stage, &stage.namespace.clone(), &name("elsewhere"), &files);
    fails(&stage, &name("elsewhere"), "EGR-131", "istio-system");

    let _keys = Secret::make(
        &stage,
        "istio-system",
        &name("keys"),
        &[("some", &certificate), ("other", &key)],
    );
    let asked = stage.egress(&format!(
        "setup {HOST}:80 --mode mtls-origination --client-secret {}",
        name("keys")
    ));
    asked.exits(5).says(&["tls.crt and tls.key", "ca.crt"]);
    fails(&stage, &name("keys"), "EGR-131", &name("keys"));

    let wrong_ca = pki.join("client-ca.pem");
    let _wrong = credential(&stage, &name("ca"), &certificate, &key, &wrong_ca);
    fails(&stage, &name("ca"), "EGR-132", "does not trust");

    // Signed by another authority than the server asks for: only the server can tell.
    let mark = stage.mark();
    let _foreign = credential(
        &stage,
        &name("foreign"),
        &pki.join("tls.test.pem"),
        &pki.join("tls.test.key"),
        &authority,
    );
    fails(&stage, &name("foreign"), "EGR-135", "without a reason");
    server_says(&stage, mark, "UnknownIssuer");

    let mark = stage.mark();
    let folder = stage.lab().state_dir().join(name("expired"));
    std::fs::create_dir_all(&folder).unwrap();
    let expired = expired_client(&folder, &pki);
    let _expired = credential(&stage, &name("expired"), &expired.0, &expired.1, &authority);
    fails(&stage, &name("expired"), "EGR-135", "without a reason");
    server_says(&stage, mark, "xpired");
    std::fs::remove_dir_all(&folder).unwrap();

    let _good = credential(&stage, &name("good"), &certificate, &key, &authority);
    stage
        .egress(&format!(
            "setup {HOST} --mode mtls-origination --client-secret {}",
            name("good")
        ))
        .exits(0);
    let probed = stage.probe_until(&format!("http://{HOST}"), "routed");
    probed.is("routed", &stage.gateway_addresses());
    assert_eq!(
        legs(&probed.probe),
        ["sidecar-gateway: mtls", "gateway-host: mtls"],
        "{}",
        probed.run
    );
    let shown = probed.seen[0].client_certificate.as_ref().unwrap();
    assert!(shown.verified, "{shown:?}");
    assert_eq!(shown.sha256, fingerprint(&certificate), "the certificate is ours");
    // The application's own https is carried, and the host wants a certificate of it.
    let own = stage.probe(&format!("https://{HOST}"));
    own.is("routed", &[].into()).finds("EGR-141");
    stage.egress("cleanup --verify").exits(0);
}

/// The server's own word on why it ended the connection.
#[track_caller]
fn server_says(stage: &Stage, mark: kubectl_egress_lab::Mark, reason: &str) {
    let events = stage.world.since(mark).unwrap();
    let mut errors = events
        .iter()
        .filter(|event| event.event == EventKind::TlsFailed && event.server == HOST)
        .filter_map(|event| event.error.as_deref());
    assert!(
        errors.any(|error| error.contains(reason)),
        "{reason}: {events:#?}"
    );
}

/// A certificate of the right authority that has ended.
fn expired_client(folder: &Path, pki: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let file = |name: &str| folder.join(name);
    std::fs::write(file("index.txt"), "").unwrap();
    std::fs::write(file("serial"), "01").unwrap();
    std::fs::write(
        file("ca.cnf"),
        "[ca]\ndefault_ca=a\n[a]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n[e]\nextendedKeyUsage=clientAuth\nbasicConstraints=CA:FALSE\n",
    )
    .unwrap();
    openssl(
        folder,
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=expired -keyout expired.key -out expired.csr",
    );
    let (authority, key) = (pki.join("client-ca.pem"), pki.join("client-ca.key"));
    openssl(
        folder,
        &format!(
            "ca -batch -notext -config ca.cnf -extensions e -cert {} -keyfile {} -startdate 20250101000000Z -enddate 20250201000000Z -in expired.csr -out expired.pem",
            authority.display(),
            key.display()
        ),
    );
    (file("expired.pem"), file("expired.key"))
}

fn fingerprint(certificate: &Path) -> String {
    let output = std::process::Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(certificate)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, hex) = text.trim().split_once('=').unwrap();
    hex.replace(':', "").to_lowercase()
}
