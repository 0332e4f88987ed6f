//! Counters corroborate or contradict, and prove nothing alone: truth.md section 9.

use super::probe::{GATEWAY_POD, codes, probe, routed};
use kubectl_egress::evidence::{ClusterCounters, corroborate};
use kubectl_egress::vocabulary::{Outcome, Witness};

fn counted(connections: u64, requests: u64) -> ClusterCounters {
    ClusterCounters {
        connections,
        requests,
        ..ClusterCounters::default()
    }
}

#[test]
fn a_counted_request_is_one_more_receipt() {
    let mut result = routed().judge();
    corroborate(&mut result, GATEWAY_POD, counted(5, 5), counted(6, 6), None);
    assert_eq!(result.outcome, Outcome::Routed);
    let receipt = result.hops[1].receipts.last().unwrap();
    assert_eq!(
        (receipt.witness, receipt.text.as_str()),
        (Witness::GatewayCounters, "requests +1, connections +1")
    );
}

/// A failed connect counts as a connection and not as a request.
#[test]
fn a_request_that_was_not_counted_contradicts() {
    let mut result = routed().judge();
    corroborate(&mut result, GATEWAY_POD, counted(5, 5), counted(6, 5), None);
    assert_eq!(result.outcome, Outcome::Inconclusive);
    assert_eq!(codes(&result), ["EGR-115"]);
}

#[test]
fn counters_that_went_back_say_nothing() {
    let mut result = routed().judge();
    let before = result.clone();
    corroborate(&mut result, GATEWAY_POD, counted(5, 5), counted(1, 1), None);
    assert_eq!(result, before);
}

#[test]
fn counters_alone_prove_nothing() {
    let mut result = probe("https://kyma-project.io")
        .curl(0, 200, "198.18.0.25:37136", "203.0.113.10:443")
        .judge();
    corroborate(&mut result, GATEWAY_POD, counted(5, 5), counted(6, 6), None);
    assert_eq!(result.outcome, Outcome::Inconclusive);
}
