//! Probes and what surrounds them: where they leave from, what is missing, how long it may take.

use crate::support::{client, sandbox, set_up, settings};
use kubectl_egress::engine::{ephemeral_container, probe};
use kubectl_egress::sandbox::{Fault, FaultKind};
use kubectl_egress::vocabulary::ExitCode;

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
