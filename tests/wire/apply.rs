//! Server-side apply: what changed, whose fields are in the way, and what the server warns of.

use super::harness::{Reply, Seen, Server, ok, refusal, status};
use kubectl_egress::cluster::{ApplyOptions, ApplyOutcome, DeleteOptions, Deleted, Notice};
use kubectl_egress::istio::kinds;
use kubectl_egress::vocabulary::{Change, ExitCode, Object, ObjectReference};
use serde_json::{Value, json};

fn reference() -> ObjectReference {
    ObjectReference::namespaced(kinds::gateway(), "demo", "g")
}

fn object() -> Object {
    Object(json!({"metadata": {"managedFields": [{"manager": "x"}]}, "spec": {"a": 1}}))
}

fn options() -> ApplyOptions {
    ApplyOptions::new(&reference(), "kubectl-egress")
}

fn live(version: &str, spec: &Value) -> Value {
    json!({"kind": "Gateway", "metadata": {"name": "g", "namespace": "demo", "resourceVersion": version,
        "managedFields": [{"manager": "kubectl-egress", "operation": "Apply", "time": "2026-11-21T10:00:00Z",
            "fieldsV1": {"f:spec": {"f:a": {}}}}]},
        "spec": spec, "status": {"observed": version}})
}

const GROUPS: &str = "/apis";

/// A server with Istio, which is asked once for the version that it serves.
async fn with_istio(answer: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Server {
    let groups = json!({"kind": "APIGroupList", "groups": [{"name": "networking.istio.io",
        "versions": [{"version": "v1"}], "preferredVersion": {"version": "v1"}}]});
    Server::start(move |request, before| {
        if request.path == GROUPS {
            ok(&groups)
        } else {
            answer(request, before)
        }
    })
    .await
}

/// The requests but that one.
fn sent(server: &Server) -> Vec<Seen> {
    let mut requests = server.requests();
    requests.retain(|request| request.path != GROUPS);
    requests
}

#[tokio::test]
async fn the_request_takes_nothing_from_others_and_says_what_it_is() {
    let server = with_istio(|_, _| status(201, &live("1", &json!({})))).await;
    let client = server.client().await;
    let applied = client.cluster.apply(&object(), &options()).await.unwrap();
    assert_eq!(applied.change, Change::Created);
    let request = &sent(&server)[0];
    assert_eq!(request.method, "PATCH");
    assert_eq!(
        request.path,
        "/apis/networking.istio.io/v1/namespaces/demo/gateways/g?fieldManager=kubectl-egress&force=false"
    );
    assert_eq!(
        request.header("content-type"),
        Some("application/apply-patch+yaml")
    );
    let body = request.json();
    assert_eq!(
        (body["kind"].as_str(), body["apiVersion"].as_str()),
        (Some("Gateway"), Some("networking.istio.io/v1"))
    );
    assert!(body["metadata"].get("managedFields").is_none());
    assert_eq!(client.cluster.request_count(), 2);
}

#[tokio::test]
async fn changed_and_unchanged_are_told_apart_without_a_request_more() {
    let server = with_istio(|request, _| {
        if request.method == "GET" {
            return ok(
                &json!({"kind": "GatewayList", "metadata": {"resourceVersion": "9"}, "items": [live("1", &json!({"a": 1}))]}),
            );
        }
        // The second apply changes the object, the first does not.
        let wanted = request.json()["spec"].clone();
        ok(&live(if wanted["a"] == 1 { "1" } else { "2" }, &wanted))
    })
    .await;
    let client = server.client().await;
    let listed = client
        .cluster
        .list(&kinds::gateway(), Some("demo"), None)
        .await
        .unwrap();
    assert_eq!(listed[0].text("/kind"), "Gateway");
    let same = client.cluster.apply(&object(), &options()).await.unwrap();
    assert_eq!(same.change, Change::Unchanged);
    let other = Object(json!({"spec": {"a": 2}}));
    let changed = client.cluster.apply(&other, &options()).await.unwrap();
    assert_eq!(changed.change, Change::Configured);
    let again = client.cluster.apply(&other, &options()).await.unwrap();
    assert_eq!(again.change, Change::Unchanged);
    assert_eq!(client.cluster.request_count(), 5);
}

#[tokio::test]
async fn a_dry_run_says_so_and_is_not_remembered() {
    let server = with_istio(|request, _| ok(&live("1", &request.json()["spec"]))).await;
    let client = server.client().await;
    client.cluster.apply(&object(), &options()).await.unwrap();
    let other = Object(json!({"spec": {"a": 2}}));
    let dry = ApplyOptions {
        dry_run: true,
        ..options()
    };
    for _ in 0..2 {
        let would = client.cluster.apply(&other, &dry).await.unwrap();
        assert_eq!(would.change, Change::Configured);
    }
    assert!(sent(&server)[1].path.contains("dryRun=All"));
}

#[tokio::test]
async fn a_conflict_names_every_field_and_its_owner() {
    let server = Server::start(|_, _| {
        status(409, &json!({"kind": "Status", "reason": "Conflict", "message": "Apply failed with 2 conflicts",
            "details": {"name": "g", "causes": [
                {"reason": "FieldManagerConflict", "field": ".spec.servers", "message": "conflict with \"argocd\" using networking.istio.io/v1"},
                {"reason": "FieldManagerConflict", "field": ".spec.selector", "message": "conflict with \"kubectl\" with subresource \"x\" using v1"}]}}))
    })
    .await;
    let client = server.client().await;
    let error = client.cluster.apply(&object(), &options()).await.unwrap_err();
    assert_eq!(error.code(), ExitCode::Consent);
    assert_eq!(
        error.causes(),
        [
            ".spec.servers belongs to `argocd`",
            ".spec.selector belongs to `kubectl`"
        ]
    );
    assert!(error.hints()[0].contains("--force-conflicts"));
    assert!(matches!(
        client.cluster.try_apply(&object(), &options()).await.unwrap(),
        ApplyOutcome::Conflict(fields) if fields.len() == 2
    ));
}

#[tokio::test]
async fn an_optimistic_lock_failure_is_not_reported_as_a_conflict_of_fields() {
    let server = Server::start(|_, _| refusal(409, "Conflict", "the object has been modified", "g")).await;
    let client = server.client().await;
    let error = client.cluster.try_apply(&object(), &options()).await.unwrap_err();
    assert!(error.to_string().contains("modified"), "{error}");
    assert!(!error.hints().join(" ").contains("--force-conflicts"));
}

#[tokio::test]
async fn warnings_of_the_server_are_heard() {
    let server = with_istio(|_, _| {
        let warning = r#"299 - "would violate PodSecurity \"restricted:latest\"""#.to_owned();
        Reply::Whole(
            201,
            vec![("warning", warning)],
            live("1", &json!({})).to_string().into_bytes(),
        )
    })
    .await;
    let client = server.client().await;
    client.cluster.apply(&object(), &options()).await.unwrap();
    assert_eq!(
        client.notices(),
        [Notice::Warning(
            r#"would violate PodSecurity "restricted:latest""#.into()
        )]
    );
}

#[tokio::test]
async fn deletions_tell_what_they_did() {
    let cases: [(fn() -> Reply, Deleted); 7] = [
        (
            || ok(&json!({"kind": "Status", "status": "Success"})),
            Deleted::Gone,
        ),
        (
            || {
                ok(
                    &json!({"kind": "Pod", "metadata": {"uid": "1", "deletionTimestamp": "2026-11-21T10:00:00Z"}}),
                )
            },
            Deleted::Deleting,
        ),
        (|| refusal(404, "NotFound", "not found", "g"), Deleted::NotThere),
        (
            || {
                refusal(
                    409,
                    "Conflict",
                    "the UID in the precondition (1) does not match the UID in record (2)",
                    "g",
                )
            },
            Deleted::OtherUid,
        ),
        (
            || {
                refusal(
                    409,
                    "Conflict",
                    "Precondition failed: UID in precondition: 1, UID in object meta: 2",
                    "g",
                )
            },
            Deleted::OtherUid,
        ),
        (
            || {
                refusal(
                    409,
                    "Conflict",
                    "the ResourceVersion in the precondition (1) does not match the ResourceVersion in record (2)",
                    "g",
                )
            },
            Deleted::OtherVersion,
        ),
        (
            || {
                refusal(
                    409,
                    "Conflict",
                    "Precondition failed: ResourceVersion in precondition: 1, ResourceVersion in object meta: 2",
                    "g",
                )
            },
            Deleted::OtherVersion,
        ),
    ];
    for (reply, expected) in cases {
        let server = Server::start(move |_, _| reply()).await;
        let client = server.client().await;
        let options = DeleteOptions {
            uid: Some("1".into()),
            ..DeleteOptions::default()
        };
        assert_eq!(
            client.cluster.delete(&reference(), &options).await.unwrap(),
            expected
        );
    }
}

#[tokio::test]
async fn what_exists_already_is_a_matter_of_consent() {
    let server =
        Server::start(|_, _| refusal(409, "AlreadyExists", "gateways \"g\" already exists", "g")).await;
    let client = server.client().await;
    let error = client
        .cluster
        .create(&reference(), &object(), false)
        .await
        .unwrap_err();
    assert_eq!(error.code(), ExitCode::Consent);
    assert_eq!(error.message(), "Gateway demo/g exists already");
}
