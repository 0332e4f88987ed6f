//! What can be made to go wrong from the command line of `sandbox`, through the true client: a clean error that names
//! the cause, nothing left behind, and a run that converges once the cause is gone.

use crate::kubectl::{Said, Server};
use kubectl_egress::cluster::{Cluster, ConnectionSettings, DeleteOptions, Deleted};
use kubectl_egress::istio::kinds;
use kubectl_egress::vocabulary::{Kind, ObjectReference};
use std::sync::Arc;

const SET_UP: &str = "setup kyma-project.io -n demo --create-namespace";

#[track_caller]
fn names(said: &Said, words: &[&str]) {
    for word in words {
        assert!(said.stderr.contains(word), "`{word}` in {said:?}");
    }
    for dump in ["Some(", "Error {", "Status {", "panicked"] {
        assert!(!said.stderr.contains(dump), "{said:?}");
    }
}

/// The cluster is as it was: nothing of the plan is found, and cleaning up says so.
#[track_caller]
fn cleans_up(server: &Server) {
    let cleaned = server.egress("cleanup -n demo --verify").exits(0);
    assert!(!cleaned.stderr.contains("warning"), "{cleaned:?}");
    server.egress("status -n demo").exits(2);
}

async fn client(server: &Server) -> Cluster {
    let settings = ConnectionSettings {
        kubeconfig: Some(server.kubeconfig()),
        ..ConnectionSettings::default()
    };
    Cluster::connect(&settings, Arc::new(|_| {})).await.unwrap()
}

#[test]
fn a_slow_rollout_is_waited_for_no_longer_than_asked_and_a_second_run_finds_it_done() {
    let server = Server::start("--fault slow-rollout");
    let late = server.egress(&format!("{SET_UP} --timeout 2s")).exits(6);
    names(&late, &["curl", "hint:"]);
    server.egress(&format!("{SET_UP} --timeout 60s")).exits(0);
    cleans_up(&server);
}

#[test]
fn an_image_that_cannot_be_pulled_is_named_and_another_image_mends_it() {
    let server = Server::start("--fault image-pull");
    let failed = server.egress(&format!("{SET_UP} --timeout 20s"));
    assert!(matches!(failed.code, Some(4 | 6)), "{failed:?}");
    names(&failed, &["cannot be pulled", "hint:"]);
    server
        .egress(&format!("{SET_UP} --image mirror.example/curl:8"))
        .exits(0);
    cleans_up(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_permission_is_named_and_nothing_is_changed() {
    let server = Server::start("--fault denied");
    let denied = server.egress(SET_UP).exits(4);
    names(&denied, &["virtualservices", "hint:"]);
    let cluster = client(&server).await;
    let namespace = ObjectReference::cluster(kinds::namespace(), "demo");
    assert!(cluster.get(&namespace).await.unwrap().is_none(), "{denied:?}");
}

#[test]
fn a_stream_that_breaks_off_once_costs_nothing_but_time() {
    let server = Server::start("--fault dropped-stream");
    let first = server.egress(SET_UP);
    // It may not say that it is proven what it did not see.
    assert!(matches!(first.code, Some(0 | 3 | 4)), "{first:?}");
    names(&first, &[]);
    server.egress(SET_UP).exits(0);
    server.egress("verify -n demo").exits(0);
    cleans_up(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_named_and_a_second_run_converges_once_it_is_gone() {
    let server = Server::start("--fault quota -n demo");
    let refused = server.egress(SET_UP).exits(4);
    names(&refused, &["a quota forbids its pods", "exceeded quota", "hint:"]);
    let quota = Kind::new("", "v1", "ResourceQuota", "resourcequotas", true);
    let quota = ObjectReference::namespaced(quota, "demo", "sandbox");
    let cluster = client(&server).await;
    let deleted = cluster.delete(&quota, &DeleteOptions::default()).await.unwrap();
    assert_eq!(deleted, Deleted::Gone);
    server.egress(SET_UP).exits(0);
    cleans_up(&server);
}
