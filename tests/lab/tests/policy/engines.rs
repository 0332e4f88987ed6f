//! Each engine by what tells it from the usual one.

use std::time::Instant;

use kubectl_egress_lab::PolicyEngine;
use serde_json::{Value, json};

use crate::place::{Place, REFUSED, TIMED_OUT, UNRESOLVED, block, dns};
use crate::stream::Stream;
use crate::{API_SERVICE, OUTSIDE};

#[test]
fn before_dnat_sees_services_and_not_their_pods() {
    let Some(mut place) = Place::new(PolicyEngine::BeforeDnat) else {
        return;
    };
    let layout = place.lab.layout().clone();
    let address = |address: std::net::Ipv4Addr| format!("{address}/32");
    let api = block(&address(layout.kubernetes_service()), 443);
    place.lock(&json!([dns(), api]));
    let (code, text) = place.curl(&[OUTSIDE]);
    assert!(
        matches!(code, UNRESOLVED | TIMED_OUT),
        "DNS was found by its pods: {text}"
    );
    let resolver = json!({
        "to": [{"ipBlock": {"cidr": address(layout.dns_service())}}],
        "ports": [{"port": 53, "protocol": "UDP"}],
    });
    place.lock(&json!([resolver, api]));
    place.expect(&[(API_SERVICE, 0), (OUTSIDE, TIMED_OUT)]);
    place.lock(&json!([resolver, block(&address(layout.node_address()), 6443)]));
    place.expect(&[(API_SERVICE, TIMED_OUT)]);
    // The same rules, with an engine that looks later.
    place.lab.set_policy_engine(PolicyEngine::AfterDnat).unwrap();
    place.lock(&json!([dns(), block(&address(layout.node_address()), 6443)]));
    place.expect(&[(API_SERVICE, 0)]);
}

#[test]
fn no_node_blocks_hides_the_node_from_blocks_alone() {
    let Some(mut place) = Place::new(PolicyEngine::NoNodeBlocks) else {
        return;
    };
    let everything = json!([dns(), {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]);
    place.lock(&everything);
    place.expect(&[(OUTSIDE, 0), (API_SERVICE, TIMED_OUT)]);
    place.lock(&json!([{}]));
    place.expect(&[(API_SERVICE, 0)]);
    place.lab.set_policy_engine(PolicyEngine::AfterDnat).unwrap();
    place.lock(&everything);
    place.expect(&[(OUTSIDE, 0), (API_SERVICE, 0)]);
}

#[test]
fn late_is_late_in_both_directions() {
    let engine = PolicyEngine::Late;
    let Some(place) = Place::new(engine) else { return };
    let begin = Instant::now();
    place.lock_without_waiting(&json!([dns()]));
    place.expect(&[(OUTSIDE, 0)]);
    assert!(
        begin.elapsed() < engine.delay(),
        "this machine is too slow to tell"
    );
    place.lock(&json!([dns()]));
    assert!(begin.elapsed() >= engine.delay());
    place.expect(&[(OUTSIDE, TIMED_OUT)]);
    let begin = Instant::now();
    place.unlock();
    assert!(begin.elapsed() >= engine.delay());
    place.expect(&[(OUTSIDE, 0)]);
}

#[test]
fn reject_says_no_at_once() {
    let Some(place) = Place::new(PolicyEngine::Reject) else {
        return;
    };
    place.lock(&json!([dns()]));
    let mark = place.lab.world().mark().unwrap();
    place.expect(&[(OUTSIDE, REFUSED), (API_SERVICE, REFUSED)]);
    assert_eq!(place.arrived_since(mark, "client"), 0);
    // UDP is refused too, so that the resolver need not wait.
    place.lock(&json!([]));
    place.expect(&[(OUTSIDE, UNRESOLVED)]);
}

#[test]
fn established_connections_stay() {
    let Some(place) = Place::new(PolicyEngine::AfterDnat) else {
        return;
    };
    place.start_server();
    let stream = Stream::begin(&place, "before");
    place.lock(&json!([dns()]));
    assert!(stream.goes_on(), "an established connection was cut");
}

#[test]
fn cut_cuts_what_is_not_allowed_and_nothing_else() {
    let Some(place) = Place::new(PolicyEngine::Cut) else {
        return;
    };
    place.start_server();
    let stream = Stream::begin(&place, "before");
    place.lock(&json!([dns(), server()]));
    assert!(stream.goes_on(), "an allowed connection was cut");
    place.expect(&[(OUTSIDE, TIMED_OUT)]);
    place.lock(&json!([dns()]));
    assert!(!stream.goes_on(), "a connection that is not allowed goes on");
    place.unlock();
    let again = Stream::begin(&place, "again");
    assert!(again.goes_on());
}

/// A rule that lets out to the pod `server`.
fn server() -> Value {
    json!({"to": [{"podSelector": {"matchLabels": {"app": "server"}}}], "ports": [{"port": "echo"}]})
}
