//! `learn`, and what `lockdown` says beforehand, as they are typed, against the sandbox.

use crate::served::served;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_carries_is_marked_and_nothing_is_proposed() {
    let cluster = served().await;
    cluster
        .run("setup kyma-project.io -n demo --create-namespace")
        .await
        .exits(0);
    // A probe of an undeclared host leaves past the gateway, and is a probe.
    cluster.run("probe www.google.com -n demo").await;
    let learned = cluster
        .run("learn -n demo --since 1h -o json")
        .await
        .exits(0)
        .json();
    assert_eq!(learned["kind"], "Learned");
    let of = |host: &str| {
        let all = learned["destinations"].as_array().cloned().unwrap_or_default();
        let found = all.into_iter().find(|seen| seen["host"] == host);
        found.unwrap_or_else(|| panic!("{host} is not in {learned:#}"))
    };
    let carried = of("kyma-project.io");
    assert_eq!(
        (
            &carried["way"],
            &carried["planned"],
            &carried["port"],
            &carried["workload"]
        ),
        (
            &json!("gateway"),
            &json!(true),
            &json!(443),
            &json!("Deployment/curl")
        )
    );
    assert_eq!(of("www.google.com")["way"], "direct");
    assert_eq!(learned["adds"], json!([]), "{learned:#}");
    assert_eq!(learned["shadow"]["wouldBreak"], json!([]), "{learned:#}");
    assert_eq!(learned["proposal"]["kind"], "EgressPlan");
    assert_eq!(learned["networkPolicy"]["kind"], "NetworkPolicy", "{learned:#}");

    let watched = cluster
        .run("learn -n demo --for 1s -o json")
        .await
        .exits(0)
        .json();
    assert_eq!(watched["observed"]["watchedSeconds"], 1);
    assert_eq!(watched["observed"]["sidecars"], 1);
    let shown = cluster.run("lockdown -n demo --dry-run=client").await.exits(0);
    assert!(
        shown.stdout.contains("What a lock would break"),
        "{}",
        shown.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_sidecar_that_tells_nothing_is_known() {
    let cluster = served().await;
    let run = cluster.run("learn -n istio-system --for 1s").await.exits(3);
    assert!(run.stdout.contains("not known"), "{}", run.stdout);
    assert!(!run.stdout.contains("nothing that was seen"), "{}", run.stdout);
}
