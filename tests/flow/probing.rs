//! Probes and what surrounds them: where they leave from, what is missing, how long it may take.

use crate::support::{client, codes, sandbox, set_up, settings, verify_quickly};
use kubectl_egress::cluster::DeleteOptions;
use kubectl_egress::engine::{ephemeral_container, probe};
use kubectl_egress::finding::Severity;
use kubectl_egress::istio::kinds;
use kubectl_egress::sandbox::{Fault, FaultKind};
use kubectl_egress::vocabulary::{ExitCode, ObjectReference, Verdict};
use serde_json::json;
use std::time::{Duration, Instant};

/// A cut connection must not end in the question whether the pod may be changed.
#[tokio::test]
async fn a_lost_exec_does_not_say_that_there_is_no_curl() {
    let sandbox = sandbox();
    let cluster = client(&sandbox);
    set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
    let source = probe::find_source(&cluster, "demo", None, None).await.unwrap();
    assert!(ephemeral_container::has_curl(&cluster, &source).await.unwrap());
    sandbox.inject(Fault::new("/exec", FaultKind::NoStatus));
    let error = ephemeral_container::has_curl(&cluster, &source)
        .await
        .unwrap_err();
    assert_eq!(error.code(), ExitCode::Cluster, "{error}");
}

/// EGR-106 names a permission to ask for: only a 403 is about permissions.
#[tokio::test]
async fn a_log_that_cannot_be_read_is_forbidden_only_by_a_403() {
    for (status, code) in [(403, "EGR-106"), (401, "EGR-104")] {
        let sandbox = sandbox();
        let cluster = client(&sandbox);
        set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
        let refused = FaultKind::Status(status, None);
        sandbox.inject(Fault::new("/log", refused).times(u32::MAX));
        let verification = verify_quickly(&cluster).await;
        assert_eq!(verification.verdict, Verdict::Inconclusive);
        assert_eq!(codes(&verification), [code], "{verification:?}");
    }
}

/// What was deleted or changed since the set-up is named by `verify`, with what to do.
#[tokio::test]
async fn objects_that_are_missing_or_changed_are_found() {
    let sandbox = sandbox();
    let cluster = client(&sandbox);
    set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
    let verification = verify_quickly(&cluster).await;
    assert_eq!(codes(&verification), Vec::<&str>::new(), "{verification:?}");
    let entry = ObjectReference::namespaced(kinds::service_entry(), "demo", "egress-default-443");
    let other_port = json!({"spec": {"ports": [{"number": 443, "name": "tls-other", "protocol": "TLS"}]}});
    cluster
        .merge_patch(&entry, &other_port, "somebody", false)
        .await
        .unwrap();
    let service = ObjectReference::namespaced(kinds::service(), "demo", "curl");
    cluster.delete(&service, &DeleteOptions::default()).await.unwrap();
    let verification = verify_quickly(&cluster).await;
    assert_eq!(codes(&verification), ["EGR-301", "EGR-302"], "{verification:?}");
    let [missing, changed] = verification.findings.as_slice() else {
        panic!("{verification:?}")
    };
    assert_eq!(
        (&missing.objects[0], &changed.objects[0]),
        (&service.to_string(), &entry.to_string())
    );
    assert!(changed.message.contains("spec.ports[0].name"), "{changed:?}");
    // Every probe was routed all the same.
    assert_eq!(
        (verification.verdict, missing.severity),
        (Verdict::Proven, Severity::Warning)
    );
    let route = ObjectReference::namespaced(kinds::virtual_service(), "demo", "egress-default");
    cluster.delete(&route, &DeleteOptions::default()).await.unwrap();
    let verification = verify_quickly(&cluster).await;
    assert_eq!(verification.verdict, Verdict::Disproven);
    let missing = verification
        .findings
        .iter()
        .find(|finding| finding.objects == [route.to_string()])
        .unwrap();
    assert_eq!(
        (missing.code.as_str(), missing.severity),
        ("EGR-301", Severity::Error)
    );
}

/// That a log is off is read, not waited for: a line that cannot come costs 12 s and more.
#[tokio::test]
async fn an_access_log_that_is_off_is_said_without_waiting_for_lines() {
    for (namespace, name, command) in [
        ("demo", "kubectl-egress-source", "kubectl egress"),
        (
            "istio-system",
            "kubectl-egress-istio-egressgateway",
            "kubectl egress",
        ),
    ] {
        let sandbox = sandbox();
        let cluster = client(&sandbox);
        set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
        let telemetry = ObjectReference::namespaced(kinds::telemetry(), namespace, name);
        cluster
            .delete(&telemetry, &DeleteOptions::default())
            .await
            .unwrap();
        let started = Instant::now();
        let verification = verify_quickly(&cluster).await;
        assert!(
            started.elapsed() < Duration::from_secs(6),
            "{:?}",
            started.elapsed()
        );
        assert_eq!(verification.verdict, Verdict::Inconclusive);
        assert_eq!(codes(&verification), ["EGR-202", "EGR-301"], "{verification:?}");
        assert!(
            verification.probes[0].findings[0].fix.contains(command),
            "{verification:?}"
        );
    }
}

/// An `EnvoyFilter` can switch a log on that no Telemetry does: what is read never overrules a line that came.
#[tokio::test]
async fn a_line_that_comes_although_the_log_seems_off_counts() {
    let sandbox = sandbox();
    let cluster = client(&sandbox);
    set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
    // Standard error is in a pod's log too, and this reads as off.
    let text = sandbox.dump()["ConfigMap istio-system/istio"]["data"]["mesh"].clone();
    let text = format!("{}\naccessLogFile: /dev/stderr\n", text.as_str().unwrap());
    let mesh = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "istio-system"},
        "data": {"mesh": text}});
    sandbox.put(&mesh).unwrap();
    for (namespace, name) in [
        ("demo", "kubectl-egress-source"),
        ("istio-system", "kubectl-egress-istio-egressgateway"),
    ] {
        let telemetry = ObjectReference::namespaced(kinds::telemetry(), namespace, name);
        cluster
            .delete(&telemetry, &DeleteOptions::default())
            .await
            .unwrap();
    }
    let verification = verify_quickly(&cluster).await;
    assert_eq!(verification.verdict, Verdict::Proven, "{verification:?}");
    assert_eq!(codes(&verification), ["EGR-301", "EGR-301"], "{verification:?}");
}
