//! NetworkPolicies on the way, against truth.md section 2: the lock of the tutorials, with one rule missing in turn.

use super::super::*;
use super::fixtures::*;
use crate::vocabulary::{BlockedBy, Outcome};
use serde_json::{Value, json};

/// Rules of the lock, by what they let through.
fn rule(name: &str) -> Value {
    let pods = |namespace: &str, labels: Value, ports: Value| {
        let namespace = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}});
        json!({"to": [{"namespaceSelector": namespace, "podSelector": {"matchLabels": labels}}], "ports": ports})
    };
    match name {
        "dns" => pods(
            "kube-system",
            json!({"k8s-app": "kube-dns"}),
            json!([{"port": 1053, "protocol": "UDP"}, {"port": 1053}]),
        ),
        "gateway" => pods(
            "istio-system",
            json!({"istio": "egressgateway"}),
            json!([{"port": 8443}]),
        ),
        "gateway by Service port" => pods(
            "istio-system",
            json!({"istio": "egressgateway"}),
            json!([{"port": 443}]),
        ),
        "gateway by name" => pods(
            "istio-system",
            json!({"istio": "egressgateway"}),
            json!([{"port": "tls"}]),
        ),
        "host" => json!({"to": [{"ipBlock": {"cidr": "203.0.113.10/32"}}]}),
        other => panic!("no rule {other}"),
    }
}

fn policy(namespace: &str, name: &str, spec: &Value) -> Value {
    object("networking.k8s.io/v1", "NetworkPolicy", namespace, name, spec)
}

/// The tutorial's objects, the cluster's DNS, and a lock of the source's namespace with these rules.
fn locked(rules: &[&str]) -> Vec<Value> {
    let mut objects = tutorial();
    let mut service = object(
        "v1",
        "Service",
        "kube-system",
        "kube-dns",
        &json!({"selector": {"k8s-app": "kube-dns"}, "ports": [{"port": 53, "targetPort": 1053, "protocol": "UDP"}]}),
    );
    service["metadata"]["labels"] = json!({"k8s-app": "kube-dns"});
    let mut pod = object(
        "v1",
        "Pod",
        "kube-system",
        "dns",
        &json!({"containers": [{"name": "coredns"}]}),
    );
    pod["metadata"]["labels"] = json!({"k8s-app": "kube-dns"});
    pod["status"] = json!({"podIP": "198.18.0.2", "conditions": [{"type": "Ready", "status": "True"}]});
    let egress: Vec<Value> = rules.iter().map(|name| rule(name)).collect();
    objects.extend([
        service,
        pod,
        policy(
            "lab",
            "lock",
            &json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": egress}),
        ),
    ]);
    objects
}

fn with(mut objects: Vec<Value>, policies: impl IntoIterator<Item = Value>) -> World<'static> {
    objects.extend(policies);
    world(objects)
}

#[rstest::rstest]
#[case::known_host_through_the_gateway(true, "https://kyma-project.io", Outcome::Routed, &[&format!("{MESH_LEG} -"), "outbound|443||kyma-project.io -"])]
#[case::plain_http(true, "http://kyma-project.io", Outcome::Blocked, &["PassthroughCluster UF 503"])]
#[case::unknown_host(true, "https://edition.cnn.com", Outcome::Blocked, &["PassthroughCluster UF,URX"])]
#[case::without_sidecar(false, "https://kyma-project.io", Outcome::Blocked, &[])]
fn section_2_a_lock(
    #[case] meshed: bool,
    #[case] url: &str,
    #[case] outcome: Outcome,
    #[case] expected: &[&str],
) {
    let prediction = ask(&world(locked(&["dns", "gateway"])), meshed, url);
    assert_eq!(prediction.outcome, outcome);
    assert_eq!(ways(&prediction), expected);
    assert_eq!(prediction.not_modelled, Vec::<String>::new());
    if outcome == Outcome::Blocked {
        assert_eq!(prediction.blocked_by, Some(BlockedBy::NetworkPolicy));
        let dropped = if meshed {
            Dropped::AtHop(0)
        } else {
            Dropped::AtSource
        };
        assert_eq!(prediction.dropped, Some(dropped));
        assert_eq!(
            prediction.findings.len(),
            1,
            "the bypass is none: {:?}",
            prediction.findings
        );
        assert!(prediction.findings[0].message.contains("NetworkPolicy lab/lock"));
    }
}

#[test]
fn section_2_registry_only_answers_first_and_hides_the_policy() {
    let world = with(locked(&["dns", "gateway"]), [registry_only()]);
    let prediction = ask(&world, true, "https://edition.cnn.com");
    assert_eq!(prediction.blocked_by, Some(BlockedBy::RegistryOnly));
    let bare = ask(&world, false, "https://edition.cnn.com");
    assert_eq!(bare.blocked_by, Some(BlockedBy::NetworkPolicy));
}

#[test]
fn section_2_a_policy_names_the_target_port() {
    let prediction = ask(
        &world(locked(&["dns", "gateway by Service port"])),
        true,
        "https://kyma-project.io",
    );
    assert_eq!(prediction.outcome, Outcome::Blocked);
    assert_eq!(ways(&prediction), [format!("{MESH_LEG} UF,URX")]);
    assert_eq!(prediction.dropped, Some(Dropped::AtHop(0)));
    let prediction = ask(
        &world(locked(&["dns", "gateway by name"])),
        true,
        "https://kyma-project.io",
    );
    assert_eq!(prediction.outcome, Outcome::Routed);
}

#[test]
fn section_2_dns_comes_first() {
    for meshed in [true, false] {
        let prediction = ask(
            &world(locked(&["gateway", "host"])),
            meshed,
            "https://kyma-project.io",
        );
        assert_eq!(prediction.dropped, Some(Dropped::NameResolution));
        assert_eq!(prediction.outcome, Outcome::Blocked);
        assert!(prediction.hops.is_empty());
    }
}

#[test]
fn section_2_gateway_to_the_host_dropped() {
    let gateway =
        json!({"podSelector": {"matchLabels": {"istio": "egressgateway"}}, "policyTypes": ["Egress"]});
    let mut lock = gateway.clone();
    lock["egress"] = json!([rule("dns")]);
    let world = with(
        locked(&["dns", "gateway"]),
        [policy("istio-system", "gateway", &lock)],
    );
    let prediction = ask(&world, true, "https://kyma-project.io");
    assert_eq!(
        ways(&prediction),
        [
            format!("{MESH_LEG} UR"),
            "outbound|443||kyma-project.io UF,URX".to_owned()
        ]
    );
    assert_eq!(prediction.dropped, Some(Dropped::AtHop(1)));
    let mut open = lock;
    open["egress"] = json!([rule("dns"), rule("host")]);
    let world = with(
        locked(&["dns", "gateway"]),
        [policy("istio-system", "gateway", &open)],
    );
    assert_eq!(
        ask(&world, true, "https://kyma-project.io").outcome,
        Outcome::Routed
    );
}

#[test]
fn a_gateway_that_cannot_resolve_has_no_endpoint() {
    let lock = json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [rule("host")]});
    let world = with(
        locked(&["dns", "gateway"]),
        [policy("istio-system", "gateway", &lock)],
    );
    let prediction = ask(&world, true, "https://kyma-project.io");
    assert_eq!(prediction.blocked_by, Some(BlockedBy::NetworkPolicy));
    assert_eq!(
        ways(&prediction),
        [
            format!("{MESH_LEG} UR"),
            "outbound|443||kyma-project.io UH".to_owned()
        ]
    );
    assert_eq!(prediction.not_modelled.len(), 1);
}

#[rstest::rstest]
#[case::nobody(json!([]), Outcome::Blocked)]
#[case::the_source(json!([{"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "curl"}}}]}]), Outcome::Routed)]
#[case::another_port(json!([{"ports": [{"port": 8080}]}]), Outcome::Blocked)]
fn the_gateways_ingress_decides_too(#[case] ingress: Value, #[case] outcome: Outcome) {
    let spec = json!({"podSelector": {"matchLabels": {"istio": "egressgateway"}}, "policyTypes": ["Ingress"], "ingress": ingress});
    let world = with(locked(&["dns", "gateway"]), [policy("istio-system", "in", &spec)]);
    assert_eq!(ask(&world, true, "https://kyma-project.io").outcome, outcome);
}

#[test]
fn an_address_that_is_not_known_is_said() {
    let world = world(locked(&["dns", "gateway", "host"]));
    let prediction = ask(&world, false, "https://nobody.test");
    assert_eq!(
        prediction.not_modelled,
        ["not modelled: the address of nobody.test, by which NetworkPolicy lab/lock decides"]
    );
}

#[test]
fn a_lock_of_other_pods_changes_nothing() {
    let mut objects = locked(&["dns", "gateway"]);
    for object in &mut objects {
        if object["kind"] == "NetworkPolicy" {
            object["spec"]["podSelector"] = json!({"matchLabels": {"app": "web"}});
        }
    }
    let prediction = ask(&world(objects), false, "https://kyma-project.io");
    assert_eq!(
        (prediction.outcome, prediction.dropped),
        (Outcome::Bypassed, None)
    );
}

#[test]
fn policies_of_a_cni_are_named_and_not_evaluated() {
    let foreign = |kind: &str, version: &str, namespace: Option<&str>| {
        let mut policy = object(version, kind, "", "x", &json!({"endpointSelector": {}}));
        policy["metadata"]["namespace"] = json!(namespace);
        policy
    };
    let world = with(
        tutorial(),
        [
            foreign("CiliumNetworkPolicy", "cilium.io/v2", Some("lab")),
            foreign("CiliumNetworkPolicy", "cilium.io/v2", Some("other")),
            foreign("GlobalNetworkPolicy", "projectcalico.org/v3", None),
            foreign("NetworkPolicy", "projectcalico.org/v3", Some("istio-system")),
        ],
    );
    let prediction = ask(&world, true, "https://kyma-project.io");
    assert_eq!(
        prediction.not_modelled,
        [
            "not modelled: GlobalNetworkPolicy x",
            "not modelled: NetworkPolicy istio-system/x",
            "not modelled: CiliumNetworkPolicy lab/x",
        ]
    );
    let bare = ask(&world, false, "https://kyma-project.io");
    assert_eq!(
        bare.not_modelled.len(),
        2,
        "the gateway's are none of its business"
    );
}
