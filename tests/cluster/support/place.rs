//! The lab that the suite runs on: found, locked, and left as it was.

use super::kubectl::Kubectl;
use super::process::Running;
use kubectl_egress_lab::{DEFAULT_NAME, Lab, OutboundPolicy, PolicyEngine};
use std::ffi::OsString;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Every namespace of the suite begins so, and none of anybody else's.
pub(super) const PREFIX: &str = "suite-";
/// Label of namespaces that istiod is not to look at, while the mesh configuration says so.
pub(crate) const HIDDEN: &str = "suite-hidden";
/// What says so. It concerns no namespace without the label, so that a lab on which it was left is as ever.
pub(crate) const HIDING: &str =
    "\ndiscoverySelectors:\n- matchExpressions:\n  - {key: suite-hidden, operator: DoesNotExist}\n";

/// The lab, prepared once per process; with the lock that keeps other processes out of it.
static LAB: OnceLock<Option<(Lab, std::fs::File)>> = OnceLock::new();
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A name for a namespace that nobody else has.
pub(super) fn unique() -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    format!(
        "{PREFIX}{:06x}{:x}",
        now.as_micros() & 0xff_ffff,
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Undoes every plan of a namespace, and deletes it without waiting.
pub(super) fn remove(lab: &Lab, kubectl: &Kubectl, namespace: &str) {
    let Ok(maps) = kubectl.attempt(&format!(
        "get configmaps -n {namespace} -l kubectl-egress.dev/role=journal -o name"
    )) else {
        return;
    };
    for plan in maps
        .lines()
        .filter_map(|map| map.strip_prefix("configmap/kubectl-egress-"))
    {
        let arguments = ["cleanup", "-n", namespace, "--plan", plan, "--keep-namespace"].map(OsString::from);
        let _ = Running::start(&lab.kubeconfig(), &arguments, None).finish();
    }
    // What a test of the lock closes to its own namespace, should it have failed before opening it again.
    for place in ["istio-system", "kube-system"] {
        let _ = kubectl.attempt(&format!(
            "delete networkpolicy closed-to-{namespace} -n {place} --ignore-not-found"
        ));
    }
    let _ = kubectl.attempt(&format!("delete namespace {namespace} --wait=false"));
}

/// Brings back what a test may have left changed: policy and gateway.
pub(super) fn settle(lab: &Lab, kubectl: &Kubectl) {
    let place = "-n istio-system";
    let mut lab = lab.clone();
    let mesh = kubectl
        .attempt(&format!("get configmap istio {place} -o jsonpath={{.data.mesh}}"))
        .unwrap_or_default();
    if mesh.contains(HIDING) {
        let shown = serde_json::json!({"data": {"mesh": mesh.replace(HIDING, "")}});
        let patch = format!("patch configmap istio {place} --type merge --patch-file /dev/stdin");
        let _ = kubectl.feed(&patch, &shown.to_string());
    }
    if mesh.contains("REGISTRY_ONLY") {
        let _ = lab.set_outbound_policy(OutboundPolicy::AllowAny);
    }
    if lab.options().policy_engine != PolicyEngine::AfterDnat {
        let _ = lab.set_policy_engine(PolicyEngine::AfterDnat);
    }
    if lab.options().node_local_dns {
        let _ = lab.set_node_local_dns(false);
    }
    let replicas = kubectl.attempt(&format!(
        "get deployment istio-egressgateway {place} -o jsonpath={{.spec.replicas}}"
    ));
    if replicas.is_ok_and(|replicas| replicas != "1") {
        let _ = kubectl.attempt(&format!(
            "scale deployment istio-egressgateway {place} --replicas=1"
        ));
        let _ = kubectl.attempt(&format!(
            "rollout status deployment/istio-egressgateway {place} --timeout 60s"
        ));
    }
}

/// The lab, cleaned of what an earlier run of the suite left; `None` (and a word) if there is none.
pub(super) fn lab() -> Option<&'static Lab> {
    let found = LAB.get_or_init(|| {
        let name = std::env::var("LAB_NAME").unwrap_or_else(|_| DEFAULT_NAME.to_owned());
        let lab = Lab::running_as(&name).unwrap()?;
        // Two suites on one lab would take each other's gateway away.
        let lock = std::fs::File::create(lab.state_dir().join("suite.lock")).unwrap();
        lock.lock().unwrap();
        let kubectl = Kubectl::new(&lab.kubeconfig());
        for left in kubectl
            .names("get namespaces")
            .iter()
            .filter_map(|name| name.strip_prefix("namespace/"))
        {
            if left.starts_with(PREFIX) {
                remove(&lab, &kubectl, left);
                let _ = kubectl.attempt(&format!("delete namespace {left} --wait=true"));
            }
        }
        settle(&lab, &kubectl);
        Some((lab, lock))
    });
    if found.is_none() {
        assert!(
            !lab_required(),
            "no lab is running, and LAB_REQUIRED=1 asks for one (cargo lab up)"
        );
        eprintln!("skipped: no lab is running (cargo lab up)");
    }
    found.as_ref().map(|(lab, _)| lab)
}

/// Whether a test that cannot run is a failure.
pub(crate) fn lab_required() -> bool {
    std::env::var_os("LAB_REQUIRED").is_some_and(|value| value == "1")
}
