//! Row 7 of the modes: mutual TLS from one cluster to another (`cargo lab up --clusters 2`), in one command. The ingress
//! gateway's own log, which the tool never reads, says who came.

use crate::support::{Run, Stage};
use kubectl_egress_lab::ClusterLayout;
use std::path::Path;

/// A name of the target's ingress gateway, in both clusters' eyes.
const HOST: &str = "target.example.com";

/// A stage on two clusters; what was left at the target goes with it.
struct Clusters {
    stage: Stage,
}

impl Clusters {
    fn open() -> Option<Self> {
        let mut stage = Stage::alone()?;
        if stage.lab().target().is_none() {
            let reason = "this lab has one cluster (cargo lab up --clusters 2)";
            assert!(!crate::support::lab_required(), "{reason}");
            eprintln!("skipped: {reason}");
            return None;
        }
        Some(Self { stage })
    }

    /// kubectl on the target.
    #[track_caller]
    fn target(&self, typed: &str) -> String {
        self.stage.kubectl.run(&format!("{} {typed}", context()))
    }

    fn setup(&self, more: &str) -> Run {
        self.stage.egress(&format!(
            "setup {HOST} --target-context {} --create-namespace --yes {more}",
            ClusterLayout::TARGET_CONTEXT
        ))
    }

    /// Switches the ingress gateway's access log on, as somebody else.
    fn log_ingress(&self) {
        let telemetry = serde_json::json!({
            "apiVersion": "telemetry.istio.io/v1", "kind": "Telemetry",
            "metadata": {"name": "two-clusters-test", "namespace": "istio-system"},
            "spec": {
                "selector": {"matchLabels": {"istio": "ingressgateway"}},
                "accessLogging": [{"providers": [{"name": "envoy"}]}],
            },
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), telemetry.to_string()).unwrap();
        self.target(&format!("apply -f {}", file.path().display()));
    }

    fn ingress_log(&self) -> Vec<String> {
        let log = self.target("logs -n istio-system -l istio=ingressgateway --tail=-1");
        log.lines()
            .filter(|line| line.contains(HOST))
            .map(str::to_owned)
            .collect()
    }

    /// Status of a request that the source sends through the egress gateway.
    fn status(&self) -> String {
        let url = format!("http://{HOST}/headers");
        self.stage.kubectl.with(&[
            "exec",
            "-n",
            &self.stage.namespace,
            "deploy/curl",
            "-c",
            "curl",
            "--",
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "--max-time",
            "15",
            &url,
        ])
    }
}

impl Drop for Clusters {
    fn drop(&mut self) {
        let stage = &self.stage;
        let _ = stage.egress(&format!("cleanup {}", context()));
        for object in [
            format!("namespace {}", stage.namespace),
            "telemetry.telemetry.istio.io two-clusters-test -n istio-system".to_owned(),
        ] {
            let _ = stage.kubectl.attempt(&format!(
                "{} delete {object} --ignore-not-found --wait=false",
                context()
            ));
        }
    }
}

fn context() -> String {
    format!("--context {}", ClusterLayout::TARGET_CONTEXT)
}

fn secret_of(stage: &Stage, context: &str, name: &str, key: &str) -> String {
    let path = format!("jsonpath={{.data.{}}}", key.replace('.', "\\."));
    stage
        .kubectl
        .run(&format!("{context} get secret {name} -n istio-system -o {path}"))
}

/// A user of the target who may read everything there and change nothing.
struct Reader<'stage>(&'stage Clusters);

impl<'stage> Reader<'stage> {
    fn new(clusters: &'stage Clusters) -> Self {
        let name = &clusters.stage.namespace;
        clusters.target(&format!(
            "create clusterrole {name} --verb=get,list,watch --resource=*.*"
        ));
        clusters.target(&format!(
            "create clusterrolebinding {name} --clusterrole={name} --user={name}"
        ));
        Self(clusters)
    }

    /// A kubeconfig in which the target's context is that user.
    fn kubeconfig(&self) -> tempfile::NamedTempFile {
        let text = self.0.target("config view --raw --minify --flatten -o json");
        let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
        document["users"][0]["user"]["as"] = self.0.stage.namespace.as_str().into();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), document.to_string()).unwrap();
        file
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let name = &self.0.stage.namespace;
        let _ = self.0.stage.kubectl.attempt(&format!(
            "{} delete clusterrole,clusterrolebinding {name} --ignore-not-found",
            context()
        ));
    }
}

#[test]
fn row_7_what_is_not_allowed_at_the_target_is_named_before_anything_is_changed() {
    let Some(clusters) = Clusters::open() else { return };
    let reader = Reader::new(&clusters);
    let kubeconfig = reader.kubeconfig();
    let run = clusters.setup(&format!("--target-kubeconfig {}", kubeconfig.path().display()));
    run.exits(4).says(&[
        "what you may do in the target cluster",
        "create secrets in namespace istio-system",
        "gateways.networking.istio.io",
    ]);
    let namespace = &clusters.stage.namespace;
    for context in [context(), String::new()] {
        let found = clusters.stage.kubectl.run(&format!(
            "{context} get namespace {namespace} --ignore-not-found -o name"
        ));
        assert_eq!(found, "", "{run}");
    }
}

#[test]
fn row_7_one_command_proves_mutual_tls_between_two_clusters_and_cleanup_undoes_both() {
    let Some(clusters) = Clusters::open() else { return };
    clusters.log_ingress();
    let run = clusters.setup("-o json");
    let document = run.exits(0).json();
    let target = &document["target"];
    assert_eq!(target["withoutCertificate"]["outcome"], "refused", "{run}");
    assert_eq!(target["withoutCertificate"]["stage"], "after-handshake", "{run}");
    assert_eq!(target["withCertificate"]["status"], 200, "{run}");
    let ours = target["clientCertificate"].as_str().unwrap();
    assert!(target["forwarded"][0].as_str().unwrap().contains(ours), "{run}");
    assert_eq!(document["verification"]["verdict"], "proven", "{run}");
    let through = &document["through"];
    assert!(through["forwarded"][0].as_str().unwrap().contains(ours), "{run}");
    assert_eq!(through["askedByGateway"], true, "{run}");

    // The ingress gateway's own word: the connections came from the egress gateway, and nobody else of that cluster.
    let gateway = clusters.stage.gateway_addresses();
    let log = clusters.ingress_log();
    assert!(
        gateway
            .iter()
            .any(|address| log.iter().any(|line| line.contains(&format!("{address}:")))),
        "{log:#?}"
    );
    let source = clusters.stage.source_addresses();
    let from_source = |line: &String| source.iter().any(|address| line.contains(&format!("{address}:")));
    assert!(!log.iter().any(from_source), "{log:#?}");

    let exposed = clusters.target(&format!(
        "get virtualservices.networking.istio.io -n {} -o name",
        clusters.stage.namespace
    ));
    assert_eq!(exposed.lines().count(), 1, "{exposed}");
    if document["target"]["ingress"].is_string() && is_kyma(&clusters) {
        clusters.target(&format!(
            "get apirules.v2.gateway.kyma-project.io httpbin -n {}",
            clusters.stage.namespace
        ));
    }

    // Again: the same certificates, nothing new.
    let before = secret_of(&clusters.stage, &context(), "kyma-mtls-certs", "cert");
    clusters.setup("").exits(0);
    assert_eq!(
        secret_of(&clusters.stage, &context(), "kyma-mtls-certs", "cert"),
        before
    );

    let cleaned = clusters.stage.egress("cleanup --verify");
    cleaned.exits(0);
    assert!(
        cleaned.stdout.contains("in the target cluster is left"),
        "{cleaned}"
    );
    for (cluster, secret) in [("", "client-credential"), (context().as_str(), "kyma-mtls-certs")] {
        let gone = clusters
            .stage
            .kubectl
            .attempt(&format!("{cluster} get secret {secret} -n istio-system"));
        assert!(gone.is_err(), "{secret} is still there");
    }
}

fn is_kyma(clusters: &Clusters) -> bool {
    clusters
        .stage
        .kubectl
        .attempt(&format!("{} get crd apirules.gateway.kyma-project.io", context()))
        .is_ok()
}

#[test]
fn row_7_a_client_of_another_ca_is_refused_and_an_unreachable_target_is_named() {
    let Some(clusters) = Clusters::open() else { return };
    clusters.setup("").exits(0);
    assert_eq!(clusters.status(), "200");

    // Somebody puts another client's certificate in the Secret: the target's ingress gateway refuses it.
    let (certificate, key) = clusters.stage.world.stranger_certificate();
    let encode = |path: &Path| {
        let bytes = std::fs::read(path).unwrap();
        serde_json::to_value(k8s_openapi::ByteString(bytes)).unwrap()
    };
    let patch = serde_json::json!({"data": {"tls.crt": encode(&certificate), "tls.key": encode(&key)}});
    clusters.stage.kubectl.with(&[
        "patch",
        "secret",
        "client-credential",
        "-n",
        "istio-system",
        "--type=merge",
        "-p",
        &patch.to_string(),
    ]);
    // A connection that is open already goes on with the old one for as long as requests come: a new proxy has none.
    clusters
        .stage
        .kubectl
        .run("delete pods -n istio-system -l istio=egressgateway");
    clusters.stage.rolled_out("istio-system", "istio-egressgateway");
    assert_eq!(clusters.status(), "503");

    // What here cannot be reached is named, with the command that does it later; here everything is undone.
    let cleaned = clusters.stage.egress("cleanup --target-context nowhere");
    assert_ne!(cleaned.code, Some(0), "{cleaned}");
    cleaned.says(&["target cluster", "kubectl egress cleanup --context nowhere -n"]);
    let left = clusters
        .stage
        .kubectl
        .attempt("get secret client-credential -n istio-system");
    assert!(left.is_err(), "the Secret of this cluster is still there");
    clusters.target("get secret kyma-mtls-certs -n istio-system");
    clusters
        .stage
        .egress(&format!("cleanup --verify {}", context()))
        .exits(0);
}

#[test]
fn row_7_what_cannot_be_is_refused_before_anything_is_changed() {
    let Some(clusters) = Clusters::open() else { return };
    let lab = clusters.stage.kubectl.run("config current-context");
    let refused = clusters.stage.changes_nothing(&format!(
        "setup {HOST} --target-context {} --create-namespace",
        lab.trim()
    ));
    refused.exits(2).says(&["this very cluster"]);
    let refused = clusters.stage.changes_nothing(&format!(
        "setup {HOST} --target-context target --mode passthrough"
    ));
    refused.exits(2).says(&["mtls-origination"]);

    // A certificate for another host is none for this one.
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    clusters
        .stage
        .egress_bare(&["certs", "other.example.com", "--out", &at.to_string()])
        .exits(0);
    for end in ["crt", "key"] {
        let path = |host: &str| folder.path().join(format!("{host}.{end}"));
        std::fs::rename(path("other.example.com"), path(HOST)).unwrap();
    }
    let refused = clusters.stage.egress(&format!(
        "deploy-target {HOST} --certs {at} {} --create-namespace",
        context()
    ));
    refused.exits(2).says(&["EGR-4", HOST]);
    assert!(
        clusters
            .stage
            .kubectl
            .attempt(&format!(
                "{} get namespace {}",
                context(),
                clusters.stage.namespace
            ))
            .is_err()
    );
}
