//! `check` as it is typed: exit codes, documents, what is suppressed, what may not be read, and how much it asks.

use crate::served::{serve, served};
use crate::support::{client, quick, sandbox, set_up, settings};
use kubectl_egress::cluster::DeleteOptions;
use kubectl_egress::engine::check::of_cluster;
use kubectl_egress::engine::inventory::Scope;
use kubectl_egress::istio::kinds;
use kubectl_egress::sandbox::{Denial, Sandbox, SandboxSettings};
use kubectl_egress::vocabulary::{Object, ObjectReference};
use serde_json::{Value, json};

const SET_UP: &str = "setup kyma-project.io -n demo --create-namespace --no-probe";

fn codes(document: &Value) -> Vec<&str> {
    let findings = document["findings"].as_array().unwrap().iter();
    findings.filter_map(|finding| finding["code"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_exits_1_in_every_form_unless_it_is_suppressed() {
    let cluster = served().await;
    cluster.run(SET_UP).await.exits(0);
    let before = cluster.run("check -n demo -o json").await.exits(0).json();
    assert_eq!(
        (&before["apiVersion"], &before["kind"]),
        (&"kubectl-egress.dev/v1alpha1".into(), &"Findings".into())
    );
    assert_eq!(before["unread"], serde_json::json!([]));
    let rule = ObjectReference::namespaced(kinds::destination_rule(), "demo", "egress-default");
    let deleted = client(&cluster.sandbox)
        .delete(&rule, &DeleteOptions::default())
        .await;
    deleted.unwrap();
    let run = cluster.run("check -n demo -o json").await.exits(1);
    assert!(codes(&run.json()).contains(&"EGR-315"), "{run:?}");
    let schema = cluster.run("version --schema findings").await.exits(0).json();
    assert!(
        jsonschema::validator_for(&schema).unwrap().is_valid(&run.json()),
        "{run:?}"
    );
    let text = cluster.run("check -n demo").await.exits(1);
    assert!(
        text.stdout.contains("error: EGR-315") && text.stdout.contains("1 error"),
        "{text:?}"
    );
    assert!(text.stderr.contains("kubectl egress explain EGR-315"), "{text:?}");
    let junit = cluster.run("check -n demo -o junit").await.exits(1);
    assert!(junit.stdout.contains("<failure type=\"EGR-315\""), "{junit:?}");
    let less = cluster
        .run("check -n demo -o json --suppress egr-315,EGR-335")
        .await
        .exits(0);
    assert_eq!(less.json()["suppressed"]["EGR-315"], 1, "{less:?}");
    assert!(!codes(&less.json()).contains(&"EGR-315"), "{less:?}");
    let other = cluster.run("check -n default -o json").await.exits(0);
    assert_eq!(codes(&other.json()), Vec::<&str>::new(), "{other:?}");
    let all = cluster.run("check -A -o json").await.exits(1);
    assert!(codes(&all.json()).contains(&"EGR-315"), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_is_told_and_nothing_is_guessed() {
    let denials = vec![
        Denial::new("list", "networking.k8s.io", "networkpolicies"),
        Denial::new("list", "networking.istio.io", "destinationrules"),
    ];
    let cluster = serve(Sandbox::new(SandboxSettings { denials, ..quick() })).await;
    // A route whose subset nobody may look for, in a namespace that nobody knows to be held.
    let route = json!({"metadata": {"name": "a", "namespace": "default"}, "spec": {"hosts": ["a.test"], "http": [{"route": [
        {"destination": {"host": "istio-egressgateway.istio-system.svc.cluster.local", "subset": "gone", "port": {"number": 80}}}]}]}});
    let reference = ObjectReference::namespaced(kinds::virtual_service(), "default", "a");
    let created = client(&cluster.sandbox)
        .create(&reference, &Object(route), false)
        .await;
    created.unwrap();
    let run = cluster.run("check -n default -o json").await;
    let document = run.json();
    let unread = document["unread"].to_string();
    assert!(
        unread.contains("NetworkPolicy") && unread.contains("DestinationRule"),
        "{run:?}"
    );
    assert!(run.stderr.contains("was not checked"), "{run:?}");
    for code in ["EGR-315", "EGR-335"] {
        assert!(!codes(&document).contains(&code), "{run:?}");
    }
}

/// Once for each kind, a few for pods and the mesh; not once for each object.
#[tokio::test]
async fn few_requests_are_sent_however_much_there_is() {
    let sandbox = sandbox();
    let cluster = client(&sandbox);
    set_up(
        &cluster,
        settings(&["kyma-project.io", "edition.cnn.com", "www.google.com"]),
    )
    .await
    .unwrap();
    for scope in [Scope::Namespace("demo".to_owned()), Scope::All] {
        let cluster = client(&sandbox);
        let found = of_cluster(&cluster, &scope).await.unwrap();
        assert!(found.objects > 10);
        assert!(
            cluster.request_count() <= 25,
            "{} requests",
            cluster.request_count()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_need_no_cluster_and_other_commands_give_no_junit() {
    let cluster = served().await;
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    let text = "\n# routes\n---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n\
                spec: {hosts: [a.test], gateways: [nowhere], tls: [{match: [{sniHosts: [a.test]}], route: [{destination: {host: a.test}}]}]}\n";
    std::fs::write(file.path(), text).unwrap();
    let path = file.path().display();
    let run = cluster.run(&format!("check -f {path} -o json")).await.exits(0);
    let document = run.json();
    let finding = &document["findings"][0];
    assert_eq!(
        (&finding["code"], &finding["severity"]),
        (&"EGR-316".into(), &"warning".into()),
        "{run:?}"
    );
    assert_eq!(finding["places"][0], format!("{path}:4"), "{run:?}");
    let missing = cluster.run("check -f /nowhere/at/all").await.exits(2);
    assert!(missing.stderr.contains("hint:"), "{missing:?}");
    let unknown = cluster.run("check --suppress EGR-999").await.exits(2);
    assert!(unknown.stderr.contains("EGR-999"), "{unknown:?}");
    let junit = cluster.run("status -o junit").await.exits(2);
    assert!(junit.stderr.contains("only `check` and `verify`"), "{junit:?}");
}
