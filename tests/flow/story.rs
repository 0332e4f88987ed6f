//! Set-up, second set-up, clean-up.

use crate::support::{clean_up, client, differences, dump, plan, sandbox, set_up, settings};
use kubectl_egress::engine::prepare::prepare;
use kubectl_egress::engine::undo;
use kubectl_egress::plan::journal::Journal;
use kubectl_egress::vocabulary::{ExitCode, Object};
use serde_json::json;

#[tokio::test]
async fn clean_up_leaves_the_cluster_as_it_was() {
    let sandbox = sandbox();
    let cluster = client(&sandbox);
    let before = dump(&sandbox);
    set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
    assert_ne!(dump(&sandbox), before);
    assert_eq!(clean_up(&cluster).await.unwrap(), Vec::<String>::new());
    assert_eq!(
        undo::leftovers(&cluster, &plan()).await.unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(differences(&before, &dump(&sandbox)), Vec::<String>::new());
}

#[tokio::test]
async fn a_foreign_namespace_gets_its_label_back_and_keeps_what_is_in_it() {
    let sandbox = sandbox();
    let cluster = client(&sandbox);
    sandbox
        .put(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo", "labels": {"istio-injection": "disabled", "team": "a"}}}))
        .unwrap();
    sandbox.put(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "namespace": "demo"}, "data": {"a": "b"}})).unwrap();
    let before = dump(&sandbox);
    let prepared = prepare(&cluster, settings(&["kyma-project.io"])).await.unwrap();
    assert!(
        prepared
            .consents
            .iter()
            .any(|question| question.contains("istio-injection=disabled")),
        "{:?}",
        prepared.consents
    );
    set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
    assert_eq!(
        dump(&sandbox)["Namespace demo"]["metadata"]["labels"]["istio-injection"],
        "enabled"
    );
    clean_up(&cluster).await.unwrap();
    assert_eq!(differences(&before, &dump(&sandbox)), Vec::<String>::new());
}

#[tokio::test]
async fn a_second_set_up_changes_nothing() {
    let sandbox = sandbox();
    let cluster = client(&sandbox);
    set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
    let versions = |sandbox: &kubectl_egress::sandbox::Sandbox| {
        let objects = sandbox
            .dump()
            .into_iter()
            .filter(|(name, _)| !name.starts_with("Lease ") && !name.starts_with("Event "));
        objects
            .map(|(name, object)| (name, object["metadata"]["resourceVersion"].clone()))
            .collect::<Vec<_>>()
    };
    let before = versions(&sandbox);
    set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
    assert_eq!(versions(&sandbox), before);
}

#[tokio::test]
async fn a_host_is_added_and_taken_away() {
    let sandbox = sandbox();
    let cluster = client(&sandbox);
    set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
    set_up(&cluster, settings(&["edition.cnn.com"])).await.unwrap();
    let hosts = |sandbox: &kubectl_egress::sandbox::Sandbox| {
        sandbox.dump()["ServiceEntry demo/egress-default-443"]["spec"]["hosts"].clone()
    };
    assert_eq!(hosts(&sandbox), json!(["edition.cnn.com", "kyma-project.io"]));
    let mut only = settings(&["edition.cnn.com"]);
    only.whole = true;
    let prepared = prepare(&cluster, only.clone()).await.unwrap();
    assert!(
        prepared.consents[0].contains("Remove kyma-project.io:443"),
        "{:?}",
        prepared.consents
    );
    set_up(&cluster, only).await.unwrap();
    assert_eq!(hosts(&sandbox), json!(["edition.cnn.com"]));
}

#[tokio::test]
async fn a_port_that_no_host_uses_any_more_loses_its_object_last() {
    let sandbox = sandbox();
    let cluster = client(&sandbox);
    let mut on_8443 = settings(&["kyma-project.io"]);
    on_8443.hosts[0].how.port = 8443;
    set_up(&cluster, on_8443).await.unwrap();
    assert!(
        sandbox
            .dump()
            .contains_key("ServiceEntry demo/egress-default-8443")
    );
    set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
    let objects = sandbox.dump();
    assert!(
        objects.contains_key("ServiceEntry demo/egress-default-443")
            && !objects.contains_key("ServiceEntry demo/egress-default-8443")
    );
    let stored = Journal::from_object(
        &Object(objects["ConfigMap demo/kubectl-egress-default"].clone()),
        &plan(),
    )
    .unwrap();
    assert!(
        stored
            .entries
            .iter()
            .all(|entry| !entry.reference().name.ends_with("8443"))
    );
}

#[tokio::test]
async fn a_virtual_service_of_somebody_else_is_refused_before_anything_is_changed() {
    let sandbox = sandbox();
    let cluster = client(&sandbox);
    sandbox
        .put(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}))
        .unwrap();
    sandbox
        .put(&json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "theirs", "namespace": "other"},
            "spec": {"hosts": ["kyma-project.io"], "tls": []}}))
        .unwrap();
    let before = dump(&sandbox);
    let error = set_up(&cluster, settings(&["kyma-project.io"]))
        .await
        .unwrap_err();
    assert_eq!(error.code(), ExitCode::Consent);
    assert!(error.to_string().contains("other/theirs"), "{error}");
    assert_eq!(differences(&before, &dump(&sandbox)), Vec::<String>::new());
}

/// Taken over, it would be deleted by `cleanup`.
#[tokio::test]
async fn an_object_under_a_name_of_ours_is_refused_before_anything_is_changed() {
    for (version, kind, name) in [
        ("v1", "ServiceAccount", "curl"),
        ("v1", "Service", "curl"),
        ("networking.istio.io/v1", "Gateway", "egress-default"),
    ] {
        let sandbox = sandbox();
        let cluster = client(&sandbox);
        let theirs = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "demo"}, "spec": {"ports": [{"port": 80}]}});
        for object in [
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}}),
            theirs,
        ] {
            sandbox.put(&object).unwrap();
        }
        let before = dump(&sandbox);
        let error = set_up(&cluster, settings(&["kyma-project.io"]))
            .await
            .unwrap_err();
        assert_eq!(error.code(), ExitCode::Consent, "{error}");
        let told = error.to_string();
        assert!(
            told.contains(kind) && told.contains(&format!("demo/{name}")),
            "{told}"
        );
        assert_eq!(differences(&before, &dump(&sandbox)), Vec::<String>::new());
    }
}
