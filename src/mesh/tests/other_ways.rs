//! What a pod's own surroundings change: ambient mode, IPv6, a sidecar that answers DNS. What the lab can carry of it is
//! in its differential test.

use super::*;
use rstest::rstest;

/// The source's pod, with a sidecar.
fn source(change: impl FnOnce(&mut Value)) -> Value {
    let mut pod = object(
        "v1",
        "Pod",
        "lab",
        "curl",
        &json!({"containers": [{"name": "curl"}], "initContainers": [{"name": "istio-proxy", "env": []}]}),
    );
    pod["metadata"]["labels"] = json!({"app": "curl"});
    pod["status"] = json!({"podIP": "198.18.0.25", "podIPs": [{"ip": "198.18.0.25"}]});
    change(&mut pod);
    pod
}

fn namespace(labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "lab", "labels": labels}})
}

#[rstest]
#[case::of_the_namespace(json!({"istio.io/dataplane-mode": "ambient"}), json!({}), true)]
#[case::not_of_this_pod(json!({"istio.io/dataplane-mode": "ambient"}), json!({"istio.io/dataplane-mode": "none"}), false)]
#[case::of_the_pod_alone(json!({}), json!({"istio.io/dataplane-mode": "ambient"}), true)]
#[case::of_nobody(json!({}), json!({}), false)]
fn ambient_mode_is_no_guess(#[case] of_namespace: Value, #[case] of_pod: Value, #[case] ambient: bool) {
    let mut objects = tutorial();
    objects.push(namespace(&of_namespace));
    objects.push(source(|pod| pod["metadata"]["labels"] = of_pod));
    let without_sidecar = ask(&world(objects.clone()), false, "https://kyma-project.io");
    let expected = if ambient {
        Outcome::Inconclusive
    } else {
        Outcome::Bypassed
    };
    assert_eq!(without_sidecar.outcome, expected);
    assert_eq!(
        without_sidecar
            .not_modelled
            .iter()
            .any(|what| what.contains("ambient")),
        ambient
    );
    // A pod that has a sidecar keeps it.
    let with_sidecar = ask(&world(objects), true, "https://kyma-project.io");
    assert_eq!(with_sidecar.outcome, Outcome::Routed);
}

#[rstest]
#[case::ambient(json!({"istio.io/dataplane-mode": "ambient"}), Outcome::Inconclusive)]
#[case::ambient_and_injected(json!({"istio.io/dataplane-mode": "ambient", "istio-injection": "enabled"}), Outcome::Routed)]
fn a_pod_that_is_only_thought_of_is_as_its_namespace_makes_them(
    #[case] labels: Value,
    #[case] expected: Outcome,
) {
    let mut objects = tutorial();
    objects.push(namespace(&labels));
    assert_eq!(
        ask(&world(objects), true, "https://kyma-project.io").outcome,
        expected
    );
}

fn with_entry(pod: Value, change: impl FnOnce(&mut Value)) -> World<'static> {
    let mut objects = tutorial();
    let entry = objects
        .iter_mut()
        .find(|object| object["kind"] == "ServiceEntry")
        .unwrap();
    change(entry);
    objects.push(pod);
    world(objects)
}

#[test]
fn ipv6_is_no_guess_where_a_pod_may_have_it() {
    let of_both =
        || source(|pod| pod["status"]["podIPs"] = json!([{"ip": "198.18.0.25"}, {"ip": "2001:db8::25"}]));
    let with_address = |entry: &mut Value| entry["spec"]["addresses"] = json!(["2001:db8::99"]);
    let with_endpoint = |entry: &mut Value| {
        entry["spec"]["resolution"] = json!("STATIC");
        entry["spec"]["endpoints"] = json!([{"address": "2001:db8::20"}]);
    };
    let not_modelled = |world: &World| {
        let prediction = ask(world, true, "https://kyma-project.io");
        prediction.not_modelled.iter().any(|what| what.contains("IPv6"))
    };
    assert!(not_modelled(&with_entry(of_both(), with_address)));
    assert!(!not_modelled(&with_entry(source(|_| {}), with_address)));
    // It is the gateway that connects to the endpoint, and that has none.
    let world = with_entry(of_both(), with_endpoint);
    assert!(!not_modelled(&world));
    let prediction = ask(&world, true, "https://kyma-project.io");
    assert_eq!(
        ways(&prediction),
        [
            format!("{MESH_LEG} UR"),
            "outbound|443||kyma-project.io UF,URX".to_owned()
        ]
    );
    let there = |entry: &mut Value| entry["spec"]["endpoints"] = json!([]);
    assert!(
        !not_modelled(&with_entry(of_both(), there)),
        "nothing is said of IPv6"
    );
}

fn capturing(names: &[&str]) -> Value {
    source(|pod| {
        let variables = names.iter().map(|name| json!({"name": name, "value": "true"}));
        pod["spec"]["initContainers"][0]["env"] = variables.collect();
    })
}

#[rstest]
#[case::the_declared_port("https://kyma-project.io", Outcome::Routed, &[&format!("{MESH_LEG} -"), "outbound|443||kyma-project.io -"])]
#[case::another_port("http://kyma-project.io", Outcome::Unreachable, &["PassthroughCluster UF 503"])]
fn a_sidecar_that_answers_dns_leads_other_ports_nowhere(
    #[case] url: &str,
    #[case] outcome: Outcome,
    #[case] expected: &[&str],
) {
    let given = |entry: &mut Value| {
        entry["status"] = json!({"addresses": [{"host": "kyma-project.io", "value": "240.240.0.1"}]});
    };
    let world = with_entry(capturing(&["ISTIO_META_DNS_CAPTURE"]), given);
    let prediction = ask(&world, true, url);
    assert_eq!(
        (prediction.outcome, ways(&prediction)),
        (outcome, owned(expected))
    );
    // Without the address, or without the capture, it is as ever.
    let plain = with_entry(source(|_| {}), given);
    let outcome = ask(&plain, true, "http://kyma-project.io").outcome;
    assert_eq!(outcome, Outcome::Bypassed);
}

#[test]
fn an_address_that_a_sidecar_makes_up_is_no_guess() {
    let both = capturing(&["ISTIO_META_DNS_CAPTURE", "ISTIO_META_DNS_AUTO_ALLOCATE"]);
    let prediction = ask(&with_entry(both, |_| {}), true, "http://kyma-project.io");
    assert_eq!(prediction.outcome, Outcome::Inconclusive);
    assert!(
        prediction.not_modelled[0].contains("own DNS"),
        "{:?}",
        prediction.not_modelled
    );
}
