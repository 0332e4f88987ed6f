//! Commands that are killed, or told to end, half-way: what they leave is taken back by the next, or by `cleanup`, and by
//! the lock's switch. (Set-ups and clean-ups that are killed: `runs`; at every request, without a cluster: `survival`.)

use crate::support::dump::Dump;
use crate::support::{Run, Stage, open};
use rstest::rstest;

const LOCK: &str = "lockdown --yes";

/// One command, what goes before it, and the moment at which it is ended by a signal.
struct Ending {
    before: &'static [&'static str],
    command: &'static str,
    moment: &'static str,
    signal: &'static str,
}

impl Ending {
    /// Ends it; then the same command ends well, and a clean-up leaves nothing.
    fn is_survived(&self, stage: &Stage) {
        for command in self.before {
            stage.egress(command).exits(0);
        }
        let mut running = stage.start(self.command);
        running.until_it_says(self.moment);
        running.signal(self.signal);
        let ended = running.finish();
        match self.signal {
            "KILL" => assert_eq!(ended.code, None, "{ended}"),
            _ => drop(ended.exits(130)),
        }
        let again = stage.once_the_lease_is_free(self.command);
        assert!(found_out(&again), "{again}");
        stage.probe_host().is("routed", &stage.gateway_addresses());
        stage.once_the_lease_is_free("cleanup --verify").exits(0);
        let dump = Dump::take(&stage.kubectl);
        let left = dump.mentioning(&stage.namespace);
        assert!(left.is_empty(), "{left:?}");
    }
}

/// Whether it came to an end of its own: done, or proven, disproven or undecided.
fn found_out(run: &Run) -> bool {
    matches!(run.code, Some(0 | 1 | 3))
}

#[rstest]
fn a_set_up_that_is_told_to_end_is_gone_on_with(
    #[values("INT", "TERM")] signal: &'static str,
    #[values("serviceentry/", "both proxies have the route", "send 1 probe")] moment: &'static str,
) {
    let stage = open!(shared);
    let setup = format!("setup {} --create-namespace", stage.host).leak();
    let (before, command) = (&[][..], &*setup);
    let ending = Ending {
        before,
        command,
        moment,
        signal,
    };
    ending.is_survived(&stage);
}

#[rstest]
fn a_proof_that_is_ended_leaves_no_pod(
    #[values("KILL", "TERM")] signal: &'static str,
    #[values("container istio-init is being created", "try to get out without the gateway")]
    moment: &'static str,
) {
    let stage = open!(shared).with_route();
    let (before, command) = (&[LOCK][..], "verify --bypass --require enforced");
    let ending = Ending {
        before,
        command,
        moment,
        signal,
    };
    ending.is_survived(&stage);
}

#[rstest]
fn a_lock_that_is_being_changed_or_taken_away_is_ended(
    #[values("KILL", "TERM")] signal: &'static str,
    #[values("lockdown --in-cluster allow --yes", "unlock --yes")] command: &'static str,
) {
    let stage = open!(shared).with_route();
    let before = &[LOCK][..];
    let moment = if command.starts_with("unlock") {
        "deleted from"
    } else {
        "new pod with sidecar"
    };
    let ending = Ending {
        before,
        command,
        moment,
        signal,
    };
    ending.is_survived(&stage);
}
