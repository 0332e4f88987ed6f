//! Probes from workloads of somebody else's.

use crate::support::{manifests, open};

#[test]
fn a_meshed_workload_with_curl_is_judged_like_our_source_once_its_access_log_is_on() {
    let stage = open!(shared).with_route();
    let namespace = &stage.namespace;
    stage
        .kubectl
        .apply(&manifests::workload(namespace, "shop", manifests::CURL, true));
    stage.rolled_out(namespace, "shop");
    let url = format!("https://{}", stage.host);
    let dark = stage.probe_with(&url, "--from deploy/shop");
    dark.is("inconclusive", &stage.gateway_addresses())
        .finds("EGR-202")
        .run
        .exits(3);

    // The command that the finding names; its own probe leaves from the workload, as soon as the proxy knows.
    stage.egress("setup --from deploy/shop").exits(0);
    stage
        .probe_with(&url, "--from deploy/shop")
        .is("routed", &stage.gateway_addresses());
    let verify = stage.egress("verify --from deploy/shop --skip-unmeshed -o json");
    let document = verify.exits(0).json();
    assert_eq!(document["claims"]["routed"], "proven");
    assert!(
        document["probes"][0]["source"]
            .as_str()
            .unwrap()
            .contains("/shop-"),
        "{verify}"
    );
}

#[test]
fn a_workload_without_sidecar_counts_as_such() {
    let stage = open!(shared).with_route();
    let namespace = &stage.namespace;
    stage
        .kubectl
        .apply(&manifests::workload(namespace, "bare", manifests::CURL, false));
    stage.rolled_out(namespace, "bare");
    let probed = stage.probe_with(&format!("https://{}", stage.host), "--from deploy/bare");
    probed.is("bypassed", &stage.addresses(namespace, "app=bare"));
    assert_eq!(probed.probe["meshed"], false);
    // A workload that goes around the gateway disproves the claim for whoever asks about that workload.
    let verify = stage.egress("verify --from deploy/bare --skip-unmeshed");
    assert_ne!(verify.code, Some(0), "{verify}");
}

#[test]
fn a_workload_without_curl_proves_nothing_and_is_named() {
    let stage = open!(shared).with_route();
    let namespace = &stage.namespace;
    stage
        .kubectl
        .apply(&manifests::workload(namespace, "plain", manifests::BUSYBOX, true));
    stage.rolled_out(namespace, "plain");
    let run = stage.egress(&format!("probe https://{} --from deploy/plain", stage.host));
    assert!(matches!(run.code, Some(2 | 3 | 5)), "{run}");
    let all = format!("{}{}", run.stdout, run.stderr);
    assert!(all.contains("curl") && all.contains("plain"), "{run}");
    stage
        .egress(&format!("probe {} --from deploy/nobody", stage.host))
        .exits(2)
        .says(&["nobody", "does not exist"]);
    stage
        .egress(&format!("probe {} --from deploy/plain -c web", stage.host))
        .exits(2)
        .says(&["no container web", "main"]);
}
