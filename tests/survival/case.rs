//! One case: one request of one command fails in one way.

use crate::dump::differences;
use crate::faults::{Failing, Strikes};
use crate::place::{Place, Run};
use crate::promises::broken;
use crate::scenarios::Scenario;
use kubectl_egress::sandbox::{Fault, RecordedRequest, Sandbox};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// After this, a dead-man's switch has acted.
const DEADLINE: Duration = Duration::from_secs(600);

/// A run that could not give its lease back is taken for dead after this. (One whose process is gone at once is: here
/// all runs are in one process.)
const LEASE: Duration = Duration::from_secs(20);

thread_local! {
    /// What panicked in this thread. A case has a thread to itself.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Notes panics, also those of tasks that nobody waits for.
pub(crate) fn note_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.with_borrow_mut(|all| all.push(panic.to_string()));
        usual(panic);
    }));
}

/// How a scenario goes when nothing fails.
#[derive(Debug)]
pub(crate) struct Usual {
    /// The command's requests.
    pub(crate) requests: Vec<RecordedRequest>,
    /// Exit codes of the command, and of the same once more.
    pub(crate) codes: [u8; 2],
    /// The lock of the namespace afterwards.
    lock: Option<Value>,
}

/// Runs asynchronous work by a clock of its own.
pub(crate) fn by_own_clock<Work: Future>(work: Work) -> Work::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(work)
}

async fn prepared(scenario: &Scenario, certificates: &Path) -> (Place, BTreeMap<String, Value>) {
    let place = Place::new(scenario.kyma, certificates);
    let before = place.dump();
    for command in scenario.before {
        let run = place.run(command).await;
        assert_eq!(run.code, Some(0), "{}: {command}: {run:#?}", scenario.name);
    }
    (place, before)
}

fn struck<'place>(scenario: &Scenario, place: &'place Place) -> &'place Sandbox {
    if scenario.at_target {
        &place.target
    } else {
        &place.sandbox
    }
}

/// The lock of the namespace, which selects all of its pods.
fn lock_of(place: &Place) -> Option<Value> {
    let objects = place.dump();
    let mut policies = objects
        .into_iter()
        .filter(|(name, _)| name.starts_with("NetworkPolicy demo/kubectl-egress-lock"));
    let lock = policies.find(|(_, policy)| policy["spec"]["podSelector"] == json!({}));
    lock.map(|(_, policy)| policy["spec"].clone())
}

/// The scenario without a failure.
pub(crate) async fn usual(scenario: &Scenario, certificates: &Path) -> Usual {
    let (place, before) = prepared(scenario, certificates).await;
    let sandbox = struck(scenario, &place);
    let from = sandbox.requests().len();
    let first = place.run(scenario.command).await;
    let requests = sandbox.requests().split_off(from);
    let lock = lock_of(&place);
    let second = place.run(scenario.command).await;
    let wrong = cleaned(scenario, &place, &before).await;
    assert_eq!(wrong, Vec::<String>::new(), "{}: {first:#?}", scenario.name);
    Usual {
        requests,
        codes: [first.code.unwrap(), second.code.unwrap()],
        lock,
    }
}

/// Cleans up; what is left, or was lost.
async fn cleaned(scenario: &Scenario, place: &Place, before: &BTreeMap<String, Value>) -> Vec<String> {
    let mut wrong = Vec::new();
    for command in scenario.cleanup {
        let run = place.run(command).await;
        if run.code != Some(0) {
            wrong.push(format!("cleaning up: {command}: {run:#?}"));
        }
    }
    wrong.extend(differences(before, &place.dump()));
    wrong
}

/// Whether this fault is for this request.
pub(crate) fn concerns(failing: &Failing, request: &RecordedRequest) -> bool {
    match failing.strikes {
        // Whom the server tells that what it was to delete is not there, when it is, can only believe it.
        Strikes::All if failing.denies => request.method != "DELETE",
        Strikes::All => true,
        Strikes::Writes => request.method != "GET",
        Strikes::Streams => matches!(request.stream, Some("EXEC" | "LOG")),
    }
}

/// Everything that is wrong with a case.
pub(crate) async fn wrong(
    scenario: &Scenario,
    usual: &Usual,
    failing: &Failing,
    nth: usize,
    certificates: &Path,
) -> Vec<String> {
    PANICS.with_borrow_mut(Vec::clear);
    let (place, before) = prepared(scenario, certificates).await;
    let sandbox = struck(scenario, &place);
    sandbox.inject(Fault::new("", failing.kind.clone()).nth(u32::try_from(nth).unwrap()));
    let first = place.run(scenario.command).await;
    let mut wrong = broken(&first, &usual.codes[..1], failing.denies);
    if failing.passes && first.code != Some(usual.codes[0]) {
        wrong.push(format!(
            "exit code {:?}, where trying again is enough",
            first.code
        ));
    }
    sandbox.mend();
    wrong.extend(unproven_lock(scenario, &place, &first, nth));
    tokio::time::sleep(LEASE).await;
    let again = place.run(scenario.command).await;
    if again.code.is_some_and(|code| usual.codes.contains(&code)) {
        // What nobody confirmed is taken back by then.
        place.sandbox.pass_time(DEADLINE);
        if lock_of(&place) != usual.lock {
            wrong.push(format!("again: the lock is {:?}: {again:#?}", lock_of(&place)));
        }
    } else {
        let (code, codes) = (again.code, usual.codes);
        wrong.push(format!(
            "again: exit code {code:?}, usually {codes:?}: {again:#?}"
        ));
    }
    wrong.extend(cleaned(scenario, &place, &before).await);
    wrong.extend(PANICS.with_borrow_mut(std::mem::take));
    if !wrong.is_empty() {
        wrong.push(format!(
            "the first run: exit {:?} after {:?}\n{}",
            first.code, first.took, first.stderr
        ));
    }
    wrong
}

/// A lock that was not proven does not outlive its deadline. Looked at in half of the cases: the others go on before.
fn unproven_lock(scenario: &Scenario, place: &Place, first: &Run, nth: usize) -> Option<String> {
    let begins_unlocked = scenario.command.starts_with("lockdown") && scenario.before.len() == 1;
    // One that was proven, and whose switch ended before the API server was gone, stays: so it is said.
    let is_told = first.stderr.contains("so the lock may stay");
    if !begins_unlocked || nth.is_multiple_of(2) || first.code == Some(0) || is_told {
        return None;
    }
    place.sandbox.pass_time(DEADLINE);
    lock_of(place)
        .is_some()
        .then(|| "a lock that nothing proved outlives its deadline".to_owned())
}
