//! `certs` and `secrets` on the real cluster: made, reused, refused, taken away; and what a gateway and an outside host
//! show, as the lab's own files and the outside world have it.

use crate::support::dump::Dump;
use crate::support::{Run, Stage, open};
use std::path::{Path, PathBuf};

/// A folder of certificates for the stage's host.
struct Made {
    folder: tempfile::TempDir,
}

impl Made {
    fn new(stage: &Stage) -> Self {
        let made = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        bare(
            stage,
            &format!("certs {} --out {}", stage.host, made.folder.path().display()),
        )
        .exits(0);
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `--cert … --key … --ca …` of files of this folder.
    fn files(&self, certificate: &str, key: &str, authority: &str) -> String {
        let at = |name: &str| self.path(name).display().to_string();
        format!(
            "--cert {} --key {} --ca {}",
            at(certificate),
            at(key),
            at(authority)
        )
    }

    fn client(&self) -> String {
        self.files("client.crt", "client.key", "root.crt")
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}

fn bare(stage: &Stage, typed: &str) -> Run {
    stage.egress_bare(&typed.split_whitespace().collect::<Vec<_>>())
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_clients_secret_is_made_in_the_gateways_namespace_and_goes_with_the_plan() {
    let stage = open!(alone).with_namespace("");
    let made = Made::new(&stage);
    for file in ["root.crt", "root.key", "client.crt", "client.key"] {
        assert_eq!(mode(&made.path(file)), 0o600, "{file}");
    }
    let before = Dump::take(&stage.kubectl);
    let typed = format!("secrets {} --name {}", made.client(), stage.namespace);
    let dry = stage.changes_nothing(&format!("{typed} --dry-run=server -o yaml"));
    dry.exits(0).says(&["Secret istio-system/", "***"]);
    let key = made.text("client.key");
    let line = key.lines().nth(1).unwrap();

    let done = stage.egress(&format!("{typed} -vv"));
    done.exits(0).says(&["created"]);
    let secret = stage
        .kubectl
        .json(&format!("get secret {} -n istio-system", stage.namespace));
    let data = secret["data"].as_object().unwrap();
    assert_eq!(data.keys().collect::<Vec<_>>(), ["ca.crt", "tls.crt", "tls.key"]);
    let encoded = data["tls.key"].as_str().unwrap();
    let journal = stage.kubectl.run(&format!(
        "get configmap kubectl-egress-default -n {} -o yaml --show-managed-fields",
        stage.namespace
    ));
    assert!(
        journal.contains(&format!("name: {}", stage.namespace)),
        "{journal}"
    );
    for shown in [&dry.stdout, &dry.stderr, &done.stdout, &done.stderr, &journal] {
        assert!(!shown.contains(encoded) && !shown.contains(line), "{shown}");
    }
    // What is there and good is used as it is.
    stage
        .egress(&format!("secrets --name {}", stage.namespace))
        .exits(0)
        .says(&["is as it should be"]);
    stage
        .egress(&format!("{typed} -v"))
        .exits(0)
        .says(&["unchanged in istio-system"]);

    stage.egress("cleanup --verify").exits(0);
    Dump::take(&stage.kubectl).equals(&before);
}

#[test]
fn a_secret_of_somebody_else_is_reused_if_it_is_the_same_and_left_alone_if_not() {
    let stage = open!(alone).with_namespace("");
    let made = Made::new(&stage);
    let name = stage.namespace.clone();
    let place = "-n istio-system";
    let at = |file: &str| made.path(file).display().to_string();
    stage.kubectl.run(&format!(
        "create secret generic {name} {place} --from-file=tls.crt={} --from-file=tls.key={} --from-file=ca.crt={}",
        at("client.crt"),
        at("client.key"),
        at("root.crt")
    ));
    let typed = format!("secrets {} --name {name}", made.client());
    stage
        .egress(&typed)
        .exits(0)
        .says(&["is there already, with the same content"]);
    let other = Made::new(&stage);
    let refused = stage.changes_nothing(&format!("secrets {} --name {name}", other.client()));
    refused
        .exits(5)
        .says(&[&format!("istio-system/{name}"), "another content", "--name"]);
    stage.egress("cleanup").exits(0);
    let left = stage.kubectl.json(&format!("get secret {name} {place} -o json"));
    assert!(left["metadata"]["labels"].is_null(), "it is not ours: {left}");
    stage.kubectl.run(&format!("delete secret {name} {place}"));
}

#[test]
fn what_cannot_be_used_is_named_before_anything_is_applied() {
    let stage = open!(shared).with_namespace("");
    let made = Made::new(&stage);
    let other = Made::new(&stage);
    let write = |name: &str, text: &str| std::fs::write(made.path(name), text).unwrap();
    write(
        "bundle.crt",
        &format!("{}{}", made.text("root.crt"), made.text("client.crt")),
    );
    write("nothing.crt", "hello");
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    write("encrypted.key", encrypted);
    write("other.key", &other.text("client.key"));
    let host = &stage.host;
    for (certificate, key, authority, code) in [
        ("nothing.crt", "client.key", "root.crt", "EGR-401"),
        ("client.crt", "other.key", "root.crt", "EGR-403"),
        ("bundle.crt", "client.key", "root.crt", "EGR-404"),
        ("client.crt", "encrypted.key", "root.crt", "EGR-405"),
        (
            &format!("{host}.crt"),
            &format!("{host}.key"),
            "root.crt",
            "EGR-410",
        ),
        ("client.crt", "client.key", "client.crt", "EGR-411"),
        ("client.crt", "client.crt", "root.crt", "EGR-412"),
    ] {
        let typed = format!("secrets {}", made.files(certificate, key, authority));
        stage.changes_nothing(&typed).exits(2).says(&[code, "hint: "]);
    }
    let at = |file: &str| made.path(file).display().to_string();
    let without_ca = format!("secrets --cert {} --key {}", at("client.crt"), at("client.key"));
    stage
        .changes_nothing(&without_ca)
        .exits(2)
        .says(&["EGR-423", "--ca"]);
    // The CA is for the server's certificate: a client of another CA is worth a word, no more.
    let two = format!(
        "secrets --for curl --cert {} --key {} --ca {}",
        at("client.crt"),
        at("client.key"),
        other.path("root.crt").display()
    );
    stage.egress(&two).exits(0).says(&["warning: EGR-409"]);
}

#[test]
fn secrets_that_a_route_names_are_checked_before_anything_is_applied() {
    let stage = open!(alone).with_namespace("istio-injection=enabled");
    let made = Made::new(&stage);
    let name = stage.namespace.clone();
    let at = |file: &str| made.path(file).display().to_string();
    let setup = format!(
        "setup {} --mode mtls-origination --client-secret {name} --no-probe",
        stage.host
    );
    let refused = |words: &[&str]| {
        stage.changes_nothing(&setup).exits(2).says(words);
    };
    refused(&["EGR-420", &format!("istio-system/{name}")]);
    let here = stage.namespace.clone();
    let files = format!(
        "--from-file=tls.crt={} --from-file=tls.key={}",
        at("client.crt"),
        at("client.key")
    );
    stage
        .kubectl
        .run(&format!("create secret generic {name} -n {here} {files}"));
    refused(&["EGR-421", "the application's namespace"]);
    let place = "-n istio-system";
    let make = |typed: &str| {
        let _ = stage.kubectl.attempt(&format!("delete secret {name} {place}"));
        stage.kubectl.run(&format!("create secret {typed} {place}"));
    };
    make(&format!(
        "docker-registry {name} --docker-username=a --docker-password=b"
    ));
    refused(&["EGR-422", "kubernetes.io/dockerconfigjson"]);
    make(&format!(
        "generic {name} --from-file=certificate={}",
        at("client.crt")
    ));
    refused(&["EGR-423", "it has certificate"]);
    make(&format!("generic {name} {files}"));
    refused(&["EGR-423", "no ca.crt"]);
    make(&format!(
        "generic {name} --from-file=tls.crt={} --from-file=tls.key={} --from-file=ca.crt={}",
        at("client.crt"),
        at("root.key"),
        at("root.crt")
    ));
    refused(&["EGR-403"]);
    // The CA may be in a Secret beside it, as Istio has it.
    make(&format!("generic {name} {files}"));
    stage.kubectl.run(&format!(
        "create secret generic {name}-cacert {place} --from-file=ca.crt={}",
        at("root.crt")
    ));
    stage
        .changes_nothing(&format!("{setup} --dry-run=client"))
        .exits(0);
    stage
        .kubectl
        .run(&format!("delete secret {name} {name}-cacert {place}"));
}

#[test]
fn setup_makes_the_clients_secret_from_files() {
    let stage = open!(alone).with_namespace("istio-injection=enabled");
    let made = Made::new(&stage);
    let before = Dump::take(&stage.kubectl);
    let at = |file: &str| made.path(file).display().to_string();
    let setup = format!(
        "setup {} --mode mtls-origination --client-cert {} --client-key {} --server-ca {} --no-probe",
        stage.host,
        at("client.crt"),
        at("client.key"),
        at("root.crt")
    );
    stage.egress(&setup).exits(0);
    stage.kubectl.json("get secret client-credential -n istio-system");
    stage.egress("setup --no-probe").exits(0);
    stage.egress("cleanup --verify").exits(0);
    Dump::take(&stage.kubectl).equals(&before);
}

#[test]
fn the_gateways_mesh_identity_is_shown() {
    let stage = open!(shared).with_namespace("");
    let shown = stage.changes_nothing("certs inspect --gateway");
    shown.exits(0).says(&[
        "mesh identity",
        "spiffe://cluster.local/ns/istio-system/sa/istio-egressgateway-service-account",
        "verified: the chain leads to a trusted CA",
    ]);
    let document = stage.egress("certs inspect --gateway -o json").json();
    let held = &document["pods"][0]["certificates"][0];
    assert_eq!(held["trust"]["result"], "Trusted", "{held}");
    assert!(!shown.stdout.contains("PRIVATE"));
}

#[test]
fn an_outside_host_shows_its_chain_to_the_source() {
    let stage = open!(shared).with_route();
    let authority = stage.world.authority().display().to_string();
    let good = stage.egress(&format!("certs inspect {} --ca {authority}", stage.host));
    good.exits(0)
        .says(&["*.wild.test", "verified: the chain leads to a trusted CA"]);
    // The same chain as the outside world's own authority has it.
    let document = stage
        .egress(&format!("certs inspect {} --ca {authority} -o json", stage.host))
        .json();
    let chain = document["shown"]["chain"].as_array().unwrap();
    let root = bare(&stage, &format!("certs inspect {authority} -o json")).json();
    assert_eq!(chain[0]["issuer"], root["chain"][0]["subject"]);

    let stranger = Made::new(&stage);
    let foreign = format!(
        "certs inspect {} --ca {}",
        stage.host,
        stranger.path("root.crt").display()
    );
    stage.egress(&foreign).exits(1).says(&["not verified: "]);
    stage
        .egress(&format!("certs inspect wrongsan.test --ca {authority}"))
        .exits(1)
        .says(&["other.test", "EGR-402", "does not name wrongsan.test"]);
    stage
        .egress(&format!(
            "certs inspect wrongsan.test --sni other.test --ca {authority}"
        ))
        .exits(0);
    stage
        .egress(&format!("certs inspect expired.test --ca {authority}"))
        .exits(1)
        .says(&["has expired"]);
    stage
        .egress("certs inspect nxdomain.test")
        .exits(4)
        .says(&["curl ended with 6", "hint: "]);
}
