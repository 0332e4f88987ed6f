//! TLS that gateways make, as one types it: with certificates of one's own, and between two clusters. Each story with what
//! goes wrong in it, and with the end at which everything is as before.

use crate::kubectl::{Said, Server};
use serde_json::Value;
use std::path::Path;

const HOST: &str = "target.example.com";

fn json(said: &Said) -> Value {
    serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

/// Finds a code among the findings of a run's only probe.
#[track_caller]
fn finds(server: &Server, url: &str, code: &str) {
    let said = server.egress(&format!("probe {url} -n demo -o json"));
    let probe = json(&said)["probes"][0].clone();
    assert_eq!(probe["outcome"], "unreachable", "{said:?}");
    let findings = probe["findings"].to_string();
    assert!(findings.contains(code), "{code}: {said:?}");
}

/// Certificates of a new authority, in a folder.
fn certificates(server: &Server, folder: &Path) {
    let out = folder.display();
    server.egress(&format!("certs {HOST} --out {out}")).exits(0);
}

/// The plan's Secret with files of one folder and the authority of another.
fn put_secret(server: &Server, client: &Path, authority: &Path) {
    let (client, authority) = (client.display(), authority.display());
    server
        .egress(&format!(
            "secrets --cert {client}/client.crt --key {client}/client.key --ca {authority}/root.crt -n demo --yes"
        ))
        .exits(0);
}

#[test]
fn one_command_proves_mutual_tls_between_the_two_contexts_and_cleanup_undoes_both() {
    let server = Server::start("");
    let set_up = format!("setup {HOST} --target-context target -n demo --create-namespace --yes");
    let said = server.egress(&format!("{set_up} -o json")).exits(0);
    let document = json(&said);
    let target = &document["target"];
    assert_eq!(target["withoutCertificate"]["outcome"], "refused", "{said:?}");
    assert_eq!(
        target["withoutCertificate"]["stage"], "after-handshake",
        "{said:?}"
    );
    assert_eq!(target["withCertificate"]["status"], 200, "{said:?}");
    let ours = target["clientCertificate"].as_str().unwrap();
    assert!(
        target["forwarded"][0].as_str().unwrap().contains(ours),
        "{said:?}"
    );
    assert_eq!(document["verification"]["verdict"], "proven", "{said:?}");
    let through = &document["through"];
    assert!(
        through["forwarded"][0].as_str().unwrap().contains(ours),
        "{said:?}"
    );
    assert_eq!(through["askedByGateway"], true, "{said:?}");

    // Again: the same certificates, nothing new.
    let again = server.egress(&format!("{set_up} -o json")).exits(0);
    assert_eq!(
        json(&again)["target"]["clientCertificate"],
        target["clientCertificate"]
    );

    let cleaned = server.egress("cleanup -n demo --verify").exits(0);
    assert!(
        cleaned.stdout.contains("in the target cluster is left"),
        "{cleaned:?}"
    );
    for context in ["sandbox", "target"] {
        let left = server.egress(&format!("status -n demo --context {context}"));
        left.exits(2);
    }
}

#[test]
fn a_wrong_client_and_a_wrong_authority_are_told_apart_and_the_right_ones_mend_it() {
    let server = Server::start("");
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [right, stranger] = folders.each_ref().map(tempfile::TempDir::path);
    certificates(&server, right);
    certificates(&server, stranger);
    let certs = right.display();
    let deployed = server.egress(&format!(
        "deploy-target {HOST} --certs {certs} -n demo --create-namespace --context target"
    ));
    let deployed = deployed.exits(0);
    assert!(
        deployed.stderr.contains("--mode mtls-origination"),
        "{deployed:?}"
    );
    server
        .egress(&format!(
            "setup {HOST}:80 --mode mtls-origination --client-cert {certs}/client.crt --client-key {certs}/client.key --server-ca {certs}/root.crt -n demo --create-namespace --yes"
        ))
        .exits(0);
    let url = format!("http://{HOST}");
    put_secret(&server, stranger, right);
    finds(&server, &url, "EGR-135");
    put_secret(&server, right, stranger);
    finds(&server, &url, "EGR-132");
    put_secret(&server, right, right);
    let routed = server.egress("verify -n demo --skip-unmeshed");
    assert!(routed.exits(0).stdout.contains("routed"), "the right ones");
    server.egress("cleanup -n demo --verify").exits(0);
    server
        .egress("cleanup -n demo --verify --context target")
        .exits(0);
}

#[test]
fn what_is_wrong_with_a_servers_certificate_is_named() {
    let server = Server::start("");
    server
        .egress("setup wrongsan.test:80 expired.test:80 mtls.test:80 --mode tls-origination -n demo --create-namespace --no-probe")
        .exits(0);
    for (url, code) in [
        ("http://wrongsan.test", "EGR-133"),
        ("http://expired.test", "EGR-134"),
        ("http://mtls.test", "EGR-135"),
    ] {
        finds(&server, url, code);
    }
    server.egress("cleanup -n demo --verify").exits(0);
}

#[test]
fn a_secret_that_is_not_there_is_refused_before_anything_is_changed() {
    let server = Server::start("");
    let refused = server.egress(&format!(
        "setup {HOST} --mode mtls-origination --client-secret nosuch -n demo --create-namespace"
    ));
    let refused = refused.exits(2);
    assert!(refused.stderr.contains("istio-system/nosuch"), "{refused:?}");
    server.egress("status -n demo").exits(2);
}

#[test]
fn what_cannot_be_two_clusters_is_refused() {
    let server = Server::start("");
    let same = server.egress(&format!(
        "setup {HOST} --target-context sandbox -n demo --create-namespace"
    ));
    assert!(same.exits(2).stderr.contains("this very cluster"));
}
