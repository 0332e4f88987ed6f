//! Undoing when not all is as it was left: cut in between, with a second plan, with something that hangs. On the real
//! cluster: `tests/cluster/undo`.

use crate::support::{
    clean_up, clean_up_plan, client, differences, dump, plan, sandbox, set_up, settings, silent,
};
use kubectl_egress::cluster::DeleteOptions;
use kubectl_egress::engine::prepare::DryRun;
use kubectl_egress::engine::undo::{self, UndoSettings};
use kubectl_egress::istio::kinds;
use kubectl_egress::plan::journal::Journal;
use kubectl_egress::sandbox::{Fault, FaultKind, Sandbox};
use kubectl_egress::vocabulary::{ExitCode, ObjectReference, PlanIdentity};
use serde_json::{Value, json};
use std::time::Duration;

const NOTE: &str = "kubectl-egress.dev/before-istio-injection";

/// A sandbox whose namespace `demo` is somebody's, with injection off.
fn with_injection_off() -> Sandbox {
    let sandbox = sandbox();
    let labels = json!({"istio-injection": "disabled", "team": "a"});
    sandbox
        .put(
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo", "labels": labels}}),
        )
        .unwrap();
    sandbox
}

fn namespace(sandbox: &Sandbox) -> Value {
    sandbox.dump()["Namespace demo"].clone()
}

#[tokio::test]
async fn a_restore_that_was_cut_anywhere_is_continued_with_and_without_the_journal() {
    for without_journal in [false, true] {
        for nth in 1..=5 {
            for kind in [FaultKind::Status(403, None), FaultKind::CutAfterWork] {
                let sandbox = with_injection_off();
                let cluster = client(&sandbox);
                let before = dump(&sandbox);
                set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
                assert!(namespace(&sandbox)["metadata"]["annotations"][NOTE].is_string());
                sandbox.inject(Fault::new("/namespaces/demo?", kind.clone()).nth(nth));
                let cut = clean_up(&cluster).await;
                assert!(
                    nth > 1 || cut.is_err() || kind == FaultKind::CutAfterWork,
                    "no request was cut"
                );
                sandbox.mend();
                if without_journal {
                    let journal = Journal::reference_of(&plan());
                    let _ = cluster.delete(&journal, &DeleteOptions::default()).await;
                }
                assert_eq!(clean_up(&cluster).await.unwrap(), Vec::<String>::new());
                assert_eq!(
                    differences(&before, &dump(&sandbox)),
                    Vec::<String>::new(),
                    "{kind:?} at request {nth}, without journal: {without_journal}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_label_that_two_plans_use_goes_back_with_the_second() {
    let sandbox = with_injection_off();
    let cluster = client(&sandbox);
    let before = dump(&sandbox);
    let second = PlanIdentity::new("demo", "second").unwrap();
    set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
    let mut other = settings(&["edition.cnn.com"]);
    other.plan = second.clone();
    set_up(&cluster, other).await.unwrap();
    assert_eq!(clean_up(&cluster).await.unwrap(), Vec::<String>::new());
    let between = namespace(&sandbox);
    assert_eq!(between["metadata"]["labels"]["istio-injection"], "enabled");
    assert_eq!(
        clean_up_plan(&cluster, &second).await.unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(differences(&before, &dump(&sandbox)), Vec::<String>::new());
}

#[tokio::test]
async fn what_hangs_is_named_and_the_rest_is_undone() {
    let sandbox = with_injection_off();
    let cluster = client(&sandbox);
    set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
    let gateway = ObjectReference::namespaced(kinds::gateway(), "demo", "egress-default");
    let finalizers = json!({"metadata": {"finalizers": ["example.com/hang"]}});
    cluster
        .merge_patch(&gateway, &finalizers, "somebody", false)
        .await
        .unwrap();
    let how = UndoSettings {
        dry_run: DryRun::No,
        keep_namespace: false,
        timeout: Duration::from_millis(300),
    };
    let remains = undo::whole_plan(&cluster, &plan(), how, &silent()).await.unwrap();
    let error = remains.error(&plan()).unwrap();
    assert_eq!(error.code(), ExitCode::TimedOut);
    let text = format!("{error} {}", error.hints().join(" "));
    for words in [
        "Gateway demo/egress-default is marked for deletion and stays",
        "example.com/hang",
        "kubectl patch gateways.networking.istio.io egress-default -n demo",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(
        namespace(&sandbox)["metadata"]["labels"]["istio-injection"],
        "disabled"
    );
    assert!(
        sandbox
            .dump()
            .contains_key("ConfigMap demo/kubectl-egress-default")
    );
}
