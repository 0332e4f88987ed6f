//! A lock that stands: left alone while it holds, and noticed when it no longer does.

use super::{LOCKDOWN, is_open, locks, mentions};
use crate::support::open;

#[test]
fn a_second_lockdown_changes_nothing() {
    let stage = open!(shared).with_route();
    stage.egress(LOCKDOWN).exits(0);
    let second = stage.changes_nothing(LOCKDOWN);
    assert_eq!(second.exits(0).json()["end"], "unchanged", "{second}");
    stage.egress("unlock").exits(0);
    mentions(stage.egress("unlock").exits(0), &["no lock"]);
    assert!(locks(&stage).is_empty());
    is_open(&stage);
}

#[test]
fn another_policy_that_opens_a_way_out_is_named_before_and_after() {
    let stage = open!(shared).with_route();
    let open = format!(
        r#"{{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {{"name": "theirs", "namespace": "{}"}},
            "spec": {{"podSelector": {{}}, "policyTypes": ["Egress"], "egress": [{{"to": [{{"ipBlock": {{"cidr": "203.0.113.0/24"}}}}]}}]}}}}"#,
        stage.namespace
    );
    stage.kubectl.apply(&open);
    let refused = stage.changes_nothing(LOCKDOWN);
    mentions(refused.exits(1), &["EGR-501", "theirs", "203.0.113.0/24"]);
    stage
        .kubectl
        .run(&format!("delete networkpolicy theirs -n {}", stage.namespace));
    stage.egress(LOCKDOWN).exits(0);
    stage.kubectl.apply(&open);
    let verify = stage.egress("verify -o json");
    assert_eq!(
        verify.exits(1).json()["claims"]["enforced"],
        "disproven",
        "{verify}"
    );
    mentions(&verify, &["EGR-501", "theirs"]);
}

#[test]
fn a_lock_that_was_weakened_since_is_noticed() {
    let stage = open!(shared).with_route();
    stage.egress(LOCKDOWN).exits(0);
    let lock = locks(&stage).remove(0);
    stage.kubectl.run(&format!(
        "patch {lock} -n {} --type=json -p [{{\"op\":\"add\",\"path\":\"/spec/egress/-\",\"value\":{{}}}}]",
        stage.namespace
    ));
    mentions(stage.egress("verify").exits(1), &["EGR-502"]);
    mentions(stage.egress("status").exits(1), &["EGR-502"]);
    stage
        .kubectl
        .run(&format!("delete {lock} -n {}", stage.namespace));
    mentions(stage.egress("verify").exits(1), &["EGR-502", "gone"]);
    let again = stage.egress(LOCKDOWN);
    assert_eq!(again.exits(0).json()["end"], "locked", "{again}");
    stage.egress("verify").exits(0);
}
