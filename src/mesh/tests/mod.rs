//! The model against the measurements: each case is named after its row in truth.md.

mod fixtures;
mod network_policies;
mod other_ways;

use super::*;
use crate::vocabulary::{BlockedBy, Outcome, PodName};
use fixtures::*;
use serde_json::{Value, json};

#[rstest::rstest]
#[case::meshed_known_host("https://kyma-project.io", Outcome::Routed, &[&format!("{MESH_LEG} -"), "outbound|443||kyma-project.io -"])]
#[case::meshed_port_80_not_in_the_entry("http://kyma-project.io", Outcome::Bypassed, &["PassthroughCluster -"])]
#[case::meshed_unknown_host("https://edition.cnn.com", Outcome::Bypassed, &["PassthroughCluster -"])]
#[case::meshed_other_name_at_the_same_address("https://www.kyma-project.io", Outcome::Bypassed, &["PassthroughCluster -"])]
#[case::meshed_unknown_host_over_http("http://edition.cnn.com", Outcome::Bypassed, &["PassthroughCluster -"])]
#[case::meshed_other_port("https://edition.cnn.com:444", Outcome::Bypassed, &["PassthroughCluster -"])]
fn section_1_allow_any(#[case] url: &str, #[case] outcome: Outcome, #[case] expected: &[&str]) {
    let prediction = ask(&world(tutorial()), true, url);
    assert_eq!(
        (prediction.outcome, ways(&prediction)),
        (outcome, owned(expected))
    );
    assert_eq!(prediction.not_modelled, Vec::<String>::new());
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[rstest::rstest]
#[case::meshed_known_host("https://kyma-project.io", Outcome::Routed, &[&format!("{MESH_LEG} -"), "outbound|443||kyma-project.io -"])]
#[case::meshed_port_80_not_in_the_entry("http://kyma-project.io", Outcome::Blocked, &["- 502"])]
#[case::meshed_unknown_host("https://edition.cnn.com", Outcome::Blocked, &["BlackHoleCluster UH"])]
#[case::meshed_other_name_at_the_same_address("https://www.kyma-project.io", Outcome::Blocked, &["BlackHoleCluster UH"])]
#[case::meshed_unknown_host_over_http("http://edition.cnn.com", Outcome::Blocked, &["- 502"])]
fn section_1_registry_only(#[case] url: &str, #[case] outcome: Outcome, #[case] expected: &[&str]) {
    let mut objects = tutorial();
    objects.push(registry_only());
    let prediction = ask(&world(objects), true, url);
    assert_eq!(
        (prediction.outcome, ways(&prediction)),
        (outcome, owned(expected))
    );
    if outcome == Outcome::Blocked {
        assert_eq!(prediction.blocked_by, Some(BlockedBy::RegistryOnly));
    }
}

#[test]
fn section_1_unmeshed_the_policy_does_not_touch_it() {
    let mut objects = tutorial();
    objects.push(registry_only());
    let prediction = ask(&world(objects), false, "https://kyma-project.io");
    assert_eq!(prediction.outcome, Outcome::Bypassed);
    assert!(prediction.hops.is_empty());
}

#[rstest::rstest]
#[case::gateway_object("Gateway", Outcome::Blocked, Some(BlockedBy::Gateway), &[&format!("{MESH_LEG} UR"), "- NR"])]
#[case::destination_rule("DestinationRule", Outcome::Unreachable, None, &["- NC"])]
#[case::service_entry("ServiceEntry", Outcome::Bypassed, None, &["PassthroughCluster -"])]
#[case::virtual_service("VirtualService", Outcome::Bypassed, None, &["outbound|443||kyma-project.io -"])]
fn section_8_missing(
    #[case] kind: &str,
    #[case] outcome: Outcome,
    #[case] blocked_by: Option<BlockedBy>,
    #[case] expected: &[&str],
) {
    let prediction = ask(&world(without(kind, "kyma")), true, "https://kyma-project.io");
    assert_eq!(
        (prediction.outcome, ways(&prediction)),
        (outcome, owned(expected))
    );
    assert_eq!(prediction.blocked_by, blocked_by);
}

#[test]
fn section_8_gateway_selector_matches_no_pod() {
    let mut objects = tutorial();
    for object in &mut objects {
        if object["kind"] == "Gateway" && object["metadata"]["name"] == "kyma" {
            object["spec"]["selector"] = json!({"istio": "nosuch"});
        }
    }
    let prediction = ask(&world(objects), true, "https://kyma-project.io");
    assert_eq!(ways(&prediction), [format!("{MESH_LEG} UR"), "- NR".to_owned()]);
    let details: Vec<_> = prediction
        .hops
        .iter()
        .filter_map(|hop| hop.details.clone())
        .collect();
    assert_eq!(details, ["filter_chain_not_found"]);
}

#[test]
fn section_3a_no_server_on_the_port_is_a_refused_connection() {
    let mut objects = tutorial();
    objects.retain(|object| object["kind"] != "Gateway");
    let prediction = ask(&world(objects), true, "https://kyma-project.io");
    assert_eq!(prediction.outcome, Outcome::Unreachable);
    assert_eq!(ways(&prediction), [format!("{MESH_LEG} UF,URX")]);
}

#[test]
fn a_gateway_without_pods_has_no_healthy_upstream() {
    let mut objects = tutorial();
    objects.retain(|object| object["kind"] != "Pod");
    let prediction = ask(&world(objects), true, "https://kyma-project.io");
    assert_eq!(prediction.outcome, Outcome::Unreachable);
    assert_eq!(ways(&prediction), [format!("{MESH_LEG} UH")]);
}

#[test]
fn section_10_of_two_virtual_services_the_oldest_wins() {
    let mut younger = virtual_service();
    younger["metadata"] =
        json!({"name": "a", "namespace": "aaa", "creationTimestamp": "2026-11-22T00:00:00Z"});
    younger["spec"]["tls"][0]["route"][0]["destination"] = json!({"host": "kyma-project.io"});
    let mut objects = tutorial();
    objects.insert(0, younger);
    let prediction = ask(&world(objects), true, "https://kyma-project.io");
    assert_eq!(prediction.hops[0].cluster, MESH_LEG);
}

#[test]
fn export_to_hides_objects_from_other_namespaces() {
    let mut objects = tutorial();
    for object in &mut objects {
        if object["kind"] == "ServiceEntry" {
            object["metadata"]["namespace"] = json!("other");
            object["spec"]["exportTo"] = json!(["."]);
        }
    }
    let prediction = ask(&world(objects.clone()), true, "https://kyma-project.io");
    assert_eq!(
        prediction.outcome,
        Outcome::Bypassed,
        "the source does not see the entry"
    );
    for object in &mut objects {
        if object["kind"] == "ServiceEntry" {
            object["spec"]["exportTo"] = json!(["lab"]);
        }
    }
    let prediction = ask(&world(objects), true, "https://kyma-project.io");
    assert_eq!(
        ways(&prediction),
        [format!("{MESH_LEG} UR"), "- NC".to_owned()],
        "the gateway does not see the entry"
    );
}

#[test]
fn section_4a_plain_http_through_the_gateway() {
    let mut objects = installation();
    objects.extend([
        istio(
            "Gateway",
            "http",
            &json!({"selector": {"istio": "egressgateway"}, "servers": [{
                "port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["tls.test"],
            }]}),
        ),
        istio("DestinationRule", "http", &json!({"host": GATEWAY_HOST, "subsets": [{"name": "x"}]})),
        istio(
            "VirtualService",
            "http",
            &json!({"hosts": ["tls.test"], "gateways": ["http", "mesh"], "http": [
                {
                    "match": [{"gateways": ["mesh"], "port": 80}],
                    "route": [{"destination": {"host": GATEWAY_HOST, "subset": "x", "port": {"number": 80}}}],
                },
                {
                    "match": [{"gateways": ["http"], "port": 80}],
                    "route": [{"destination": {"host": "tls.test", "port": {"number": 80}}}],
                },
            ]}),
        ),
        istio(
            "ServiceEntry",
            "http",
            &json!({"hosts": ["tls.test"], "resolution": "DNS", "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]}),
        ),
    ]);
    let prediction = ask(&world(objects.clone()), true, "http://tls.test");
    assert_eq!(prediction.outcome, Outcome::Routed);
    assert_eq!(
        ways(&prediction),
        [
            format!("outbound|80|x|{GATEWAY_HOST} -"),
            "outbound|80||tls.test -".to_owned()
        ]
    );
    objects.retain(|object| object["kind"] != "VirtualService");
    let direct = ask(&world(objects), true, "http://tls.test");
    assert_eq!(direct.hops[0].route.as_deref(), Some("default"));
    assert_eq!(direct.outcome, Outcome::Bypassed);
}

#[rstest::rstest]
#[case::endpoint("DNS", true, Outcome::Routed)]
#[case::none("NONE", false, Outcome::Unreachable)]
#[case::dynamic("DYNAMIC_DNS", false, Outcome::Unreachable)]
fn section_6_wildcards(#[case] resolution: &str, #[case] endpoint: bool, #[case] outcome: Outcome) {
    let text = serde_json::to_string(&tutorial()).unwrap();
    let mut objects: Vec<Value> =
        serde_json::from_str(&text.replace("kyma-project.io", "*.wild.test")).unwrap();
    for object in &mut objects {
        if object["kind"] == "ServiceEntry" {
            object["spec"]["resolution"] = json!(resolution);
            if endpoint {
                object["spec"]["endpoints"] = json!([{"address": "203.0.113.20"}]);
            }
        }
    }
    let prediction = ask(&world(objects), true, "https://a.wild.test");
    assert_eq!(prediction.outcome, outcome);
    assert_eq!(prediction.hops[1].cluster, "outbound|443||*.wild.test");
}

#[test]
fn what_the_model_does_not_know_is_said() {
    let mut objects = tutorial();
    for object in &mut objects {
        if object["kind"] == "DestinationRule" {
            object["spec"]["subsets"][0]["labels"] = json!({"version": "v1"});
        }
    }
    let prediction = ask(&world(objects), true, "https://kyma-project.io");
    assert_eq!(
        prediction.not_modelled,
        ["not modelled: labels of a subset of DestinationRule lab/kyma"]
    );
}

#[test]
fn the_configuration_of_the_gateway_names_the_chain_and_the_cluster() {
    let found = configuration(&world(tutorial()), &PodName::new("istio-system", "egress-1")).unwrap();
    let listener = &found.listeners[0];
    assert_eq!((listener.name.as_str(), listener.port), ("0.0.0.0_8443", 8443));
    assert_eq!(listener.chains[0].server_names, ["kyma-project.io"]);
    assert_eq!(listener.chains[0].cluster, "outbound|443||kyma-project.io");
    assert!(found.clusters.contains_key("outbound|443||kyma-project.io"));
}

#[test]
fn a_thousand_hosts_are_read_quickly_enough_to_ask_for_each() {
    let mut objects = installation();
    let hosts: Vec<String> = (0..1000).map(|number| format!("h{number}.scale.test")).collect();
    for (index, part) in hosts.chunks(250).enumerate() {
        let mut entry = service_entry();
        entry["metadata"]["name"] = json!(format!("part-{index}"));
        entry["spec"]["hosts"] = json!(part);
        let mut routes = virtual_service();
        routes["metadata"]["name"] = json!(format!("part-{index}"));
        routes["spec"]["hosts"] = json!(part);
        routes["spec"]["tls"][0]["match"][0]["sniHosts"] = json!(part);
        routes["spec"]["tls"][1]["match"][0]["sniHosts"] = json!(part);
        objects.extend([entry, routes]);
    }
    objects.extend([gateway("kyma", &json!(["*.scale.test"])), destination_rule()]);
    let world = world(objects);
    let prediction = ask(&world, true, "https://h999.scale.test");
    assert_eq!(prediction.hops[0].cluster, MESH_LEG);
    let found = configuration(&world, &PodName::new("istio-system", "egress-1")).unwrap();
    assert_eq!(found.listeners[0].chains.len(), 1000);
}
