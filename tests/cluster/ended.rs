//! Commands that are killed, or told to end, half-way: what they leave is taken back by the next, or by `cleanup`, and by
//! the lock's switch. (Set-ups and clean-ups that are killed: `runs`; at every request, without a cluster: `survival`.)

use crate::support::dump::Dump;
use crate::support::{Run, Stage, open};
use rstest::rstest;

const LOCK: &str = "lockdown --yes";

/// Ends a command by a signal when it says that; then the same command ends well, and a clean-up leaves nothing.
fn is_survived(stage: &Stage, before: &[&str], command: &str, (moment, signal): (&str, &str)) {
    for command in before {
        stage.egress(command).exits(0);
    }
    let mut running = stage.start(command);
    running.until_it_says(moment);
    running.signal(signal);
    let ended = running.finish();
    let expected = if signal == "KILL" { None } else { Some(130) };
    assert_eq!(ended.code, expected, "{ended}");
    let again = stage.once_the_lease_is_free(command);
    assert!(found_out(&again), "{again}");
    stage.probe_host().is("routed", &stage.gateway_addresses());
    stage.once_the_lease_is_free("cleanup --verify").exits(0);
    let dump = Dump::take(&stage.kubectl);
    let left = dump.mentioning(&stage.namespace);
    assert!(left.is_empty(), "{left:?}");
}

/// Whether it came to an end of its own: done, or proven, disproven or undecided.
fn found_out(run: &Run) -> bool {
    matches!(run.code, Some(0 | 1 | 3))
}

#[rstest]
fn a_set_up_that_is_told_to_end_is_gone_on_with(
    #[values("INT", "TERM")] signal: &str,
    #[values("serviceentry/", "both proxies have the route", "send 1 probe")] moment: &str,
) {
    let stage = open!(shared);
    let setup = format!("setup {} --create-namespace", stage.host);
    is_survived(&stage, &[], &setup, (moment, signal));
}

#[rstest]
fn a_proof_that_is_ended_leaves_no_pod(
    #[values("KILL", "TERM")] signal: &str,
    #[values("container istio-init is being created", "try to get out without the gateway")] moment: &str,
) {
    let stage = open!(shared).with_route();
    let verify = "verify --bypass --require enforced";
    is_survived(&stage, &[LOCK], verify, (moment, signal));
}

#[rstest]
fn a_lock_that_is_being_changed_or_taken_away_is_ended(
    #[values("KILL", "TERM")] signal: &str,
    #[values("lockdown --in-cluster allow --yes", "unlock --yes")] command: &str,
) {
    let stage = open!(shared).with_route();
    let moment = if command.starts_with("unlock") {
        "deleted from"
    } else {
        "new pod with sidecar"
    };
    is_survived(&stage, &[LOCK], command, (moment, signal));
}
