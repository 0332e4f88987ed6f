//! Users who may not do everything.

use crate::support::{Stage, open};

/// What a set-up needs in its own namespace.
const OWN: &str = "
- {apiGroups: [\"\"], resources: [pods, services, serviceaccounts, configmaps], verbs: [get, list, watch, create, patch, update, delete]}
- {apiGroups: [\"\"], resources: [pods/exec, pods/portforward], verbs: [get, create]}
- {apiGroups: [apps], resources: [deployments, replicasets, statefulsets, daemonsets], verbs: [get, list, watch, create, patch, update, delete]}
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, list, create, patch, update, delete]}
- {apiGroups: [networking.istio.io, telemetry.istio.io], resources: [\"*\"], verbs: [get, list, watch, create, patch, update, delete]}";
/// What verifying needs of the gateway's namespace, apart from its logs.
const GATEWAY: &str = "
- {apiGroups: [\"\"], resources: [pods, services, configmaps], verbs: [get, list, watch]}
- {apiGroups: [\"\"], resources: [pods/portforward], verbs: [get, create]}
- {apiGroups: [networking.istio.io, telemetry.istio.io], resources: [\"*\"], verbs: [get, list, watch]}";
const LOGS: &str = "
- {apiGroups: [\"\"], resources: [pods/log], verbs: [get]}";

#[test]
fn without_permission_to_read_the_gateways_log_nothing_is_proven() {
    let stage = open!(shared).with_route();
    let user = stage.namespace.clone();
    let _granted = Granted(&stage);
    grant(&stage, &user, &stage.namespace, &format!("{OWN}{LOGS}"));
    grant(&stage, &user, "istio-system", GATEWAY);
    let probed = stage.probe_with(&format!("https://{}", stage.host), &format!("--as {user}"));
    probed
        .is("inconclusive", &stage.gateway_addresses())
        .finds("EGR-106")
        .run
        .exits(3);
    let verify = stage.egress(&format!("verify --skip-unmeshed -o json --as {user}"));
    assert_eq!(
        verify.exits(3).json()["claims"]["routed"],
        "inconclusive",
        "{verify}"
    );

    grant(&stage, &user, "istio-system", &format!("{GATEWAY}{LOGS}"));
    stage
        .probe_with(&format!("https://{}", stage.host), &format!("--as {user}"))
        .is("routed", &stage.gateway_addresses());
}

#[test]
fn without_permission_to_write_routing_nothing_is_changed() {
    let stage = open!(shared).with_namespace("istio-injection=enabled");
    let user = stage.namespace.clone();
    let _granted = Granted(&stage);
    let reader = OWN.replace("networking.istio.io, ", "");
    grant(&stage, &user, &stage.namespace, &format!("{reader}{LOGS}"));
    grant(&stage, &user, "istio-system", &format!("{GATEWAY}{LOGS}"));
    let before = stage.kubectl.run(&format!(
        "get all,configmaps,serviceaccounts,leases -n {} -o name",
        stage.namespace
    ));
    let refused = stage.egress(&format!("setup {} --as {user}", stage.host));
    refused.exits(4).says(&[&user, "networking.istio.io"]);
    let after = stage.kubectl.run(&format!(
        "get all,configmaps,serviceaccounts,leases -n {} -o name",
        stage.namespace
    ));
    assert_eq!(after, before, "{refused}");
}

#[test]
fn a_user_without_any_permission_is_told_what_is_missing() {
    let stage = open!(shared).with_namespace("");
    let user = &stage.namespace;
    for typed in [
        "setup kyma-project.io",
        "verify",
        "status",
        "cleanup",
        "probe kyma-project.io",
    ] {
        let run = stage.egress(&format!("{typed} --as {user}"));
        run.exits(4).says(&["error: ", user]);
        assert!(
            !run.stderr.contains("Status {") && !run.stderr.contains("Some("),
            "a raw error: {run}"
        );
    }
}

fn grant(stage: &Stage, user: &str, namespace: &str, rules: &str) {
    stage.kubectl.apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: {user}, namespace: {namespace}}}
rules:{rules}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: {user}, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {user}}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {user}}}
rules:
- {{apiGroups: [\"\"], resources: [namespaces], verbs: [get, list, patch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {user}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {user}}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}]
"
    ));
}

/// Takes away what `grant` gave outside the test's namespace, also when the test fails.
struct Granted<'stage>(&'stage Stage);

impl Drop for Granted<'_> {
    fn drop(&mut self) {
        let user = &self.0.namespace;
        let _ = self
            .0
            .kubectl
            .attempt(&format!("delete role,rolebinding {user} -n istio-system"));
        let _ = self
            .0
            .kubectl
            .attempt(&format!("delete clusterrole,clusterrolebinding {user}"));
    }
}
