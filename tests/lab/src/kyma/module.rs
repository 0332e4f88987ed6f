//! The process that plays the module: one reconciliation after the other, as the real one does them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::condition::Reason;
use super::operator::{MODULE_LABEL, operator};
use super::resources::{POLICY_LABELS, network_policies, peer_authentication};
use super::situation::{Problem, State, Status, objection, text};
use super::watch::{self, Key, key};
use super::{Client, FAIL_ANNOTATION, ISTIO_NAMESPACE, ISTIOS, NAMESPACE, ServeArguments};
use crate::image::TAG;
use crate::output;
use crate::shell;

/// How long the installer waits for pods; the module's own limit.
const READINESS_TIMEOUT: &str = "150s";
/// After a `Warning` the module looks again by itself.
const AFTER_WARNING: Duration = Duration::from_secs(60 * 60);
/// After an `Error` it looks again after this, and twice as long each time.
const AFTER_ERROR: Duration = Duration::from_secs(1);
/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(1000);
/// Holds a deleted CR until Istio is gone.
const FINALIZER: &str = "istios.operator.kyma-project.io/istio-installation";
/// What the module applied last, on the CR.
const LAST_APPLIED: &str = "operator.kyma-project.io/lastAppliedConfiguration";

/// When a CR is to be looked at again without a new generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Never.
    Settled,
    /// After the pause that follows a warning.
    Later,
    /// Soon, and less soon each time.
    Again,
}

/// The module.
struct Module {
    client: Client,
    istioctl: PathBuf,
    folder: PathBuf,
    profile: super::KymaProfile,
}

/// Plays the module until the process is stopped.
///
/// # Errors
/// None in practice: whatever fails is written to the log and tried again.
pub(crate) fn serve(arguments: ServeArguments) -> Result<()> {
    let module = Module {
        client: Client::new(arguments.kubeconfig),
        istioctl: arguments.istioctl,
        folder: arguments.folder,
        profile: arguments.profile,
    };
    let (sender, news) = channel();
    let client = module.client.clone();
    std::thread::spawn(move || watch::run(&client, &sender));
    let mut queue = Queue::default();
    loop {
        match news.recv_timeout(queue.pause()) {
            Ok(object) => queue.at_once(key(&object)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        // What arrived during a long installation is one reconciliation each, not one for each change.
        while let Ok(object) = news.try_recv() {
            queue.at_once(key(&object));
        }
        if let Some(key) = queue.due() {
            let next = module.reconcile(&key).unwrap_or_else(|error| {
                output::note(&format!("{}/{}: {error:#}", key.0, key.1));
                Next::Again
            });
            queue.plan(key, next);
        }
    }
}

/// Which CR is looked at when.
#[derive(Debug, Default)]
struct Queue {
    due: BTreeMap<Key, Instant>,
    failures: BTreeMap<Key, u32>,
}

impl Queue {
    fn at_once(&mut self, key: Key) {
        self.due.insert(key, Instant::now());
    }

    /// How long nothing is due.
    fn pause(&self) -> Duration {
        let first = self.due.values().min();
        first.map_or(AFTER_WARNING, |due| due.saturating_duration_since(Instant::now()))
    }

    fn due(&mut self) -> Option<Key> {
        let now = Instant::now();
        let (key, _) = self
            .due
            .iter()
            .min_by_key(|(_, due)| **due)
            .filter(|(_, due)| **due <= now)?;
        let key = key.clone();
        self.due.remove(&key);
        Some(key)
    }

    fn plan(&mut self, key: Key, next: Next) {
        if next != Next::Again {
            self.failures.remove(&key);
        }
        let pause = match next {
            Next::Settled => return,
            Next::Later => AFTER_WARNING,
            Next::Again => {
                let failures = self.failures.entry(key.clone()).or_default();
                *failures += 1;
                AFTER_ERROR
                    .saturating_mul(1 << (*failures - 1).min(10))
                    .min(LONGEST_PAUSE)
            }
        };
        self.due.insert(key, Instant::now() + pause);
    }
}

impl Module {
    fn reconcile(&self, key: &Key) -> Result<Next> {
        let all = self.client.list(ISTIOS, &["--all-namespaces"])?;
        let Some(object) = all.iter().find(|object| &watch::key(object) == key) else {
            return Ok(Next::Settled);
        };
        let mut status = Status::begin(object);
        if let Some(problem) = objection(object, &all) {
            self.report(object, &mut status, &problem)?;
            return Ok(Next::Settled);
        }
        let deleted = object.pointer("/metadata/deletionTimestamp").is_some();
        let (state, description) = if deleted {
            (State::Deleting, "Deleting Istio")
        } else {
            (State::Processing, "Reconciling Istio")
        };
        self.write(object, &status, state, description)?;
        let done = if deleted {
            self.uninstall(object, &mut status)?
        } else {
            self.install(object, &mut status)?
        };
        match done {
            Ok(()) if deleted => Ok(Next::Settled),
            Ok(()) => {
                status.set(Reason::ReconcileSucceeded);
                status.set(Reason::IngressTargetingUserResourceNotFound);
                self.write(object, &status, State::Ready, "")?;
                Ok(Next::Settled)
            }
            Err(problem) => {
                self.report(object, &mut status, &problem)?;
                let later = problem.state == State::Warning;
                Ok(if later { Next::Later } else { Next::Again })
            }
        }
    }

    fn report(&self, object: &Value, status: &mut Status, problem: &Problem) -> Result<()> {
        status.fail(problem);
        self.write(object, status, problem.state, &problem.description)
    }

    fn write(&self, object: &Value, status: &Status, state: State, description: &str) -> Result<()> {
        let (namespace, name) = key(object);
        output::note(&format!("{namespace}/{name}: {state:?} {description}"));
        self.client
            .patch_status(&namespace, &name, &status.patch(state, description))
    }

    /// Everything up to `Ready`. The outer error is ours (it is tried again), the inner one the user's to see.
    fn install(&self, object: &Value, status: &mut Status) -> Result<Result<(), Problem>> {
        self.hold(object)?;
        if let Err(error) = self.install_istio(object) {
            output::note(&format!("{error:#}"));
            return Ok(Err(Problem::error(
                Reason::IstioInstallUninstallFailed,
                format!("Could not install Istio: {}", error.root_cause()),
            )));
        }
        if let Err(error) = self.apply_resources(object) {
            return Ok(Err(Problem::error(
                Reason::CustomResourcesReconcileFailed,
                format!("Could not reconcile Istio resources: {error}"),
            )));
        }
        if policies_wanted(object) != policies_applied(object) {
            self.restart("istio-ingressgateway")?;
            self.restart("istiod")?;
        }
        status.set(Reason::ProxySidecarRestartSucceeded);
        let filters = match self.client.list(
            "envoyfilters.networking.istio.io",
            &["--namespace", ISTIO_NAMESPACE],
        ) {
            Ok(filters) => filters,
            Err(error) => {
                return Ok(Err(Problem::error(
                    Reason::IngressTargetingUserResourceDetectionFailed,
                    format!("could not list EnvoyFilters: {error}"),
                )));
            }
        };
        if let Some(filter) = filters.iter().find(|filter| is_users_on_ingress(filter)) {
            return Ok(Err(Problem::warning(
                Reason::IngressTargetingUserResourceFound,
                format!(
                    "misconfigured EnvoyFilter can potentially break Istio Ingress Gateway: user-created \
                     EnvoyFilter {ISTIO_NAMESPACE}/{} targeting Ingress Gateway found",
                    text(filter, "/metadata/name")
                ),
            )));
        }
        self.remember(object)?;
        Ok(Ok(()))
    }

    /// Sets the finalizer, as the module does: by writing the whole object, whose serializer always writes `config`.
    fn hold(&self, object: &Value) -> Result<()> {
        let mut finalizers = object
            .pointer("/metadata/finalizers")
            .cloned()
            .unwrap_or_else(|| json!([]));
        let held = finalizers.as_array_mut().context("finalizers")?;
        if held.iter().any(|finalizer| finalizer == FINALIZER) {
            return Ok(());
        }
        held.push(json!(FINALIZER));
        let (namespace, name) = key(object);
        let patch = json!({"metadata": {"finalizers": finalizers}, "spec": {"config": {}}});
        self.client.patch(&namespace, &name, &patch).map(|_| ())
    }

    fn install_istio(&self, object: &Value) -> Result<()> {
        let annotations = object.pointer("/metadata/annotations");
        let failure = annotations.and_then(|annotations| annotations.get(FAIL_ANNOTATION)?.as_str());
        // The module does not let the installer's own words out.
        let own_words = "Istio installation resulted in an error";
        if let Some(failure) = failure {
            anyhow::bail!(
                "{}",
                if failure.is_empty() { own_words } else { failure }.to_owned()
            );
        }
        let file = self.folder.join("kyma-istio.json");
        std::fs::write(&file, serde_json::to_vec_pretty(&operator(object, self.profile))?)?;
        let mut install = shell::command(&self.istioctl);
        install.args([
            "install",
            "--skip-confirmation",
            "--readiness-timeout",
            READINESS_TIMEOUT,
            "--filename",
        ]);
        self.run_istioctl(install.arg(&file)).map_err(|error| {
            output::note(&format!("{error:#}"));
            anyhow::anyhow!(own_words)
        })?;
        let kinds = "deployments,services,serviceaccounts,configmaps,roles,rolebindings,\
                     poddisruptionbudgets,horizontalpodautoscalers";
        let label = format!("{}={}", MODULE_LABEL.0, MODULE_LABEL.1);
        let words = [
            "--namespace",
            ISTIO_NAMESPACE,
            "label",
            kinds,
            "--selector",
            "operator.istio.io/component",
        ];
        self.client
            .run(&[&words[..], &["--overwrite", "--field-manager=manager", &label]].concat())?;
        Ok(())
    }

    fn run_istioctl(&self, command: &mut std::process::Command) -> Result<String> {
        let kubeconfig = self.client.kubeconfig();
        shell::output(
            command
                .arg("--kubeconfig")
                .arg(kubeconfig)
                .env("HOME", &self.folder),
        )
    }

    fn apply_resources(&self, object: &Value) -> Result<()> {
        self.client.apply(&peer_authentication())?;
        if policies_wanted(object) {
            return self.client.apply(&network_policies());
        }
        if policies_applied(object) {
            let words = [
                "delete",
                "networkpolicies",
                "--all-namespaces",
                "--selector",
                POLICY_LABELS,
            ];
            self.client.run(&words)?;
        }
        Ok(())
    }

    fn restart(&self, deployment: &str) -> Result<()> {
        let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let patch = json!({"spec": {"template": {"metadata": {"annotations": {
            "istio-operator.kyma-project.io/restartedAt": time}}}}});
        let words = [
            "--namespace",
            ISTIO_NAMESPACE,
            "patch",
            "deployment",
            deployment,
            "--field-manager=manager",
        ];
        self.client
            .run(&[&words[..], &["--patch", &patch.to_string()]].concat())
            .map(|_| ())
    }

    /// Writes down on the CR what was applied.
    fn remember(&self, object: &Value) -> Result<()> {
        let mut applied = object["spec"].clone();
        if !applied.is_object() {
            applied = json!({});
        }
        applied["IstioTag"] = json!(TAG);
        let (namespace, name) = key(object);
        let patch = json!({"metadata": {"annotations": {LAST_APPLIED: applied.to_string()}}});
        self.client.patch(&namespace, &name, &patch).map(|_| ())
    }

    /// Removes Istio, unless somebody still has objects for it.
    fn uninstall(&self, object: &Value, status: &mut Status) -> Result<Result<(), Problem>> {
        let finalizers = object.pointer("/metadata/finalizers").and_then(Value::as_array);
        let left: Vec<_> = finalizers
            .into_iter()
            .flatten()
            .filter(|held| *held != FINALIZER)
            .collect();
        let users = self.client.list(USERS_KINDS, &["--all-namespaces"])?;
        let blocking = users.iter().filter(|object| !is_modules(object)).count();
        if blocking > 0 {
            output::note(&format!("{blocking} objects of users block the deletion"));
            return Ok(Err(Problem::warning(
                Reason::IstioCustomResourcesDangling,
                "There are Istio resources that block deletion. Please take a look at \
                 kyma-system/istio-controller-manager logs to see more information about the warning",
            )));
        }
        let mut uninstall = shell::command(&self.istioctl);
        self.run_istioctl(uninstall.args(["uninstall", "--purge", "--skip-confirmation"]))?;
        for namespace in [ISTIO_NAMESPACE, NAMESPACE] {
            let words = [
                "--namespace",
                namespace,
                "delete",
                "networkpolicies",
                "--selector",
                POLICY_LABELS,
            ];
            self.client.run(&words)?;
        }
        self.client.run(&[
            "delete",
            "namespace",
            ISTIO_NAMESPACE,
            "--ignore-not-found",
            "--wait=false",
        ])?;
        status.set(Reason::IstioUninstallSucceeded);
        let (namespace, name) = key(object);
        self.client
            .patch(&namespace, &name, &json!({"metadata": {"finalizers": left}}))?;
        Ok(Ok(()))
    }
}

/// Kinds whose objects keep Istio from being removed.
const USERS_KINDS: &str = "authorizationpolicies.security.istio.io,destinationrules.networking.istio.io,\
     envoyfilters.networking.istio.io,gateways.networking.istio.io,peerauthentications.security.istio.io,\
     proxyconfigs.networking.istio.io,requestauthentications.security.istio.io,\
     serviceentries.networking.istio.io,sidecars.networking.istio.io,telemetries.telemetry.istio.io,\
     virtualservices.networking.istio.io,wasmplugins.extensions.istio.io,\
     workloadentries.networking.istio.io,workloadgroups.networking.istio.io";

/// The one object of these kinds that is the module's own.
fn is_modules(object: &Value) -> bool {
    object["kind"] == "PeerAuthentication"
        && key(object) == (ISTIO_NAMESPACE.to_owned(), "default".to_owned())
}

fn policies_wanted(object: &Value) -> bool {
    object.pointer("/spec/networkPoliciesEnabled") == Some(&Value::Bool(true))
}

/// Whether the policies were wanted when the CR was reconciled last.
fn policies_applied(object: &Value) -> bool {
    let annotations = object.pointer("/metadata/annotations");
    let applied = annotations.and_then(|annotations| annotations.get(LAST_APPLIED)?.as_str());
    let applied: Value = applied
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    applied["networkPoliciesEnabled"] == Value::Bool(true)
}

/// Whether an `EnvoyFilter` of istio-system is a user's own and selects the ingress gateway.
fn is_users_on_ingress(filter: &Value) -> bool {
    let owners = filter
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array);
    let of_rate_limit = owners.is_some_and(|owners| owners.iter().any(|owner| owner["kind"] == "RateLimit"));
    let labels = filter.pointer("/metadata/labels");
    let of_kyma = labels.is_some_and(|labels| labels.get(MODULE_LABEL.0).is_some());
    let selected = filter
        .pointer("/spec/workloadSelector/labels")
        .cloned()
        .unwrap_or_default();
    let selects = selected["istio"] == "ingressgateway" || selected["app"] == "istio-ingressgateway";
    selects && !of_rate_limit && !of_kyma
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_filter_on_the_ingress_gateway_is_found() {
        let filter = |selector: Value, metadata: Value| {
            is_users_on_ingress(
                &json!({"metadata": metadata, "spec": {"workloadSelector": {"labels": selector}}}),
            )
        };
        let ingress = json!({"istio": "ingressgateway"});
        assert!(filter(ingress.clone(), json!({})));
        assert!(filter(json!({"app": "istio-ingressgateway"}), json!({})));
        assert!(!filter(json!({"istio": "egressgateway"}), json!({})));
        assert!(!filter(
            ingress.clone(),
            json!({"labels": {"kyma-project.io/module": "istio"}})
        ));
        assert!(!filter(
            ingress,
            json!({"ownerReferences": [{"kind": "RateLimit"}]})
        ));
        assert!(!is_users_on_ingress(&json!({"spec": {}})));
    }

    #[test]
    fn the_policies_of_last_time_are_read_from_the_annotation() {
        let object = |text: &str| json!({"metadata": {"annotations": {LAST_APPLIED: text}}});
        assert!(policies_applied(&object(
            r#"{"networkPoliciesEnabled":true,"IstioTag":"1.31.0"}"#
        )));
        assert!(!policies_applied(&object(r#"{"IstioTag":"1.31.0"}"#)));
        assert!(!policies_applied(&object("nonsense")) && !policies_applied(&json!({})));
    }

    #[test]
    fn failures_are_tried_again_less_and_less_often() {
        let mut queue = Queue::default();
        let key = ("a".to_owned(), "b".to_owned());
        let mut pause = |next| {
            queue.plan(key.clone(), next);
            let seconds = queue.pause().as_secs_f64().round();
            queue.due.clear();
            seconds
        };
        assert_eq!(
            [pause(Next::Again), pause(Next::Again), pause(Next::Again)],
            [1.0, 2.0, 4.0]
        );
        assert_eq!(pause(Next::Later), 3600.0);
        assert_eq!(pause(Next::Again), 1.0);
    }

    #[test]
    fn many_changes_are_one_reconciliation() {
        let mut queue = Queue::default();
        let key = ("a".to_owned(), "b".to_owned());
        queue.at_once(key.clone());
        queue.at_once(key.clone());
        assert_eq!(queue.due(), Some(key));
        assert_eq!(queue.due(), None);
    }
}
