//! A namespace on the lab with a pod that has curl, for as long as a test runs.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use kubectl_egress_lab::{DEFAULT_NAME, Lab, Mark, PolicyEngine};
use serde_json::{Value, json};

/// The engine is the whole lab's, so these tests run one after the other.
static TURN: Mutex<()> = Mutex::new(());
/// How many namespaces there were.
static COUNT: AtomicU32 = AtomicU32::new(0);
/// Long enough for a connection inside one machine, short enough for a suite of refusals.
const PATIENCE: &str = "3";
/// Every namespace of these tests has this label.
const LABEL: &str = "kubectl-egress-lab/policy-test=true";

/// The port of the pod `server`.
pub(crate) const SERVER_PORT: u16 = 9000;

/// curl's exit code for "could not resolve host".
pub(crate) const UNRESOLVED: i32 = 6;
/// curl's exit code for a connection that was refused.
pub(crate) const REFUSED: i32 = 7;
/// curl's exit code for time that ran out.
pub(crate) const TIMED_OUT: i32 = 28;

/// The place, removed with the value.
pub(crate) struct Place {
    pub(crate) lab: Lab,
    namespace: String,
    _suite: File,
    _turn: MutexGuard<'static, ()>,
}

impl Place {
    /// Makes it, with the engine asked for; `None` (and a word) where there is no lab.
    pub(crate) fn new(engine: PolicyEngine) -> Option<Self> {
        Self::make(engine, false)
    }

    /// The same, with a resolver on the node.
    pub(crate) fn with_node_local_dns(engine: PolicyEngine) -> Option<Self> {
        Self::make(engine, true)
    }

    fn make(engine: PolicyEngine, node_local_dns: bool) -> Option<Self> {
        let turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let name = std::env::var("LAB_NAME").unwrap_or_else(|_| DEFAULT_NAME.to_owned());
        let Some(mut lab) = Lab::running_as(&name).unwrap() else {
            assert!(
                std::env::var("LAB_REQUIRED").as_deref() != Ok("1"),
                "no lab {name} is running, and LAB_REQUIRED=1 asks for one (cargo lab up)"
            );
            eprintln!("skipped: no lab {name} is running (cargo lab up)");
            return None;
        };
        // The lock of the real-cluster suite: it would not like other policies in between.
        let suite = File::create(lab.state_dir().join("suite.lock")).unwrap();
        suite.lock().unwrap();
        lab.set_policy_engine(engine).unwrap();
        if lab.options().node_local_dns != node_local_dns {
            lab.set_node_local_dns(node_local_dns).unwrap();
        }
        let place = Self {
            namespace: format!("policy-test-{}", COUNT.fetch_add(1, Ordering::Relaxed)),
            lab,
            _suite: suite,
            _turn: turn,
        };
        if COUNT.load(Ordering::Relaxed) == 1 {
            place
                .kubectl(&["delete", "namespaces", "--selector", LABEL])
                .unwrap();
        }
        let (key, value) = LABEL.split_once('=').unwrap();
        let metadata = json!({"name": place.namespace, "labels": {key: value}});
        place.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}));
        place.start_pod("client", &["sleep", "3600"]);
        Some(place)
    }

    /// Starts a pod with curl, labelled `app: NAME`, that the lock selects, and waits until it runs.
    pub(crate) fn start_pod(&self, name: &str, command: &[&str]) {
        self.run_pod(name, "true", &json!({"command": command}));
    }

    /// Starts the pod `server`, which the lock does not select: it sends back what comes to its port, and the kubelet
    /// asks it for its readiness there.
    pub(crate) fn start_server(&self) {
        let container = json!({
            // -ll: one connection after the other, each with the program's answers.
            "command": ["nc", "-ll", "-p", SERVER_PORT.to_string(), "-e", "cat"],
            "ports": [{"name": "echo", "containerPort": SERVER_PORT}],
            "readinessProbe": {"tcpSocket": {"port": SERVER_PORT}, "periodSeconds": 1},
        });
        self.run_pod("server", "false", &container);
    }

    fn run_pod(&self, name: &str, locked: &str, container: &Value) {
        let mut container = container.clone();
        container["name"] = json!("main");
        container["image"] = json!("docker.io/curlimages/curl:8.18.0");
        container["imagePullPolicy"] = json!("IfNotPresent");
        self.apply(&json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": self.namespace, "labels": {"app": name, "locked": locked}},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
        }));
        self.kubectl(&[
            "-n",
            &self.namespace,
            "wait",
            "--for=condition=Ready",
            "--timeout=60s",
            &format!("pod/{name}"),
        ])
        .unwrap();
    }

    /// Isolates the pods that it selects for egress, but for these rules, and waits until that is in force.
    pub(crate) fn lock(&self, egress: &Value) {
        self.lock_without_waiting(egress);
        self.lab.wait_for_policies(Duration::from_secs(20)).unwrap();
    }

    /// Isolates the pods that it selects for egress, but for these rules.
    pub(crate) fn lock_without_waiting(&self, egress: &Value) {
        self.apply(&self.policy(egress));
    }

    /// Isolates the pod `server` for ingress, but for these rules, and waits until that is in force.
    pub(crate) fn close_server(&self, ingress: &Value) {
        self.apply(&json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "closed", "namespace": self.namespace},
            "spec": {"podSelector": {"matchLabels": {"app": "server"}}, "ingress": ingress},
        }));
        self.lab.wait_for_policies(Duration::from_secs(20)).unwrap();
    }

    /// A Service for the pod `server`; its address.
    pub(crate) fn serve_server(&self) -> String {
        self.apply(&json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "server", "namespace": self.namespace},
            "spec": {"selector": {"app": "server"}, "ports": [{"port": SERVER_PORT}]},
        }));
        let address = "jsonpath={.spec.clusterIP}";
        self.kubectl(&["-n", &self.namespace, "get", "service", "server", "-o", address])
            .unwrap()
    }

    /// Whether the pod `server` comes to answer another pod at an address: kube-proxy may be a moment behind.
    pub(crate) fn comes_to_answer(&self, pod: &str, address: &str) -> bool {
        (0..5).any(|_| self.is_answered(pod, address))
    }

    /// Whether the pod `server` answers another pod at an address.
    pub(crate) fn is_answered(&self, pod: &str, address: &str) -> bool {
        let script = format!("echo word | timeout 3 nc {address} {SERVER_PORT} | head -n 1");
        let (_, text) = self.exec_in(pod, &["sh", "-c", &script]);
        text.trim() == "word"
    }

    /// Takes the policy away again and waits until that is in force.
    pub(crate) fn unlock(&self) {
        self.kubectl(&["-n", &self.namespace, "delete", "networkpolicy", "lock"])
            .unwrap();
        self.lab.wait_for_policies(Duration::from_secs(20)).unwrap();
    }

    /// curl in the pod `client`: exit code, and what it wrote.
    pub(crate) fn curl(&self, arguments: &[&str]) -> (i32, String) {
        let curl = [
            "curl",
            "--silent",
            "--show-error",
            "--insecure",
            "--max-time",
            PATIENCE,
        ];
        self.exec(&[&curl[..], arguments].concat())
    }

    /// A command in the pod `client`: exit code, and what it wrote.
    pub(crate) fn exec(&self, words: &[&str]) -> (i32, String) {
        self.exec_in("client", words)
    }

    /// A command in a pod: exit code, and what it wrote.
    pub(crate) fn exec_in(&self, pod: &str, words: &[&str]) -> (i32, String) {
        let output = self
            .command()
            .args(["-n", &self.namespace, "exec", pod, "--"])
            .args(words)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap_or(-1), text.into_owned())
    }

    /// Checks how curl ends for each URL.
    #[track_caller]
    pub(crate) fn expect(&self, urls: &[(&str, i32)]) {
        for (url, code) in urls {
            let (ended, text) = self.curl(&[url]);
            assert_eq!(ended, *code, "{url}: {text}");
        }
    }

    /// The address of a pod.
    pub(crate) fn address(&self, pod: &str) -> String {
        self.kubectl(&[
            "-n",
            &self.namespace,
            "get",
            "pod",
            pod,
            "-o",
            "jsonpath={.status.podIP}",
        ])
        .unwrap()
    }

    /// How many requests the outside world has seen from a pod since then.
    pub(crate) fn arrived_since(&self, mark: Mark, pod: &str) -> usize {
        let address = self.address(pod);
        let events = self.lab.world().since(mark).unwrap();
        events
            .iter()
            .filter(|event| event.peer_ip().to_string() == address)
            .count()
    }

    /// kubectl as the administrator.
    fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.command().args(arguments).output().unwrap();
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Applies an object.
    fn apply(&self, object: &Value) {
        let mut child = self
            .command()
            .args(["apply", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(object.to_string().as_bytes())
            .unwrap();
        assert!(child.wait().unwrap().success(), "{object}");
    }

    fn policy(&self, egress: &Value) -> Value {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "lock", "namespace": self.namespace},
            "spec": {
                "podSelector": {"matchLabels": {"locked": "true"}}, "policyTypes": ["Egress"], "egress": egress,
            },
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("kubectl");
        command.env("KUBECONFIG", self.lab.kubeconfig());
        command
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.kubectl(&["delete", "namespace", &self.namespace, "--wait=false"]);
        let _ = self.lab.set_policy_engine(PolicyEngine::default());
        if self.lab.options().node_local_dns {
            let _ = self.lab.set_node_local_dns(false);
        }
    }
}

/// A rule that lets out to the cluster's DNS by its namespace, as the tutorials have it.
pub(crate) fn dns() -> Value {
    let kube_system = json!({"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}});
    json!({
        "to": [{"namespaceSelector": kube_system}],
        "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
    })
}

/// A rule that lets out to a range on one port of TCP.
pub(crate) fn block(cidr: &str, port: u16) -> Value {
    json!({"to": [{"ipBlock": {"cidr": cidr}}], "ports": [{"port": port}]})
}
