//! Kyma: its Istio module decides about the egress gateway. These run on a lab with `--platform kyma` only.

use crate::support::dump::Dump;
use crate::support::kyma::{ENVOY_FILTER, Foreign, Module, RESOURCE, resource, switched};
use crate::support::{Stage, manifests, open};
use crate::whole_story::verify_agrees_with_the_outside_world;
use serde_json::{Value, json};

const SETUP: &str = "setup kyma-project.io --create-namespace";

/// Owners of the field that the tool sets, with how they came to it.
fn owners(module: &Module) -> Vec<String> {
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
fn a_second_plan_keeps_the_gateway_until_it_is_cleaned_up_as_well() {
    let mut stage = open!(on_kyma);
    let module = Module::of(&stage);
    let other = stage.another_namespace();
    stage.egress(SETUP).exits(0);
    stage
        .egress_in(
            &other,
            &format!("setup {} --create-namespace --no-probe", stage.host),
        )
        .exits(0);
    assert_eq!(owners(&module).len(), 2);
    stage.egress_in(&other, "cleanup --verify").exits(0);
    stage
        .probe("https://kyma-project.io")
        .is("routed", &stage.gateway_addresses());
    stage.egress("cleanup --verify").exits(0);
    assert!(!module.has_gateway() && module.switch().is_null());
}

#[test]
fn a_gateway_that_somebody_else_wants_stays() {
    let stage = open!(on_kyma);
    let module = Module::of(&stage);
    module.somebody_applies(&switched(true));
    stage.rolled_out("istio-system", "istio-egressgateway");
    let run = stage.egress(SETUP);
    run.exits(0);
    assert_eq!(owners(&module).len(), 2);
    stage.egress("cleanup --verify").exits(0);
    assert_eq!(owners(&module), ["somebody-else Apply"]);
    assert!(module.has_gateway() && module.switch() == json!(true));
}

#[test]
fn false_by_somebody_else_is_replaced_with_consent_and_given_back() {
    let stage = open!(on_kyma);
    let module = Module::of(&stage);
    module.somebody_applies(&switched(false));
    let refused = stage.changes_nothing(SETUP);
    refused
        .exits(5)
        .says(&["egressGateway.enabled: false", "somebody-else", "--yes"]);
    stage.egress(&format!("{SETUP} --yes")).exits(0);
    assert_eq!(
        owners(&module),
        [format!("kubectl-egress/{}/default Apply", stage.namespace)]
    );
    stage.egress("cleanup --verify").exits(0);
    assert_eq!(module.switch(), json!(false));
    assert_eq!(owners(&module), ["somebody-else Apply"]);
    assert_eq!(
        module.read()["spec"]["compatibilityMode"],
        false,
        "what is theirs stays"
    );
    assert!(!module.has_gateway());
    // Their next apply meets no conflict, and takes away what it leaves out.
    module.somebody_applies(&json!({}));
    assert_eq!(module.switch(), Value::Null);
}

#[test]
fn an_empty_map_of_somebody_elses_around_the_field_is_left_as_it_was() {
    let stage = open!(on_kyma);
    let module = Module::of(&stage);
    for spec in [
        json!({"components": {}}),
        json!({"components": {"egressGateway": {}}}),
    ] {
        module.somebody_applies(&spec);
        let before = module.read()["spec"].clone();
        stage.egress(&format!("{SETUP} --no-probe")).exits(0);
        stage.egress("cleanup --verify").exits(0);
        assert_eq!(module.read()["spec"], before);
        assert!(!module.has_gateway());
    }
}

#[test]
fn resources_that_do_not_count_are_named() {
    let stage = open!(on_kyma).with_namespace("");
    let module = Module::of(&stage);
    let newer = resource("kyma-system", "suite-newer", &switched(false));
    let elsewhere = resource(&stage.namespace, "suite-elsewhere", &switched(false));
    let _newer = Foreign::apply(&stage, &newer.to_string(), "istio suite-newer -n kyma-system");
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
}

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

#[test]
fn under_the_modules_network_policies_only_labelled_pods_reach_the_gateway() {
    let stage = open!(on_kyma).with_namespace("istio-injection=enabled");
    let module = Module::of(&stage);
    module.somebody_applies(&json!({"networkPoliciesEnabled": true}));
    let namespace = &stage.namespace;
    stage
        .kubectl
        .apply(&manifests::workload(namespace, "shop", manifests::CURL, true));
    stage.kubectl.apply(&manifests::access_log(namespace, "shop"));
    stage.rolled_out(namespace, "shop");
    stage
        .egress("setup kyma-project.io")
        .exits(0)
        .says(&["EGR-206", "shop-"]);
    let gateway = stage.gateway_addresses();
    stage.probe("https://kyma-project.io").is("routed", &gateway);
    // Its sidecar hears of the route when it likes: the module restarts istiod for its policies.
    let from_shop = || stage.probe_with("https://kyma-project.io", "--from deploy/shop --max-time 5");
    let attempts = std::iter::repeat_with(from_shop).take(10);
    let refused = attempts
        .into_iter()
        .find(|probed| probed.outcome() != "bypassed")
        .unwrap();
    assert_ne!(refused.outcome(), "routed", "{}", refused.run);
    assert!(refused.peers().is_empty(), "{:?}", refused.peers());
    refused.finds("EGR-206");
    let verify = stage.egress("verify --skip-unmeshed --from deploy/shop -o json");
    assert!(verify.stdout.contains("EGR-206"), "{verify}");

    let label = "networking.kyma-project.io/to-egressgateway";
    let patch = json!({"spec": {"template": {"metadata": {"labels": {label: "allowed"}}}}});
    stage.kubectl.with(&[
        "patch",
        "deployment",
        "shop",
        "-n",
        namespace,
        "-p",
        &patch.to_string(),
    ]);
    stage.rolled_out(namespace, "shop");
    stage
        .probe_with("https://kyma-project.io", "--from deploy/shop")
        .is("routed", &gateway);
    stage.egress("cleanup --verify").exits(0);
}

#[test]
fn the_access_log_of_kymas_other_provider_is_read_as_well() {
    let stage = open!(on_kyma);
    let _module = Module::of(&stage);
    let telemetry = "apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mesh-default, namespace: istio-system}
spec: {accessLogging: [{providers: [{name: stdout-json}]}]}
";
    let _telemetry = Foreign::apply(&stage, telemetry, "telemetry mesh-default -n istio-system");
    let setup = stage.egress(SETUP);
    let verify = stage.egress("verify --skip-unmeshed");
    let mark = stage.mark();
    let probed = stage.probe("https://kyma-project.io");
    let gateway = stage.gateway_addresses();
    let log = stage
        .kubectl
        .run("logs -n istio-system -l istio=egressgateway -c istio-proxy --tail=5");
    stage.egress("cleanup --verify").exits(0);
    stage.kubectl.run("delete telemetry mesh-default -n istio-system");
    setup.exits(0);
    assert!(
        !setup.stderr.contains("telemetry/"),
        "the log is on already: {setup}"
    );
    verify.exits(0);
    probed.is("routed", &gateway);
    assert!(log.contains("tracestate"), "it is that provider's format: {log}");
    assert!(stage.peers_of(mark, "kyma-project.io", 443).is_superset(&gateway));
}

#[test]
fn a_gateway_of_the_users_own_leaves_the_module_alone() {
    let mut stage = open!(on_kyma);
    let module = Module::of(&stage);
    let edge = stage.another_namespace();
    stage.make_namespace(&edge, "");
    stage.kubectl.apply(&manifests::gateway(&edge, "edge-egress"));
    stage.rolled_out(&edge, "edge-egress");
    stage
        .egress(&format!("{SETUP} --gateway {edge}/edge-egress"))
        .exits(0);
    assert!(module.switch().is_null() && !module.has_gateway());
    stage
        .probe("https://kyma-project.io")
        .is("routed", &stage.addresses(&edge, "istio=edge-egress"));
    stage.egress("cleanup --verify").exits(0);
}

#[test]
fn who_may_not_patch_the_resource_is_told_before_anything_is_changed() {
    let stage = open!(on_kyma);
    let _module = Module::of(&stage);
    let user = format!("{}-reader", stage.namespace);
    stage.kubectl.apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {user}}}
rules:
- {{apiGroups: [\"\", apps, networking.istio.io, telemetry.istio.io, coordination.k8s.io], resources: [\"*\"], verbs: [\"*\"]}}
- {{apiGroups: [operator.kyma-project.io], resources: [istios], verbs: [get, list, watch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {user}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {user}}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}]
"
    ));
    let run = stage.egress(&format!("{SETUP} --as {user}"));
    stage
        .kubectl
        .run(&format!("delete clusterrole,clusterrolebinding {user}"));
    run.exits(4)
        .says(&["patch istios.operator.kyma-project.io in namespace kyma-system"]);
    assert!(
        stage
            .kubectl
            .attempt(&format!("get namespace {}", stage.namespace))
            .is_err()
    );
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
