//! Probes and what surrounds them: where they leave from, what is missing, how long it may take.

use crate::support::{client, codes, sandbox, set_up, settings, verify_quickly};
use kubectl_egress::engine::{ephemeral_container, probe};
use kubectl_egress::sandbox::{Fault, FaultKind};
use kubectl_egress::vocabulary::{ExitCode, Verdict};

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
