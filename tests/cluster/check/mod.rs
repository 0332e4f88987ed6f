//! `check`: every code beside a fault that is real, and a repaired twin that has no finding.

mod cases;
mod elsewhere;
mod pure;

use crate::support::manifests::{CURL, workload};
use crate::support::{Run, Stage, open};
use cases::Case;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Longest that a change takes to get to the proxies, on a machine that is busy.
const SETTLES: Duration = Duration::from_secs(40);

/// What the outside world sees of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    /// It is answered, and came through the gateway.
    Gateway,
    /// It is not answered.
    Nothing,
    /// It is answered, and came from the pod itself.
    Direct,
}

/// A namespace with a client whose requests are looked at from outside.
struct Place<'a> {
    stage: &'a Stage,
    namespace: String,
    gateway: BTreeSet<IpAddr>,
}

impl<'a> Place<'a> {
    /// With a client that has a sidecar.
    fn make(stage: &'a Stage, namespace: &str, gateway: BTreeSet<IpAddr>) -> Self {
        stage.make_namespace(namespace, "istio-injection=enabled");
        stage.kubectl.apply(&workload(namespace, "client", CURL, true));
        stage.rolled_out(namespace, "client");
        Self {
            stage,
            namespace: namespace.to_owned(),
            gateway,
        }
    }

    /// One request of the client.
    fn request(&self, url: &str) -> Seen {
        let path = format!("/{}", uniquely());
        let mark = self.stage.mark();
        let typed = format!(
            "exec -n {} deploy/client -c main -- curl -sk -o /dev/null -m 4 -w %{{http_code}} {url}{path}",
            self.namespace
        );
        let answered = self
            .stage
            .kubectl
            .attempt(&typed)
            .is_ok_and(|status| status == "200");
        if !answered {
            return Seen::Nothing;
        }
        let events = self.stage.world.since(mark).unwrap();
        let mut of_request = events.iter().filter(|event| event.path.as_deref() == Some(&path));
        let peer = of_request
            .next()
            .unwrap_or_else(|| panic!("{url} was answered by nobody"))
            .peer_ip();
        if self.gateway.contains(&peer) {
            Seen::Gateway
        } else {
            Seen::Direct
        }
    }

    /// Requests until it is as expected, while a change is on its way to the proxies.
    #[track_caller]
    fn is(&self, url: &str, expected: Seen) {
        let until = Instant::now() + SETTLES;
        let mut seen = self.request(url);
        while seen != expected && Instant::now() < until {
            seen = self.request(url);
        }
        assert_eq!(seen, expected, "{url} in {}", self.namespace);
    }

    fn check(&self) -> Run {
        self.stage.egress_in(&self.namespace, "check -o json")
    }
}

fn uniquely() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!(
        "check-{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

impl Case {
    fn host(&self) -> String {
        if self.host.is_empty() {
            format!("{}.wild.test", self.name)
        } else {
            self.host.to_owned()
        }
    }

    fn filled(&self, text: &str, namespace: &str) -> String {
        text.replace("NAME", self.name)
            .replace("HOST", &self.host())
            .replace("PLACE", namespace)
    }

    fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.host())
    }
}

/// Findings with this code about objects of this name, or whose words name it.
fn about<'d>(document: &'d Value, code: &str, name: &str) -> Vec<&'d Value> {
    let findings = document["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| finding["code"] == code)
        .filter(|finding| finding.to_string().contains(name))
        .collect()
}

fn errors(document: &Value) -> Vec<&Value> {
    let findings = document["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| finding["severity"] == "error")
        .collect()
}

#[test]
fn every_fault_is_real_and_found_and_its_twin_is_neither() {
    let stage = open!(alone);
    let authority = stage.world.authority();
    stage.kubectl.with(&[
        "create",
        "secret",
        "generic",
        "check-authority",
        "-n",
        "istio-system",
        &format!("--from-file=ca.crt={}", authority.display()),
    ]);
    let secret = Removed(&stage, "secret check-authority -n istio-system");
    let namespace = stage.namespace.clone();
    let place = Place::make(&stage, &namespace, stage.gateway_addresses());
    let mut cases = cases::all();
    let faults: String = cases
        .iter()
        .map(|case| case.filled(&case.fault, &namespace))
        .collect();
    stage.kubectl.apply(&faults);
    // What is direct with the fault was direct before, too: it is asked for when the others have settled.
    cases.sort_by_key(|case| case.faulty == Seen::Direct);
    for case in &cases {
        place.is(&case.url(), case.faulty);
    }
    let run = place.check();
    let document = run.exits(1).json();
    for case in &cases {
        let found = about(&document, case.code, case.name);
        assert!(
            !found.is_empty()
                || case.code == "EGR-420" && !about(&document, case.code, "check-nothing").is_empty(),
            "no {} for {}: {run}",
            case.code,
            case.name
        );
    }
    stage.kubectl.feed("delete --wait=true -f -", &faults).unwrap();
    let repaired: String = cases
        .iter()
        .map(|case| case.filled(&case.repaired, &namespace))
        .collect();
    stage.kubectl.apply(&repaired);
    cases.sort_by_key(|case| case.good == Seen::Direct);
    for case in &cases {
        place.is(&case.url(), case.good);
    }
    let run = place.check();
    let document = run.json();
    assert!(errors(&document).is_empty(), "{run}");
    for case in &cases {
        assert!(
            about(&document, case.code, case.name).is_empty(),
            "{} for {}: {run}",
            case.code,
            case.name
        );
    }
    run.exits(0);
    drop(secret);
}

/// An object that goes when the test ends.
struct Removed<'a>(&'a Stage, &'static str);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        let _ = self
            .0
            .kubectl
            .attempt(&format!("delete {} --ignore-not-found", self.1));
    }
}

#[test]
fn what_setup_makes_has_no_error_and_nothing_at_all_once_it_is_locked() {
    let stage = open!(alone).with_namespace("istio-injection=enabled");
    stage.egress(&format!("setup {} --no-probe", stage.host)).exits(0);
    let run = stage.egress("check -o json");
    let document = run.exits(0).json();
    // Nothing holds the pods yet, and they stand beside the gateway on the lab's one node.
    for code in ["EGR-335", "EGR-336"] {
        assert!(
            !about(&document, code, &stage.namespace).is_empty(),
            "no {code}: {run}"
        );
    }
    assert!(
        !stage.peers_after_bypass().is_empty(),
        "nothing enforces, so another host is reached"
    );
    stage.egress("lockdown --yes").exits(0);
    let run = stage.changes_nothing("check -o json");
    assert_eq!(run.exits(0).json()["findings"], serde_json::json!([]), "{run}");
    let run = stage.egress("check");
    assert!(run.exits(0).stdout.contains("no findings"), "{run}");
    stage.egress("unlock --yes").exits(0);
}

impl Stage {
    /// Who asked for a host that no plan has, from our source.
    fn peers_after_bypass(&self) -> BTreeSet<IpAddr> {
        let mark = self.mark();
        let typed = format!(
            "exec -n {} deploy/curl -- curl -s -m 5 -o /dev/null http://edition.cnn.com/",
            self.namespace
        );
        let _ = self.kubectl.attempt(&typed);
        self.peers_of(mark, "edition.cnn.com", 80)
    }
}
