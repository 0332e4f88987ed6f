//! The two embedded clusters, and commands run in them as they are typed.

use crate::dump::dump;
use kubectl_egress::cli;
use kubectl_egress::command;
use kubectl_egress::report::{Printer, ReportSettings};
use kubectl_egress::sandbox::{KymaSettings, Sandbox, SandboxSettings};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// Nothing may take longer by the cluster's clock: it would never have ended.
const NEVER: Duration = Duration::from_secs(6 * 3600);

/// What a run left.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// The exit code; `None` where it did not end.
    pub(crate) code: Option<u8>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// By the cluster's clock.
    pub(crate) took: Duration,
}

/// Two clusters, and a folder for files.
pub(crate) struct Place {
    pub(crate) sandbox: Sandbox,
    pub(crate) target: Sandbox,
    pub(crate) folder: PathBuf,
    _kept: tempfile::TempDir,
}

impl Place {
    /// Fresh clusters with what users had put into them before.
    pub(crate) fn new(kyma: bool, certificates: &Path) -> Self {
        let quick = SandboxSettings {
            pod_start: Duration::from_millis(60),
            pod_stop: Duration::from_millis(30),
            kyma: kyma.then(KymaSettings::default),
            ..SandboxSettings::default()
        };
        let sandbox = Sandbox::new(quick.clone());
        let target = Sandbox::new(SandboxSettings { kyma: None, ..quick }.target());
        sandbox.lead_to(&target);
        for object in foreign() {
            sandbox.put(&object).unwrap();
        }
        let kept = tempfile::tempdir().unwrap();
        let folder = kept.path().to_owned();
        for file in std::fs::read_dir(certificates).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
        }
        Self {
            sandbox,
            target,
            folder,
            _kept: kept,
        }
    }

    /// Runs a command to its end, as the binary does. `{folder}` stands for the folder.
    pub(crate) async fn run(&self, typed: &str) -> Run {
        let typed = typed.replace("{folder}", &self.folder.display().to_string());
        let words = std::iter::once("kubectl-egress").chain(typed.split_whitespace());
        let words = words.chain(["--sandbox", "--yes", "-vv"]);
        let invocation = cli::parse(words).unwrap_or_else(|stop| panic!("{typed}: {stop:?}"));
        let screen = &invocation.screen;
        let settings = ReportSettings {
            output: screen.output,
            verbosity: screen.verbosity,
            assume_yes: screen.assume_yes,
            ..ReportSettings::default()
        };
        let (printer, captured) = Printer::captured_with(settings);
        let began = Instant::now();
        let running = command::run_embedded(invocation, &printer, &self.sandbox, &self.target);
        let ended = tokio::time::timeout(NEVER, running).await;
        let took = began.elapsed();
        let _ = printer.finish();
        let code = ended.ok().map(|result| {
            let code = result.unwrap_or_else(|error| {
                printer.error(&error);
                error.code()
            });
            code.number()
        });
        Run {
            code,
            stdout: captured.stdout(),
            stderr: captured.stderr(),
            took,
        }
    }

    /// All objects of both clusters without what changes by itself.
    pub(crate) fn dump(&self) -> BTreeMap<String, Value> {
        let mut all = plain(&self.sandbox);
        let target = plain(&self.target);
        all.extend(
            target
                .into_iter()
                .map(|(name, object)| (format!("target {name}"), object)),
        );
        all
    }
}

/// Objects that users made, with fields that commands also want.
pub(crate) fn foreign() -> [Value; 4] {
    [
        json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "demo", "labels": {"team": "a"}, "annotations": {"note": "theirs"}}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "demo"},
            "data": {"a": "b"}}),
        json!({"apiVersion": "telemetry.istio.io/v1", "kind": "Telemetry",
            "metadata": {"name": "theirs", "namespace": "istio-system"},
            "spec": {"tracing": [{"randomSamplingPercentage": 1}]}}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "theirs", "namespace": "demo"},
            "spec": {"podSelector": {"matchLabels": {"app": "nobody"}}, "policyTypes": ["Ingress"]}}),
    ]
}

/// All objects of one cluster without what changes by itself.
pub(crate) fn plain(sandbox: &Sandbox) -> BTreeMap<String, Value> {
    let mut objects = dump(sandbox);
    for object in objects.values_mut() {
        // When a controller last came to it is the controller's affair.
        let conditions = object.pointer_mut("/status/conditions");
        for condition in conditions.and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(fields) = condition.as_object_mut() {
                fields.remove("lastTransitionTime");
            }
        }
    }
    objects
}
