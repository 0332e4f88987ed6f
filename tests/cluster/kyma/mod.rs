//! Kyma: its Istio module decides about the egress gateway. These run on a lab with `--platform kyma` only.

mod owners;
mod pods;
mod states;
mod undo;

use crate::support::dump::Dump;
use crate::support::kyma::{ENVOY_FILTER, Foreign, Module, RESOURCE, resource, switched};
use crate::support::{Stage, manifests, open};
use crate::whole_story::verify_agrees_with_the_outside_world;
use serde_json::{Value, json};

pub(super) const SETUP: &str = "setup kyma-project.io --create-namespace";

/// Owners of the field that the tool sets, with how they came to it.
pub(super) fn owners(module: &Module) -> Vec<String> {
    let object = module.read();
    let entries = object["metadata"]["managedFields"].as_array().unwrap().iter();
    entries
        .filter(|entry| {
            entry["fieldsV1"]
                .pointer("/f:spec/f:components/f:egressGateway/f:enabled")
                .is_some()
        })
        .map(|entry| {
            format!(
                "{} {}",
                entry["manager"].as_str().unwrap(),
                entry["operation"].as_str().unwrap()
            )
        })
        .collect()
}

#[test]
fn the_gateway_is_made_by_the_module_and_goes_with_the_last_plan() {
    let stage = open!(on_kyma);
    let module = Module::of(&stage);
    assert!(!module.has_gateway(), "the lab begins without it");
    let before = Dump::take(&stage.kubectl);
    let first = stage.egress(SETUP);
    first
        .exits(0)
        .says(&["istio/default configured", "Istio kyma-system/default"]);
    assert_eq!(
        owners(&module),
        [format!("kubectl-egress/{}/default Apply", stage.namespace)]
    );
    verify_agrees_with_the_outside_world(&stage);

    let versions = || {
        let keys = "-o jsonpath={.metadata.resourceVersion}";
        module.settled();
        stage.kubectl.run(&format!("get {RESOURCE} {keys}"))
    };
    let resource_version = versions();
    let again = stage.egress(SETUP);
    again.exits(0);
    assert!(!again.stderr.contains("configured"), "{again}");
    assert_eq!(versions(), resource_version);
    stage.egress("diff kyma-project.io").exits(0);
    let status = stage.egress("status");
    assert!(
        status.exits(0).stdout.contains("Istio kyma-system/default"),
        "{status}"
    );
    let rendered = stage.egress("render");
    assert!(
        rendered.exits(0).stdout.contains("kind: Istio") && !rendered.stdout.contains("managed-by"),
        "{rendered}"
    );

    stage.egress("cleanup --verify").exits(0);
    assert!(!module.has_gateway());
    assert_eq!(module.state(), "Ready", "clean-up waits for the module");
    Dump::take(&stage.kubectl).equals(&before);
}

#[test]
fn a_dry_run_shows_the_resource_and_changes_nothing() {
    let stage = open!(on_kyma);
    let module = Module::of(&stage);
    for how in ["client", "server"] {
        let run = stage.changes_nothing(&format!("{SETUP} --dry-run={how} -o yaml"));
        run.exits(0).says(&["istio/default"]);
        assert!(run.stdout.contains("egressGateway"), "{run}");
    }
    let diff = stage.changes_nothing("diff kyma-project.io");
    assert!(diff.exits(1).stdout.contains("enabled: true"), "{diff}");
    assert_eq!(module.switch(), Value::Null);
}

#[test]
fn resources_that_do_not_count_are_named() {
    let stage = open!(on_kyma).with_namespace("");
    let module = Module::of(&stage);
    let newer = resource("kyma-system", "suite-newer", &switched(false));
    let elsewhere = resource(&stage.namespace, "suite-elsewhere", &switched(false));
    let newer_guard = Foreign::apply(&stage, &newer.to_string(), "istio suite-newer -n kyma-system");
    stage.kubectl.apply(&elsewhere.to_string());
    let run = stage.egress("setup kyma-project.io");
    run.exits(0).says(&[
        "EGR-204",
        "Istio kyma-system/suite-newer",
        &format!("Istio {}/suite-elsewhere does not count", stage.namespace),
        "istio/default configured",
    ]);
    stage
        .probe("https://kyma-project.io")
        .is("routed", &stage.gateway_addresses());
    stage.egress("cleanup --verify").exits(0);
    assert!(module.switch().is_null() && !module.has_gateway());
    drop(newer_guard);
    stage
        .kubectl
        .run(&format!("delete istio suite-elsewhere -n {}", stage.namespace));
    let twin = stage.egress("setup kyma-project.io --dry-run=client");
    assert!(!twin.exits(0).to_string().contains("EGR-204"), "{twin}");
}

/// Takes Istio away and brings it back; in one test, as each of both takes half a minute.
#[test]
fn without_a_resource_it_is_refused_and_made_when_asked_for() {
    let stage = open!(on_kyma);
    let elsewhere = {
        let module = Module::of(&stage);
        assert!(!module.has_gateway());
        stage
            .kubectl
            .run(&format!("create namespace {}", stage.namespace));
        let elsewhere = resource(&stage.namespace, "mine", &switched(true));
        stage.kubectl.apply(&elsewhere.to_string());
        stage.kubectl.run(&format!("delete {RESOURCE} --timeout=80s"));
        elsewhere
    };
    let _restored = Restored(&stage);
    gone(&stage);
    let refused = stage.changes_nothing("setup kyma-project.io");
    refused.exits(5).says(&[
        "Istio module",
        "kyma-system",
        &format!("Istio {}/mine does not count", stage.namespace),
        "--create-istio-cr",
    ]);
    drop(elsewhere);
    stage
        .kubectl
        .run(&format!("delete istio mine -n {}", stage.namespace));
    stage
        .kubectl
        .run(&format!("delete namespace {}", stage.namespace));

    stage
        .egress(&format!("{SETUP} --create-istio-cr"))
        .exits(0)
        .says(&["istio/default created"]);
    stage
        .probe("https://kyma-project.io")
        .is("routed", &stage.gateway_addresses());
    stage.egress("status").exits(0);
    stage.egress("cleanup --verify").exits(0);
    gone(&stage);
    let left = stage.kubectl.names("get istios,namespaces -A");
    let ours = ["istio.", "namespace/istio-system", &stage.namespace];
    assert!(
        !left
            .iter()
            .any(|name| ours.iter().any(|part| name.contains(part))),
        "{left:?}"
    );
}

/// Waits until the module has uninstalled Istio.
fn gone(stage: &Stage) {
    let _ = stage
        .kubectl
        .attempt("wait --for=delete namespace/istio-system --timeout=60s");
}

/// Brings the lab's own resource back.
struct Restored<'stage>(&'stage Stage);

impl Drop for Restored<'_> {
    fn drop(&mut self) {
        gone(self.0);
        let mut own = resource("kyma-system", "default", &json!({"config": {}}));
        own["metadata"]["labels"] =
            json!({"app.kubernetes.io/name": "default", "kyma-project.io/module": "istio"});
        self.0.kubectl.apply(&own.to_string());
        let _ = self.0.kubectl.attempt(&format!(
            "wait --for=jsonpath={{.status.state}}=Ready {RESOURCE} --timeout=80s"
        ));
    }
}
