//! All cases, or every so-manyth of them, on all processors.

use crate::case::{self, Usual, by_own_clock};
use crate::faults::{self, Failing};
use crate::scenarios::{self, Scenario};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many cases are tried when nobody says how many.
const SAMPLE: usize = 200;

/// Stack of a thread: the future of a whole command is large where nothing is optimised.
const STACK: usize = 64 * 1024 * 1024;

/// One case by its numbers.
#[derive(Debug, Clone, Copy)]
struct Numbered {
    scenario: usize,
    failing: usize,
    nth: usize,
}

/// Does work for every item on all processors; the results in the order of the items.
pub(crate) fn on_all_processors<Item: Sync, Done: Send>(
    items: &[Item],
    work: impl Fn(&Item) -> Done + Sync,
) -> Vec<Done> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..processors {
            let worker = std::thread::Builder::new().stack_size(STACK);
            let work = || {
                while let Some((index, item)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    items.get(index).map(|item| (index, item))
                } {
                    let result = work(item);
                    done.lock().unwrap().insert(index, result);
                }
            };
            worker.spawn_scoped(scope, work).unwrap();
        }
    });
    done.into_inner().unwrap().into_values().collect()
}

/// A client's and a server's certificates, as `certs` makes them.
pub(crate) fn certificates() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_kubectl-egress"))
        .args(["certs", "mtls.test", "--out"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    folder
}

/// Does work on a thread with enough stack.
pub(crate) fn with_room<Done: Send>(work: impl FnOnce() -> Done + Send) -> Done {
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new().stack_size(STACK);
        worker.spawn_scoped(scope, work).unwrap().join().unwrap()
    })
}

fn numbered(usual: &[Usual], faults: &[Failing]) -> Vec<Numbered> {
    let mut all = Vec::new();
    for (scenario, usual) in usual.iter().enumerate() {
        for (nth, request) in usual.requests.iter().enumerate() {
            for (failing, fault) in faults.iter().enumerate() {
                if case::concerns(fault, request) {
                    let nth = nth + 1;
                    all.push(Numbered {
                        scenario,
                        failing,
                        nth,
                    });
                }
            }
        }
    }
    all
}

/// The sample: spread evenly, so that every command, request and fault has its turn as the number of cases allows; and how
/// many such samples, by their seeds, are all.
fn sampled(all: Vec<Numbered>) -> (Vec<Numbered>, usize) {
    let wanted = std::env::var("SURVIVAL").unwrap_or_default();
    let size = match wanted.as_str() {
        "all" => all.len(),
        number => number.parse().unwrap_or(SAMPLE),
    };
    if all.len() <= size {
        return (all, 1);
    }
    // Odd, so that it does not beat with the number of faults.
    let step = (all.len() / size.max(1)) | 1;
    let seed = std::env::var("SURVIVAL_SEED").ok();
    let seed: usize = seed.and_then(|number| number.parse().ok()).unwrap_or(0);
    // A prime apart, as the cases next to each other are one request's.
    let begin = seed * 97 % step;
    (all.into_iter().skip(begin).step_by(step).collect(), step)
}

/// Those whose names contain the text of an environment variable; all of them without it.
fn chosen<Item>(all: Vec<Item>, variable: &str, name: impl Fn(&Item) -> &'static str) -> Vec<Item> {
    let only = std::env::var(variable).unwrap_or_default();
    all.into_iter()
        .filter(|item| name(item).contains(&only))
        .collect()
}

fn tried(
    scenario: &Scenario,
    usual: &Usual,
    failing: &Failing,
    nth: usize,
    certificates: &Path,
) -> Vec<String> {
    let case = || by_own_clock(case::wrong(scenario, usual, failing, nth, certificates));
    catch_unwind(AssertUnwindSafe(case)).unwrap_or_else(|_| vec!["the case itself panicked".to_owned()])
}

/// What was not survived once: scenario, part of the request's path, which of those requests (from 1), and how it failed.
const KEPT: [(&str, &str, usize, &str); 15] = [
    // A module that is said not to be there leaves the gateway to us, until the next run finds it.
    ("setup, Kyma", "/istios?limit=500", 1, "404, no such path"),
    // A watch that is refused is no proof that the lock keeps a sidecar from its start; nor is a request without answer.
    (
        "lockdown, changed",
        "fieldSelector=metadata.name%3Dkubectl-egress-meshed-",
        1,
        "409 AlreadyExists",
    ),
    (
        "lockdown, changed",
        "pods/kubectl-egress-meshed-",
        1,
        "hang in the body",
    ),
    // A list that fails is no list that is forbidden: the lock was derived without the cluster's DNS.
    ("lockdown", "/api/v1/services?limit=500", 1, "422"),
    ("lockdown", "/api/v1/services?limit=500", 1, "garbage, 502"),
    // A port-forward that breaks is no server that refuses the client's certificate.
    ("deploy-target", "portforward?ports=8443", 1, "cut in the body"),
    ("deploy-target", "portforward?ports=8443", 2, "not UTF-8"),
    ("deploy-target", "portforward?ports=8443", 2, "trickle"),
    // "No such path" is no answer of an API server about a Deployment: it was left behind.
    (
        "cleanup, two clusters (target's)",
        "deployments/httpbin",
        1,
        "404, no such path",
    ),
    // What was said not to be there, and left the journal, is found by `cleanup --verify` by its labels.
    (
        "route, another mode",
        "serviceentries/egress-default-443",
        1,
        "404, no such object",
    ),
    // What an answer denied kept the namespace, which was made for it and goes with it.
    (
        "cleanup, two clusters (target's)",
        "virtualservices/httpbin",
        1,
        "404, no such object",
    ),
    // A log that hangs kept the archive for ever.
    (
        "report --bundle",
        "container=discovery&tailLines",
        1,
        "hang in the body",
    ),
    // What is seen after the switch has acted says nothing about the lock, nor does an answer that came too late.
    ("lockdown", "/configmaps/istio", 5, "trickle"),
    ("lockdown", "labelSelector=app%3Dcurl", 2, "trickle"),
    ("lockdown", "labelSelector=app%3Dcurl", 3, "hang in the body"),
];

#[test]
fn what_was_not_survived_once_is_survived() {
    let folder = certificates();
    let (scenarios, faults) = (scenarios::all(), faults::all());
    let wrong = on_all_processors(&KEPT, |(name, path, which, fault)| {
        let scenario = scenarios.iter().find(|scenario| scenario.name == *name).unwrap();
        let failing = faults.iter().find(|failing| failing.name == *fault).unwrap();
        let usual = by_own_clock(case::usual(scenario, folder.path()));
        let requests = usual.requests.iter().enumerate();
        let mut like_it = requests.filter(|(_, request)| request.path.contains(path));
        let (before, request) = like_it.nth(which - 1).unwrap();
        eprintln!(
            "{name}, request {} ({} {}): {fault}",
            before + 1,
            request.method,
            request.path
        );
        tried(scenario, &usual, failing, before + 1, folder.path())
    });
    assert_eq!(wrong.concat(), Vec::<String>::new());
}

#[test]
fn every_request_of_every_command_fails_in_every_way() {
    if std::env::var_os("SURVIVAL").is_none() {
        // Minutes: a part of its own in .ci/run.
        println!("skipped: SURVIVAL=1000 or SURVIVAL=all tries it");
        return;
    }
    case::note_panics();
    let folder = certificates();
    let scenarios = chosen(scenarios::all(), "SURVIVAL_ONLY", |scenario| scenario.name);
    let faults = chosen(faults::all(), "SURVIVAL_FAULT", |failing| failing.name);
    let usual = on_all_processors(&scenarios, |scenario| {
        by_own_clock(case::usual(scenario, folder.path()))
    });
    let all = numbered(&usual, &faults);
    let count = all.len();
    let (sample, samples) = sampled(all);
    let requests: usize = usual.iter().map(|usual| usual.requests.len()).sum();
    eprintln!(
        "{} commands, {requests} requests, {} faults: {count} cases, of which {} are tried (a sample of {samples})",
        scenarios.len(),
        faults.len(),
        sample.len()
    );
    let failures = on_all_processors(&sample, |numbered| {
        let (scenario, failing) = (&scenarios[numbered.scenario], &faults[numbered.failing]);
        let usual = &usual[numbered.scenario];
        let wrong = tried(scenario, usual, failing, numbered.nth, folder.path());
        if wrong.is_empty() {
            return None;
        }
        let request = &usual.requests[numbered.nth - 1];
        let place = format!(
            "{}, request {} ({} {})",
            scenario.name, numbered.nth, request.method, request.path
        );
        let text = format!("{place}: {}:\n  {}", failing.name, wrong.join("\n  "));
        eprintln!("FAILED {text}");
        Some(text)
    });
    let failures: Vec<String> = failures.into_iter().flatten().collect();
    for (scenario, usual) in scenarios.iter().zip(&usual) {
        let (requests, codes) = (usual.requests.len(), usual.codes);
        eprintln!("  {requests:4} requests, exit codes {codes:?}: {}", scenario.name);
    }
    assert!(
        failures.is_empty(),
        "{} of {} cases failed",
        failures.len(),
        sample.len()
    );
}
