//! Parts of the cluster that are killed, hang, are slow or cut off while a command works: it ends well, or says why, in
//! time and without a wrong verdict; the next run ends well, and `cleanup` leaves everything as it was.

use crate::support::dump::Dump;
use crate::support::{Stage, open};
use kubectl_egress_lab::Part;
use std::time::{Duration, Instant};

/// How long a part stays away.
const AWAY: Duration = Duration::from_secs(8);

#[test]
fn a_set_up_waits_for_an_api_server_that_is_restarted() {
    let mut story = Story::begin(open!(alone));
    let mut running = story.stage.start(&story.setup(""));
    running.until_it_says("deployment/curl created");
    story.stage.lab().restart_api_server().unwrap();
    // It is back after a few seconds.
    running.finish().exits(0);
    story.ends_well();
}

#[test]
fn a_set_up_waits_for_an_api_server_that_hangs_and_for_a_slow_store() {
    for part in [Part::ApiServer, Part::Etcd] {
        let mut story = Story::begin(open!(alone));
        let mut running = story.stage.start(&story.setup(""));
        running.until_it_says("serviceaccount/curl created");
        let frozen = story.stage.lab().freeze(part).unwrap();
        std::thread::sleep(AWAY);
        drop(frozen);
        running.finish().exits(0);
        story.ends_well();
    }
    let mut story = Story::begin(open!(alone));
    let slow = story.stage.lab().slow_down(Part::Etcd).unwrap();
    story.stage.egress(&story.setup("")).exits(0);
    drop(slow);
    story.ends_well();
}

#[test]
fn without_a_kubelet_a_source_does_not_start_and_the_next_run_goes_on() {
    let mut story = Story::begin(open!(alone));
    let frozen = story.stage.lab().freeze(Part::Kubelet).unwrap();
    let run = story.stage.egress(&story.setup("--timeout 10s"));
    run.exits(6).says(&["curl", "hint: "]);
    drop(frozen);
    story.ends_well();
}

#[test]
fn a_kubelet_that_hangs_under_a_proof_misleads_nobody() {
    let mut story = Story::begin(open!(alone));
    story.stage.egress(&story.setup("")).exits(0);
    for moment in ["listen", "send"] {
        let mut running = story.stage.start("verify --skip-unmeshed --timeout 20s -o json");
        running.until_it_says(moment);
        let frozen = story.stage.lab().freeze(Part::Kubelet).unwrap();
        std::thread::sleep(AWAY);
        drop(frozen);
        running.finish().is_never_disproven();
    }
    story.stage.egress("verify --skip-unmeshed").exits(0);
    story.ends_well();
}

#[test]
fn a_gateway_pod_that_goes_under_a_proof_misleads_nobody() {
    let story = Story::begin(open!(alone));
    story.stage.egress(&story.setup("")).exits(0);
    let mut running = story.stage.start("verify --skip-unmeshed -o json");
    running.until_it_says("send");
    story
        .stage
        .kubectl
        .run("delete pods -n istio-system -l istio=egressgateway --wait=false");
    running.finish().is_never_disproven();
    story.stage.rolled_out("istio-system", "istio-egressgateway");
    story.ends_well();
}

#[test]
fn a_set_up_waits_for_an_istiod_that_is_restarted() {
    let story = Story::begin(open!(alone));
    // Gone at once, so that nobody answers for its webhook until the next one is ready.
    story
        .stage
        .kubectl
        .run("delete pods -n istio-system -l app=istiod --force --grace-period=0");
    let run = story.stage.egress(&story.setup("-v"));
    run.exits(0)
        .says(&["retrying: ", "failed calling webhook \"validation.istio.io\""]);
    story.ends_well();
}

#[test]
fn without_istiod_the_proxies_do_not_learn_the_route_and_the_next_run_goes_on() {
    let story = Story::begin(open!(alone));
    let scale = |replicas: usize| {
        story.stage.kubectl.run(&format!(
            "scale deployment istiod -n istio-system --replicas={replicas}"
        ));
    };
    // Its webhook is gone with it: nothing of Istio's can be written, and no pod is injected.
    scale(0);
    story
        .stage
        .kubectl
        .run("wait --for=delete pod -l app=istiod -n istio-system --timeout=60s");
    let run = story.stage.egress(&story.setup("--timeout 15s"));
    scale(1);
    // Ready is not yet reachable, as its Service follows: the next run waits for that.
    story.stage.rolled_out("istio-system", "istiod");
    assert!(matches!(run.code, Some(4 | 6)), "{run}");
    run.says(&["hint: "]);
    story.ends_well();
}

#[test]
fn a_node_that_is_cut_off_is_said_to_be_unreachable_and_the_next_run_goes_on() {
    let mut story = Story::begin(open!(alone));
    let mut running = story.stage.start(&story.setup("--request-timeout 5s"));
    running.until_it_says("serviceaccount/curl created");
    let cut = story.stage.lab().cut_off().unwrap();
    let began = Instant::now();
    let run = running.finish();
    drop(cut);
    assert!(matches!(run.code, Some(4 | 6)), "{run}");
    run.says(&["hint: "]);
    assert!(began.elapsed() < Duration::from_secs(200), "{run}");
    story.ends_well();
}

/// A namespace that the tool makes.
struct Story {
    stage: Stage,
}

impl Story {
    fn begin(stage: Stage) -> Self {
        Self { stage }
    }

    fn setup(&self, flags: &str) -> String {
        format!("setup {} --create-namespace {flags}", self.stage.host)
            .trim_end()
            .to_owned()
    }

    /// Whatever became of it: the same command ends well, the host is routed, and nothing in the cluster speaks of the
    /// namespace any more after a cleanup.
    fn ends_well(self) {
        self.stage.once_the_lease_is_free(&self.setup("")).exits(0);
        self.stage
            .probe_host()
            .is("routed", &self.stage.gateway_addresses());
        self.stage.egress("cleanup --verify").exits(0);
        let dump = Dump::take(&self.stage.kubectl);
        let left = dump.mentioning(&self.stage.namespace);
        assert!(left.is_empty(), "{left:?}");
    }
}
