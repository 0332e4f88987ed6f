//! Every document that has a schema keeps to it, in real output.

use crate::served::{Served, served};
use serde_json::Value;
use std::collections::BTreeSet;

async fn schema(cluster: &Served, kind: &str) -> Value {
    cluster
        .run(&format!("version --schema {kind}"))
        .await
        .exits(0)
        .json()
}

/// Checks a document, and that the schema is no empty promise: a document of another kind is refused.
async fn keeps_to_its_schema(cluster: &Served, document: &Value) -> String {
    let kind = document["kind"].as_str().unwrap();
    let schema = schema(cluster, &kind.to_lowercase()).await;
    jsonschema::meta::validate(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let faults: Vec<String> = validator
        .iter_errors(document)
        .map(|error| error.to_string())
        .collect();
    assert!(faults.is_empty(), "{kind}: {faults:?}");
    assert!(!validator.is_valid(&serde_json::json!({"kind": kind})), "{kind}");
    kind.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_document_keeps_to_its_schema() {
    let cluster = served().await;
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("a.tar.gz");
    let bundle = format!("report -n demo -o json --bundle {}", archive.display());
    cluster
        .run("setup kyma-project.io -n demo --create-namespace --no-probe")
        .await
        .exits(0);
    let mut seen = BTreeSet::new();
    for line in [
        "verify -n demo --bypass -o json",
        "report -n demo --bypass -o json",
        "status -n demo -o json",
        "check -n demo -o json",
        "learn -n demo --since 1h -o json",
        "explain kyma-project.io -n demo -o json",
        &bundle,
        "lockdown -n demo --yes -o json",
    ] {
        let run = cluster.run(line).await;
        seen.insert(keeps_to_its_schema(&cluster, &run.json()).await);
    }
    let line = "[2026-11-22T01:44:30.910Z] \"- - -\" 0 UF,URX - - \"-\" 725 2385 52 - \"-\" \"-\" \"-\" \"-\" \"203.0.113.11:443\" \
                outbound|443||kyma-project.io 198.18.0.15:32796 203.0.113.11:443 198.18.0.15:32795 kyma-project.io -";
    for (kind, text) in [
        ("LineExplanation", line.to_owned()),
        ("LogExplanation", format!("{line}\n{line}\n")),
    ] {
        let mut command = cluster.command("explain --offline -o json");
        let output = command.arg(format!("--log={text}")).output().unwrap();
        let document: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        assert_eq!(document["kind"], kind);
        seen.insert(keeps_to_its_schema(&cluster, &document).await);
    }
    let listed = cluster.run("version --schema -o json").await.exits(0).json();
    let listed: BTreeSet<String> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(seen, listed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_not_there_leads_to_those_that_are() {
    let cluster = served().await;
    let refused = cluster.run("version --schema nothing").await.exits(2);
    assert!(refused.stderr.contains("version --schema"), "{refused:?}");
    let listed = cluster.run("version --schema").await.exits(0);
    assert!(
        listed.stdout.contains("Report") && listed.stdout.contains("explain --log"),
        "{listed:?}"
    );
}
