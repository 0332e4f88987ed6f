//! No output of any command at `-vv` holds a secret that somebody planted: not on the screen, not in a document, not in a
//! file, not in an object that we make.

use crate::case::by_own_clock;
use crate::place::Place;
use crate::sweep::{certificates, with_room};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::Path;

/// Where each is planted, in its name. All look different from anything that a cluster writes itself.
const PLANTED: [&str; 10] = [
    "planted-in-a-secret-8f1c",
    "planted-as-a-token-77aa",
    "planted-in-the-environment-a41e",
    "planted-among-arguments-5c02",
    "planted-in-an-annotation-b3d9",
    "planted-as-a-header-94e0",
    "planted-in-a-filter-02bd",
    "planted-in-a-configmap-d7f5",
    "planted-in-an-address-e6c3",
    "planted-in-a-log-line-3b19",
];

/// How a Secret and an object on the wire carry a text.
fn base64(text: &str) -> String {
    let bytes = k8s_openapi::ByteString(text.as_bytes().to_vec());
    serde_json::to_value(bytes).unwrap().as_str().unwrap().to_owned()
}

fn planted() -> Vec<Value> {
    let [
        secret,
        token,
        environment,
        argument,
        annotation,
        header,
        filter,
        map,
        address,
        _,
    ] = PLANTED;
    let workload = json!({
        "metadata": {"labels": {"app": "theirs"}, "annotations": {"note": annotation}},
        "spec": {"containers": [{
            "name": "app", "image": "example.test/app:1",
            "args": [format!("--password={argument}"), "--url", format!("https://user:{address}@db.test/")],
            "env": [{"name": "DATABASE_PASSWORD", "value": environment}],
        }]},
    });
    let applied = json!({"stringData": {"password": secret}}).to_string();
    let mut all: Vec<Value> = ["demo", "istio-system"]
        .into_iter()
        .map(|namespace| {
            json!({
                "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                "metadata": {"name": "theirs", "namespace": namespace,
                    "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied}},
                "data": {"password": base64(secret), "token": base64(token), "tls.key": base64(secret)},
            })
        })
        .collect();
    all.extend([
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": "demo"},
            "data": {"application.properties": format!("password={map}")}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "theirs", "namespace": "demo", "annotations": {"note": annotation}},
            "spec": {"selector": {"matchLabels": {"app": "theirs"}}, "template": workload}}),
        json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": {"name": "theirs", "namespace": "demo", "annotations": {"note": annotation}},
            "spec": {"hosts": ["theirs.test"], "http": [{
                "headers": {"request": {"set": {"Authorization": format!("Bearer {header}")}}},
                "route": [{"destination": {"host": "theirs.test"}}]}]}}),
        json!({"apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter",
            "metadata": {"name": "theirs", "namespace": "istio-system"},
            "spec": {"configPatches": [{"applyTo": "HTTP_FILTER", "patch": {"operation": "ADD",
                "value": {"config": {"client_secret": filter}}}}]}}),
    ]);
    all
}

/// Where a planted text was found.
fn found(place: &str, text: &str, key: &str) -> Vec<String> {
    let planted = PLANTED.iter().map(|planted| (*planted).to_owned());
    let coded = PLANTED.iter().map(|planted| base64(planted));
    // A key's own middle: its first and last lines are words that any text about keys has.
    let key = key
        .lines()
        .skip(1)
        .filter(|line| line.len() > 40)
        .map(str::to_owned);
    planted
        .chain(coded)
        .chain(key)
        .filter(|secret| text.contains(secret.as_str()))
        .map(|secret| format!("{secret} in {place}"))
        .collect()
}

const COMMANDS: [&str; 26] = [
    "setup kyma-project.io -n demo --mode passthrough -o json",
    "setup edition.cnn.com --mode tls-origination -n demo",
    "secrets --cert {folder}/client.crt --key {folder}/client.key --ca {folder}/root.crt -n demo -o json",
    "secrets --cert {folder}/client.crt --key {folder}/client.key --ca {folder}/root.crt -n demo --dry-run=client -o yaml",
    "setup httpbin.org --mode mtls-origination --client-cert {folder}/client.crt --client-key {folder}/client.key --server-ca {folder}/root.crt -n demo --no-probe -o yaml",
    "render kyma-project.io -n demo",
    "diff kyma-project.io istio.io -n demo",
    "verify -n demo -o json",
    "verify -n demo -o junit",
    "verify -n demo -o html",
    "verify --bypass -n demo",
    "lockdown -n demo -o json",
    "status -n demo -o json",
    "status -n demo",
    "check -n demo -o json",
    "check -A -o junit",
    "learn --for 2s -n demo -o json",
    "explain kyma-project.io:443 -n demo -o json",
    "certs inspect --gateway -n demo -o json",
    "certs inspect {folder}/client.crt --key {folder}/client.key -o json",
    "probe kyma-project.io istio.io -n demo --show-headers",
    "report -n demo --write {folder}/page.html",
    "report -n demo --write {folder}/page.json -o json",
    "report -n demo --bundle {folder}/bundle.tar.gz",
    "unlock -n demo",
    "deploy-target mtls.test --certs {folder} --context target -n demo --create-namespace -o json",
];

fn archive(path: &Path) -> String {
    let mut text = String::new();
    let mut archive = tar::Archive::new(GzDecoder::new(std::fs::File::open(path).unwrap()));
    for file in archive.entries().unwrap() {
        let mut bytes = Vec::new();
        let mut file = file.unwrap();
        file.read_to_end(&mut bytes).unwrap();
        text.push_str(&String::from_utf8_lossy(&bytes));
    }
    text
}

async fn search(place: &Place, key: &str) -> Vec<String> {
    let mut leaks = Vec::new();
    for object in planted() {
        place.sandbox.put(&object).unwrap();
    }
    for command in COMMANDS {
        let run = place.run(command).await;
        assert_ne!(run.code, None, "{command}");
        assert_ne!(run.code, Some(2), "{command}: {}", run.stderr);
        leaks.extend(found(&format!("standard output of {command}"), &run.stdout, key));
        leaks.extend(found(&format!("standard error of {command}"), &run.stderr, key));
    }
    for file in ["page.html", "page.json"] {
        let text = std::fs::read_to_string(place.folder.join(file)).unwrap();
        leaks.extend(found(file, &text, key));
    }
    let bundle = archive(&place.folder.join("bundle.tar.gz"));
    assert!(bundle.contains("egress-default"), "the archive is empty");
    leaks.extend(found("the archive", &bundle, key));
    let theirs = |name: &str| name.ends_with("/theirs") || name.contains("/theirs-");
    for (name, object) in place.dump() {
        if !name.contains("Secret ") && !theirs(&name) {
            leaks.extend(found(&name, &object.to_string(), key));
        }
    }
    leaks
}

#[test]
fn no_output_of_any_command_holds_a_planted_secret() {
    let folder = certificates();
    let key = std::fs::read_to_string(folder.path().join("client.key")).unwrap();
    let leaks = with_room(|| {
        by_own_clock(async {
            let place = Place::new(false, folder.path());
            search(&place, &key).await
        })
    });
    assert_eq!(leaks, Vec::<String>::new());
}

/// The search itself finds what is there.
#[test]
fn a_secret_that_is_shown_is_found() {
    let shown = format!("password: {}, {}", PLANTED[0], base64(PLANTED[1]));
    assert_eq!(found("here", &shown, "").len(), 2);
}
