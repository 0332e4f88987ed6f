//! Row 6: the application's TLS inside of the mesh's, so that the gateway knows who calls.

use super::legs;
use crate::support::open;

#[test]
fn only_namespaces_that_the_plan_allows_get_through() {
    let mut stage = open!(shared);
    let (allowed, refused) = (stage.another_namespace(), stage.another_namespace());
    let host = stage.host.clone();
    for namespace in [&allowed, &refused] {
        stage.make_namespace(namespace, "istio-injection=enabled");
        stage.egress_in(namespace, "deploy-curl").exits(0);
    }
    stage
        .egress(&format!(
            "setup {host} --mesh-mtls --allow-from {allowed} --export-to {refused} --create-namespace"
        ))
        .exits(0)
        .says(&["mTLS"]);
    let probed = stage.probe_host();
    probed.is("routed", &stage.gateway_addresses());
    assert_eq!(
        legs(&probed.probe),
        ["sidecar-gateway: mtls", "gateway-host: tls"],
        "{}",
        probed.run
    );
    let gateway_leg = stage.kubectl.json(&format!(
        "get virtualservice egress-default.{host} -n {}",
        stage.namespace
    ));
    assert!(gateway_leg["spec"]["tcp"].is_array(), "{gateway_leg}");

    let plan = format!("--plan {}/default", stage.namespace);
    let from = |namespace: &str| {
        let mark = stage.mark();
        let run = stage.egress_in(
            namespace,
            &format!("probe https://{host} {plan} -o json --max-time 5"),
        );
        let outcome = run.json()["probes"][0]["outcome"].as_str().unwrap().to_owned();
        (outcome, stage.peers_of(mark, &host, 443), run)
    };
    let (outcome, peers, run) = from(&allowed);
    assert_eq!(
        (outcome.as_str(), &peers),
        ("routed", &stage.gateway_addresses()),
        "{run}"
    );
    let (outcome, peers, run) = from(&refused);
    assert_eq!(outcome, "blocked", "{run}");
    assert_eq!(
        run.json()["probes"][0]["blockedBy"],
        "authorization-policy",
        "{run}"
    );
    assert!(peers.is_empty(), "the outside world saw {peers:?}");

    stage.egress("cleanup --verify").exits(0);
    assert!(
        stage
            .kubectl
            .names("get authorizationpolicy -n istio-system")
            .iter()
            .all(|name| !name.contains(&stage.namespace)),
    );
}

#[test]
fn allowing_namespaces_without_mutual_tls_is_refused() {
    let stage = open!(shared).with_namespace("");
    let refused = stage.changes_nothing(&format!("setup {} --allow-from other", stage.host));
    refused.exits(2).says(&["allowFrom", "meshMtls"]);
}
