//! The Istio custom resource of a Kyma lab, and who changes it beside the tool.

use super::Stage;
use super::kubectl::Kubectl;
use serde_json::{Value, json};

/// The one that counts on the lab.
pub(crate) const RESOURCE: &str = "istio default -n kyma-system";
/// Annotation by which the lab's module fails an installation.
const FAILING: &str = "kubectl-egress-lab/fail-installation";

/// The module of the lab; whatever somebody else changed about it goes with this value.
pub(crate) struct Module {
    kubectl: Kubectl,
}

impl Module {
    pub(crate) fn of(stage: &Stage) -> Self {
        let module = Self {
            kubectl: stage.kubectl.clone(),
        };
        module.done();
        module
    }

    /// Somebody else applies this spec; what they applied before and is not in it goes.
    pub(crate) fn somebody_applies(&self, spec: &Value) {
        self.kubectl
            .apply(&resource("kyma-system", "default", spec).to_string());
        self.settled();
    }

    /// The next installation fails with this text; without it none does.
    pub(crate) fn fails_with(&self, text: Option<&str>) {
        let annotation = text.map_or_else(|| format!("{FAILING}-"), |text| format!("{FAILING}={text}"));
        self.kubectl
            .run(&format!("annotate {RESOURCE} --overwrite {annotation}"));
    }

    /// Waits until the module is done with what was changed just now.
    pub(crate) fn settled(&self) {
        // It looks at a change at once and says `Processing`, or refuses it without a word.
        let _ = self.kubectl.attempt(&format!(
            "wait --for=jsonpath={{.status.state}}=Processing {RESOURCE} --timeout=2s"
        ));
        self.done();
    }

    fn done(&self) {
        for _ in 0..80 {
            if matches!(self.state().as_str(), "Ready" | "Warning" | "Error") {
                return;
            }
            let changed = self.kubectl.attempt(&format!(
                "wait --for=jsonpath={{.status.state}}=Ready {RESOURCE} --timeout=1s"
            ));
            if changed.is_ok() {
                return;
            }
        }
        panic!("the module is not done: {}", self.read());
    }

    pub(crate) fn state(&self) -> String {
        self.read()["status"]["state"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub(crate) fn read(&self) -> Value {
        self.kubectl
            .json(&format!("get {RESOURCE} --show-managed-fields"))
    }

    /// The field that the tool sets.
    pub(crate) fn switch(&self) -> Value {
        self.read()["spec"]["components"]["egressGateway"]["enabled"].clone()
    }

    /// Whether anything of the egress gateway is there.
    pub(crate) fn has_gateway(&self) -> bool {
        let kinds = "deployments,services,horizontalpodautoscalers,serviceaccounts,pods";
        let found = self.kubectl.names(&format!("get {kinds} -n istio-system"));
        found.iter().any(|name| name.contains("istio-egressgateway"))
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        let _ = self
            .kubectl
            .attempt(&format!("annotate {RESOURCE} --overwrite {FAILING}-"));
        // Whoever owns what of it: the lab's own spec is this.
        let _ = self.kubectl.attempt(&format!(
            "patch {RESOURCE} --type=json --patch=[{{\"op\":\"replace\",\"path\":\"/spec\",\"value\":{{\"config\":{{}}}}}}]"
        ));
        let _ = self
            .kubectl
            .attempt("wait --for=delete deployment/istio-egressgateway -n istio-system --timeout=60s");
    }
}

/// Something of somebody else's that all of the cluster sees; goes with this value.
pub(crate) struct Foreign {
    kubectl: Kubectl,
    what: &'static str,
}

impl Foreign {
    /// Applies it; `what` names it for deletion.
    pub(crate) fn apply(stage: &Stage, manifest: &str, what: &'static str) -> Self {
        stage.kubectl.apply(manifest);
        Self {
            kubectl: stage.kubectl.clone(),
            what,
        }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.kubectl.attempt(&format!("delete {}", self.what));
    }
}

/// An Istio custom resource.
pub(crate) fn resource(namespace: &str, name: &str, spec: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "operator.kyma-project.io/v1alpha2", "kind": "Istio",
        "metadata": {"name": name, "namespace": namespace},
    });
    if !spec.is_null() {
        object["spec"] = spec.clone();
    }
    object
}

/// A spec with the switch, and something that is not ours to touch.
pub(crate) fn switched(value: bool) -> Value {
    json!({"components": {"egressGateway": {"enabled": value}}, "compatibilityMode": false})
}

/// Somebody's EnvoyFilter on the ingress gateway: the module warns of it.
pub(crate) const ENVOY_FILTER: &str = "apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: suite-filter, namespace: istio-system}
spec:
  workloadSelector: {labels: {istio: ingressgateway}}
  configPatches: []
";
