//! Row 5: the gateway shows a client certificate of ours.

use super::{Secret, legs, mentions, openssl, pki};
use crate::support::{Stage, open};
use kubectl_egress_lab::EventKind;
use std::path::Path;

const HOST: &str = "mtls.test";

/// Makes a Secret with a client's pair and an authority in the gateway's namespace.
fn credential(stage: &Stage, name: &str, certificate: &Path, key: &Path, authority: &Path) -> Secret {
    let files = [("tls.crt", certificate), ("tls.key", key), ("ca.crt", authority)];
    Secret::make(stage, "istio-system", name, &files)
}

/// Has the gateway use another Secret, as if somebody had changed the rule, and requires that the request fails under
/// this name.
fn fails(stage: &Stage, secret: &str, code: &str, says: &str) {
    let patch = format!(
        r#"[{{"op": "replace", "path": "/spec/trafficPolicy/portLevelSettings/0/tls/credentialName", "value": "{secret}"}}]"#
    );
    stage.kubectl.with(&[
        "patch",
        "destinationrule",
        &format!("egress-default.{HOST}"),
        "-n",
        &stage.namespace,
        "--type=json",
        &format!("-p={patch}"),
    ]);
    // The gateway goes on for up to 15 s with the Secret that it had.
    let mut probed = stage.probe_with(&format!("http://{HOST}"), "--max-time 5");
    for _ in 0..30 {
        if probed.findings().contains(&code) {
            break;
        }
        probed = stage.probe_with(&format!("http://{HOST}"), "--max-time 5");
    }
    probed.is("unreachable", &[].into()).finds(code);
    assert!(
        probed.probe["findings"].to_string().contains(says),
        "{says}; {}",
        probed.run
    );
}

/// One test, because the outside world has one host that wants a certificate, and one host has one plan.
#[test]
fn the_gateway_shows_our_certificate_and_what_is_wrong_is_named() {
    let mut stage = open!(alone).with_namespace("istio-injection=enabled");
    let pki = pki(&mut stage);
    let name = |what: &str| format!("{}-{what}", stage.namespace);
    let (certificate, key, authority) = (
        pki.join("client.pem"),
        pki.join("client.key"),
        stage.world.authority(),
    );
    let folder = stage.world.log().with_file_name(name("expired"));
    std::fs::create_dir_all(&folder).unwrap();
    let expired = expired_client(&folder, &pki);

    let files = [
        ("tls.crt", certificate.as_path()),
        ("tls.key", &key),
        ("ca.crt", &authority),
    ];
    let _elsewhere = Secret::make(&stage, &stage.namespace, &name("elsewhere"), &files);
    let unknown = [("some", certificate.as_path()), ("other", &key)];
    let _keys = Secret::make(&stage, "istio-system", &name("keys"), &unknown);
    let _expired = credential(&stage, &name("expired"), &expired.0, &expired.1, &authority);
    let _wrong = credential(
        &stage,
        &name("ca"),
        &certificate,
        &key,
        &pki.join("client-ca.pem"),
    );
    let (foreign, foreign_key) = (pki.join("tls.test.pem"), pki.join("tls.test.key"));
    let _foreign = credential(&stage, &name("foreign"), &foreign, &foreign_key, &authority);
    let _good = credential(&stage, &name("good"), &certificate, &key, &authority);
    let setup = |secret: &str| format!("setup {HOST} --mode mtls-origination --client-secret {secret}");

    // What can be known before is refused before.
    for (what, says) in [
        ("none", "does not exist"),
        ("elsewhere", "application's namespace"),
        ("keys", "tls.crt and tls.key"),
        ("expired", "EGR-4"),
    ] {
        let refused = stage.changes_nothing(&setup(&name(what)));
        refused.exits(2).says(&[says]);
    }

    // Istio reads the authority beside the client's certificate, nowhere else.
    let apart = format!("{} --ca-secret {}", setup(&name("good")), name("ca"));
    stage
        .changes_nothing(&apart)
        .exits(2)
        .says(&["caCertificate", "NAME-cacert"]);

    stage.egress(&setup(&name("good"))).exits(0);
    let probed = stage.probe(&format!("http://{HOST}"));
    probed.is("routed", &stage.gateway_addresses());
    assert_eq!(
        legs(&probed.probe),
        ["sidecar-gateway: mtls", "gateway-host: mtls"],
        "{}",
        probed.run
    );
    let seen = &probed.seen[0];
    assert_eq!((seen.port, seen.sni.as_deref()), (443, Some(HOST)), "{seen:?}");
    let shown = seen.client_certificate.as_ref().unwrap();
    assert!(shown.verified, "{shown:?}");
    assert_eq!(shown.sha256, fingerprint(&certificate), "the certificate is ours");
    // The application's own https is carried, and the host wants a certificate of it.
    let own = stage.probe(&format!("https://{HOST}"));
    own.is("routed", &[].into()).finds("EGR-141");

    // A server with another name, and one whose certificate has ended; both would take ours.
    let faulty = "mtls-wrongsan.test:80 mtls-expired.test:80";
    stage
        .egress(&format!(
            "route {faulty} --mode mtls-origination --client-secret {}",
            name("good")
        ))
        .exits(0);
    for (url, code) in [
        ("http://mtls-wrongsan.test", "EGR-133"),
        ("http://mtls-expired.test", "EGR-134"),
    ] {
        let probed = stage.probe_until(url, "unreachable");
        probed.is("unreachable", &[].into()).finds(code);
    }
    stage
        .egress("route --remove mtls-wrongsan.test --remove mtls-expired.test --yes")
        .exits(0);

    // What becomes wrong later is named by what the gateway saw, and the server agrees.
    fails(&stage, &name("ca"), "EGR-132", "does not trust");
    let mark = stage.mark();
    fails(&stage, &name("foreign"), "EGR-135", "without a reason");
    server_says(&stage, mark, "Issuer");
    let mark = stage.mark();
    fails(&stage, &name("expired"), "EGR-135", "without a reason");
    server_says(&stage, mark, "xpired");
    std::fs::remove_dir_all(&folder).unwrap();
    for what in ["keys", "elsewhere", "none"] {
        fails(&stage, &name(what), "EGR-131", "Secret");
    }
    mentions(&stage.egress("status"), &["DestinationRule", "differs"]);
    // What somebody changed is theirs until the user takes it back.
    let again = setup(&name("good"));
    stage
        .egress(&again)
        .exits(5)
        .says(&["kubectl-patch", "--force-conflicts"]);
    stage.egress(&format!("{again} --force-conflicts")).exits(0);
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
