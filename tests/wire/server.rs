//! What the server is and says: its clock, its version, its lists.

use super::harness::{Act, Reply, Server, ok, refusal};
use kubectl_egress::cluster::{Answer, DeleteOptions};
use kubectl_egress::istio::kinds;
use kubectl_egress::vocabulary::{Object, ObjectReference, PodName};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn the_servers_clock_is_read_and_the_clients_is_not() {
    let server = Server::start(|_, _| {
        let date = vec![("date", "Sun, 06 Nov 1994 08:49:37 GMT".to_owned())];
        Reply::Whole(
            200,
            date,
            br#"{"major":"1","minor":"34+","gitVersion":"v1.34.4-x"}"#.to_vec(),
        )
    })
    .await;
    let client = server.client().await;
    assert_eq!(client.cluster.server_time(), None);
    let version = client.cluster.version().await.unwrap();
    assert_eq!((version.major, version.minor), (1, 34));
    let time = client.cluster.server_time().unwrap();
    assert!(time.to_string().starts_with("1994-11-06T08:49:3"), "{time}");
}

#[tokio::test]
async fn every_request_says_which_program_asks_streams_included() {
    let server = Server::start(|request, _| {
        if request.path.contains("/exec") {
            let status = br#"\x03{"status":"Success"}"#.to_vec();
            Reply::Socket("v5.channel.k8s.io", vec![Act::Send(status)])
        } else {
            ok(&json!({"major": "1", "minor": "34", "gitVersion": "v1.34.4"}))
        }
    })
    .await;
    let client = server.client().await;
    client.cluster.version().await.unwrap();
    let pod = PodName::new("demo", "source");
    // How the session ends does not matter here.
    let _ = client
        .cluster
        .exec(&pod, None, &["true".to_owned()], Duration::from_secs(5))
        .await;
    let program = format!("kubectl-egress/{}", env!("CARGO_PKG_VERSION"));
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(
            request.header("user-agent"),
            Some(program.as_str()),
            "{}",
            request.path
        );
    }
}

#[tokio::test]
async fn api_groups_have_the_preferred_version_first_and_are_asked_for_once() {
    let server = Server::start(|_, _| {
        ok(&json!({"kind": "APIGroupList", "groups": [
            {"name": "networking.istio.io", "preferredVersion": {"version": "v1"},
                "versions": [{"version": "v1beta1"}, {"version": "v1"}, {"version": "v1alpha3"}]},
            {"name": "apps", "preferredVersion": {"version": "v1"}, "versions": [{"version": "v1"}]}]}))
    })
    .await;
    let client = server.client().await;
    let groups = client.cluster.api_groups().await.unwrap();
    let versions = groups.versions("networking.istio.io");
    assert_eq!(versions, ["v1", "v1beta1", "v1alpha3"]);
    assert!(groups.has("apps") && !groups.has("operator.kyma-project.io"));
    client.cluster.api_groups().await.unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn that_there_is_no_istio_is_asked_again_and_other_answers_are_no_list_without_groups() {
    let server = Server::start(|_, before| match before {
        0 | 1 => ok(&json!({"kind": "APIGroupList", "groups": []})),
        2 => ok(&json!({"kind": "Status", "status": "Success"})),
        3 => Reply::Whole(404, Vec::new(), b"404 page not found\n".to_vec()),
        _ => unreachable!("it is asked four times"),
    })
    .await;
    let client = server.client().await;
    for _ in 0..2 {
        assert!(!client.cluster.api_groups().await.unwrap().has("apps"));
    }
    for said in ["something else than what was asked for", "404"] {
        let error = client.cluster.api_groups().await.unwrap_err();
        assert!(format!("{error:?}").contains(said), "{error:?}");
    }
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn lists_are_read_page_by_page_and_begin_again_when_the_server_forgets() {
    let server = Server::start(|request, before| match before {
        0 | 2 => ok(&json!({"kind": "PodList", "metadata": {"continue": "t/1="}, "items": [{"metadata": {"name": "a"}}]})),
        1 => {
            assert!(request.path.contains("continue=t%2F1%3D"));
            refusal(410, "Expired", "the continue token is too old", "")
        }
        _ => ok(&json!({"kind": "PodList", "metadata": {}, "items": [{"metadata": {"name": "b"}}]})),
    })
    .await;
    let client = server.client().await;
    let listed = client
        .cluster
        .list(&kinds::pod(), None, Some("app=x"))
        .await
        .unwrap();
    let names: Vec<&str> = listed.iter().map(Object::name).collect();
    assert_eq!(names, ["a", "b"]);
}

#[tokio::test]
async fn kinds_that_are_not_served_are_empty_and_absent() {
    let server = Server::start(|_, _| Reply::Whole(404, Vec::new(), b"404 page not found\n".to_vec())).await;
    let client = server.client().await;
    assert!(
        client
            .cluster
            .list(&kinds::gateway(), None, None)
            .await
            .unwrap()
            .is_empty()
    );
    let reference = ObjectReference::namespaced(kinds::gateway(), "demo", "g");
    assert!(client.cluster.get(&reference).await.unwrap().is_none());
}

/// Whoever takes "no such path" for "no such object" leaves things behind, as cleaning up did.
#[tokio::test]
async fn kinds_that_every_server_has_are_not_absent_because_a_path_is() {
    let server = Server::start(|_, _| Reply::Whole(404, Vec::new(), b"404 page not found\n".to_vec())).await;
    let client = server.client().await;
    let reference = ObjectReference::namespaced(kinds::deployment(), "demo", "httpbin");
    let said = [
        client.cluster.get(&reference).await.unwrap_err(),
        client.cluster.list(&kinds::pod(), None, None).await.unwrap_err(),
        client
            .cluster
            .delete(&reference, &DeleteOptions::default())
            .await
            .unwrap_err(),
    ];
    for error in said {
        assert!(
            error.to_string().contains("like no Kubernetes API server"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn rules_are_read_in_one_request() {
    let server = Server::start(|_, _| {
        ok(&json!({"status": {"incomplete": false, "resourceRules": [
            {"verbs": ["get"], "apiGroups": [""], "resources": ["pods", "pods/exec"]}], "nonResourceRules": null}}))
    })
    .await;
    let client = server.client().await;
    let rules = client.cluster.rules("demo").await.unwrap();
    assert_eq!(rules.allows("get", "", "pods/exec", None), Answer::Yes);
    // Kubernetes 1.35 asks for this one too.
    assert_eq!(rules.allows("create", "", "pods/exec", None), Answer::No);
    assert_eq!(server.requests()[0].json()["spec"]["namespace"], "demo");
    assert_eq!(client.cluster.request_count(), 1);
}
