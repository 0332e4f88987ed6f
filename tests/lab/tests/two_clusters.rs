//! A lab of two clusters: `LAB_NAME=lab12 cargo test -p kubectl-egress-lab --test two_clusters`, on one that was brought
//! up with `--clusters 2`. Without one the tests say that they were skipped.
#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::io::Write;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kubectl_egress_lab::{ClusterLayout, EventKind, Lab, PROXY_PORT, Platform, addresses_of};
use serde_json::{Value, json};

/// A namespace of these tests, in both clusters.
const NAMESPACE: &str = "two-clusters-test";
/// A name of the target's ingress gateway.
const HOST: &str = "target.example.com";
/// Longer than anything takes where nothing is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// One test at a time: they share a namespace.
static TURN: Mutex<()> = Mutex::new(());

/// The lab, with a curl pod in the first cluster, and httpbin in the second.
struct Clusters {
    lab: Lab,
    _turn: MutexGuard<'static, ()>,
}

fn clusters() -> Option<Clusters> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let lab = std::env::var("LAB_NAME")
        .ok()
        .and_then(|name| Lab::running_as(&name).unwrap());
    let Some(lab) = lab.filter(|lab| lab.target().is_some()) else {
        eprintln!(
            "skipped: LAB_NAME names no lab of two clusters; `cargo lab --name lab12 up --clusters 2` makes one"
        );
        return None;
    };
    let clusters = Clusters { lab, _turn: turn };
    clusters.kubectl(None, &["apply", "-f", "-"], Some(&namespace(false)));
    clusters.kubectl(None, &["apply", "-f", "-"], Some(&client()));
    let wait = [
        "-n",
        NAMESPACE,
        "wait",
        "pod/client",
        "--for=condition=Ready",
        "--timeout=60s",
    ];
    clusters.kubectl(None, &wait, None);
    Some(clusters)
}

impl Clusters {
    fn kubectl(&self, context: Option<&str>, words: &[&str], input: Option<&Value>) -> String {
        let mut command = Command::new("kubectl");
        command.env("KUBECONFIG", self.lab.kubeconfig());
        command.args(context.map(|context| format!("--context={context}")));
        let mut child = command
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = input.map(Value::to_string).unwrap_or_default();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "kubectl {words:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    fn target(&self, words: &[&str], input: Option<&Value>) -> String {
        self.kubectl(Some(ClusterLayout::TARGET_CONTEXT), words, input)
    }

    fn curl(&self, words: &[&str]) -> String {
        let exec = [
            "-n",
            NAMESPACE,
            "exec",
            "client",
            "--",
            "curl",
            "-sS",
            "--max-time",
            "5",
        ];
        self.kubectl(None, &[&exec[..], words].concat(), None)
    }

    /// Asks until the answer is the wanted one: the ingress gateway has what was applied a moment later.
    fn curl_until(&self, words: &[&str], wanted: impl Fn(&str) -> bool) -> String {
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            let answer = self.curl(words);
            if wanted(&answer) {
                return answer;
            }
            assert!(std::time::Instant::now() < end, "never as wanted: {answer}");
        }
    }

    fn client_address(&self) -> IpAddr {
        let path = "jsonpath={.status.podIP}";
        let text = self.kubectl(None, &["-n", NAMESPACE, "get", "pod", "client", "-o", path], None);
        text.parse().unwrap()
    }

    /// httpbin in the target, and a plain Gateway for [`HOST`].
    fn deploy_target(&self) {
        self.target(&["apply", "-f", "-"], Some(&namespace(true)));
        self.target(&["apply", "-f", "-"], Some(&httpbin()));
        let rollout = [
            "-n",
            NAMESPACE,
            "rollout",
            "status",
            "deployment/httpbin",
            "--timeout=90s",
        ];
        self.target(&rollout, None);
    }
}

impl Drop for Clusters {
    fn drop(&mut self) {
        let words = [
            "delete",
            "namespace",
            NAMESPACE,
            "--ignore-not-found",
            "--timeout=60s",
        ];
        self.target(&words, None);
        self.kubectl(None, &words, None);
    }
}

fn namespace(injected: bool) -> Value {
    let injection = if injected { "enabled" } else { "disabled" };
    json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {"istio-injection": injection}}})
}

fn client() -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "client", "namespace": NAMESPACE}, "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "curl", "image": "docker.io/curlimages/curl:8.18.0",
            "imagePullPolicy": "IfNotPresent", "command": ["/bin/sleep", "infinity"]}]}})
}

fn httpbin() -> Value {
    let labels = json!({"app": "httpbin"});
    let object = |version: &str, kind: &str, name: &str, spec: Value| json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec});
    let networking = "networking.istio.io/v1";
    let items = [
        object(
            "v1",
            "Service",
            "httpbin",
            json!({"selector": labels,
            "ports": [{"name": "http", "port": 8000, "targetPort": 8080}]}),
        ),
        object(
            "apps/v1",
            "Deployment",
            "httpbin",
            json!({"selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "httpbin",
                "image": "docker.io/mccutchen/go-httpbin:v2.15.0", "imagePullPolicy": "IfNotPresent"}]}}}),
        ),
        object(
            networking,
            "Gateway",
            "plain",
            json!({
            "selector": {"app": "istio-ingressgateway", "istio": "ingressgateway"},
            "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": [HOST]}]}),
        ),
    ];
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

#[test]
fn a_pod_reaches_the_target_by_name_and_is_seen_there_with_its_own_address() {
    let Some(clusters) = clusters() else { return };
    clusters.deploy_target();
    let route = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "httpbin", "namespace": NAMESPACE},
        "spec": {"hosts": [HOST], "gateways": ["plain"], "http": [{"route": [
            {"destination": {"host": "httpbin", "port": {"number": 8000}}}]}]}});
    clusters.target(&["apply", "-f", "-"], Some(&route));
    let url = format!("http://{HOST}/headers");
    let answer = clusters.curl_until(&[&url], |answer| answer.contains("\"headers\""));
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(
        answer["headers"]["X-Envoy-External-Address"],
        json!([clusters.client_address()]),
        "{answer}"
    );
}

#[test]
fn an_api_rule_becomes_a_route_and_goes_with_it() {
    let Some(clusters) = clusters() else { return };
    if clusters.lab.options().platform != Platform::Kyma {
        eprintln!("skipped: the lab is not up with platform kyma");
        return;
    }
    clusters.deploy_target();
    let rule = json!({"apiVersion": "gateway.kyma-project.io/v2", "kind": "APIRule",
        "metadata": {"name": "httpbin", "namespace": NAMESPACE},
        "spec": {"hosts": [HOST], "gateway": format!("{NAMESPACE}/plain"),
            "service": {"name": "httpbin", "namespace": NAMESPACE, "port": 8000},
            "rules": [{"path": "/*", "methods": ["GET"], "noAuth": true}]}});
    clusters.target(&["apply", "-f", "-"], Some(&rule));
    let ready = [
        "-n",
        NAMESPACE,
        "wait",
        "apirule/httpbin",
        "--for=jsonpath={.status.state}=Ready",
        "--timeout=30s",
    ];
    clusters.target(&ready, None);
    let url = format!("http://{HOST}/headers");
    clusters.curl_until(&[&url], |answer| answer.contains("\"X-Forwarded-Host\""));
    let refused = clusters.curl(&["-X", "DELETE", "-o", "/dev/null", "-w", "%{http_code}", &url]);
    assert_eq!(refused, "404", "a method that no rule has");
    clusters.target(
        &["-n", NAMESPACE, "delete", "apirule", "httpbin", "--timeout=30s"],
        None,
    );
    let left = clusters.target(
        &[
            "-n",
            NAMESPACE,
            "get",
            "virtualservices,authorizationpolicies",
            "-o",
            "name",
        ],
        None,
    );
    assert_eq!(left, "");
}

#[test]
fn the_proxy_connects_for_others_and_both_logs_say_so() {
    let Some(clusters) = clusters() else { return };
    let world = clusters.lab.world();
    let mark = world.mark().unwrap();
    let proxy = format!("http://proxy.test:{PROXY_PORT}");
    let answer = clusters.curl(&["-x", &proxy, "https://kyma-project.io/tunnelled"]);
    assert!(answer.contains("/tunnelled"), "{answer}");
    let event = |kind: EventKind| {
        let events = world.since(mark).unwrap();
        events.into_iter().find(|event| event.event == kind).unwrap()
    };
    let tunnel = event(EventKind::Tunnel);
    assert_eq!(tunnel.path.as_deref(), Some("kyma-project.io:443"));
    assert_eq!(tunnel.peer_ip(), clusters.client_address());
    let request = event(EventKind::Request);
    assert_eq!(request.server, "kyma-project.io");
    let proxies: Vec<IpAddr> = addresses_of("proxy.test").into_iter().map(IpAddr::from).collect();
    assert!(proxies.contains(&request.peer_ip()), "{request:?}");
}

#[test]
fn a_wildcard_name_may_have_a_server_of_its_own() {
    let Some(clusters) = clusters() else { return };
    let server = |host: &str| {
        let answer: Value = serde_json::from_str(&clusters.curl(&[&format!("https://{host}/")])).unwrap();
        answer["server"].as_str().unwrap().to_owned()
    };
    assert_eq!(server("any.wild.test"), "tls.test");
    assert_eq!(server("apart.wild.test"), "apart.wild.test");
}
