//! Somebody who never rests: while a command runs, a controller takes back what it makes (a GitOps tool that prunes, a policy
//! engine that resets), or scales the gateway, or the namespace is on its way out. The command ends in time and claims
//! nothing that is not so; once the controller is gone the same command succeeds, and `cleanup` leaves everything as it was.

use crate::case::by_own_clock;
use crate::dump::differences;
use crate::place::{Place, foreign};
use crate::promises::broken;
use crate::scenarios::{CLEANUP, LOCK, SETUP};
use crate::sweep::{certificates, on_all_processors};
use kubectl_egress::cluster::{Cluster, DeleteOptions};
use kubectl_egress::istio::kinds;
use kubectl_egress::vocabulary::{Kind, ObjectReference, names};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often it looks, by the cluster's clock: a whole set-up takes three times as long.
const PERIOD: Duration = Duration::from_millis(20);

/// How often, once the command only waits.
const LATER: Duration = Duration::from_millis(500);

const SETUP_BY_FORCE: &str = "setup kyma-project.io -n demo --force-conflicts --timeout 90s";
const VERIFY: &str = "verify -n demo --timeout 90s";
const VERIFY_LOCKED: &str = "verify -n demo --require enforced --timeout 90s";

/// What it does whenever it looks.
#[derive(Debug, Clone, Copy)]
enum Controller {
    /// Deletes what is there with such a name in the namespace.
    Prunes(fn() -> Kind, &'static str),
    /// Takes the label for injection away from the namespace.
    TakesLabel,
    /// Takes the route's hosts to somewhere else.
    Rewrites,
    /// Scales the egress gateway: these numbers of pods in turn, and at last as it was.
    Scales(&'static [u32]),
    /// Deletes the namespace, once; its end is held up by somebody's finalizer until the command has ended.
    DeletesNamespace,
}

struct Case {
    name: &'static str,
    before: &'static [&'static str],
    command: &'static str,
    controller: Controller,
    /// Whether success would be a lie.
    prevents: bool,
    /// What has to succeed afterwards, when nobody disturbs any more; `cleanup` follows.
    then: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "the route is pruned during a set-up",
        before: &[],
        command: SETUP,
        controller: Controller::Prunes(kinds::virtual_service, "egress-"),
        prevents: true,
        then: &[SETUP, VERIFY],
    },
    Case {
        name: "the gateway's servers are pruned during a set-up",
        before: &[],
        command: SETUP,
        controller: Controller::Prunes(kinds::gateway, "egress-"),
        prevents: true,
        then: &[SETUP, VERIFY],
    },
    Case {
        name: "the route is rewritten during a set-up",
        before: &[],
        command: SETUP,
        controller: Controller::Rewrites,
        prevents: true,
        // Whose the field is now, is said; taking it back needs a word.
        then: &[SETUP_BY_FORCE, VERIFY],
    },
    Case {
        name: "the label for injection is taken away during a set-up",
        before: &[],
        command: SETUP,
        controller: Controller::TakesLabel,
        prevents: false,
        then: &[SETUP, VERIFY],
    },
    Case {
        name: "the source is pruned during a set-up",
        before: &[],
        command: SETUP,
        controller: Controller::Prunes(kinds::deployment, ""),
        prevents: true,
        then: &[SETUP, VERIFY],
    },
    Case {
        name: "the journal is pruned during a set-up",
        before: &[],
        command: SETUP,
        controller: Controller::Prunes(kinds::config_map, "kubectl-egress-"),
        prevents: false,
        then: &[SETUP, VERIFY],
    },
    Case {
        name: "the route is pruned during a verification",
        before: &[SETUP],
        command: VERIFY,
        controller: Controller::Prunes(kinds::virtual_service, "egress-"),
        prevents: true,
        then: &[SETUP, VERIFY],
    },
    Case {
        name: "the lock is pruned during a lockdown",
        before: &[SETUP],
        command: LOCK,
        controller: Controller::Prunes(kinds::network_policy, names::LOCK_PREFIX),
        prevents: true,
        then: &[LOCK, VERIFY_LOCKED],
    },
    Case {
        name: "the dead-man's switch is pruned during a lockdown",
        before: &[SETUP],
        command: LOCK,
        controller: Controller::Prunes(kinds::job, ""),
        prevents: true,
        then: &[LOCK, VERIFY_LOCKED],
    },
    Case {
        name: "the route is pruned during a lockdown",
        before: &[SETUP],
        command: LOCK,
        controller: Controller::Prunes(kinds::virtual_service, "egress-"),
        prevents: true,
        then: &[SETUP, LOCK, VERIFY_LOCKED],
    },
    Case {
        name: "the lock is pruned during a verification",
        before: &[SETUP, LOCK],
        command: VERIFY_LOCKED,
        controller: Controller::Prunes(kinds::network_policy, names::LOCK_PREFIX),
        prevents: true,
        then: &[LOCK, VERIFY_LOCKED],
    },
    Case {
        name: "the gateway is scaled during a set-up",
        before: &[],
        command: SETUP,
        controller: Controller::Scales(&[3, 1, 2]),
        prevents: false,
        then: &[SETUP, VERIFY],
    },
    Case {
        name: "the gateway is scaled during a verification",
        before: &[SETUP],
        command: VERIFY,
        controller: Controller::Scales(&[2, 3, 4, 2]),
        prevents: false,
        then: &[VERIFY],
    },
    Case {
        name: "the gateway is scaled to nothing during a verification",
        before: &[SETUP],
        command: VERIFY,
        controller: Controller::Scales(&[0]),
        prevents: true,
        then: &[VERIFY],
    },
    Case {
        name: "the gateway is scaled during a lockdown",
        before: &[SETUP],
        command: LOCK,
        controller: Controller::Scales(&[2, 3, 1]),
        prevents: false,
        then: &[LOCK, VERIFY_LOCKED],
    },
    Case {
        name: "the namespace goes during a set-up",
        before: &[],
        command: SETUP,
        controller: Controller::DeletesNamespace,
        prevents: true,
        then: &[SETUP, VERIFY],
    },
    Case {
        name: "the namespace goes during a lockdown",
        before: &[SETUP],
        command: LOCK,
        controller: Controller::DeletesNamespace,
        prevents: true,
        then: &[SETUP, LOCK, VERIFY_LOCKED],
    },
];

fn gateway() -> ObjectReference {
    ObjectReference::namespaced(kinds::deployment(), "istio-system", "istio-egressgateway")
}

fn demo() -> ObjectReference {
    ObjectReference::cluster(kinds::namespace(), "demo")
}

/// Somebody else's way to the API server.
fn somebody(place: &Place) -> Cluster {
    Cluster::over_service(place.sandbox.service(), "default", "sandbox", Arc::new(|_| {}))
}

async fn scale(cluster: &Cluster, replicas: u32) {
    let fields = json!({"spec": {"replicas": replicas}});
    cluster
        .merge_patch(&gateway(), &fields, "autoscaler", false)
        .await
        .unwrap();
}

impl Controller {
    /// What it does at its `turn`.
    async fn act(self, cluster: &Cluster, turn: usize) {
        match self {
            Self::Prunes(kind, prefix) => {
                let listed = cluster.list(&kind(), Some("demo"), None).await.unwrap();
                for object in listed.iter().filter(|object| object.name().starts_with(prefix)) {
                    let doomed = ObjectReference::namespaced(kind(), "demo", object.name());
                    // Who deletes it first does not matter.
                    let _ = cluster.delete(&doomed, &DeleteOptions::default()).await;
                }
            }
            Self::TakesLabel => {
                let fields = json!({"metadata": {"labels": {"istio-injection": null}}});
                cluster
                    .merge_patch(&demo(), &fields, "policy", false)
                    .await
                    .unwrap();
            }
            Self::Rewrites => {
                let route = ObjectReference::namespaced(kinds::virtual_service(), "demo", "egress-default");
                let fields = json!({"spec": {"hosts": ["elsewhere.test"]}});
                // There is none yet at first.
                let _ = cluster.merge_patch(&route, &fields, "gitops", false).await;
            }
            // An autoscaler is slower than it looks.
            Self::Scales(numbers) if turn.is_multiple_of(10) => {
                scale(cluster, numbers[turn / 10 % numbers.len()]).await;
            }
            Self::DeletesNamespace if turn == 1 => {
                let held = json!({"metadata": {"finalizers": ["theirs.test/hold"]}});
                cluster
                    .merge_patch(&demo(), &held, "theirs", false)
                    .await
                    .unwrap();
                cluster.delete(&demo(), &DeleteOptions::default()).await.unwrap();
            }
            Self::Scales(_) | Self::DeletesNamespace => {}
        }
    }

    async fn for_ever(self, cluster: &Cluster) {
        for turn in 0.. {
            self.act(cluster, turn).await;
            tokio::time::sleep(if turn < 100 { PERIOD } else { LATER }).await;
        }
    }

    /// What was taken from somebody else is given back by him.
    async fn ends(self, place: &Place, cluster: &Cluster) {
        match self {
            Self::Scales(_) => scale(cluster, 1).await,
            Self::DeletesNamespace => {
                let released = json!({"metadata": {"finalizers": null}});
                // One that never got so far is still there.
                let _ = cluster.merge_patch(&demo(), &released, "theirs", false).await;
                let _ = cluster.delete(&demo(), &DeleteOptions::default()).await;
                while cluster.get(&demo()).await.unwrap().is_some() {
                    tokio::time::sleep(PERIOD).await;
                }
                for object in foreign() {
                    place.sandbox.put(&object).unwrap();
                }
            }
            Self::Prunes(..) | Self::TakesLabel | Self::Rewrites => {}
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

async fn wrong(case: &Case, certificates: &Path) -> Vec<String> {
    let place = Place::new(false, certificates);
    let mut untouched = place.dump();
    for command in case.before {
        let run = place.run(command).await;
        assert_eq!(run.code, Some(0), "{}: {command}: {run:#?}", case.name);
    }
    let cluster = somebody(&place);
    let run = tokio::select! {
        run = place.run(case.command) => run,
        () = case.controller.for_ever(&cluster) => unreachable!("it never rests"),
    };
    let mut wrong = broken(&run, &[0], true);
    if case.prevents && run.code == Some(0) {
        wrong.push("it claims success".to_owned());
    }
    case.controller.ends(&place, &cluster).await;
    for command in case.then.iter().chain(&[CLEANUP]) {
        let run = place.run(command).await;
        if run.code != Some(0) {
            wrong.push(format!("afterwards {command}: {run:#?}"));
        }
    }
    let mut left = place.dump();
    for objects in [&mut untouched, &mut left] {
        without_traces(case.controller, objects);
    }
    wrong.extend(differences(&untouched, &left));
    if !wrong.is_empty() {
        wrong.push(format!("the first: {run:#?}"));
    }
    wrong
}

/// Takes out what the controller itself left: a namespace that was made anew is another one and of another age, and an
/// autoscaler leaves other pods.
fn without_traces(controller: Controller, objects: &mut BTreeMap<String, Value>) {
    match controller {
        Controller::DeletesNamespace => {
            for object in objects.values_mut() {
                if let Some(metadata) = object["metadata"].as_object_mut() {
                    metadata.remove("uid");
                    metadata.remove("creationTimestamp");
                }
            }
        }
        Controller::Scales(_) => {
            let of_gateway = |name: &str| name.contains("istio-system/istio-egressgateway");
            objects.retain(|name, _| !of_gateway(name) || name.starts_with("Deployment "));
            for (_, object) in objects.iter_mut().filter(|(name, _)| of_gateway(name)) {
                object["status"] = Value::Null;
            }
        }
        Controller::Prunes(..) | Controller::TakesLabel | Controller::Rewrites => {}
    }
}

#[test]
fn whoever_takes_back_what_a_command_makes_is_told_and_outlived() {
    let folder = certificates();
    let only = std::env::var("SURVIVAL_ONLY").unwrap_or_default();
    let cases: Vec<&Case> = CASES.iter().filter(|case| case.name.contains(&only)).collect();
    let failures = on_all_processors(&cases, |case| {
        let wrong = by_own_clock(wrong(case, folder.path()));
        if !wrong.is_empty() {
            eprintln!("FAILED {}:\n  {}", case.name, wrong.join("\n  "));
        }
        !wrong.is_empty()
    });
    let failures = failures.into_iter().filter(|failed| *failed).count();
    eprintln!("{} controllers that never rest", cases.len());
    assert_eq!(failures, 0, "of {} cases", cases.len());
}
