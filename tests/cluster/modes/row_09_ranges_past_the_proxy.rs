//! Row 9: ranges of addresses that a workload of the user's reaches past its sidecar.

use crate::support::{Stage, manifests, open};
use serde_json::Value;

const ANNOTATION: &str = "traffic.sidecar.istio.io/excludeOutboundIPRanges";

fn ranges(stage: &Stage) -> Value {
    let workload = stage
        .kubectl
        .json(&format!("get deployment shop -n {}", stage.namespace));
    workload["spec"]["template"]["metadata"]["annotations"][ANNOTATION].clone()
}

#[test]
fn ranges_go_past_the_sidecar_with_consent_and_come_back() {
    let stage = open!(shared).with_route();
    let (host, namespace) = (&stage.host, &stage.namespace);
    let mut workload = manifests::workload(namespace, "shop", manifests::CURL, true);
    workload = workload.replace(
        "    metadata: {labels:",
        &format!("    metadata: {{annotations: {{{ANNOTATION}: 10.0.0.0/8}}, labels:"),
    );
    stage.kubectl.apply(&workload);
    stage.rolled_out(namespace, "shop");
    stage.egress("setup --from deploy/shop").exits(0);
    let verify = format!("verify {host} --from deploy/shop --skip-unmeshed -o json");
    assert_eq!(stage.egress(&verify).json()["claims"]["routed"], "proven");

    let typed = "setup --from deploy/shop --exclude-ranges 203.0.113.20/32 --no-probe";
    stage
        .changes_nothing(typed)
        .exits(5)
        .says(&["past its sidecar", "restarted"]);
    stage
        .egress(&format!("{typed} --yes"))
        .exits(0)
        .says(&["EGR-142", "not routed, logged or protected"]);
    assert_eq!(ranges(&stage), "10.0.0.0/8,203.0.113.20/32");

    // The host is in the range: its own address is the world's witness. Another host is not.
    let probed = stage.probe_with(&format!("https://{host}"), "--from deploy/shop");
    probed
        .is("bypassed", &stage.addresses(namespace, "app=shop"))
        .finds("EGR-142");
    assert!(
        probed.probe["findings"].to_string().contains(ANNOTATION),
        "{}",
        probed.run
    );
    let disproven = stage.egress(&verify);
    assert_eq!(
        disproven.exits(1).json()["claims"]["routed"],
        "disproven",
        "{disproven}"
    );
    let other = stage.probe_with("https://edition.cnn.com", "--from deploy/shop");
    assert!(!other.findings().contains(&"EGR-142"), "{}", other.run);
    // The source itself is not concerned.
    stage.probe_host().is("routed", &stage.gateway_addresses());

    stage.egress("cleanup --verify").exits(0);
    assert_eq!(ranges(&stage), "10.0.0.0/8");
    let workload = stage.kubectl.json(&format!(
        "get deployment shop -n {namespace} --show-managed-fields"
    ));
    let owners = workload["metadata"]["managedFields"].to_string();
    assert!(!owners.contains("kubectl-egress"), "{owners}");
}

#[test]
fn ranges_need_a_workload_that_can_be_restarted() {
    let stage = open!(shared).with_route();
    let namespace = &stage.namespace;
    stage
        .egress("setup --exclude-ranges 203.0.113.0/24")
        .exits(2)
        .says(&["--from"]);
    stage
        .egress("setup --from deploy/curl --exclude-ranges 203.0.113.0")
        .exits(2)
        .says(&["203.0.113.0/24"]);
    let pod = stage
        .kubectl
        .names(&format!("get pods -n {namespace} -l app=curl"));
    let typed = format!("setup --from {} --exclude-ranges 203.0.113.0/24", pod[0]);
    stage.changes_nothing(&typed).exits(2).says(&["deploy/NAME"]);
}
