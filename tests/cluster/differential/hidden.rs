//! Namespaces that istiod does not look at (`discoverySelectors` of the mesh configuration).

use super::agreement::{Agreement, served};
use super::case::Case;
use super::reality::{Reality, Sources};
use super::ways::Way;
use crate::support::kubectl::Kubectl;
use crate::support::{HIDDEN, HIDING, open};
use serde_json::json;
use std::time::{Duration, Instant};

const SETTLES: Duration = Duration::from_secs(60);

/// The mesh configuration hides labelled namespaces, until this goes.
struct Hiding {
    kubectl: Kubectl,
    before: String,
}

impl Hiding {
    fn start(kubectl: &Kubectl) -> Self {
        let before = kubectl.run("get configmap istio -n istio-system -o jsonpath={.data.mesh}");
        let hiding = Self {
            kubectl: kubectl.clone(),
            before,
        };
        hiding.say(&(hiding.before.clone() + HIDING));
        hiding
    }

    fn say(&self, mesh: &str) {
        let patch = json!({"data": {"mesh": mesh}}).to_string();
        let typed = "patch configmap istio -n istio-system --type merge --patch-file /dev/stdin";
        self.kubectl.feed(typed, &patch).unwrap();
    }
}

impl Drop for Hiding {
    fn drop(&mut self) {
        self.say(&self.before);
    }
}

/// Sends a case's first request until it ends so.
fn until(reality: &Reality<'_>, case: &Case, expected: &str) {
    let deadline = Instant::now() + SETTLES;
    loop {
        let observed = reality.send(&[case]);
        let seen = served(reality, &observed[0][0]);
        if seen == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{}: {seen}, not {expected}", case.name);
    }
}

#[test]
fn what_istiod_does_not_look_at_agrees() {
    let mut stage = open!(alone);
    let kubectl = stage.kubectl.clone();
    let hiding = Hiding::start(&kubectl);
    let reality = Reality::prepare(&mut stage, Sources::One);
    let own = reality.places.own.clone();
    let mut cases: Vec<Case> = [Way::Passthrough, Way::Http, Way::Origination, Way::Direct]
        .into_iter()
        .enumerate()
        .map(|(number, way)| way.case(&own, number, &reality.places.run))
        .collect();
    // Its ServiceEntry is elsewhere, for all.
    let mut apart = Way::Passthrough.case(&own, cases.len(), &reality.places.run);
    apart.object("ServiceEntry").unwrap()["metadata"]["namespace"] = json!(own.elsewhere);
    apart.name = "a ServiceEntry elsewhere".to_owned();
    cases.push(apart);
    let (routed, apart) = (&cases[0], cases.last().unwrap());
    let agrees = |agreement: &Agreement, of: &str| {
        println!("{of}: {agreement}");
        assert!(agreement.is_whole(), "{of}: {}", agreement.disagreements());
    };
    agrees(&Agreement::of(&reality, &cases), "nothing hidden");
    until(&reality, apart, "by the gateway");

    let hide = |namespace: &str| kubectl.run(&format!("label namespace {namespace} {HIDDEN}=true"));
    hide(&own.elsewhere);
    until(&reality, apart, "directly");
    agrees(&Agreement::as_it_is(&reality, &cases), "a ServiceEntry hidden");

    hide(&own.gateway_namespace);
    until(&reality, routed, "not");
    agrees(&Agreement::as_it_is(&reality, &cases), "the gateway hidden");

    // The same labels mean nothing to a mesh that looks at all namespaces.
    drop(hiding);
    until(&reality, routed, "by the gateway");
    until(&reality, apart, "by the gateway");
    agrees(&Agreement::as_it_is(&reality, &cases), "nothing hidden any more");
}
