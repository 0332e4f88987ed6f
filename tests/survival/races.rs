//! Races, without luck: one client is held back before each of its requests in turn, and what somebody else does meanwhile
//! is done whole; then it goes on. Whatever they come to, both end with success or a clear error, what survives works, and
//! `cleanup` leaves everything as it was.

use crate::case::by_own_clock;
use crate::dump::differences;
use crate::place::Place;
use crate::promises::broken;
use crate::scenarios::{CLEANUP, LOCK, SETUP};
use crate::sweep::{certificates, on_all_processors};
use kubectl_egress::cluster::{Cluster, DeleteOptions};
use kubectl_egress::istio::kinds;
use kubectl_egress::sandbox::{Fault, FaultKind, Gate};
use kubectl_egress::vocabulary::{Kind, ObjectReference};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a client is waited for at the gate, by the cluster's clock: another order of its requests may keep it from
/// coming there.
const AT_THE_GATE: Duration = Duration::from_secs(120);

/// What somebody else does.
#[derive(Debug, Clone, Copy)]
enum Other {
    /// Another run of this program.
    Runs(&'static str),
    /// Somebody with kubectl writes an annotation to the namespace.
    Annotates,
    /// Somebody deletes an object of the namespace, if it is there.
    Deletes(fn() -> Kind, &'static str),
}

struct Race {
    name: &'static str,
    before: &'static [&'static str],
    /// Who is held back.
    first: &'static str,
    other: Other,
    /// What has to succeed afterwards, before all is cleaned up.
    then: &'static [&'static str],
}

const VERIFY: &str = "verify -n demo --timeout 90s";
const OTHER_SETUP: &str = "setup www.wikipedia.org -n other --create-namespace --timeout 90s";
const OTHER_VERIFY: &str = "verify -n other --timeout 90s";
const OTHER_CLEANUP: &str = "cleanup -n other --verify --timeout 90s";

const RACES: &[Race] = &[
    Race {
        name: "two plans are set up",
        before: &[],
        first: SETUP,
        other: Other::Runs(OTHER_SETUP),
        then: &[VERIFY, OTHER_VERIFY],
    },
    Race {
        name: "two plans are cleaned up",
        before: &[SETUP, OTHER_SETUP],
        first: CLEANUP,
        other: Other::Runs(OTHER_CLEANUP),
        then: &[],
    },
    Race {
        name: "one plan is cleaned up, another set up",
        before: &[SETUP],
        first: CLEANUP,
        other: Other::Runs(OTHER_SETUP),
        then: &[OTHER_VERIFY],
    },
    Race {
        name: "one plan is set up, another cleaned up",
        before: &[OTHER_SETUP],
        first: SETUP,
        other: Other::Runs(OTHER_CLEANUP),
        then: &[SETUP, VERIFY],
    },
    Race {
        name: "the same plan is set up twice",
        before: &[],
        first: SETUP,
        other: Other::Runs(SETUP),
        then: &[SETUP, VERIFY],
    },
    Race {
        name: "a plan is set up and cleaned up",
        before: &[],
        first: SETUP,
        other: Other::Runs(CLEANUP),
        then: &[SETUP, VERIFY],
    },
    Race {
        name: "a namespace is locked and its plan cleaned up",
        before: &[SETUP],
        first: LOCK,
        other: Other::Runs(CLEANUP),
        then: &[SETUP, VERIFY],
    },
    Race {
        name: "a namespace is unlocked and locked",
        before: &[SETUP, LOCK],
        first: "unlock -n demo --timeout 90s",
        other: Other::Runs(LOCK),
        then: &[LOCK, "verify -n demo --require enforced --timeout 90s"],
    },
    Race {
        name: "the route is deleted during a set-up",
        before: &[],
        first: SETUP,
        other: Other::Deletes(kinds::virtual_service, "egress-default"),
        then: &[SETUP, VERIFY],
    },
    Race {
        name: "the namespace is annotated during a set-up",
        before: &[],
        first: SETUP,
        other: Other::Annotates,
        then: &[SETUP, VERIFY],
    },
    Race {
        name: "the namespace is annotated during a cleanup",
        before: &[SETUP],
        first: CLEANUP,
        other: Other::Annotates,
        then: &[],
    },
    Race {
        name: "the journal is deleted during a set-up",
        before: &[],
        first: SETUP,
        other: Other::Deletes(kinds::config_map, "kubectl-egress-default"),
        then: &[SETUP, VERIFY],
    },
];

/// What somebody else does, done.
async fn act(place: &Place, other: Other) -> Vec<String> {
    match other {
        Other::Runs(command) => {
            let run = place.run(command).await;
            let wrong = broken(&run, &[0], false);
            told(wrong, &format!("the other's {command}"), &run.stderr)
        }
        Other::Annotates => {
            let annotated = json!({"apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": "demo", "labels": {"team": "a"},
                    "annotations": {"note": "theirs", "written": "meanwhile"}}});
            place.sandbox.put(&annotated).unwrap();
            Vec::new()
        }
        Other::Deletes(kind, name) => {
            let cluster =
                Cluster::over_service(place.sandbox.service(), "default", "sandbox", Arc::new(|_| {}));
            let object = ObjectReference::namespaced(kind(), "demo", name);
            cluster.delete(&object, &DeleteOptions::default()).await.unwrap();
            Vec::new()
        }
    }
}

fn told(wrong: Vec<String>, who: &str, stderr: &str) -> Vec<String> {
    wrong
        .into_iter()
        .map(|wrong| format!("{who}: {wrong}\n{stderr}"))
        .collect()
}

/// Before which request the first client is held back: the nth one of a method, or of all.
type Moment = (Option<&'static str>, usize);

const WRITES: [&str; 4] = ["POST", "PUT", "PATCH", "DELETE"];

/// Before each request that writes, as the first client makes them when nobody disturbs it; and before every single one.
async fn moments(race: &Race, certificates: &Path, all: bool) -> Vec<Moment> {
    let (place, _) = prepared(race, certificates).await;
    let from = place.sandbox.requests().len();
    place.run(race.first).await;
    let requests = place.sandbox.requests().split_off(from);
    if all {
        return (1..=requests.len()).map(|nth| (None, nth)).collect();
    }
    let of = |method: &'static str| {
        let count = requests.iter().filter(|request| request.method == method).count();
        (1..=count).map(move |nth| (Some(method), nth))
    };
    WRITES.into_iter().flat_map(of).collect()
}

async fn prepared(race: &Race, certificates: &Path) -> (Place, BTreeMap<String, Value>) {
    let place = Place::new(false, certificates);
    let untouched = place.dump();
    for command in race.before {
        let run = place.run(command).await;
        assert_eq!(run.code, Some(0), "{}: {command}: {run:#?}", race.name);
    }
    (place, untouched)
}

/// Everything that is wrong when the other acts before the nth request.
async fn wrong(race: &Race, (method, nth): Moment, certificates: &Path) -> Vec<String> {
    let (place, untouched) = prepared(race, certificates).await;
    let gate = Gate::default();
    let held = Fault::new("", FaultKind::Held(gate.clone())).nth(u32::try_from(nth).unwrap());
    place.sandbox.inject(match method {
        Some(method) => held.method(method),
        None => held,
    });
    let (first, mut wrong) = tokio::join!(place.run(race.first), async {
        let _ = tokio::time::timeout(AT_THE_GATE, gate.arrived()).await;
        let wrong = act(&place, race.other).await;
        gate.open();
        wrong
    });
    place.sandbox.mend();
    wrong.extend(told(broken(&first, &[0], true), race.first, &first.stderr));
    let cleanups = [CLEANUP, OTHER_CLEANUP];
    for command in race.then.iter().chain(&cleanups) {
        let run = place.run(command).await;
        if run.code != Some(0) {
            wrong.push(format!("afterwards {command}: {run:#?}\nthe first: {first:#?}"));
        }
    }
    let mut after = place.dump();
    if matches!(race.other, Other::Annotates) {
        let annotations = &mut after.get_mut("Namespace demo").unwrap()["metadata"]["annotations"];
        let written = annotations.as_object_mut().unwrap().remove("written");
        assert_eq!(written, Some(json!("meanwhile")), "what somebody wrote stays");
    }
    let left = differences(&untouched, &after);
    if !left.is_empty() {
        wrong.extend(left);
        wrong.push(format!("the first: {first:#?}"));
    }
    wrong
}

#[test]
fn whatever_somebody_else_does_between_two_requests_both_end_well() {
    let folder = certificates();
    let only = std::env::var("SURVIVAL_ONLY").unwrap_or_default();
    let races: Vec<&Race> = RACES.iter().filter(|race| race.name.contains(&only)).collect();
    // Every second write by default; SURVIVAL=all stops before every request.
    let every_one = std::env::var("SURVIVAL").is_ok_and(|wanted| wanted == "all");
    let found = on_all_processors(&races, |race| {
        by_own_clock(moments(race, folder.path(), every_one))
    });
    let all: Vec<(&Race, Moment)> = races
        .iter()
        .zip(found)
        .flat_map(|(race, moments)| moments.into_iter().map(move |moment| (*race, moment)))
        .collect();
    let chosen: Vec<(&Race, Moment)> = all
        .iter()
        .copied()
        .step_by(if every_one { 1 } else { 2 })
        .collect();
    eprintln!(
        "{} races, {} moments, of which {} are tried",
        races.len(),
        all.len(),
        chosen.len()
    );
    let failures = on_all_processors(&chosen, |(race, moment)| {
        let wrong = by_own_clock(wrong(race, *moment, folder.path()));
        let (method, nth) = (moment.0.unwrap_or("request"), moment.1);
        let text = format!("{}, before {method} {nth}:\n  {}", race.name, wrong.join("\n  "));
        if !wrong.is_empty() {
            eprintln!("FAILED {text}");
        }
        (!wrong.is_empty()).then_some(text)
    });
    let failures = failures.into_iter().flatten().count();
    assert_eq!(failures, 0, "of {} cases", chosen.len());
}
