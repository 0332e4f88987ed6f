//! No field that the chain rests on may be changed without the proof being lost.

use super::probe::{Probe, routed};
use kubectl_egress::evidence::{AccessLogLine, UpstreamCluster};
use kubectl_egress::vocabulary::Outcome;

type Change = (&'static str, fn(&mut AccessLogLine));

const CHANGES: &[Change] = &[
    ("upstream host", |line| {
        line.upstream_host = Some("198.18.0.99:8443".to_owned());
    }),
    ("no upstream host", |line| line.upstream_host = None),
    ("upstream cluster", |line| {
        line.upstream_cluster = Some(UpstreamCluster::parse("outbound|443||example.com"));
    }),
    ("no upstream cluster", |line| line.upstream_cluster = None),
    ("downstream remote", |line| {
        line.downstream_remote_address = Some("198.18.0.25:1".to_owned());
    }),
    ("no downstream remote", |line| {
        line.downstream_remote_address = None;
    }),
    ("downstream local", |line| {
        line.downstream_local_address = Some("198.18.0.25:1".to_owned());
    }),
    ("server name", |line| {
        line.requested_server_name = Some("example.com".to_owned());
    }),
    ("no server name", |line| line.requested_server_name = None),
    ("flags", |line| line.response_flags = vec!["UF".to_owned()]),
    ("policy", |line| {
        line.connection_termination_details = Some("rbac_access_denied_matched_policy[none]".to_owned());
    }),
];

#[test]
fn every_link_of_the_chain_is_needed() {
    assert_eq!(routed().outcome(), Outcome::Routed);
    for (name, change) in CHANGES {
        // Another address of the host is the gateway's own affair: DNS rotates.
        if *name != "upstream host" {
            let probe: Probe = routed().change(|evidence| change(&mut evidence.gateway_lines[0].1));
            assert_ne!(probe.outcome(), Outcome::Routed, "gateway: {name}");
        }
        let probe: Probe = routed().change(|evidence| change(&mut evidence.sidecar_lines[0]));
        assert_ne!(probe.outcome(), Outcome::Routed, "sidecar: {name}");
    }
    let no_join = routed().change(|evidence| evidence.sidecar_lines[0].upstream_local_address = None);
    assert_ne!(no_join.outcome(), Outcome::Routed);
}
