//! What the kernel is given. `nft` itself checks it where there is a kernel that lets us.

use std::process::Command;

use serde_json::json;

use super::super::engine::PolicyEngine;
use super::super::nftables;
use super::case;
use crate::shell::{command, output_with_input};

fn busy() -> super::Case {
    let peers = json!([
        {"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.16/28", "203.0.113.16/30"]}},
        {"ipBlock": {"cidr": "2001:db8::/32", "except": ["2001:db8:1::/48"]}},
        {"namespaceSelector": {}},
    ]);
    let ports = json!([{"port": 443}, {"port": "web"}, {"port": 1, "endPort": 9, "protocol": "SCTP"}, {"protocol": "UDP"}]);
    case([
        json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}),
        json!({"podSelector": {}, "egress": [{"to": peers, "ports": ports}], "ingress": [{"from": peers}, {}]}),
    ])
}

#[test]
fn the_text_replaces_a_table_as_a_whole() {
    let text = nftables::text(&case([]).ruleset(), PolicyEngine::AfterDnat);
    assert!(
        text.starts_with(
            "add table inet lab-policy\ndelete table inet lab-policy\ntable inet lab-policy {\n"
        ),
        "{text}"
    );
}

#[test]
fn an_isolated_pod_ends_in_a_refusal() {
    let deny = json!({"podSelector": {"matchLabels": {"role": "db"}}, "policyTypes": ["Egress"],
        "egress": [{"to": [{"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.9/32"]}}],
                    "ports": [{"port": 80, "endPort": 90}]}]});
    let text = nftables::text(&case([deny]).ruleset(), PolicyEngine::AfterDnat);
    let chain = "  chain egress-0 { # default/db
    ip daddr { 10.1.0.1 } accept
    ip6 daddr { fd00::1 } accept
    ip daddr 203.0.113.0/24 ip daddr != 203.0.113.9/32 tcp dport 80-90 accept
    drop
  }
";
    assert!(text.contains(chain), "{text}");
    assert!(
        text.contains("ip saddr vmap { 10.1.0.1 : goto egress-0 }"),
        "{text}"
    );
    assert!(
        text.contains("hook prerouting priority -90;") && !text.contains("goto ingress"),
        "{text}"
    );
}

#[test]
fn without_enforcement_there_is_no_table() {
    let text = nftables::text(&busy().ruleset(), PolicyEngine::None);
    assert_eq!(text, "add table inet lab-policy\ndelete table inet lab-policy\n");
}

#[test]
fn nft_takes_the_text_of_every_engine() {
    let alone = |program: &str| {
        let mut unshare = command("unshare");
        unshare.args(["--net", "--", program]);
        unshare
    };
    let can = |mut probe: Command| {
        probe
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if !can(alone("nft")) {
        return;
    }
    for engine in PolicyEngine::ALL {
        let text = nftables::text(&busy().ruleset(), engine);
        let loaded = output_with_input(alone("nft").args(["-f", "-"]), &text);
        assert!(loaded.is_ok(), "{engine}: {loaded:?}\n{text}");
    }
}
