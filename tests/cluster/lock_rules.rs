//! The lock derived with one of its rules left out: found out, and taken back with its reason. The tool itself derives
//! them all, so what it prepared is edited here, between `prepare` and `run` of the library.

use crate::support::codes::Seen;
use crate::support::{Stage, open};
use kubectl_egress::cluster::{Cluster, ConnectionSettings};
use kubectl_egress::engine::lockdown::{
    Decision, EFFECT_WITHIN, Lockdown, LockdownEnd, LockdownSettings, prepare, run,
};
use kubectl_egress::engine::probe::find_source;
use kubectl_egress::plan::lock::{LockSettings, Peer, Why, policy_spec};
use kubectl_egress::vocabulary::{PlanIdentity, Protocol};
use std::sync::Arc;
use std::time::Duration;

/// Cuts something out of the peers of a lock.
type Cut = fn(&mut Vec<Peer>);

const DNS: [Why; 4] = [Why::DnsResolver, Why::DnsService, Why::DnsPods, Why::NodeLocalDns];

fn without_dns_by(peers: &mut Vec<Peer>, protocol: Protocol) {
    for peer in peers.iter_mut().filter(|peer| DNS.contains(&peer.why)) {
        peer.ports.retain(|(of, _)| *of != protocol);
    }
    // Without ports a rule would open all of them.
    peers.retain(|peer| !DNS.contains(&peer.why) || !peer.ports.is_empty());
}

fn without(peers: &mut Vec<Peer>, whose: [Why; 2]) {
    peers.retain(|peer| !whose.contains(&peer.why));
}

#[test]
fn a_lock_without_one_of_its_rules_is_found_out_and_taken_back() {
    let stage = open!(shared).with_route();
    let cuts: [(&str, Cut, &str); 4] = [
        (
            "DNS by UDP",
            |peers| without_dns_by(peers, Protocol::Udp),
            "EGR-504",
        ),
        (
            "DNS by TCP",
            |peers| without_dns_by(peers, Protocol::Tcp),
            "EGR-504",
        ),
        (
            "istiod",
            |peers| without(peers, [Why::Istiod, Why::IstiodService]),
            "EGR-505",
        ),
        (
            "gateway",
            |peers| without(peers, [Why::GatewayPods, Why::GatewayService]),
            "EGR-507",
        ),
    ];
    for (rule, cut, code) in cuts {
        let document = locked_after(&stage, cut);
        Seen::record("lockdown", &format!("{document:?}"));
        let found: Vec<&str> = document.findings.iter().map(|finding| &*finding.code).collect();
        assert!(found.contains(&code), "without {rule}: {document:#?}");
        assert!(
            matches!(document.end, LockdownEnd::Refused | LockdownEnd::RolledBack),
            "without {rule}: {document:#?}"
        );
        let left = stage.kubectl.run(&format!(
            "get networkpolicies,jobs,roles,rolebindings,configmaps,pods -n {} -l kubectl-egress.dev/lock -o name",
            stage.namespace
        ));
        assert_eq!(left.trim(), "", "left without {rule}");
    }
    // Whole, it holds: that alone was what was wrong.
    let document = locked_after(&stage, |_| {});
    Seen::record("lockdown", &format!("{document:?}"));
    assert_eq!(document.end, LockdownEnd::Locked, "{document:#?}");
}

/// Locks the stage's namespace with peers that were edited.
fn locked_after(stage: &Stage, cut: Cut) -> Lockdown {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let connection = ConnectionSettings {
            kubeconfig: Some(stage.kubeconfig()),
            ..ConnectionSettings::default()
        };
        let cluster = Cluster::connect(&connection, Arc::new(|_| {})).await.unwrap();
        let namespace = stage.namespace.clone();
        let settings = LockdownSettings {
            plan: PlanIdentity::new(&namespace, "default").unwrap(),
            lock: LockSettings::default(),
            confirm_within: Duration::from_secs(180),
            // Long enough for a connection that is dropped to show twice.
            effect_within: EFFECT_WITHIN / 3,
            forbidden: vec!["www.google.com".parse().unwrap()],
            source: find_source(&cluster, &namespace, None, None).await.unwrap(),
            namespace,
            ca_certificate: None,
            max_time_seconds: 12,
            timeout: Duration::from_secs(30),
        };
        let Decision::Lock(mut prepared) = prepare(&cluster, settings).await.unwrap() else {
            panic!("there is no lock yet")
        };
        cut(&mut prepared.peers);
        prepared.spec = policy_spec(&prepared.settings.lock, &prepared.peers);
        run(
            &cluster,
            &prepared,
            &(Arc::new(|_| {}) as _),
            std::future::pending(),
        )
        .await
        .unwrap()
    })
}
