//! `deploy-target` beside what is there already: its own objects of a moment ago, and somebody else's of the same names.

use crate::served::{Served, serve};
use crate::support::quick;
use futures::future::join_all;
use kubectl_egress::sandbox::{Fault, FaultKind, Sandbox, SandboxSettings};
use serde_json::json;

const HOST: &str = "target.example.com";

async fn target() -> Served {
    serve(Sandbox::new(SandboxSettings {
        ingress_gateway: true,
        ..quick()
    }))
    .await
}

/// The certificates of the host in a folder, and the command that takes them.
async fn typed(served: &Served, folder: &tempfile::TempDir) -> String {
    let certs = folder.path().join("certs");
    let certs = certs.display();
    served.run(&format!("certs {HOST} --out {certs}")).await.exits(0);
    format!("deploy-target {HOST} --certs {certs} -n demo")
}

/// At once: whether an apply changed an object cannot be told from its times when these are of the same second.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_one_at_once_changes_nothing_and_says_so() {
    let rounds = (0..20).map(|_| async {
        let (served, folder) = (target().await, tempfile::tempdir().unwrap());
        let typed = format!("{} --create-namespace -v", typed(&served, &folder).await);
        let first = served.run(&typed).await.exits(0);
        let again = served.run(&typed).await.exits(0);
        let said = |run: &crate::served::Run, change: &str| {
            let told = |line: &&str| line.starts_with("  ") && line.contains(&format!(" {change} in "));
            run.stderr.lines().filter(told).count()
        };
        let made = said(&first, "created");
        assert!(made >= 6, "{first:?}");
        assert_eq!(said(&again, "unchanged"), made, "{again:?}");
        assert_eq!(
            said(&again, "configured") + said(&again, "created"),
            0,
            "{again:?}"
        );
    });
    join_all(rounds).await;
}

/// The usual sample of Istio has the same name. Applied over it, it would be ours, and `cleanup` would delete it.
#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_workload_of_the_same_name_is_left_alone() {
    let template = json!({"metadata": {"labels": {"app": "httpbin"}},
        "spec": {"containers": [{"name": "httpbin", "image": "httpbin:1"}]}});
    let deployment =
        json!({"replicas": 0, "selector": {"matchLabels": {"app": "httpbin"}}, "template": template});
    for (kind, version, spec) in [
        ("ServiceAccount", "v1", json!(null)),
        (
            "Service",
            "v1",
            json!({"ports": [{"port": 80}], "selector": {"app": "httpbin"}}),
        ),
        ("Deployment", "apps/v1", deployment),
    ] {
        let (served, folder) = (target().await, tempfile::tempdir().unwrap());
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}});
        served.sandbox.put(&namespace).unwrap();
        let mut theirs = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "httpbin", "namespace": "demo"}});
        if !spec.is_null() {
            theirs["spec"] = spec;
        }
        served.sandbox.put(&theirs).unwrap();
        let typed = typed(&served, &folder).await;
        // That it could not be read does not say that it is not there.
        let reading = Fault::new("s/httpbin", FaultKind::Status(422, None));
        served.sandbox.inject(reading.method("GET"));
        let unread = served.run(&typed).await;
        assert_ne!(unread.code, Some(0), "{kind}: {unread:?}");
        served.sandbox.mend();
        let run = served.run(&typed).await.exits(5);
        assert!(run.stderr.contains("is there already"), "{run:?}");
        let written: Vec<_> = served
            .sandbox
            .requests()
            .into_iter()
            .filter(|sent| ["PATCH", "PUT", "DELETE"].contains(&sent.method.as_str()))
            .collect();
        assert!(written.is_empty(), "{kind}: {written:?}");
    }
}
