//! What is deleted and does not go: named, and never waited for without end.

use super::*;
use crate::support::{Run, open};
use std::time::Duration;

const HANGING: &str = "suite.example.com/hang";

/// An object with a finalizer that nobody takes off, until this value goes.
struct Hanging<'stage> {
    stage: &'stage Stage,
    what: String,
}

impl<'stage> Hanging<'stage> {
    fn new(stage: &'stage Stage, what: &str) -> Self {
        let hanging = Self {
            stage,
            what: what.to_owned(),
        };
        hanging.patch(&format!("[\"{HANGING}\"]"));
        hanging
    }

    fn patch(&self, finalizers: &str) {
        let patch = format!("{{\"metadata\":{{\"finalizers\":{finalizers}}}}}");
        let mut arguments: Vec<&str> = ["patch"].into_iter().chain(self.what.split(' ')).collect();
        arguments.extend(["--type=merge", "-p", &patch]);
        self.stage.kubectl.with(&arguments);
    }
}

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        self.patch("null");
    }
}

#[track_caller]
fn ends_in_time(run: &Run) {
    run.exits(6).says(&[HANGING, "hint: "]);
    assert!(run.took < Duration::from_secs(60), "{run}");
}

#[test]
fn an_object_that_hangs_is_named_and_all_else_is_undone() {
    let (stage, before) = settled(open!(shared), "istio-injection=disabled");
    set_up(&stage);
    let name = &stage.namespace;
    let hanging = Hanging::new(
        &stage,
        &format!("virtualservices.networking.istio.io egress-default -n {name}"),
    );
    let cleanup = stage.egress("cleanup --timeout 5s");
    ends_in_time(&cleanup);
    cleanup.says(&[
        &format!("VirtualService {name}/egress-default is marked for deletion and stays"),
        &format!("kubectl patch virtualservices.networking.istio.io egress-default -n {name}"),
        &format!("kubectl egress cleanup -n {name}"),
    ]);
    let left = stage.kubectl.names(&format!(
        "get serviceentries,gateways.networking.istio.io,virtualservices,deployments,services -n {name}"
    ));
    assert_eq!(left, ["virtualservice.networking.istio.io/egress-default"]);
    drop(hanging);
    stage.egress("cleanup --verify").exits(0);
    Dump::of_namespace(&stage.kubectl, name).equals(&before);
}

#[test]
fn behind_a_service_entry_that_hangs_the_route_stays() {
    let stage = open!(shared).with_route();
    let name = &stage.namespace;
    let hanging = Hanging::new(
        &stage,
        &format!("serviceentries.networking.istio.io egress-default-443 -n {name}"),
    );
    let cleanup = stage.egress("cleanup --timeout 5s");
    ends_in_time(&cleanup);
    stage.kubectl.run(&format!(
        "get virtualservices.networking.istio.io egress-default -n {name}"
    ));
    drop(hanging);
    stage.egress("cleanup --verify").exits(0);
}

#[test]
fn a_namespace_that_hangs_is_named_with_what_holds_it() {
    let stage = open!(shared).with_route();
    let name = &stage.namespace;
    let hanging = Hanging::new(&stage, &format!("namespace {name}"));
    let cleanup = stage.egress("cleanup --timeout 8s");
    ends_in_time(&cleanup);
    cleanup.says(&[
        &format!("Namespace {name} is marked for deletion and stays"),
        &format!("kubectl patch namespaces {name} --type=merge"),
    ]);
    // It is on its way out, which another run waits for no longer.
    ends_in_time(&stage.egress("cleanup --timeout 5s"));
    drop(hanging);
    stage.egress("cleanup --verify").exits(0);
}

#[test]
fn what_somebody_left_in_a_namespace_that_is_going_is_named() {
    let stage = open!(shared).with_route();
    let name = &stage.namespace;
    let kubectl = &stage.kubectl;
    kubectl.run(&format!("create configmap theirs -n {name}"));
    let hanging = Hanging::new(&stage, &format!("configmap theirs -n {name}"));
    kubectl.run(&format!("delete namespace {name} --wait=false"));
    let cleanup = stage.egress("cleanup --timeout 8s");
    ends_in_time(&cleanup);
    cleanup.says(&[
        &format!("ConfigMap {name}/theirs is marked for deletion and stays"),
        &format!("kubectl patch configmaps theirs -n {name}"),
    ]);
    let elsewhere = "get telemetries.telemetry.istio.io -n istio-system -o json --show-managed-fields";
    assert!(
        !kubectl
            .run(elsewhere)
            .contains(&format!("kubectl-egress/{name}/")),
        "what is outside of it is undone nevertheless"
    );
    drop(hanging);
    stage.egress("cleanup --verify").exits(0);
}
