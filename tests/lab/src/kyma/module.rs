//! The process that plays the module: one reconciliation after the other, as the real one does them.
//! Source: `internal/controller/istio_controller.go` of the module.

use std::sync::mpsc::{RecvTimeoutError, channel};

use anyhow::Result;
use serde_json::{Value, json};

use super::condition::Reason;
use super::installer::Installer;
use super::queue::{Next, Queue};
use super::record;
use super::resources::{POLICY_LABELS, network_policies, peer_authentication, policies_wanted};
use super::situation::{Problem, State, Status, objection, text};
use super::users::{BLOCKING_KINDS, is_modules, is_on_ingress};
use super::watch::{self, Key, key};
use super::{Client, ISTIO_NAMESPACE, ISTIOS, NAMESPACE, ServeArguments};
use crate::output;

/// The module.
struct Module {
    client: Client,
    installer: Installer,
}

/// What ends a reconciliation before it is done.
enum Stop {
    /// The user is to see it.
    Problem(Problem),
    /// The API server did not do what it usually does; it is tried again.
    Broken(anyhow::Error),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(error)
    }
}

/// Plays the module until the process is stopped. What fails is written to the log and tried again.
pub(crate) fn serve(arguments: ServeArguments) {
    let client = Client::new(arguments.kubeconfig);
    let module = Module {
        installer: Installer {
            client: client.clone(),
            istioctl: arguments.istioctl,
            folder: arguments.folder,
            profile: arguments.profile,
        },
        client: client.clone(),
    };
    let (sender, news) = channel();
    std::thread::spawn(move || watch::run(&client, ISTIOS, &sender));
    let mut queue = Queue::default();
    loop {
        match news.recv_timeout(queue.pause()) {
            Ok(object) => queue.at_once(key(&object)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // All changes of one CR that arrived during a long installation are one reconciliation.
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

impl Module {
    fn reconcile(&self, key: &Key) -> Result<Next> {
        let all = self.client.list(ISTIOS, &["--all-namespaces"])?;
        let Some(object) = all.iter().find(|object| &watch::key(object) == key) else {
            return Ok(Next::Settled);
        };
        let mut status = Status::begin(object);
        if let Some(problem) = objection(object, &all) {
            status.fail(&problem);
            self.write(object, &status, problem.state, &problem.description)?;
            return Ok(Next::Settled);
        }
        let deleted = object.pointer("/metadata/deletionTimestamp").is_some();
        let done = if deleted {
            self.write(object, &status, State::Deleting, "Deleting Istio")?;
            self.remove(object)
        } else {
            self.write(object, &status, State::Processing, "Reconciling Istio")?;
            self.install(object, &mut status)
        };
        match done {
            // With its finalizer gone, so is the CR.
            Ok(()) if deleted => Ok(Next::Settled),
            Ok(()) => {
                status.set(Reason::ReconcileSucceeded);
                status.set(Reason::IngressTargetingUserResourceNotFound);
                self.write(object, &status, State::Ready, "")?;
                Ok(Next::Settled)
            }
            Err(Stop::Problem(problem)) => {
                status.fail(&problem);
                self.write(object, &status, problem.state, &problem.description)?;
                let later = problem.state == State::Warning;
                Ok(if later { Next::Later } else { Next::Again })
            }
            Err(Stop::Broken(error)) => Err(error),
        }
    }

    fn write(&self, object: &Value, status: &Status, state: State, description: &str) -> Result<()> {
        let (namespace, name) = key(object);
        output::note(&format!("{namespace}/{name}: {state:?} {description}"));
        self.client
            .patch_status(&namespace, &name, &status.patch(state, description))
    }

    /// Everything between `Processing` and `Ready`.
    fn install(&self, object: &Value, status: &mut Status) -> Result<(), Stop> {
        record::hold(&self.client, object)?;
        self.installer.install(object).map_err(|error| {
            let description = format!("Could not install Istio: {error}");
            Problem::error(Reason::IstioInstallUninstallFailed, description)
        })?;
        self.apply_resources(object).map_err(|error| {
            let description = format!("Could not reconcile Istio resources: {error}");
            Problem::error(Reason::CustomResourcesReconcileFailed, description)
        })?;
        if policies_wanted(&object["spec"]) != policies_wanted(&record::applied(object)) {
            self.restart("istio-ingressgateway")?;
            self.restart("istiod")?;
        }
        status.set(Reason::ProxySidecarRestartSucceeded);
        self.check_ingress()?;
        record::remember(&self.client, object)?;
        Ok(())
    }

    fn apply_resources(&self, object: &Value) -> Result<()> {
        self.client.apply(&peer_authentication())?;
        if policies_wanted(&object["spec"]) {
            self.client.apply(&network_policies())
        } else if policies_wanted(&record::applied(object)) {
            self.remove_policies()
        } else {
            Ok(())
        }
    }

    fn remove_policies(&self) -> Result<()> {
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
        Ok(())
    }

    /// Changes the pods' template, which replaces the pods; nobody waits for it.
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
            "--patch",
            &patch.to_string(),
            "--field-manager=manager",
        ];
        self.client.run(&words).map(|_| ())
    }

    fn check_ingress(&self) -> Result<(), Stop> {
        let filters = self
            .client
            .list(
                "envoyfilters.networking.istio.io",
                &["--namespace", ISTIO_NAMESPACE],
            )
            .map_err(|error| {
                let description = format!("could not list EnvoyFilters: {error}");
                Problem::error(Reason::IngressTargetingUserResourceDetectionFailed, description)
            })?;
        match filters.iter().find(|filter| is_on_ingress(filter)) {
            None => Ok(()),
            Some(filter) => Err(Problem::warning(
                Reason::IngressTargetingUserResourceFound,
                format!(
                    "misconfigured EnvoyFilter can potentially break Istio Ingress Gateway: user-created \
                     EnvoyFilter {ISTIO_NAMESPACE}/{} targeting Ingress Gateway found",
                    text(filter, "/metadata/name")
                ),
            )
            .into()),
        }
    }

    /// Removes Istio, unless somebody still has objects for it.
    fn remove(&self, object: &Value) -> Result<(), Stop> {
        let users = self.client.list(BLOCKING_KINDS, &["--all-namespaces"])?;
        let blocking = users.iter().filter(|object| !is_modules(object)).count();
        if blocking > 0 {
            output::note(&format!("{blocking} objects of users block the deletion"));
            let description = "There are Istio resources that block deletion. Please take a look at \
                               kyma-system/istio-controller-manager logs to see more information about the warning";
            return Err(Problem::warning(Reason::IstioCustomResourcesDangling, description).into());
        }
        self.installer.uninstall().map_err(|error| {
            let description = format!("Could not uninstall istio: {error}");
            Problem::error(Reason::IstioInstallUninstallFailed, description)
        })?;
        self.remove_policies()?;
        record::release(&self.client, object)?;
        Ok(())
    }
}
