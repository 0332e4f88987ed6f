//! Every rendered object is one that Istio takes: by the CRDs of its releases, by the lab's API server, and by the
//! analyzer of the lab's `istioctl`, except for the messages of its that are named here with why they are wrong.
//!
//! CRDs also carry rules in CEL; those are checked by the lab's API server, for its release.

pub(crate) mod rows;
mod schema;

use crate::support::open;
use kubectl_egress::plan::access_log;
use kubectl_egress::vocabulary::PlanIdentity;
use rows::{ROWS, Row};
use schema::Release;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Releases of `istio.io/api`, from the oldest Istio that is not refused to the newest that the module proxy has.
/// 1.21 is the last without `v1`.
const RELEASES: [&str; 6] = ["1.21.6", "1.22.0", "1.24.0", "1.26.2", "1.29.0", "1.31.1"];

/// What `render` makes of a row's plan, without a cluster.
fn rendered(row: &Row, namespace: &str, other: &str, host: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.yaml");
    std::fs::write(&file, row.file(namespace, other, host)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-egress"))
        .args([
            "render",
            "--gateway",
            "istio-system/istio-egressgateway",
            "-o",
            "json",
            "-f",
        ])
        .arg(&file)
        .env("KUBECONFIG", "/nonexistent")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "row {}: {said}", row.name);
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    list["items"].as_array().unwrap().clone()
}

/// What `setup` applies beside what is rendered.
fn telemetry(namespace: &str) -> Value {
    let plan = PlanIdentity::new(namespace, "default").unwrap();
    let labels = [("app".to_owned(), "curl".to_owned())].into();
    let entry = json!({"providers": [{"name": "otel"}], "match": {"mode": "CLIENT"},
        "filter": {"expression": "response.code >= 500"}});
    let beside = vec![serde_json::from_value(entry).unwrap()];
    access_log::telemetry(&plan, namespace, "egress-source", labels, "envoy", beside)
        .object
        .0
}

fn of_istio(object: &Value) -> bool {
    object["apiVersion"]
        .as_str()
        .is_some_and(|version| version.contains(".istio.io/"))
}

fn must_not_skip(reason: &str) {
    assert!(
        std::env::var_os("LAB_REQUIRED").is_none_or(|value| value != "1"),
        "{reason}"
    );
    eprintln!("skipped: {reason}");
}

#[test]
fn every_object_fits_the_crds_of_each_release() {
    let releases: Result<Vec<Release>, String> = RELEASES.into_iter().map(Release::download).collect();
    let releases = match releases {
        Ok(releases) => releases,
        Err(reason) => return must_not_skip(&format!("istio.io/api is not to be had: {reason}")),
    };
    let mut faults = Vec::new();
    let mut kinds = BTreeSet::new();
    for row in ROWS {
        let mut objects = rendered(row, "demo", "other", "www.example.com");
        objects.push(telemetry("demo"));
        for object in objects.iter().filter(|object| of_istio(object)) {
            kinds.insert(object["kind"].as_str().unwrap().to_owned());
            for release in releases.iter().filter(|release| row.since <= release.minor()) {
                let wrong = release.faults(object);
                faults.extend(wrong.iter().map(|fault| {
                    format!(
                        "row {}, Istio {}, {}: {fault}",
                        row.name, release.version, object["kind"]
                    )
                }));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    let all = [
        "AuthorizationPolicy",
        "DestinationRule",
        "Gateway",
        "ServiceEntry",
        "Sidecar",
        "Telemetry",
        "VirtualService",
    ];
    assert_eq!(kinds, all.map(str::to_owned).into());
}

/// The check itself finds what a strict API server finds.
#[test]
fn the_schemas_refuse_what_an_api_server_refuses() {
    let release = match Release::download(RELEASES[2]) {
        Ok(release) => release,
        Err(reason) => return must_not_skip(&format!("istio.io/api is not to be had: {reason}")),
    };
    let gateway = |server: Value| json!({"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "spec": {"servers": [server]}});
    let good = json!({"port": {"number": 443, "name": "tls", "protocol": "TLS"}, "hosts": ["a.example"], "tls": {"mode": "PASSTHROUGH"}});
    assert_eq!(release.faults(&gateway(good.clone())), Vec::<String>::new());
    for (pointer, key, value) in [
        ("/tls", "mode", json!("TELEPORT")),
        ("/tls", "unknown", json!(1)),
        ("/port", "number", json!("443")),
        ("", "hosts", json!(null)),
    ] {
        let mut wrong = good.clone();
        wrong.pointer_mut(pointer).unwrap()[key] = value;
        if wrong[key].is_null() && pointer.is_empty() {
            wrong.as_object_mut().unwrap().remove(key);
        }
        assert!(!release.faults(&gateway(wrong.clone())).is_empty(), "{wrong}");
    }
    let sidecar_dynamic = json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "spec": {"hosts": ["*.a.example"], "resolution": "DYNAMIC_DNS"}});
    assert!(
        !release.faults(&sidecar_dynamic).is_empty(),
        "1.24 does not know DYNAMIC_DNS"
    );
}

#[test]
fn the_api_server_takes_every_object_of_every_row() {
    let mut stage = open!(shared).with_namespace("istio-injection=enabled");
    let other = stage.another_namespace();
    stage.make_namespace(&other, "");
    let mut refusals = Vec::new();
    for row in ROWS {
        let mut items = rendered(row, &stage.namespace, &other, &stage.host);
        items.push(telemetry(&stage.namespace));
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
        if let Err(said) = stage
            .kubectl
            .feed("apply --dry-run=server --validate=strict -f -", &list)
        {
            refusals.push(format!("row {}: {said}", row.name));
        }
    }
    assert!(refusals.is_empty(), "{}", refusals.join("\n"));
    // What setup makes beside them: namespace, source, access log.
    let setup = stage.egress(&format!("setup {} --dry-run=client -o json", stage.host));
    let all = setup.exits(0).stdout.clone();
    let taken = stage
        .kubectl
        .feed("apply --dry-run=server --validate=strict -f -", &all);
    assert!(taken.is_ok(), "{taken:?}");
    // A field that nobody knows is found.
    let wrong = all.replacen("\"spec\"", "\"sepc\"", 1);
    assert!(
        stage
            .kubectl
            .feed("apply --dry-run=server --validate=strict -f -", &wrong)
            .is_err()
    );
}

/// Messages of the analyzer that are wrong about what is rendered: code, words of the message, and why.
const KNOWN_WRONG: &[(&str, &str, &str)] = &[
    (
        "IST0129",
        "no caCertificates are set to validate server identity",
        "it looks at `caCertificates` only: a `credentialName` brings its CA with it, and without either Istio takes the \
         system's authorities. A wrong SAN and an expired server are refused: rows 3 and 5 show it with traffic",
    ),
    (
        "IST0174",
        "outside.",
        "it looks for Services in the cluster only: this one is in the same files",
    ),
];

/// The analyzer's messages about files, without those that are known to be wrong.
fn messages(istioctl: &Path, arguments: &[&str], files: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rendered.yaml");
    std::fs::write(&file, files).unwrap();
    let output = Command::new(istioctl)
        .arg("analyze")
        .args(arguments)
        .args(["-o", "json", "--failure-threshold", "Info"])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let found: Vec<Value> = match said.find('[').map(|start| serde_json::from_str(&said[start..])) {
        Some(Ok(found)) => found,
        _ => panic!("{said}{}", String::from_utf8_lossy(&output.stderr)),
    };
    found
        .iter()
        .filter(|message| {
            let text = |key: &str| message[key].as_str().unwrap_or_default().to_owned();
            !KNOWN_WRONG
                .iter()
                .any(|(code, words, _)| text("code") == *code && text("message").contains(words))
        })
        .map(ToString::to_string)
        .collect()
}

#[test]
fn the_analyzer_has_nothing_to_say_but_what_is_known_to_be_wrong() {
    let mut stage = open!(alone).with_namespace("istio-injection=enabled");
    let other = stage.another_namespace();
    stage.make_namespace(&other, "istio-injection=enabled");
    let istioctl = kubectl_egress_lab::build::all().unwrap().istioctl;
    let kubeconfig = stage.kubeconfig().display().to_string();
    let namespace = stage.namespace.clone();
    let mut complaints = Vec::new();
    for row in ROWS {
        let items = rendered(row, &namespace, &other, &stage.host);
        let documents: Vec<String> = items.iter().map(ToString::to_string).collect();
        let documents = documents.join("\n---\n");
        for (how, arguments) in [
            ("files", ["--use-kube=false"].as_slice()),
            ("cluster", &["--kubeconfig", &kubeconfig, "-n", &namespace]),
        ] {
            let found = messages(&istioctl, arguments, &documents);
            complaints.extend(
                found
                    .iter()
                    .map(|message| format!("row {}, {how}: {message}", row.name)),
            );
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
