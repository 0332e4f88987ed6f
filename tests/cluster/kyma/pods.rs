//! Network policies, access logs, permissions, and gateways that are not the module's.

use super::*;

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
