//! Access logs in formats of the operator's own: what they tell is used, what they lack is named.

use crate::support::kubectl::Kubectl;
use crate::support::kyma::Foreign;
use crate::support::{Stage, open};
use serde_json::json;
use std::time::{Duration, Instant};

/// The mesh configuration with another format; put back when this value goes.
struct MeshFormat {
    kubectl: Kubectl,
    before: String,
}

impl MeshFormat {
    fn of(stage: &Stage) -> Self {
        let kubectl = stage.kubectl.clone();
        let before = kubectl.run("get configmap istio -n istio-system -o jsonpath={.data.mesh}");
        Self { kubectl, before }
    }

    fn set(&self, encoding: &str, format: &str) {
        // A JSON text is a YAML text.
        let lines = format!(
            "{}\naccessLogEncoding: {encoding}\naccessLogFormat: {}\n",
            self.before.trim_end(),
            json!(format)
        );
        self.write(&lines);
    }

    fn write(&self, mesh: &str) {
        let patch = json!({"data": {"mesh": mesh}}).to_string();
        self.kubectl.with(&[
            "patch",
            "configmap",
            "istio",
            "-n",
            "istio-system",
            "--type=merge",
            &format!("-p={patch}"),
        ]);
    }
}

impl Drop for MeshFormat {
    fn drop(&mut self) {
        self.write(&self.before);
    }
}

/// The raw lines of a probe's witnesses.
fn receipts(probe: &serde_json::Value, witness: &str) -> Vec<String> {
    let hops = probe["hops"].as_array().into_iter().flatten();
    hops.flat_map(|hop| hop["receipts"].as_array().into_iter().flatten())
        .filter(|receipt| receipt["witness"] == witness)
        .map(|receipt| receipt["text"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_a_format_of_the_operators_own_tells_is_used_and_what_it_lacks_is_named() {
    let stage = open!(alone).with_namespace("istio-injection=enabled");
    let mesh = MeshFormat::of(&stage);
    let host = &stage.host;
    let url = format!("https://{host}");
    stage.egress(&format!("setup {host} --no-probe")).exits(0);
    let gateway = stage.gateway_addresses();

    let text = "own %START_TIME% flags=%RESPONSE_FLAGS% agent=\"%REQ(USER-AGENT)%\" %UPSTREAM_CLUSTER% %UPSTREAM_HOST% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME%";
    let labels = json!({
        "own": "%UPSTREAM_CLUSTER%", "to": "%UPSTREAM_HOST%", "by": "%UPSTREAM_LOCAL_ADDRESS%",
        "from": "%DOWNSTREAM_REMOTE_ADDRESS%", "name": "%REQUESTED_SERVER_NAME%", "ended": "%RESPONSE_FLAGS%",
        "when": "%START_TIME%",
    });
    for (encoding, format, begins) in [
        ("TEXT", text.to_owned(), "own 20"),
        ("JSON", labels.to_string(), "{\""),
    ] {
        mesh.set(encoding, &format);
        let mut probed = stage.probe_until(&url, "routed");
        // The proxies may still write as before: then the judgement holds, and the format is yet to come.
        let is_own = |line: &String| line.starts_with(begins) && line.contains("own");
        for _ in 0..20 {
            let lines = ["sidecar-log", "gateway-log"].map(|witness| receipts(&probed.probe, witness));
            if lines
                .iter()
                .all(|lines| !lines.is_empty() && lines.iter().all(is_own))
            {
                break;
            }
            probed = stage.probe_until(&url, "routed");
        }
        probed.is("routed", &gateway);
        for witness in ["sidecar-log", "gateway-log"] {
            let lines = receipts(&probed.probe, witness);
            assert!(
                !lines.is_empty() && lines.iter().all(is_own),
                "{witness}: {lines:?}; {}",
                probed.run
            );
        }
        let hops = probed.probe["hops"].as_array().unwrap();
        let receipts = hops.iter().flat_map(|hop| hop["receipts"].as_array().unwrap());
        for receipt in receipts {
            assert!(
                receipt["time"].is_string() && receipt["container"].is_string(),
                "{receipt}"
            );
        }
        let logs = stage.egress(&format!("logs --host {host} -o json"));
        assert!(logs.stdout.contains(&format!("outbound|443||{host}")), "{logs}");
    }

    mesh.set("TEXT", &text.replace("%UPSTREAM_CLUSTER%", "-"));
    let lacking = stage.probe_until(&url, "inconclusive");
    lacking.is("inconclusive", &gateway).finds("EGR-207");
    let said = lacking.probe["findings"].to_string();
    assert!(said.contains("UPSTREAM_CLUSTER"), "{said}");
    assert!(!said.contains("UPSTREAM_HOST"), "{said}");
    // What was counted is told: the sidecar's way to the gateway.
    assert!(said.contains("+1 at outbound|443|egress-default|"), "{said}");
}

/// A Telemetry for exactly the gateway's pods that names another provider, and a newer one that says nothing of logs.
const THEIRS: &str = "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: kept, namespace: istio-system}\n\
spec: {selector: {matchLabels: {istio: egressgateway}}, accessLogging: [{providers: [{name: kept}]}]}\n\
---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: traces, namespace: istio-system}\n\
spec: {selector: {matchLabels: {istio: egressgateway}}, tracing: [{randomSamplingPercentage: 1}]}\n";

/// Istio writes to the providers that the newest Telemetry for a workload names, and to no others.
#[test]
fn what_somebody_elses_telemetry_lets_the_gateway_write_is_written_beside_our_log() {
    let stage = open!(alone).with_namespace("istio-injection=enabled");
    let mesh = MeshFormat::of(&stage);
    let provider = "{path: /dev/stderr, logFormat: {text: \"kept %REQUESTED_SERVER_NAME%\\n\"}}";
    mesh.write(&format!(
        "{}\nextensionProviders: [{{name: kept, envoyFileAccessLog: {provider}}}]\n",
        mesh.before.trim_end()
    ));
    let _theirs = Foreign::apply(&stage, THEIRS, "telemetries kept traces -n istio-system");
    let host = &stage.host;
    stage.egress(&format!("setup {host} --no-probe")).exits(0);
    let gateway = stage.gateway_addresses();
    let probed = stage.probe_until(&format!("https://{host}"), "routed");
    probed.is("routed", &gateway);
    assert!(
        !receipts(&probed.probe, "gateway-log").is_empty(),
        "{}",
        probed.run
    );
    let kept = format!("kept {host}");
    let logs = || {
        stage
            .kubectl
            .run("logs -n istio-system deploy/istio-egressgateway --tail=1000")
    };
    let until = Instant::now() + Duration::from_secs(30);
    while !logs().contains(&kept) {
        assert!(Instant::now() < until, "their provider has no line: {}", logs());
    }
    stage.egress("cleanup --verify --yes").exits(0);
    let left = stage.kubectl.names("get telemetries -n istio-system");
    assert_eq!(left.len(), 2, "{left:?}");
}
