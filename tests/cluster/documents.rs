//! What scripts rely on: documents, exit codes, dry runs.

use crate::support::dump::Dump;
use crate::support::open;
use serde_json::Value;

#[test]
fn a_dry_run_changes_nothing() {
    let stage = open!(shared);
    for kind in ["client", "server"] {
        let run = stage.changes_nothing(&format!(
            "setup {} --create-namespace --dry-run={kind}",
            stage.host
        ));
        run.exits(0).says(&["virtualservice/egress-default", "dry run"]);
        let document = stage.changes_nothing(&format!(
            "setup {} --create-namespace --dry-run={kind} -o json",
            stage.host
        ));
        let items = document.exits(0).json();
        let kinds: Vec<_> = items["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["kind"].as_str().unwrap())
            .collect();
        for kind in [
            "Namespace",
            "Deployment",
            "Gateway",
            "DestinationRule",
            "VirtualService",
            "ServiceEntry",
            "Telemetry",
        ] {
            assert!(kinds.contains(&kind), "{kind} is not in {kinds:?}");
        }
    }
    let stage = stage.with_route();
    stage
        .changes_nothing(&format!("setup more.{} --dry-run=server", stage.host))
        .exits(0)
        .says(&["configured"]);
    // A deletion says in its body that it is a dry run, which the audit log does not show: the objects do.
    let before = Dump::of_namespace(&stage.kubectl, &stage.namespace);
    for kind in ["client", "server"] {
        let cleanup = stage.egress(&format!("cleanup --dry-run={kind}"));
        cleanup
            .exits(0)
            .says(&["virtualservice/egress-default deleted", "dry run"]);
    }
    Dump::of_namespace(&stage.kubectl, &stage.namespace).equals(&before);
    stage.probe_host().is("routed", &stage.gateway_addresses());
}

#[test]
fn the_verification_has_the_keys_that_scripts_rely_on() {
    let stage = open!(shared).with_route();
    let document = stage.egress("verify -o json").exits(0).json();
    assert_eq!(document["apiVersion"], "kubectl-egress.dev/v1alpha1");
    assert_eq!(document["kind"], "Verification");
    assert_eq!(document["plan"], "default");
    assert_eq!(document["namespace"], stage.namespace.as_str());
    let probes = document["probes"].as_array().unwrap();
    for probe in probes {
        let keys = [
            "host",
            "port",
            "scheme",
            "source",
            "meshed",
            "expected",
            "outcome",
            "blockedBy",
            "hops",
            "findings",
        ];
        assert!(keys.iter().all(|key| probe.get(key).is_some()), "{probe}");
        for hop in probe["hops"].as_array().unwrap() {
            assert!(
                ["from", "to", "pod", "encryption", "receipts"]
                    .iter()
                    .all(|key| hop.get(key).is_some()),
                "{hop}"
            );
            assert!(
                !hop["receipts"].as_array().unwrap().is_empty(),
                "a hop without receipt: {hop}"
            );
        }
        for finding in probe["findings"].as_array().unwrap() {
            assert!(
                ["code", "severity", "message", "fix", "objects"]
                    .iter()
                    .all(|key| finding.get(key).is_some()),
                "{finding}"
            );
        }
    }
    let yaml = stage.egress("verify -o yaml --skip-unmeshed");
    assert!(yaml.exits(0).stdout.contains("kind: Verification"), "{yaml}");
    let text = stage.egress("verify --skip-unmeshed --color never --progress none");
    assert!(
        text.exits(0).stdout.contains("routed") && !text.stdout.contains('\u{1b}'),
        "{text}"
    );
}

#[test]
fn every_command_that_has_a_document_prints_one_and_nothing_else() {
    let stage = open!(shared).with_route();
    let kinds = |document: &Value| document["kind"].as_str().unwrap_or_default().to_owned();
    for typed in [
        "status",
        "verify --skip-unmeshed",
        &format!("probe {}", stage.host),
        "render",
        "version",
        "cleanup --dry-run=client",
    ] {
        let run = stage.egress(&format!("{typed} -o json"));
        let document = run.exits(0).json();
        assert!(
            document.is_array() || !kinds(&document).is_empty() || typed == "version",
            "{run}"
        );
    }
    stage.egress("diff").exits(0);
    stage.egress(&format!("diff more.{}", stage.host)).exits(1);
    let log = stage.egress(&format!("logs --host {} --since 1h -o json", stage.host));
    assert!(log.exits(0).stdout.contains(&stage.host), "{log}");
}

#[test]
fn status_names_what_is_missing_and_what_has_drifted() {
    let stage = open!(shared).with_route();
    stage.egress("status").exits(0);
    stage.kubectl.with(&[
        "patch",
        "virtualservice",
        "egress-default",
        "-n",
        &stage.namespace,
        "--type=json",
        "-p",
        r#"[{"op": "replace", "path": "/spec/tls/0/match/0/port", "value": 444}]"#,
    ]);
    let drifted = stage.egress("status -o json");
    assert!(
        drifted.stdout.contains("EGR-302") || drifted.stdout.contains("spec.tls"),
        "{drifted}"
    );
    stage.egress("diff").exits(1);
    stage
        .kubectl
        .run(&format!("delete serviceentry --all -n {}", stage.namespace));
    let missing = stage.egress("status");
    assert!(
        missing.stdout.contains("serviceentry") || missing.stdout.contains("ServiceEntry"),
        "{missing}"
    );
    stage.egress("setup --force-conflicts").exits(0);
    stage.egress("diff").exits(0);
}
