//! What `explain HOST` proposes is done, and then the host is reached through the gateway.

use super::agreement::served;
use super::case::{Ask, Case};
use super::changes::CHANGES;
use super::reality::{Reality, Sources};
use super::ways::Way;
use crate::support::open;
use kubectl_egress::vocabulary::Scheme;
use serde_json::Value;

/// How often a request is sent on which a proxy may have its configuration late.
const TRIES: usize = 3;

/// One mistake of each sort.
const MISTAKES: &[(Way, &str)] = &[
    (Way::Passthrough, "the VirtualService names no mesh"),
    (Way::Passthrough, "the mesh leg for another port"),
    (Way::Passthrough, "the ServiceEntry not exported to the gateway"),
    (Way::Passthrough, "the Gateway selects no pod"),
    (
        Way::Passthrough,
        "the Gateway on a port that the Service does not have",
    ),
    (Way::Passthrough, "a subset that is not there"),
    (Way::PassthroughInMeshTls, "no TLS on the mesh leg"),
    (
        Way::PassthroughInMeshTls,
        "the server takes TLS of the mesh for HTTP",
    ),
    (
        Way::PassthroughInMeshTls,
        "the gateway's leg by tls instead of tcp",
    ),
    (
        Way::HttpInMeshTls,
        "the DestinationRule exported to the gateway alone",
    ),
    (Way::HttpInMeshTls, "the mesh leg to another port of the gateway"),
    (Way::HttpInMeshTls, "declared as TLS"),
    (Way::Origination, "the gateway's leg to another port of the host"),
    (Way::Origination, "resolution NONE"),
];

#[test]
fn what_explain_proposes_mends_it() {
    let mut stage = open!(alone);
    let kubeconfig = stage.kubeconfig();
    let reality = Reality::prepare(&mut stage, Sources::One);
    let cases: Vec<Case> = MISTAKES
        .iter()
        .enumerate()
        .map(|(number, (way, name))| mistake(&reality, number, *way, name))
        .collect();
    reality.apply(&cases);
    let all: Vec<&Case> = cases.iter().collect();
    for (case, observed) in all.iter().zip(reality.send(&all)) {
        assert_ne!(
            served(&reality, &observed[0]),
            "by the gateway",
            "{} is no mistake",
            case.name
        );
    }
    for case in &cases {
        let typed = format!("explain {} -o json", case.asks[0].url("").trim_end_matches('/'));
        let run = reality.stage.egress_in(&case.place.namespace, &typed);
        let document: Value = run.exits(0).json();
        let repair = &document["paths"][0]["repairs"][0];
        let command = repair["command"]
            .as_str()
            .unwrap_or_else(|| panic!("{}: nothing is proposed: {run}", case.name));
        println!("{}: {}: {}", case.name, repair["object"], repair["says"]);
        // Port 80 would do as well, and go out in plain text.
        let of_origination = case.name.ends_with("to another port of the host");
        assert!(
            !of_origination || repair["patch"][0]["value"]["number"] == 443,
            "{command}"
        );
        // As a user would type it.
        let done = std::process::Command::new("sh")
            .args(["-c", command])
            .env("KUBECONFIG", &kubeconfig)
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{command}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
    reality.settle();
    let mut pending = all;
    let mut left = Vec::new();
    for _ in 0..TRIES {
        let observed = reality.send(&pending);
        let both = pending.iter().copied().zip(observed);
        let again: Vec<_> = both
            .filter(|(_, observed)| served(&reality, &observed[0]) != "by the gateway")
            .collect();
        pending = again.iter().map(|(case, _)| *case).collect();
        left = again;
    }
    let left: Vec<String> = left
        .iter()
        .map(|(case, observed)| format!("{}: {:?}", case.name, observed[0]))
        .collect();
    assert!(left.is_empty(), "not mended: {left:#?}");
}

/// The way with a mistake, asked for as the way is meant to be.
fn mistake(reality: &Reality<'_>, number: usize, way: Way, name: &str) -> Case {
    let mut case = way.case(&reality.places.own, number, &reality.places.run);
    let change = CHANGES
        .iter()
        .find(|change| change.name == name)
        .unwrap_or_else(|| panic!("{name}"));
    (change.make)(&mut case);
    let scheme = match way {
        Way::Passthrough | Way::PassthroughInMeshTls => Scheme::Https,
        _ => Scheme::Http,
    };
    case.asks.retain(|ask: &Ask| ask.scheme == scheme);
    case.name = format!("{way:?}: {name}");
    case
}
