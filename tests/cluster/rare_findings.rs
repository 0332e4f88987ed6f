//! Findings of faults that no other test makes: each real, and beside the same command without the fault.

use crate::support::kubectl::Kubectl;
use crate::support::manifests::{self, BUSYBOX, workload};
use crate::support::probed::codes;
use crate::support::{Stage, faketime, open};
use serde_json::Value;
use std::path::Path;

/// Codes of everything that a document says, in its findings and in its probes.
fn all_codes(document: &Value) -> Vec<String> {
    let own = codes(document).into_iter().map(str::to_owned);
    let probes = document["probes"].as_array().into_iter().flatten();
    own.chain(probes.flat_map(codes).map(str::to_owned)).collect()
}

#[test]
fn a_source_without_a_curl_that_works_is_named() {
    let stage = open!(shared).with_route();
    let namespace = &stage.namespace;
    // It says that it is there, and does nothing.
    let mimic = r#"["sh", "-c", "printf '#!/bin/sh\\n[ \"$1\" = --version ] && exit 0\\nexit 127\\n' > /bin/curl; chmod +x /bin/curl; sleep infinity"]"#;
    let no_curl = workload(namespace, "no-curl", BUSYBOX, true).replace("[sleep, infinity]", mimic);
    stage.kubectl.apply(&no_curl);
    stage.rolled_out(namespace, "no-curl");
    let url = format!("https://{}", stage.host);
    stage.probe_with(&url, "--from deploy/no-curl").finds("EGR-116");
    let twin = stage.probe_host();
    assert_eq!(twin.findings(), Vec::<&str>::new(), "{}", twin.run);
}

#[test]
fn a_workload_without_sidecar_does_not_go_through_the_gateway() {
    let stage = open!(shared).with_route();
    let namespace = &stage.namespace;
    stage
        .kubectl
        .apply(&workload(namespace, "plain", manifests::CURL, false));
    stage.rolled_out(namespace, "plain");
    let mark = stage.mark();
    let run = stage.egress("verify --from deploy/plain --skip-unmeshed -o json");
    let document = run.exits(1).json();
    assert_eq!(document["claims"]["routed"], "disproven", "{run}");
    run.finds("EGR-117");
    assert!(
        stage
            .peers_of(mark, &stage.host, 443)
            .is_disjoint(&stage.gateway_addresses()),
        "{run}"
    );
    let twin = stage.egress("verify --skip-unmeshed -o json");
    assert_eq!(twin.json()["claims"]["routed"], "proven", "{twin}");
    twin.finds_no("EGR-117");
}

#[test]
fn a_forbidden_host_that_another_plan_carries_is_a_hole() {
    let stage = open!(shared).with_route();
    let forbidden = format!("second-{}", stage.host);
    let verify = format!("verify --skip-unmeshed --forbidden {forbidden} -o json");
    let twin = stage.egress(&verify);
    twin.finds_no("EGR-118");
    stage
        .egress(&format!("setup {forbidden} --plan second --no-probe"))
        .exits(0);
    let mark = stage.mark();
    let run = stage.egress(&verify);
    assert!(
        all_codes(&run.json()).iter().any(|code| code == "EGR-118"),
        "{run}"
    );
    assert_eq!(stage.peers_of(mark, &forbidden, 443), stage.gateway_addresses());
    stage.egress("cleanup --plan second").exits(0);
}

#[test]
fn a_network_policy_that_stops_a_request_is_named() {
    let stage = open!(shared).with_route();
    let explain = format!("explain {}:443 -o json", stage.host);
    stage.egress(&explain).finds_no("EGR-121");
    stage.kubectl.apply(&format!(
        "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: closed, namespace: {}}}
spec:
  podSelector: {{}}
  policyTypes: [Egress]
  egress: [{{ports: [{{port: 53, protocol: UDP}}, {{port: 53}}, {{port: 15012}}]}}]
",
        stage.namespace
    ));
    stage.egress(&explain).finds("EGR-121");
    let mark = stage.mark();
    stage.probe_until(&format!("https://{}", stage.host), "unreachable");
    assert!(stage.peers_of(mark, &stage.host, 443).len() <= 1);
    let mark = stage.mark();
    stage.probe_with(&format!("https://{}", stage.host), "--max-time 5");
    assert!(
        stage.peers_of(mark, &stage.host, 443).is_empty(),
        "nothing gets out once the policy holds"
    );
}

#[test]
fn plain_http_at_a_tls_port_is_named() {
    let stage = open!(shared).with_namespace("istio-injection=enabled");
    stage
        .egress(&format!("setup {}:80 --mode tls-origination", stage.host))
        .exits(0);
    let url = format!("http://{}", stage.host);
    stage.probe(&url).is("routed", &stage.gateway_addresses());
    // The rule that makes TLS; the other one is the leg's to the gateway.
    let named = stage
        .kubectl
        .names(&format!("get destinationrules -n {} -o name", stage.namespace));
    let rule = named.iter().find(|name| name.contains(&stage.host)).unwrap();
    stage
        .kubectl
        .run(&format!("delete {rule} -n {}", stage.namespace));
    let found = (0..10).any(|_| stage.probe(&url).findings().contains(&"EGR-137"));
    assert!(found, "{}", stage.probe(&url).run);
}

#[test]
fn tls_inside_tls_is_named() {
    let stage = open!(shared).with_namespace("istio-injection=enabled");
    stage.egress("deploy-curl").exits(0);
    let Stage { host, namespace, .. } = &stage;
    stage.kubectl.apply(&format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: declared, namespace: {namespace}}}
spec: {{hosts: [{host}], exportTo: [\".\"], location: MESH_EXTERNAL, resolution: DNS, ports: [{{number: 443, name: tls, protocol: TLS}}]}}
"
    ));
    let explain = || {
        let run = stage.egress(&format!("explain https://{host}:443 -o json"));
        run.stdout.contains("EGR-145")
    };
    let url = format!("https://{host}");
    assert!(!explain());
    stage
        .probe_until(&url, "bypassed")
        .is("bypassed", &stage.source_addresses());
    stage.kubectl.apply(&format!(
        "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: once-more, namespace: {namespace}}}
spec: {{host: {host}, exportTo: [\".\"], trafficPolicy: {{tls: {{mode: SIMPLE, insecureSkipVerify: true}}}}}}
"
    ));
    assert!(explain());
    let answered = (0..10).all(|_| !stage.probe_with(&url, "--max-time 5").seen.is_empty());
    assert!(!answered, "an answer came through TLS inside TLS");
}

/// A request by a cluster of somebody's that leads to the gateway's pod: the sidecar's line says both.
#[test]
fn a_foreign_way_to_the_gateways_pod_proves_nothing() {
    let stage = open!(shared).with_route();
    let twin = stage.probe_host();
    assert!(!twin.findings().contains(&"EGR-115"), "{}", twin.run);
    let pods = stage.gateway_addresses();
    let foreign = format!("foreign-{}", stage.host);
    let endpoints: Vec<String> = pods.iter().map(|pod| format!("{{address: {pod}}}")).collect();
    stage.kubectl.apply(&format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: foreign, namespace: {}}}
spec: {{hosts: [{foreign}], exportTo: [\".\"], location: MESH_EXTERNAL, resolution: STATIC, endpoints: [{}], ports: [{{number: 443, name: tls, protocol: TLS, targetPort: 8443}}]}}
",
        stage.namespace,
        endpoints.join(", ")
    ));
    let url = format!("https://{foreign}");
    let found = (0..10).any(|_| {
        let probed = stage.probe_with(&url, "--max-time 5");
        assert_ne!(probed.outcome(), "routed", "{}", probed.run);
        probed.findings().contains(&"EGR-115")
    });
    assert!(found, "{}", stage.probe(&url).run);
}

/// A Telemetry beside ours, newer, so that it decides; it goes when the test ends.
struct Filter<'stage>(&'stage Kubectl, String);

impl<'stage> Filter<'stage> {
    fn put(stage: &'stage Stage, expression: &str) -> Self {
        let name = stage.namespace.clone();
        stage.kubectl.apply(&format!(
            "apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: {name}, namespace: istio-system}}
spec:
  selector: {{matchLabels: {{istio: egressgateway}}}}
  accessLogging: [{{providers: [{{name: envoy}}], filter: {{expression: '{expression}'}}}}]
"
        ));
        Self(&stage.kubectl, name)
    }
}

impl Drop for Filter<'_> {
    fn drop(&mut self) {
        let Self(kubectl, name) = self;
        let _ = kubectl.attempt(&format!("delete telemetry {name} -n istio-system"));
    }
}

#[test]
fn lines_that_a_filter_eats_prove_nothing() {
    let stage = open!(alone).with_route();
    let url = format!("https://{}", stage.host);
    stage.probe(&url).is("routed", &stage.gateway_addresses());
    let becomes = |code: &str| {
        let found = (0..15).any(|_| {
            let probed = stage.probe(&url);
            assert_eq!(probed.peers(), stage.gateway_addresses(), "{}", probed.run);
            probed.findings().contains(&code)
        });
        assert!(found, "no {code}: {}", stage.probe(&url).run);
    };
    {
        let of_the_host = format!(
            "!has(connection.requested_server_name) || connection.requested_server_name != \"{}\"",
            stage.host
        );
        let _filter = Filter::put(&stage, &of_the_host);
        becomes("EGR-103");
    }
    let _filter = Filter::put(&stage, "connection.id < 0");
    becomes("EGR-105");
}

#[test]
fn what_a_user_may_not_read_is_said() {
    let stage = open!(shared).with_namespace("istio-injection=enabled");
    let namespace = &stage.namespace;
    // Only of a leg that a proxy protects must its configuration tell.
    stage
        .egress(&format!(
            "setup {}:80 --mode tls-origination --no-probe",
            stage.host
        ))
        .exits(0);
    let user = format!("system:serviceaccount:{namespace}:kubectl-egress-probe");
    let rendered = stage.egress("render --rbac probe");
    let granted = rendered.exits(0).stdout.clone();
    stage.kubectl.apply(&granted);
    let _gone = Gone(&stage);
    let probe = |code: bool| {
        let probed = stage.probe_with(&format!("http://{}", stage.host), &format!("--as {user}"));
        assert_eq!(probed.findings().contains(&"EGR-203"), code, "{}", probed.run);
    };
    probe(false);
    let roles = stage.kubectl.json(&format!(
        "get role kubectl-egress-probe-{namespace} -n istio-system -o json"
    ));
    let rules = roles["rules"].as_array().unwrap();
    let index = rules
        .iter()
        .position(|rule| rule.to_string().contains("pods/portforward"))
        .unwrap();
    let patch = format!("[{{\"op\": \"remove\", \"path\": \"/rules/{index}\"}}]");
    stage.kubectl.with(&[
        "patch",
        "role",
        &format!("kubectl-egress-probe-{namespace}"),
        "-n",
        "istio-system",
        "--type=json",
        "-p",
        &patch,
    ]);
    probe(true);
}

#[test]
fn a_secret_that_may_not_be_read_is_said() {
    let stage = open!(shared).with_namespace("istio-injection=enabled");
    let namespace = &stage.namespace;
    stage
        .egress(&format!(
            "setup {}:80 --mode tls-origination --server-ca {} --no-probe",
            stage.host,
            stage.world.authority().display()
        ))
        .exits(0);
    stage.egress("check -o json").finds_no("EGR-424");
    let rendered = stage.egress("render --rbac check");
    stage.kubectl.apply(&rendered.exits(0).stdout);
    let _gone = Gone(&stage);
    let user = format!("system:serviceaccount:{namespace}:kubectl-egress-check");
    stage
        .egress(&format!("check -o json --as {user}"))
        .finds("EGR-424");
}

/// Roles of the stage outside of its namespace, which go when the test ends.
struct Gone<'stage>(&'stage Stage);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        let Stage {
            namespace, kubectl, ..
        } = self.0;
        for command in ["probe", "check"] {
            let name = format!("kubectl-egress-{command}-{namespace}");
            let _ = kubectl.attempt(&format!("delete clusterrole,clusterrolebinding {name}"));
            let _ = kubectl.attempt(&format!("delete role,rolebinding {name} -n istio-system"));
        }
    }
}

#[test]
fn a_certificate_that_is_not_valid_yet_or_not_for_long_is_named() {
    let stage = open!(shared).with_namespace("istio-injection=enabled");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let make = |name: &str, days: u32, clock: &[(&str, &str)]| {
        let out = out.join(name);
        let typed = format!(
            "certs mtls.test --out {} --client-name client --days {days}",
            out.display()
        );
        let words: Vec<&str> = typed.split_whitespace().collect();
        stage.egress_bare_with(&words, clock).exits(0);
        out
    };
    let dry = |made: &Path| {
        let part = |file: &str| made.join(file).display().to_string();
        stage.egress(&format!(
            "setup mtls.test:80 --mode mtls-origination --client-cert {} --client-key {} --server-ca {} --no-probe --dry-run=server -o json",
            part("client.crt"),
            part("client.key"),
            stage.world.authority().display()
        ))
    };
    let twin = dry(&make("good", 365, &[]));
    twin.finds_no("EGR-407");
    twin.finds_no("EGR-408");
    let soon = dry(&make("soon", 10, &[]));
    assert!(
        soon.stdout.contains("EGR-408") || soon.stderr.contains("EGR-408"),
        "{soon}"
    );
    let Some(library) = faketime() else {
        return;
    };
    let clock = [("LD_PRELOAD", library), ("FAKETIME", "+3d")];
    let early = dry(&make("early", 365, &clock));
    assert!(
        early.stdout.contains("EGR-407") || early.stderr.contains("EGR-407"),
        "{early}"
    );
}
