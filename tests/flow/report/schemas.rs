//! Every document that has a schema keeps to it, in real output.

use crate::kubectl::Server;
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
    let mut other = document.clone();
    other["kind"] = "Another".into();
    assert!(!validator.is_valid(&other), "{kind}");
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
    let certs = folder.path().join("certs").display().to_string();
    let made = format!("certs partner.example.com --out {certs} -o json");
    let inspected = format!("certs inspect {certs}/partner.example.com.crt -o json");
    let mut seen = BTreeSet::new();
    for line in [
        &made,
        &inspected,
        "certs inspect --gateway -n demo -o json",
        "certs inspect kyma-project.io -n demo -o json",
        "probe kyma-project.io www.google.com -n demo --show-headers -o json",
        "diff edition.cnn.com -n demo -o json",
        "verify -n demo --bypass -o json",
        "report -n demo --bypass -o json",
        "status -n demo -o json",
        "check -n demo -o json",
        "learn -n demo --since 1h -o json",
        "explain kyma-project.io -n demo -o json",
        &bundle,
        "lockdown -n demo --yes -o json",
        "unlock -n demo -o json",
        "cleanup -n demo --verify -o json",
    ] {
        let run = cluster.run(line).await;
        seen.insert(keeps_to_its_schema(&cluster, &run.json()).await);
    }
    seen.extend(of_two_clusters(&cluster, &certs).await);
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

/// What is printed only where there is another cluster.
async fn of_two_clusters(cluster: &Served, certs: &str) -> Vec<String> {
    let host = "partner.example.com";
    let server = Server::start("");
    let target = format!("deploy-target {host} --certs {certs} --context target -n demo --create-namespace");
    let both = "setup target.example.com --target-context target -n both --create-namespace --yes";
    let mut kinds = Vec::new();
    for line in [&target, both] {
        let said = server.egress(&format!("{line} -o json")).exits(0);
        kinds.push(keeps_to_its_schema(cluster, &serde_json::from_str(&said.stdout).unwrap()).await);
        if line == target {
            // Both would show a certificate under the same name.
            server.egress("cleanup -n demo --context target").exits(0);
        }
    }
    // A clean-up of both tells of the other one.
    let said = server.egress("cleanup -n both -o json").exits(0);
    let document: Value = serde_json::from_str(&said.stdout).unwrap();
    assert!(document["target"]["kept"].is_array(), "{said:?}");
    keeps_to_its_schema(cluster, &document).await;
    kinds
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
