//! A lock without its proof: refused beforehand or taken back, with nothing left of it.

use super::{LOCKDOWN, is_empty, is_open, locks, mentions, nothing_is_left, strangers};
use crate::support::open;
use kubectl_egress_lab::PolicyEngine;

#[test]
fn every_policy_engine_is_locked_or_the_lock_is_taken_back_with_its_reason() {
    let mut stage = open!(alone).with_route();
    for (engine, expected) in [
        (PolicyEngine::BeforeDnat, None),
        (PolicyEngine::Late, None),
        (PolicyEngine::Reject, None),
        (PolicyEngine::Cut, None),
        (PolicyEngine::NoNodeBlocks, Some("EGR-509")),
        (PolicyEngine::None, Some("EGR-503")),
        (PolicyEngine::AfterDnat, None),
    ] {
        stage.lab().set_policy_engine(engine).unwrap();
        let mark = stage.mark();
        let run = stage.egress(LOCKDOWN);
        match expected {
            None => {
                assert_eq!(run.exits(0).json()["end"], "locked", "{engine:?}: {run}");
                let locked = stage.mark();
                stage.egress("verify").exits(0);
                is_empty(&strangers(&stage, locked), &format!("{engine:?}"));
                stage.egress("unlock").exits(0);
            }
            Some(code) => {
                mentions(run.exits(1), &[code]);
                assert!(locks(&stage).is_empty(), "{engine:?}");
                assert!(
                    !strangers(&stage, mark).is_empty(),
                    "{engine:?}: the control reached nobody"
                );
            }
        }
        nothing_is_left(&stage);
    }
}

#[test]
fn whatever_moment_the_client_is_killed_at_the_lock_goes_by_itself() {
    let stage = open!(shared).with_route();
    for moment in [
        "pod without sidecar",
        "dead-man's switch",
        "the lock's rules on the switch's pod",
        "without a proof it goes by itself",
        "new pod with sidecar",
    ] {
        let mut running = stage.start("lockdown --yes --confirm-within 45s");
        running.until_it_says(moment);
        running.kill();
        // By watch, and longer than announced only if the promise is broken.
        stage.kubectl.run(&format!(
            "wait --for=delete networkpolicy -n {} -l kubectl-egress.dev/role=lock --timeout=75s",
            stage.namespace
        ));
        assert!(locks(&stage).is_empty(), "{moment}");
        is_open(&stage);
        stage.egress("unlock").exits(0);
        nothing_is_left(&stage);
    }
    // And a run after all that comes to its end.
    stage.egress(LOCKDOWN).exits(0);
}

#[test]
fn what_the_lock_would_break_is_found_out_and_taken_back() {
    let stage = open!(shared).with_route();
    let namespace = &stage.namespace;
    let closed = |place: &str, selector: &str, port: u16| {
        // Everybody else may still come in; our namespace may not, at that port.
        format!(
            r#"{{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {{"name": "closed-to-{namespace}", "namespace": "{place}"}},
                "spec": {{"podSelector": {{"matchLabels": {selector}}}, "policyTypes": ["Ingress"],
                "ingress": [{{"from": [{{"namespaceSelector": {{"matchExpressions": [{{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["{namespace}"]}}]}}}},
                                       {{"ipBlock": {{"cidr": "198.51.100.0/24"}}}}]}},
                            {{"ports": [{{"port": 1, "endPort": {}}}, {{"port": {}, "endPort": 65535}}, {{"protocol": "UDP", "port": 1, "endPort": 52}}]}}]}}}}"#,
            port - 1,
            port + 1
        )
    };
    for (place, selector, port, code) in [
        ("istio-system", r#"{"app": "istiod"}"#, 15012, "EGR-505"),
        ("kube-system", r#"{"k8s-app": "kube-dns"}"#, 53, "EGR-504"),
    ] {
        let mut running = stage.start(&format!("{LOCKDOWN} --timeout 30s"));
        // The fault comes with the lock: before it everything works.
        running.until_it_says("the lock's rules on the switch's pod");
        stage.kubectl.apply(&closed(place, selector, port));
        let run = running.finish();
        stage
            .kubectl
            .run(&format!("delete networkpolicy closed-to-{namespace} -n {place}"));
        mentions(run.exits(1), &[code]);
        nothing_is_left(&stage);
    }
}

#[test]
fn ctrl_c_takes_everything_back_at_once() {
    let stage = open!(shared).with_route();
    for moment in ["dead-man's switch", "new pod with sidecar"] {
        let mut running = stage.start("lockdown --yes");
        running.until_it_says(moment);
        running.interrupt();
        running.finish().exits(130);
        nothing_is_left(&stage);
    }
    is_open(&stage);
}

#[test]
fn what_cannot_be_locked_is_refused_before_anything_is_changed() {
    let stage = open!(shared).with_namespace("istio-injection=enabled");
    stage.changes_nothing(LOCKDOWN).exits(2).says(&["no plan"]);
    let stage = stage.with_route();
    stage
        .changes_nothing(&format!("{LOCKDOWN} --selector app=nobody"))
        .exits(2)
        .says(&["app=nobody"]);
    stage.changes_nothing("lockdown").exits(5);
    stage.kubectl.run(&format!(
        "create quota small --hard=pods=1 -n {}",
        stage.namespace
    ));
    stage
        .changes_nothing(LOCKDOWN)
        .exits(4)
        .says(&["quota", "dead-man's switch"]);
}
