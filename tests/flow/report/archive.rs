//! `report --bundle`: secrets planted wherever a cluster may hold them, none of which is in the archive, while what
//! helps is.

use crate::served::{Served, TOKEN, served};
use crate::support::client;
use flate2::read::GzDecoder;
use kubectl_egress::istio::kinds;
use kubectl_egress::vocabulary::{Kind, PodName};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read as _;

/// Begins every planted secret.
const MARK: &str = "Pl4ntedS3cret";
/// What the archive is about.
const HOST: &str = "kyma-project.io";

/// An object that holds secrets in every place where its kind may.
fn planted(kind: &Kind, name: &str) -> Value {
    let secret = |place: &str| format!("{MARK}-{place}-{}", kind.kind);
    let container = json!([{
        "name": "app", "image": "app", "args": [format!("--db={}", secret("argument"))],
        "command": ["run", secret("command")],
        "env": [
            {"name": "DB_PASSWORD", "value": secret("environment")},
            {"name": "HARMLESS", "value": secret("harmless-environment")},
            {"name": "SIZE", "value": "42"},
        ],
        "livenessProbe": {"httpGet": {"path": "/", "port": 80, "httpHeaders": [{"name": "X-Auth", "value": secret("probe")}]}},
    }]);
    let pod = json!({"containers": container});
    let mut object = json!({
        "apiVersion": kind.api_version(), "kind": kind.kind,
        "metadata": {
            "name": name, "namespace": "demo",
            "labels": {"app.kubernetes.io/managed-by": "kubectl-egress", "kubectl-egress.dev/plan": "default", "kubectl-egress.dev/role": "source", "app": name},
            "annotations": {
                "example.com/about": HOST,
                "example.com/anything": secret("annotation"),
                "sidecar.istio.io/note": format!("password={}", secret("known-annotation")),
                "kubectl.kubernetes.io/last-applied-configuration": format!("{{\"data\":\"{}\"}}", secret("last-applied")),
            },
        },
    });
    let specification = match kind.kind.as_str() {
        "Secret" => {
            object["stringData"] = json!({"tls.key": secret("secret")});
            return object;
        }
        "ConfigMap" => {
            object["data"] = json!({"kubeconfig": format!("users: [{{user: {{token: {}}}}}]", secret("kubeconfig")), "a": secret("config-map")});
            return object;
        }
        "Pod" => pod,
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" => json!({
            "replicas": 0, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}, "annotations": {"a.b/c": secret("template-annotation")}}, "spec": pod},
        }),
        "VirtualService" => json!({
            "hosts": [HOST], "gateways": ["mesh"],
            "http": [{
                "match": [{"headers": {"authorization": {"exact": secret("match")}}, "queryParams": {"key": {"exact": secret("query")}}}],
                "headers": {"request": {"set": {"Authorization": format!("Bearer {}", secret("header")), "X-Plain": secret("plain-header")}}},
                "route": [{"destination": {"host": HOST, "port": {"number": 80}}}],
            }],
        }),
        "ServiceEntry" => {
            json!({"hosts": [HOST], "ports": [{"number": 81, "name": "http-a", "protocol": "HTTP"}], "resolution": "DNS", "location": "MESH_EXTERNAL"})
        }
        "EnvoyFilter" => {
            json!({"configPatches": [{"applyTo": "HTTP_FILTER", "patch": {"operation": "ADD", "value": {"inlineCode": secret("patch")}}}]})
        }
        "AuthorizationPolicy" => {
            json!({"rules": [{"when": [{"key": "request.headers[x]", "values": [secret("condition")]}]}]})
        }
        "Telemetry" => json!({"tracing": [{"customTags": {"a": {"literal": {"value": secret("literal")}}}}]}),
        _ => return object,
    };
    object["spec"] = specification;
    object
}

async fn plant(cluster: &Served) -> usize {
    let mut count = 0;
    for kind in kinds::all() {
        // Kinds whose objects somebody else makes, or that a sandbox without Kyma does not serve.
        if !kind.namespaced || ["Event", "Lease", "Istio", "APIRule"].contains(&kind.kind.as_str()) {
            continue;
        }
        if cluster.sandbox.put(&planted(&kind, "planted")).is_ok() {
            count += 1;
        }
    }
    for (reason, message) in [
        ("Failed", "env DB_PASSWORD=%"),
        ("Pulled", "Authorization: Bearer %"),
    ] {
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": format!("e-{}", reason.to_lowercase()), "namespace": "demo"},
            "involvedObject": {"kind": "VirtualService", "namespace": "demo", "name": "egress-default"},
            "reason": reason, "type": "Warning", "message": message.replace('%', MARK),
        });
        cluster.sandbox.put(&event).unwrap();
    }
    for pod in client(&cluster.sandbox)
        .list(&kinds::pod(), Some("istio-system"), None)
        .await
        .unwrap()
    {
        let container = pod.text("/spec/containers/0/name").to_owned();
        let name = PodName::new("istio-system", pod.name());
        let access = format!(
            "[2026-11-22T01:44:30.910Z] \"GET /hook/{MARK}?key={MARK} HTTP/1.1\" 200 - via_upstream - \"-\" 0 272 2 1 \"-\" \
             \"agent {MARK}\" \"5a4db0c5\" \"{HOST}\" \"203.0.113.10:80\" outbound|80||{HOST} 198.18.0.14:1 198.18.0.14:8080 \
             198.18.0.15:2 - -"
        );
        let others = [
            format!("warn pushing {HOST} with token={MARK} and Authorization: Basic {MARK}"),
            format!("warn {HOST} https://user:{MARK}@{HOST}/a -----BEGIN EC PRIVATE KEY-----\\n{MARK}"),
        ];
        // istiod writes no access log.
        let access = Some(access).filter(|_| container == "istio-proxy");
        for line in access.iter().chain(&others) {
            cluster.sandbox.write_log(&name, &container, line);
        }
    }
    count
}

fn read(archive: &[u8]) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    let files = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        (
            path.strip_prefix("kubectl-egress-support/").unwrap().to_owned(),
            text,
        )
    });
    files.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_archive_and_what_helps_is() {
    let cluster = served().await;
    cluster
        .run("setup kyma-project.io -n demo --create-namespace")
        .await
        .exits(0);
    assert!(plant(&cluster).await >= 18);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("support.tar.gz");
    let written = std::time::Instant::now();
    let run = cluster
        .run(&format!("report -n demo --bundle {}", path.display()))
        .await
        .exits(0);
    assert!(
        written.elapsed().as_secs() < 60 && run.stdout.contains("values removed"),
        "{run:?}"
    );
    let files = read(&std::fs::read(&path).unwrap());
    for (file, text) in &files {
        let found = text
            .find(MARK)
            .map(|at| &text[at.saturating_sub(80)..text.len().min(at + 80)]);
        assert!(found.is_none() && !file.contains(MARK), "{file}: {found:?}");
        assert!(!text.contains(TOKEN), "{file}");
    }
    let of = |file: &str| {
        files
            .get(file)
            .unwrap_or_else(|| panic!("{file} is not among {:?}", files.keys()))
    };
    assert!(of("plan.yaml").contains(HOST));
    assert!(of("journal.yaml").contains("entries"));
    assert!(of("manifests.yaml").contains("ServiceEntry"));
    assert!(of("versions.yaml").contains("kubernetes"));
    assert!(of("status.yaml").contains("egress-default") && of("findings.yaml").contains("Findings"));
    assert!(of("objects/ConfigMap/istio-system/istio.yaml").contains("rootNamespace"));
    // Names stay, values go.
    let service = of("objects/VirtualService/demo/planted.yaml");
    assert!(
        service.contains("X-Plain") && service.contains("[removed]") && service.contains(HOST),
        "{service}"
    );
    assert!(of("objects/VirtualService/demo/egress-default.yaml").contains("sniHosts"));
    let pod = of("objects/Pod/demo/planted.yaml");
    assert!(pod.contains("DB_PASSWORD") && pod.contains("\"42\""), "{pod}");
    assert!(of("events.yaml").contains("egress-default"));
    let logs: String = files
        .iter()
        .filter(|(file, _)| file.starts_with("logs/"))
        .map(|(_, text)| text.as_str())
        .collect();
    assert!(
        logs.contains("\"responseCode\":200") && logs.contains("warn pushing"),
        "{logs}"
    );
    let manifest = of("MANIFEST.txt");
    for told in [
        "arguments of a container",
        "value of an environment variable",
        "value of an annotation",
        "values of headers",
        "patch of an EnvoyFilter",
        "paths and headers of access-log lines",
        "what looks like a credential",
        "a secret that looks like any other word is still in it",
    ] {
        assert!(manifest.contains(told), "{told}: {manifest}");
    }
    for file in files.keys() {
        assert!(manifest.contains(file.as_str()), "{file}");
    }
}
