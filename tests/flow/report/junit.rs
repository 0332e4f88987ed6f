//! Test results: read by a parser that is not ours, held to the schema, and in agreement with exit codes.

use crate::served::{Run, served};
use crate::support::client;
use kubectl_egress::cluster::DeleteOptions;
use kubectl_egress::istio::kinds;
use kubectl_egress::vocabulary::ObjectReference;
use roxmltree::{Document, Node};
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Checks a document by `xmllint` where it is there, and by hand what a schema cannot say. Gives its failures.
fn checked(run: &Run) -> Vec<String> {
    let read = Document::parse(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
    let named = |node: Node, name: &str| {
        node.descendants()
            .filter(|inner| inner.has_tag_name(name))
            .count()
    };
    let says = |node: Node, name: &str| node.attribute(name).unwrap().parse::<usize>().unwrap();
    let root = read.root_element();
    let suites: Vec<Node> = root
        .children()
        .filter(|node| node.has_tag_name("testsuite"))
        .collect();
    for node in suites.iter().copied().chain([root]) {
        assert_eq!(says(node, "tests"), named(node, "testcase"), "{run:?}");
        assert_eq!(says(node, "failures"), named(node, "failure"), "{run:?}");
        assert_eq!(says(node, "errors"), named(node, "error"), "{run:?}");
    }
    by_schema(&run.stdout);
    let failed = root
        .descendants()
        .filter(|node| node.has_tag_name("failure") || node.has_tag_name("error"));
    let name = |node: Node| {
        node.parent()
            .and_then(|case| case.attribute("name"))
            .map(str::to_owned)
    };
    failed.filter_map(name).collect()
}

fn by_schema(text: &str) {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/flow/report/junit.xsd");
    let spawned = Command::new("xmllint")
        .args(["--noout", "--nonet", "--schema", schema, "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = spawned else {
        let must = std::env::var("BROWSER_REQUIRED").is_ok_and(|value| value == "1");
        assert!(!must, "there is no xmllint: apt-get install libxml2-utils");
        eprintln!(
            "skipped: the schema is not checked, as there is no xmllint (apt-get install libxml2-utils)"
        );
        return;
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}\n{text}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_fails_in_ci_exactly_where_it_fails() {
    let cluster = served().await;
    cluster
        .run("setup kyma-project.io -n demo --create-namespace --no-probe")
        .await
        .exits(0);
    // What gets out where nothing is locked is a note.
    let proven = cluster.run("verify -n demo -o junit").await.exits(0);
    assert_eq!(checked(&proven), Vec::<String>::new());
    assert!(
        proven.stdout.contains("bypassed, expected: must not get out"),
        "{proven:?}"
    );
    let required = cluster
        .run("verify -n demo --require enforced --bypass -o junit")
        .await
        .exits(1);
    let failed = checked(&required);
    assert!(
        failed.contains(&"enforced".to_owned()) && failed.contains(&"no-sidecar".to_owned()),
        "{failed:?}"
    );
    assert!(!failed.contains(&"routed".to_owned()), "{failed:?}");
    let gateway = ObjectReference::namespaced(kinds::gateway(), "demo", "egress-default");
    let options = DeleteOptions::default();
    client(&cluster.sandbox).delete(&gateway, &options).await.unwrap();
    let failed = checked(
        &cluster
            .run("verify -n demo --skip-unmeshed -o junit")
            .await
            .exits(3),
    );
    assert!(failed.contains(&"routed".to_owned()), "{failed:?}");
    assert!(
        failed
            .iter()
            .any(|name| name.starts_with("https://kyma-project.io:443")),
        "{failed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_check_finds_is_read_whatever_it_holds() {
    let cluster = served().await;
    let text = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: \"a]]>&<b\\u0007\"}\n\
                spec: {hosts: [a.test], gateways: [\"no]]>where\\u001b[2J\"], http: [{route: [{destination: {host: a.test}}]}]}\n";
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(file.path(), text).unwrap();
    let run = cluster
        .run(&format!("check -o junit -f {}", file.path().display()))
        .await;
    assert!(run.stdout.contains("]]&gt;"), "{run:?}");
    checked(&run);
    checked(&cluster.run("check -o junit -A").await);
}
