//! Several replicas, rotating names, other people's traffic: none of it misleads.

use crate::support::open;
use kubectl_egress_lab::traffic::{self, Traffic};
use std::collections::BTreeSet;

#[test]
fn with_two_replicas_every_request_is_found_at_the_pod_that_carried_it() {
    let stage = open!(alone).routed("rotating.test");
    stage.scale_gateway(2);
    let gateway = stage.gateway_addresses();
    assert_eq!(gateway.len(), 2);
    let mut carriers = BTreeSet::new();
    // Both carry something soon: kube-proxy and Envoy choose at random.
    for _ in 0..12 {
        let probed = stage.probe("https://rotating.test");
        assert_eq!(probed.outcome(), "routed", "{}", probed.run);
        let peers = probed.peers();
        assert!(peers.len() == 1 && peers.is_subset(&gateway), "{peers:?}");
        let named = probed.probe["hops"][0]["pod"]
            .as_str()
            .unwrap()
            .trim_start_matches("istio-system/");
        let address = stage.kubectl.run(&format!(
            "get pod {named} -n istio-system -o jsonpath={{.status.podIP}}"
        ));
        assert_eq!(
            peers.iter().next().unwrap().to_string(),
            address,
            "the pod that we name is the one that the world saw"
        );
        carriers.extend(peers);
        if carriers.len() == 2 {
            break;
        }
    }
    assert_eq!(carriers, gateway);
    stage.egress("verify --skip-unmeshed").exits(0);
    stage.scale_gateway(1);
    stage.egress("verify --skip-unmeshed").exits(0);
}

#[test]
fn other_peoples_traffic_through_the_gateway_misleads_nobody() {
    let mut stage = open!(alone).routed("noise.test");
    let crowd = stage.another_namespace();
    // Others reach the very host of our plan through the very gateway, from their own namespace and routing.
    let lab = stage.lab().clone();
    traffic::start(
        &lab,
        &Traffic {
            namespace: crowd,
            host: "noise.test".into(),
            rate: 20.0,
        },
    )
    .unwrap();
    stage
        .probe("https://noise.test")
        .is("routed", &stage.gateway_addresses());
    stage
        .kubectl
        .run(&format!("delete virtualservice --all -n {}", stage.namespace));
    let probed = stage.probe_until("https://noise.test", "bypassed");
    probed.is("bypassed", &stage.source_addresses());
    stage.egress("verify --skip-unmeshed").exits(1);
    traffic::stop(&lab).unwrap();
}
