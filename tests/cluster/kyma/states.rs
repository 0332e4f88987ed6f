//! What the module says of itself, and how many pods it makes.

use super::*;

#[test]
fn a_warning_that_is_not_ours_stops_nobody() {
    let stage = open!(on_kyma);
    let module = Module::of(&stage);
    let _filter = Foreign::apply(&stage, ENVOY_FILTER, "envoyfilter suite-filter -n istio-system");
    let first = stage.egress(SETUP);
    module.settled();
    let state = module.state();
    let second = stage.egress(SETUP);
    let status = stage.egress("status");
    let cleanup = stage.egress("cleanup --verify");
    first.exits(0);
    assert_eq!(state, "Warning");
    second
        .exits(0)
        .says(&["EGR-205", "state Warning", "suite-filter"]);
    assert!(status.exits(0).stdout.contains("suite-filter"), "{status}");
    cleanup.exits(0);
    assert!(!module.has_gateway());
}

#[test]
fn an_error_is_shown_with_its_description_and_ends_the_wait() {
    let stage = open!(on_kyma);
    let module = Module::of(&stage);
    module.fails_with(Some("no-room-for-pods"));
    let failed = stage.egress(SETUP);
    module.fails_with(None);
    failed.exits(4).says(&[
        "Istio kyma-system/default is in state Error",
        "IstioInstallUninstallFailed",
        "no-room-for-pods",
        "kubectl describe istio default -n kyma-system",
        "cleanup",
    ]);
    // The module tries again by itself, and so does the user.
    stage.egress(SETUP).exits(0);
    stage
        .probe("https://kyma-project.io")
        .is("routed", &stage.gateway_addresses());
    stage.egress("cleanup --verify").exits(0);
}

#[test]
fn an_error_that_was_there_before_ends_the_wait_too() {
    let stage = open!(on_kyma);
    let module = Module::of(&stage);
    module.somebody_applies(&json!({"experimental": {"pilot": {"enableAlphaGatewayAPI": true}}}));
    let failed = stage.egress(SETUP);
    failed
        .exits(4)
        .says(&["EGR-205", "Experimental features are not supported"]);
    stage.egress("cleanup --verify").exits(4).says(&["Experimental"]);
    module.somebody_applies(&Value::Null);
    stage.egress("cleanup --verify").exits(0);
    assert!(module.switch().is_null());
}

#[test]
fn as_many_replicas_as_the_autoscaler_wants_are_waited_for() {
    let stage = open!(on_kyma);
    let module = Module::of(&stage);
    let autoscaler = json!({"minReplicas": 3, "maxReplicas": 5});
    module.somebody_applies(&json!({"components": {"egressGateway": {"k8s": {"hpaSpec": autoscaler}}}}));
    let run = stage.egress(SETUP);
    run.exits(0);
    assert_eq!(stage.gateway_addresses().len(), 3, "{run}");
    let verify = stage.egress("verify --skip-unmeshed");
    verify.exits(0).says(&["3 of 3 gateway pods"]);
    stage.egress("cleanup --verify").exits(0);
    assert!(!module.has_gateway());
    assert_eq!(
        module.read()["spec"]["components"]["egressGateway"]["k8s"]["hpaSpec"],
        autoscaler,
        "what is theirs stays"
    );
}
