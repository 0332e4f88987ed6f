//! A rollout is awaited with its reasons; what will never be ends it at once.

use super::harness::{Act, PATIENCE, Reply, Server, event, ok};
use kubectl_egress::error::Result;
use kubectl_egress::istio::kinds;
use kubectl_egress::vocabulary::{ExitCode, Object, ObjectReference};
use rstest::rstest;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::timeout;

fn deployment(observed: i64, available: i64, conditions: &Value) -> Value {
    json!({
        "metadata": {"name": "curl", "uid": "d", "generation": 2, "annotations": {"deployment.kubernetes.io/revision": "2"}},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "curl"},
            "matchExpressions": [{"key": "x", "operator": "NotIn", "values": ["y"]}]}},
        "status": {"observedGeneration": observed, "replicas": 1, "updatedReplicas": 1,
            "availableReplicas": available, "conditions": conditions},
    })
}

fn replica_set(name: &str, revision: &str) -> Value {
    json!({"metadata": {"name": name, "uid": name, "annotations": {"deployment.kubernetes.io/revision": revision},
        "ownerReferences": [{"kind": "Deployment", "uid": "d"}]}})
}

fn pod(name: &str, set: &str, ready: bool, sidecar: bool, container: &Value) -> Value {
    let sidecars = if sidecar {
        json!([{"name": "istio-proxy"}])
    } else {
        json!([])
    };
    json!({
        "metadata": {"name": name, "ownerReferences": [{"kind": "ReplicaSet", "uid": set}]},
        "spec": {"containers": [{"name": "curl"}], "initContainers": sidecars},
        "status": {"phase": "Running", "containerStatuses": [container],
            "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
    })
}

fn waiting(reason: &str, restarts: u64) -> Value {
    json!({"name": "curl", "image": "curl:8", "restartCount": restarts, "ready": false,
        "state": {"waiting": {"reason": reason, "message": "because"}},
        "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}}})
}

/// Rolls out against a server that shows these states, and gives the reasons that were told.
async fn roll_out(
    deployments: Vec<Value>,
    pods: Vec<Value>,
    sidecar: bool,
    deadline: Duration,
) -> (Result<Vec<Object>>, Vec<String>) {
    let server = Server::start(move |request, _| {
        let mut acts = Vec::new();
        if request.path.contains("/deployments?") {
            for state in &deployments {
                acts.push(event("ADDED", state));
                acts.push(Act::Pause(Duration::from_millis(150)));
            }
        } else if request.path.contains("/replicasets?") {
            acts.extend(
                [replica_set("old", "1"), replica_set("new", "2")]
                    .iter()
                    .map(|set| event("ADDED", set)),
            );
        } else if request.path.contains("/pods?") {
            assert!(
                request
                    .path
                    .contains("labelSelector=app%3Dcurl%2Cx%20notin%20%28y%29"),
                "{}",
                request.path
            );
            acts.extend(pods.iter().map(|pod| event("ADDED", pod)));
        } else {
            return ok(
                &json!({"items": [{"reason": "FailedMount", "message": "no such secret",
                "involvedObject": {"name": "curl-abc"}}]}),
            );
        }
        acts.push(Act::Hang);
        Reply::Stream(acts)
    })
    .await;
    let client = server.client().await;
    let told = Mutex::new(Vec::new());
    let hear = |why: &str| told.lock().unwrap().push(why.to_owned());
    let reference = ObjectReference::namespaced(kinds::deployment(), "demo", "curl");
    let rolling = client.cluster.wait_rollout(&reference, deadline, sidecar, &hear);
    let result = timeout(PATIENCE, rolling).await.expect("a rollout must not hang");
    if result.is_ok() {
        assert_eq!(client.cluster.request_count(), 0);
    }
    (result, told.into_inner().unwrap())
}

#[tokio::test]
async fn the_rollout_before_is_not_taken_for_this_one() {
    let running = json!({"name": "curl", "ready": true, "state": {"running": {}}});
    let states = vec![deployment(1, 1, &json!([])), deployment(2, 1, &json!([]))];
    let pods = vec![
        pod("curl-old", "old", true, true, &running),
        pod("curl-new", "new", true, true, &running),
    ];
    let (result, told) = roll_out(states, pods, true, PATIENCE).await;
    let ready = result.unwrap();
    assert_eq!(ready.iter().map(Object::name).collect::<Vec<_>>(), ["curl-new"]);
    assert!(told[0].contains("has not seen the change"), "{told:?}");
}

#[rstest]
#[case::image(
    waiting("ImagePullBackOff", 0),
    true,
    "the image curl:8 of container curl cannot be pulled"
)]
#[case::crash(
    waiting("CrashLoopBackOff", 4),
    true,
    "crashes: 4 restarts, last with exit code 3"
)]
#[case::sidecar(json!({"name": "curl"}), false, "it has no sidecar")]
#[tokio::test]
async fn hopeless_pods_end_it_at_once(#[case] container: Value, #[case] sidecar: bool, #[case] why: &str) {
    let pods = vec![pod("curl-abc", "new", false, sidecar, &container)];
    let (result, _) = roll_out(vec![deployment(2, 0, &json!([]))], pods, true, PATIENCE).await;
    let error = result.unwrap_err();
    assert_eq!(error.code(), ExitCode::Cluster);
    assert!(error.to_string().contains(why), "{error}");
}

#[rstest]
#[case("pods \"x\" is forbidden: exceeded quota: small", "a quota forbids its pods")]
#[case(
    "pods \"x\" is forbidden: violates PodSecurity \"restricted\"",
    "Pod Security Standard forbids"
)]
#[case(
    "admission webhook \"w\" denied the request: no",
    "an admission webhook refuses its pods"
)]
#[tokio::test]
async fn pods_that_may_not_be_created_end_it_at_once(#[case] message: &str, #[case] why: &str) {
    let conditions =
        json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}]);
    let (result, _) = roll_out(vec![deployment(2, 0, &conditions)], Vec::new(), true, PATIENCE).await;
    assert!(result.unwrap_err().to_string().contains(why));
}

#[rstest]
#[case(waiting("ErrImagePull", 0), "could not be pulled at the first attempt")]
#[case(waiting("CrashLoopBackOff", 1), "crashes: 1 restarts")]
#[case(waiting("ContainerCreating", 0), "container curl is being created")]
#[tokio::test]
async fn what_may_pass_is_told_and_waited_for(#[case] container: Value, #[case] why: &str) {
    let pods = vec![pod("curl-abc", "new", false, true, &container)];
    let late = Duration::from_millis(700);
    let (result, told) = roll_out(vec![deployment(2, 0, &json!([]))], pods, true, late).await;
    let error = result.unwrap_err();
    assert_eq!(error.code(), ExitCode::TimedOut);
    assert!(told.iter().any(|told| told.contains(why)), "{told:?}");
    assert!(
        error.to_string().contains("FailedMount: no such secret"),
        "{error}"
    );
}

#[tokio::test]
async fn an_unschedulable_pod_and_a_webhook_that_is_away_may_come_right() {
    let mut stuck = pod("curl-abc", "new", false, true, &json!({"name": "curl"}));
    stuck["status"]["conditions"] =
        json!([{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}]);
    let late = Duration::from_millis(600);
    let (_, told) = roll_out(vec![deployment(2, 0, &json!([]))], vec![stuck], true, late).await;
    assert!(
        told.iter().any(|why| why.contains("no node takes it: 0/1 nodes")),
        "{told:?}"
    );
    let conditions = json!([{"type": "ReplicaFailure", "status": "True",
        "message": "failed calling webhook \"namespace.sidecar-injector.istio.io\": no endpoints"}]);
    let (result, told) = roll_out(vec![deployment(2, 0, &conditions)], Vec::new(), true, late).await;
    assert_eq!(result.unwrap_err().code(), ExitCode::TimedOut);
    assert!(
        told[0].contains("webhook that its pods need does not work"),
        "{told:?}"
    );
}
