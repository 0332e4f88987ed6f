//! The policy engine, by real packets on the lab: what curl in a pod sees, and what the outside world's log says.
//!
//! The cluster is the lab's (`cargo lab up`); `LAB_NAME` names another one. Without a lab every test says so and passes.

#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

mod engines;
mod place;
mod resolver;
mod stream;

use kubectl_egress_lab::PolicyEngine;
use place::{Place, TIMED_OUT, UNRESOLVED, block, dns};
use serde_json::json;

const OUTSIDE: &str = "https://kyma-project.io/";
const OTHER: &str = "https://edition.cnn.com/";
const API_SERVICE: &str = "https://kubernetes.default.svc/version";

#[test]
fn a_lock_blocks_and_its_removal_opens() {
    let Some(place) = Place::new(PolicyEngine::AfterDnat) else {
        return;
    };
    place.expect(&[(OUTSIDE, 0), (API_SERVICE, 0)]);
    place.lock(&json!([dns()]));
    let mark = place.lab.world().mark().unwrap();
    place.expect(&[(OUTSIDE, TIMED_OUT), (API_SERVICE, TIMED_OUT)]);
    assert_eq!(place.arrived_since(mark, "client"), 0);
    place.unlock();
    place.expect(&[(OUTSIDE, 0), (API_SERVICE, 0)]);
    assert_eq!(place.arrived_since(mark, "client"), 1);
}

#[test]
fn without_dns_no_name_is_found_and_addresses_still_pass() {
    let Some(place) = Place::new(PolicyEngine::AfterDnat) else {
        return;
    };
    let address = place.lab.world().addresses("kyma-project.io")[0];
    place.lock(&json!([block(&format!("{address}/32"), 443)]));
    let resolved = format!("kyma-project.io:443:{address}");
    let (code, text) = place.curl(&["--resolve", &resolved, OUTSIDE]);
    assert_eq!(code, 0, "{text}");
    // curl gives up before the resolver does, or the other way round.
    let (code, text) = place.curl(&[OUTSIDE]);
    assert!(matches!(code, UNRESOLVED | TIMED_OUT), "{code}: {text}");
    place.lock(&json!([block(&format!("{address}/32"), 443), dns()]));
    place.expect(&[(OUTSIDE, 0), (OTHER, TIMED_OUT)]);
}

#[test]
fn the_api_server_is_found_by_its_endpoint_and_not_by_its_service() {
    let Some(place) = Place::new(PolicyEngine::AfterDnat) else {
        return;
    };
    let layout = place.lab.layout();
    let endpoint = block(&format!("{}/32", layout.node_address()), 6443);
    let service = block(&format!("{}/32", layout.kubernetes_service()), 443);
    place.lock(&json!([dns(), service]));
    place.expect(&[(API_SERVICE, TIMED_OUT)]);
    place.lock(&json!([dns(), endpoint]));
    place.expect(&[(API_SERVICE, 0), (OUTSIDE, TIMED_OUT)]);
}

#[test]
fn a_new_pod_is_isolated_before_it_runs() {
    let Some(place) = Place::new(PolicyEngine::AfterDnat) else {
        return;
    };
    place.lock(&json!([]));
    let mark = place.lab.world().mark().unwrap();
    let url = format!("http://{}/", place.lab.world().addresses("kyma-project.io")[0]);
    let hurry = format!("for i in $(seq 40); do curl -s -o /dev/null -m 0.1 {url}; done; exec sleep 3600");
    place.start_pod("hurried", &["sh", "-c", &hurry]);
    // Its readiness comes from the kubelet, a second or so after its first tries.
    assert_eq!(place.arrived_since(mark, "hurried"), 0);
    place.unlock();
    let (code, text) = place.exec_in("hurried", &["curl", "-sS", "-o", "/dev/null", "-m", "3", &url]);
    assert_eq!(code, 0, "{text}");
    assert!(place.arrived_since(mark, "hurried") > 0);
}

#[test]
fn a_closed_pod_is_open_to_its_peers_to_itself_and_to_the_kubelet() {
    let Some(place) = Place::new(PolicyEngine::AfterDnat) else {
        return;
    };
    place.close_server(&json!([]));
    // It becomes ready, though nobody may reach it: the kubelet is not filtered.
    place.start_server();
    let (address, service) = (place.address("server"), place.serve_server());
    assert!(!place.is_answered("client", &address));
    let client = json!([{"podSelector": {"matchLabels": {"app": "client"}}}]);
    place.close_server(&json!([{"from": client, "ports": [{"port": "echo"}]}]));
    assert!(place.comes_to_answer("client", &address));
    assert!(place.comes_to_answer("client", &service));
    // By way of its Service it leaves the pod and comes back.
    assert!(place.comes_to_answer("server", &service));
    // Both ends must allow it.
    place.lock(&json!([dns()]));
    assert!(!place.is_answered("client", &address));
}

#[test]
fn without_an_engine_a_lock_has_no_effect() {
    let Some(place) = Place::new(PolicyEngine::None) else {
        return;
    };
    place.lock(&json!([]));
    place.expect(&[(OUTSIDE, 0)]);
}
