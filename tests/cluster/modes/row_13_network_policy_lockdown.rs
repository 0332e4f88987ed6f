//! Row 13: the lock of seed 003, and both of its outcomes: a pod without sidecar is refused, and the same request
//! through sidecar and gateway is allowed. What else the lock does is in `lock`.

use super::mentions;
use crate::support::{Stage, open};
use std::collections::BTreeSet;

/// curl as the seed types it, from a pod without sidecar; its exit code.
fn curl(stage: &Stage) -> i32 {
    let (namespace, host) = (&stage.namespace, &stage.host);
    let said = stage.kubectl.attempt(&format!(
        "exec -n {namespace} unmeshed -- curl -sS -m 5 -o /dev/null https://{host}/by-hand"
    ));
    let words = "command terminated with exit code ";
    said.map_or_else(
        |error| {
            let (_, code) = error.rsplit_once(words).unwrap_or_else(|| panic!("{error}"));
            code.trim().parse().unwrap()
        },
        |_| 0,
    )
}

#[test]
fn an_uninjected_pod_is_refused_and_the_way_through_sidecar_and_gateway_is_allowed() {
    let stage = open!(shared).with_route();
    let (namespace, host) = (&stage.namespace, &stage.host);
    let url = format!("https://{host}");
    stage.kubectl.with(&[
        "run",
        "unmeshed",
        "-n",
        namespace,
        "--image=docker.io/curlimages/curl:8.18.0",
        "--image-pull-policy=IfNotPresent",
        "--annotations=sidecar.istio.io/inject=false",
        "--labels=sidecar.istio.io/inject=false",
        "--command",
        "--",
        "sleep",
        "infinity",
    ]);
    stage.kubectl.run(&format!(
        "wait pod/unmeshed -n {namespace} --for=condition=Ready --timeout=60s"
    ));

    // Without a lock nothing stops it, and to expect otherwise fails.
    assert_eq!(curl(&stage), 0);
    let before = stage.probe_with(&url, "--unmeshed --expect blocked");
    assert_eq!(before.outcome(), "bypassed", "{}", before.run);
    before.run.exits(1);

    let lock = stage.egress("lockdown --yes");
    mentions(lock.exits(0), &["enforced", "proven"]);
    let mark = stage.mark();
    // curl 28: the engine of this lab drops what it refuses, as most do (truth.md 2).
    assert_eq!(curl(&stage), 28);
    // One probe alone has no control that the host is up, and says no more than that nothing answered.
    let alone = stage.probe_with(&url, "--unmeshed --expect bypassed");
    alone.is("unreachable", &BTreeSet::new()).run.exits(1);
    mentions(&alone.run, &["EGR-108", "exit 28"]);
    assert!(
        stage.peers_of(mark, host, 443).is_empty(),
        "the world was reached"
    );

    let gateway = stage.gateway_addresses();
    let allowed = stage.probe_with(&url, "--expect routed");
    allowed.is("routed", &gateway).run.exits(0);
    let verify = stage.egress("verify -o json");
    let document = verify.exits(0).json();
    assert_eq!(document["claims"]["enforced"], "proven", "{verify}");
    // Beside one that answers, the silence is the policy's.
    let mut probes = document["probes"].as_array().unwrap().iter();
    let refused = probes.find(|probe| probe["meshed"] == false && probe["host"] == host.as_str());
    let refused = refused.unwrap_or_else(|| panic!("{verify}"));
    assert_eq!(refused["outcome"], "blocked", "{verify}");
    assert_eq!(refused["blockedBy"], "network-policy", "{verify}");
    assert_eq!(stage.peers_of(mark, host, 443), gateway);

    stage.egress("unlock").exits(0);
    assert_eq!(curl(&stage), 0);
    stage.egress("cleanup --verify").exits(0);
}
