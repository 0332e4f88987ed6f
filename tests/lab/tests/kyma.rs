//! The module that the lab plays, on a lab that is up: `LAB_NAME=lab12 cargo test -p kubectl-egress-lab --test kyma`.
//! Without one the tests say that they were skipped.
#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kubectl_egress_lab::{Lab, Platform, PolicyEngine};
use serde_json::{Value, json};

/// The one Istio CR of the lab is everybody's: one test at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Longer than the module ever needs where nothing is wrong.
const PATIENCE: Duration = Duration::from_secs(90);

/// A lab with Kyma, and this test's turn at it.
struct Kyma {
    kubeconfig: PathBuf,
    engine: PolicyEngine,
    _turn: MutexGuard<'static, ()>,
}

fn kyma() -> Option<Kyma> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let Ok(name) = std::env::var("LAB_NAME") else {
        eprintln!("skipped: LAB_NAME names no lab; `cargo lab --name lab12 up --platform kyma` makes one");
        return None;
    };
    let lab = Lab::running_as(&name).unwrap();
    let Some(lab) = lab.filter(|lab| lab.options().platform == Platform::Kyma) else {
        eprintln!("skipped: {name} is not up with platform kyma");
        return None;
    };
    if lab.options().egress_gateway {
        eprintln!("skipped: {name} was brought up with the egress gateway; these tests bring it themselves");
        return None;
    }
    let kyma = Kyma {
        kubeconfig: lab.kubeconfig(),
        engine: lab.options().policy_engine,
        _turn: turn,
    };
    // Whatever a failed test left.
    kyma.release();
    kyma.settled();
    Some(kyma)
}

impl Kyma {
    fn kubectl(&self, words: &[&str], input: Option<&Value>) -> Result<String, String> {
        let mut child = Command::new("kubectl")
            .env("KUBECONFIG", &self.kubeconfig)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        if let Some(input) = input {
            stdin.write_all(input.to_string().as_bytes()).unwrap();
        }
        drop(stdin);
        let done = child.wait_with_output().unwrap();
        if done.status.success() {
            Ok(String::from_utf8(done.stdout).unwrap())
        } else {
            Err(String::from_utf8(done.stderr).unwrap())
        }
    }

    fn run(&self, words: &str) -> String {
        let words: Vec<_> = words.split(' ').collect();
        self.kubectl(&words, None).unwrap()
    }

    fn json(&self, words: &str) -> Value {
        serde_json::from_str(&self.run(&format!("{words} --output=json"))).unwrap()
    }

    /// Applies an object as somebody.
    fn apply(&self, manager: &str, object: &Value) -> Result<String, String> {
        let manager = format!("--field-manager={manager}");
        self.kubectl(
            &["apply", "--server-side", &manager, "--filename=-"],
            Some(object),
        )
    }

    /// Applies a part of the CR's spec as a tool that owns nothing else; an empty part takes all of it away.
    fn own(&self, spec: &Value) {
        self.apply("test", &istio("kyma-system", "default", spec))
            .unwrap();
    }

    fn release(&self) {
        self.own(&json!({}));
        let nothing = "-n istio-system delete envoyfilters -l kubectl-egress-lab/test=true";
        self.run(nothing);
        self.run("-n kyma-system annotate istios default kubectl-egress-lab/fail-installation-");
    }

    fn istio(&self) -> Value {
        self.json("-n kyma-system get istios.operator.kyma-project.io default")
    }

    fn wait<T>(&self, what: &str, mut look: impl FnMut(&Value) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            let istio = self.istio();
            if let Some(found) = look(&istio) {
                return found;
            }
            assert!(start.elapsed() < PATIENCE, "{what}: {:#}", istio["status"]);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until the module has applied the spec as it is, and is content.
    fn settled(&self) -> Value {
        self.wait("Ready", |istio| {
            let applied =
                istio.pointer("/metadata/annotations/operator.kyma-project.io~1lastAppliedConfiguration");
            let mut applied: Value = serde_json::from_str(applied?.as_str()?).ok()?;
            applied.as_object_mut()?.remove("IstioTag");
            (istio["status"]["state"] == "Ready" && applied == istio["spec"]).then(|| istio.clone())
        })
    }

    fn gateway_replicas(&self) -> u64 {
        let list = self.json("-n istio-system get deployments -l istio=egressgateway");
        list.pointer("/items/0/status/availableReplicas")
            .and_then(Value::as_u64)
            .unwrap_or_default()
    }
}

fn istio(namespace: &str, name: &str, spec: &Value) -> Value {
    let mut istio = json!({"apiVersion": "operator.kyma-project.io/v1alpha2", "kind": "Istio",
        "metadata": {"namespace": namespace, "name": name}});
    // An empty map would be a field, too, and somebody's.
    if *spec != json!({}) {
        istio["spec"] = spec.clone();
    }
    istio
}

/// Status and reason of a condition.
fn condition<'a>(istio: &'a Value, kind: &str) -> [&'a str; 2] {
    let conditions = istio
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .unwrap();
    let found = conditions.iter().find(|condition| condition["type"] == kind);
    let found = found.unwrap_or_else(|| panic!("no condition {kind} in {conditions:#?}"));
    ["status", "reason"].map(|field| found[field].as_str().unwrap())
}

/// The fields that somebody owns, without the time.
fn fields_of(istio: &Value, manager: &str) -> Value {
    let all = istio
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array)
        .unwrap();
    let own = all.iter().filter(|entry| entry["manager"] == manager);
    own.map(|entry| json!([entry["operation"], entry["subresource"], entry["fieldsV1"]]))
        .collect()
}

#[test]
fn the_one_field_brings_the_gateway_and_takes_it_away() {
    let Some(kyma) = kyma() else { return };
    let with_owners = || kyma.json("-n kyma-system get istios default --show-managed-fields");
    let before = with_owners();
    assert_eq!(kyma.gateway_replicas(), 0);

    kyma.own(&json!({"components": {"egressGateway": {"enabled": true}}}));
    let processing = kyma.wait("Processing", |istio| {
        (istio["status"]["state"] == "Processing").then(|| istio.clone())
    });
    assert_eq!(processing["status"]["description"], "Reconciling Istio");
    assert_eq!(condition(&processing, "Ready"), ["Unknown", "ReconcileUnknown"]);

    let ready = kyma.settled();
    assert_ne!(kyma.gateway_replicas(), 0);
    assert_eq!(ready["status"].get("description"), None);
    assert_eq!(condition(&ready, "Ready"), ["True", "ReconcileSucceeded"]);
    assert_eq!(
        condition(&ready, "ProxySidecarRestartSucceeded"),
        ["True", "ProxySidecarRestartSucceeded"]
    );
    assert_eq!(
        condition(&ready, "IngressTargetingUserResourceFound"),
        ["False", "IngressTargetingUserResourceNotFound"]
    );
    let pods = kyma.json("-n istio-system get pods -l istio=egressgateway");
    let labels = &pods["items"][0]["metadata"]["labels"];
    assert_eq!(labels["app"], "istio-egressgateway");
    assert_eq!(labels["kyma-project.io/module"], "istio");
    assert_eq!(labels["sidecar.istio.io/inject"], "false");

    kyma.own(&json!({}));
    kyma.settled();
    assert_eq!(kyma.gateway_replicas(), 0);
    let after = with_owners();
    assert_eq!(after["spec"], before["spec"]);
    for manager in ["lifecycle-manager", "manager"] {
        assert_eq!(
            fields_of(&after, manager),
            fields_of(&before, manager),
            "{manager}"
        );
    }
    assert_eq!(fields_of(&after, "test"), json!([]));
}

#[test]
fn a_newer_cr_is_warned_and_does_nothing() {
    let Some(kyma) = kyma() else { return };
    let spec = json!({"components": {"egressGateway": {"enabled": true}}});
    kyma.apply("test", &istio("kyma-system", "another", &spec))
        .unwrap();
    let another = kyma.wait("Warning", |_| {
        let another = kyma.json("-n kyma-system get istios another");
        (another["status"]["state"] == "Warning").then_some(another)
    });
    kyma.run("-n kyma-system delete istios another --timeout=20s");
    assert_eq!(condition(&another, "Ready"), ["False", "OlderCRExists"]);
    assert_eq!(
        another["status"]["description"],
        "Stopped Istio CR reconciliation: only Istio CR default in kyma-system reconciles the module"
    );
    assert_eq!(kyma.istio()["status"]["state"], "Ready");
    assert_eq!(kyma.gateway_replicas(), 0);
}

#[test]
fn a_cr_elsewhere_is_an_error_and_does_nothing() {
    let Some(kyma) = kyma() else { return };
    let spec = json!({"components": {"egressGateway": {"enabled": true}}});
    kyma.apply("test", &istio("default", "default", &spec)).unwrap();
    let elsewhere = kyma.wait("Error", |_| {
        let elsewhere = kyma.json("-n default get istios default");
        (elsewhere["status"]["state"] == "Error").then_some(elsewhere)
    });
    kyma.run("-n default delete istios default --timeout=20s");
    assert_eq!(condition(&elsewhere, "Ready"), ["False", "ReconcileFailed"]);
    assert_eq!(
        elsewhere["status"]["description"],
        "Stopped Istio CR reconciliation: istio CR is not in kyma-system namespace"
    );
    assert_eq!(kyma.gateway_replicas(), 0);
}

#[test]
fn a_users_envoy_filter_on_the_ingress_gateway_is_a_warning_and_stops_nothing() {
    let Some(kyma) = kyma() else { return };
    let filter = json!({"apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter",
        "metadata": {"namespace": "istio-system", "name": "mine", "labels": {"kubectl-egress-lab/test": "true"}},
        "spec": {"workloadSelector": {"labels": {"istio": "ingressgateway"}}}});
    kyma.apply("test", &filter).unwrap();
    kyma.own(&json!({"components": {"egressGateway": {"enabled": true}}}));
    let warned = kyma.wait("Warning", |istio| {
        (istio["status"]["state"] == "Warning").then(|| istio.clone())
    });
    assert_eq!(
        warned["status"]["description"],
        "misconfigured EnvoyFilter can potentially break Istio Ingress Gateway: user-created EnvoyFilter \
         istio-system/mine targeting Ingress Gateway found"
    );
    assert_eq!(condition(&warned, "Ready"), ["False", "ReconcileFailed"]);
    assert_eq!(
        condition(&warned, "IngressTargetingUserResourceFound"),
        ["True", "IngressTargetingUserResourceFound"]
    );
    assert_ne!(kyma.gateway_replicas(), 0);
    kyma.release();
    let ready = kyma.settled();
    assert_eq!(condition(&ready, "IngressTargetingUserResourceFound")[0], "False");
}

#[test]
fn a_failed_installation_is_an_error_until_it_succeeds() {
    let Some(kyma) = kyma() else { return };
    let annotate = [
        "-n",
        "kyma-system",
        "annotate",
        "istios",
        "default",
        "kubectl-egress-lab/fail-installation=no room",
    ];
    kyma.kubectl(&annotate, None).unwrap();
    kyma.own(&json!({"components": {"egressGateway": {"enabled": true}}}));
    let failed = kyma.wait("Error", |istio| {
        (istio["status"]["state"] == "Error").then(|| istio.clone())
    });
    assert_eq!(
        failed["status"]["description"],
        "Could not install Istio: no room"
    );
    assert_eq!(
        condition(&failed, "Ready"),
        ["False", "IstioInstallUninstallFailed"]
    );
    assert_eq!(kyma.gateway_replicas(), 0);
    // No new generation: the module tries again by itself.
    kyma.run("-n kyma-system annotate istios default kubectl-egress-lab/fail-installation-");
    kyma.settled();
    assert_ne!(kyma.gateway_replicas(), 0);
    kyma.release();
}

#[test]
fn network_policies_come_and_go_with_their_field() {
    let Some(kyma) = kyma() else { return };
    let policies = || {
        let list = kyma.json("get networkpolicies -A -l kyma-project.io/managed-by=kyma");
        list["items"].as_array().unwrap().clone()
    };
    assert_eq!(policies().len(), 0);
    kyma.own(&json!({"networkPoliciesEnabled": true}));
    kyma.settled();
    let all = policies();
    assert_eq!(all.len(), 7);
    let name = "kyma-project.io--istio-egressgateway";
    let gateway = all
        .iter()
        .find(|policy| policy["metadata"]["name"] == name)
        .unwrap();
    assert_eq!(
        gateway["spec"]["ingress"][0]["from"],
        json!([{"namespaceSelector": {}, "podSelector": {"matchLabels": {
            "networking.kyma-project.io/to-egressgateway": "allowed"}}}])
    );
    kyma.release();
    kyma.settled();
    assert_eq!(policies().len(), 0);
}

#[test]
fn under_the_modules_policies_only_labelled_pods_reach_the_gateway() {
    let Some(kyma) = kyma() else { return };
    if kyma.engine == PolicyEngine::None {
        eprintln!("skipped: this lab enforces no policies");
        return;
    }
    let pod = |name: &str, labels: Value| {
        json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": "kyma-policies", "name": name, "labels": labels},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [{
                "name": "curl", "image": "docker.io/curlimages/curl:8.18.0", "imagePullPolicy": "IfNotPresent",
                "command": ["sleep", "600"]}]}})
    };
    let labelled = json!({"networking.kyma-project.io/to-egressgateway": "allowed"});
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kyma-policies"}});
    for object in [namespace, pod("plain", json!({})), pod("labelled", labelled)] {
        kyma.apply("test", &object).unwrap();
    }
    kyma.own(&json!({"components": {"egressGateway": {"enabled": true}}, "networkPoliciesEnabled": true}));
    kyma.settled();
    // Both were restarted under the policies and still find each other.
    for deployment in ["istiod", "istio-ingressgateway", "istio-egressgateway"] {
        kyma.run(&format!(
            "-n istio-system rollout status deployment/{deployment} --timeout=90s"
        ));
    }
    kyma.run("-n kyma-policies wait --for=condition=Ready pod/plain pod/labelled --timeout=60s");
    let address = "-n istio-system get pods -l istio=egressgateway -o jsonpath={.items[0].status.podIP}";
    let url = format!("http://{}:15021/healthz/ready", kyma.run(address));
    let reaches = |pod: &str| {
        let words = [
            "-n",
            "kyma-policies",
            "exec",
            pod,
            "--",
            "curl",
            "-sS",
            "-m",
            "5",
            &url,
        ];
        kyma.kubectl(&words, None)
    };
    let (plain, labelled) = (reaches("plain"), reaches("labelled"));
    kyma.release();
    kyma.settled();
    kyma.run("delete namespace kyma-policies --timeout=60s");
    assert!(labelled.is_ok(), "{labelled:?}");
    assert!(
        plain
            .as_ref()
            .is_err_and(|error| error.contains("curl: (28)") || error.contains("curl: (7)")),
        "{plain:?}"
    );
}

#[test]
fn the_definition_refuses_what_the_modules_own_refuses() {
    let Some(kyma) = kyma() else { return };
    let dry = |spec: Value| {
        let object = istio("kyma-system", "dry", &spec);
        let words = [
            "create",
            "--dry-run=server",
            "--validate=ignore",
            "--output=json",
            "--filename=-",
        ];
        kyma.kubectl(&words, Some(&object))
    };
    let pruned =
        dry(json!({"components": {"egressGateway": {"enabled": true, "labels": {"a": "b"}}}})).unwrap();
    let pruned: Value = serde_json::from_str(&pruned).unwrap();
    assert_eq!(
        pruned["spec"]["components"],
        json!({"egressGateway": {"enabled": true}})
    );
    for wrong in [
        json!({"components": {"egressGateway": {"enabled": "yes"}}}),
        json!({"components": {"pilot": {}}}),
        json!({"config": {"forwardClientCertDetails": "NONE"}}),
        json!({"components": {"egressGateway": {"k8s": {"resources": {"limits": {"cpu": "much"}}}}}}),
        json!({"components": {"egressGateway": {"k8s": {"strategy": {"rollingUpdate": {"maxSurge": -1}}}}}}),
    ] {
        let refused = dry(wrong.clone());
        assert!(refused.is_err(), "{wrong}: {refused:?}");
    }
}

#[test]
#[ignore = "takes Istio away and brings it back: nobody else may use the lab"]
fn a_deleted_cr_takes_istio_with_it_unless_somebody_uses_it() {
    let Some(kyma) = kyma() else { return };
    let entry = json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": {"namespace": "default", "name": "blocks"},
        "spec": {"hosts": ["blocks.test"], "resolution": "DNS",
            "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}]}});
    kyma.apply("test", &entry).unwrap();
    kyma.run("-n kyma-system delete istios default --wait=false");
    let blocked = kyma.wait("Warning", |istio| {
        (istio["status"]["state"] == "Warning").then(|| istio.clone())
    });
    assert_eq!(
        condition(&blocked, "Ready"),
        ["False", "IstioCustomResourcesDangling"]
    );
    kyma.run("-n default delete serviceentries blocks");
    // After a warning the module looks again in an hour, or at a new generation.
    kyma.own(&json!({"config": {"numTrustedProxies": 1}}));
    kyma.run("-n kyma-system wait --for=delete istios/default --timeout=90s");
    kyma.run("wait --for=delete namespace/istio-system --timeout=90s");

    // As a tool makes it: with its one field. The module's own write adds `config`.
    let field = json!({"egressGateway": {"enabled": true}});
    kyma.own(&json!({"components": field}));
    let ready = kyma.settled();
    assert_eq!(ready["spec"], json!({"components": field, "config": {}}));
    assert_eq!(ready["metadata"]["generation"], 2);
    assert_eq!(condition(&ready, "Ready"), ["True", "ReconcileSucceeded"]);
    assert_ne!(kyma.gateway_replicas(), 0);
    kyma.release();
    assert_eq!(kyma.settled()["spec"], json!({"config": {}}));
}
