//! Runs beside each other, and runs that were killed.

use crate::support::{Stage, open};
use rstest::rstest;

#[test]
fn of_two_runs_at_once_the_second_is_refused_and_names_the_first() {
    let stage = open!(shared).with_namespace("");
    // An image that does not exist keeps the first run waiting.
    let mut first = stage.start(&format!(
        "setup {} --no-probe --image docker.io/lab/nothing:1",
        stage.host
    ));
    first.until_it_says("deployment/curl created");
    let second = stage.egress(&format!("setup {} --no-probe", stage.host));
    second
        .exits(5)
        .says(&["another run", "suite@here", "process", " s", "hint: "]);
    let cleanup = stage.egress("cleanup");
    cleanup.exits(5).says(&["another run"]);
    first.kill();
}

#[test]
fn a_run_that_fails_says_why_and_can_be_continued() {
    let stage = open!(shared).with_namespace("");
    let failed = stage.egress(&format!(
        "setup {} --image docker.io/lab/nothing:1 --timeout 40s",
        stage.host
    ));
    assert!(matches!(failed.code, Some(4 | 6)), "{failed}");
    failed.says(&["docker.io/lab/nothing:1", "hint: "]);
    let again = stage.egress(&format!("setup {}", stage.host));
    again.exits(0);
    stage.probe_host().is("routed", &stage.gateway_addresses());
}

#[rstest]
fn a_run_that_was_killed_can_be_continued(
    #[values(
        "namespace/",
        "gateway/egress-default created",
        "serviceentry/",
        "deployment/curl created"
    )]
    moment: &str,
) {
    let stage = open!(shared);
    killed_at(&stage, moment);
    let setup = format!("setup {} --create-namespace", stage.host);
    let again = stage.egress(&setup);
    if again.code == Some(5) {
        again.says(&["another run", "taken over"]);
    }
    stage.once_the_lease_is_free(&setup).exits(0);
    stage.probe_host().is("routed", &stage.gateway_addresses());
    stage.egress("cleanup --verify").exits(0);
    assert!(
        stage
            .kubectl
            .attempt(&format!("get namespace {}", stage.namespace))
            .is_err(),
        "the namespace is left"
    );
}

#[rstest]
fn a_run_that_was_killed_can_be_cleaned_up(
    #[values(
        "namespace/",
        "telemetry/",
        "gateway/egress-default created",
        "serviceentry/",
        "deployment/curl created"
    )]
    moment: &str,
) {
    let stage = open!(shared);
    killed_at(&stage, moment);
    stage.once_the_lease_is_free("cleanup --verify").exits(0);
    let left = stage
        .kubectl
        .attempt(&format!("get namespace {}", stage.namespace));
    assert!(left.is_err(), "the namespace is left");
    let shared = stage
        .kubectl
        .run("get telemetries.telemetry.istio.io -n istio-system -o json --show-managed-fields");
    assert!(
        !shared.contains(&stage.namespace),
        "our part of the gateway's access log is left"
    );
}

#[test]
fn a_cleanup_that_was_killed_can_be_repeated() {
    let stage = open!(shared).with_route();
    let mut running = stage.start("cleanup");
    running.until_it_says("virtualservice/egress-default deleted");
    running.kill();
    stage.once_the_lease_is_free("cleanup --verify").exits(0);
    assert!(
        stage
            .kubectl
            .attempt(&format!("get namespace {}", stage.namespace))
            .is_err()
    );
}

fn killed_at(stage: &Stage, moment: &str) {
    let mut running = stage.start(&format!("setup {} --create-namespace --no-probe", stage.host));
    running.until_it_says(moment);
    running.kill();
}
