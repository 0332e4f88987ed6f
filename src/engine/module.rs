//! Waits for what the Kyma Istio module does after its custom resource was changed.
//!
//! The module says in `status` how it stands, and up to version 1.30 not of which generation it speaks. So a status
//! speaks of our change once it differs from what it was when the change was applied. What counts is the gateway's
//! Deployment: `Ready` is not asked for, as a `Warning` can stay for reasons that are none of ours.

use crate::cluster::{Cluster, PodChange, Waited};
use crate::error::{Error, Result};
use crate::istio::kyma::{self, State, Status};
use crate::istio::{kinds, kyma::GATEWAY};
use crate::plan::istio_module;
use crate::vocabulary::{Object, ObjectReference, names};
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;

/// Hears what is awaited.
pub(super) type Progress<'run> = &'run (dyn Fn(&str) + Send + Sync);

/// One change of the resource, and what the module makes of it.
pub(super) struct Follower<'run> {
    cluster: &'run Cluster,
    reference: ObjectReference,
    /// Whether the module has anything to do.
    pub(super) changes_something: bool,
    /// The status before the module saw the change.
    stale: Value,
    generation: i64,
    /// Whether the change asks for the gateway.
    wanted: bool,
    timeout: Duration,
    progress: Progress<'run>,
    /// A watch that was open before the change; taken by the first who follows.
    changes: Mutex<Option<Receiver<PodChange>>>,
    /// Whether the module is done with the change, well or with a warning.
    settled: watch::Sender<bool>,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    state: String,
    awaited: String,
}

impl<'run> Follower<'run> {
    /// Of a resource as it was before the change, and as the server answered to it. The module reacts to generations
    /// only: it never hears of a field that has one more owner.
    pub(super) fn of(
        cluster: &'run Cluster,
        before: Option<&Object>,
        object: &Object,
        timeout: Duration,
        progress: Progress<'run>,
    ) -> Self {
        let changes_something = before.is_none_or(|before| generation(before) != generation(object));
        Self {
            changes_something,
            stale: object.at("/status").clone(),
            cluster,
            reference: object.reference(&kinds::istio_module()),
            generation: generation(object),
            wanted: wants_gateway(object),
            timeout,
            progress,
            changes: Mutex::default(),
            settled: watch::Sender::new(false),
            said: Mutex::default(),
        }
    }

    /// Goes on with a watch that was opened before the change, so that not even the fastest module is missed.
    pub(super) fn with_watch(self, changes: Receiver<PodChange>) -> Self {
        Self {
            changes: Mutex::new(Some(changes)),
            ..self
        }
    }

    /// Waits until the gateway's pods are ready, as many as its autoscaler wants at least. Ends early if the module
    /// fails. `was_there`: the gateway existed before, and may still be on its way out.
    ///
    /// # Errors
    /// Exit 4 with the module's description if its state is `Error`; exit 6 after the time.
    pub(super) async fn gateway(&self, was_there: bool) -> Result<()> {
        let gateway = async {
            if was_there && self.changes_something {
                self.settled().await?;
            }
            self.rolled_out().await
        };
        self.unless_it_fails(gateway).await
    }

    /// Waits until Istio is there: for a resource that we made.
    ///
    /// # Errors
    /// As [`Self::gateway`].
    pub(super) async fn installed(&self) -> Result<()> {
        self.tell_awaited("the Istio module to install Istio");
        self.unless_it_fails(self.settled()).await
    }

    /// Waits until the gateway is gone.
    ///
    /// # Errors
    /// As [`Self::gateway`].
    pub(super) async fn gateway_removed(&self) -> Result<()> {
        let deployment = deployment();
        let there = self.cluster.get(&deployment).await?;
        if there.is_none() && !self.changes_something {
            return Ok(());
        }
        let removed = async {
            if let Some(live) = there {
                self.tell_awaited(&format!("the Istio module to remove {deployment}"));
                self.cluster
                    .wait_gone(&deployment, live.uid(), self.timeout)
                    .await?;
                self.pods_gone().await?;
            }
            if self.changes_something {
                self.settled().await?;
            }
            Ok(())
        };
        self.unless_it_fails(removed).await
    }

    async fn unless_it_fails(&self, work: impl Future<Output = Result<()>>) -> Result<()> {
        tokio::select! {
            result = work => result.map_err(|error| self.with_state(error)),
            ended = self.follow() => ended,
        }
    }

    async fn pods_gone(&self) -> Result<()> {
        let selector = istio_module::gateway().label_selector();
        let namespace = Some(names::ISTIO_NAMESPACE);
        let pods = self
            .cluster
            .list(&kinds::pod(), namespace, Some(&selector))
            .await?;
        for pod in pods {
            let reference = pod.reference(&kinds::pod());
            self.tell_awaited(&format!("{reference} to end"));
            self.cluster
                .wait_gone(&reference, pod.uid(), self.timeout)
                .await?;
        }
        Ok(())
    }

    async fn rolled_out(&self) -> Result<()> {
        let deployment = deployment();
        let progress = |why: &str| self.tell_awaited(why);
        let pods = self
            .cluster
            .wait_rollout(&deployment, self.timeout, false, &progress)
            .await?;
        let least = self.least_replicas().await;
        if pods.len() >= least {
            return Ok(());
        }
        let scaled = |live: Option<&Object>| {
            let wanted = live.map_or(0, |live| live.at("/spec/replicas").as_u64().unwrap_or(1));
            if usize::try_from(wanted).is_ok_and(|wanted| wanted >= least) {
                Waited::Done
            } else {
                Waited::Not(format!("its autoscaler to ask for {least} pods"))
            }
        };
        self.cluster
            .wait(&deployment, self.timeout, &scaled, &progress)
            .await?;
        self.cluster
            .wait_rollout(&deployment, self.timeout, false, &progress)
            .await
            .map(drop)
    }

    /// Pods that the autoscaler wants at least (three in the production profile): the Deployment begins with one.
    async fn least_replicas(&self) -> usize {
        let kind = kinds::horizontal_pod_autoscaler();
        let reference = ObjectReference::namespaced(kind, names::ISTIO_NAMESPACE, GATEWAY);
        // Without permission to read it the pods that there are must do.
        let scaler = self.cluster.get(&reference).await.ok().flatten();
        let least = scaler.and_then(|scaler| scaler.at("/spec/minReplicas").as_u64());
        least.and_then(|least| usize::try_from(least).ok()).unwrap_or(1)
    }

    /// Waits until the module is done with the change; somebody has to [`Self::follow`] meanwhile.
    async fn settled(&self) -> Result<()> {
        let mut settled = self.settled.subscribe();
        match tokio::time::timeout(self.timeout, settled.wait_for(|settled| *settled)).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::timed_out(format!(
                "the Istio module was not done within {} s",
                self.timeout.as_secs()
            ))
            .hint(look_at(&self.reference))),
        }
    }

    /// Hears what the module says. Ends only if it fails, or if what it was to do is no longer wanted: a gateway that
    /// was to go is asked for again by somebody.
    async fn follow(&self) -> Result<()> {
        let open = || {
            self.cluster
                .watch_objects(&kinds::istio_module(), kyma::NAMESPACE)
        };
        let known = self.changes.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut changes = known.unwrap_or_else(open);
        let mut differs = false;
        let mut stuck = None;
        loop {
            let change = match next(&mut changes, stuck.is_some().then(|| self.patience())).await {
                Next::Change(change) => change,
                Next::Ended => break,
                Next::Silence => match stuck {
                    Some(status) => return Err(self.gave_up(&status)),
                    None => continue,
                },
            };
            let object = match change {
                PodChange::Present(object) if object.name() == self.reference.name => object,
                PodChange::Gone(object) if object.name() == self.reference.name => {
                    if !self.wanted {
                        return Ok(());
                    }
                    return Err(
                        Error::cluster(format!("{} was deleted meanwhile", self.reference))
                            .hint("kubectl get istios -A"),
                    );
                }
                PodChange::Failed(_) => break,
                _ => continue,
            };
            if generation(&object) < self.generation {
                continue;
            }
            if wants_gateway(&object) && !self.wanted {
                return Ok(());
            }
            differs |= *object.at("/status") != self.stale;
            let status = Status::read(object.at("/status"));
            let speaks_of_it = status
                .observed_generation()
                .map_or(differs, |observed| observed >= self.generation);
            if speaks_of_it && status.state == State::Error {
                return Err(self.gave_up(&status));
            }
            self.settled
                .send_replace(speaks_of_it && matches!(status.state, State::Ready | State::Warning));
            self.tell_state(&status, speaks_of_it);
            // What it refuses at first sight it refuses in the same words as before, without a sign of having looked;
            // after a failed installation it looks again by itself.
            stuck = (!speaks_of_it && status.state == State::Error).then_some(status);
        }
        // It cannot be watched: what the gateway does must do.
        self.settled.send_replace(true);
        std::future::pending().await
    }

    /// How long an old `Error` may stay before it is taken for the answer: the module looks at a change at once.
    fn patience(&self) -> Duration {
        (self.timeout / 4).min(Duration::from_secs(15))
    }

    fn gave_up(&self, status: &Status) -> Error {
        let mut error = Error::cluster(format!(
            "the Istio module could not do it: {} is in state {status}",
            self.reference
        ));
        for condition in &status.conditions {
            let told = condition.message.is_empty()
                || status
                    .description
                    .as_ref()
                    .is_some_and(|description| description.contains(&condition.message));
            if condition.status == "False" && condition.kind == "Ready" && !told {
                error = error.because(condition.message.clone());
            }
        }
        error
            .hint(format!(
                "repair what it names (the module tries again by itself), then run this again; {}",
                look_at(&self.reference)
            ))
            .hint(format!(
                "its log says more: kubectl logs -n {} deployment/istio-controller-manager",
                kyma::NAMESPACE
            ))
    }

    fn with_state(&self, error: Error) -> Error {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.state.is_empty() {
            error
        } else {
            error.because(format!("{} is in state {}", self.reference, said.state))
        }
    }

    fn tell_state(&self, status: &Status, aloud: bool) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.state = status.in_short();
        if aloud {
            self.tell(&said);
        }
    }

    fn tell_awaited(&self, awaited: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        awaited.clone_into(&mut said.awaited);
        self.tell(&said);
    }

    fn tell(&self, said: &Said) {
        match (said.awaited.as_str(), said.state.as_str()) {
            ("", state) => (self.progress)(&format!("{}: {state}", self.reference)),
            (awaited, "") => (self.progress)(awaited),
            (awaited, state) => (self.progress)(&format!("{awaited} ({}: {state})", self.reference)),
        }
    }
}

/// What a watch gave.
enum Next {
    Change(PodChange),
    Silence,
    Ended,
}

async fn next(changes: &mut Receiver<PodChange>, patience: Option<Duration>) -> Next {
    let change = match patience {
        None => changes.recv().await,
        Some(patience) => match tokio::time::timeout(patience, changes.recv()).await {
            Ok(change) => change,
            Err(_) => return Next::Silence,
        },
    };
    change.map_or(Next::Ended, Next::Change)
}

/// A watch of the resources that tells every change from now on.
pub(super) async fn watched(cluster: &Cluster) -> Receiver<PodChange> {
    let mut changes = cluster.watch_objects(&kinds::istio_module(), kyma::NAMESPACE);
    while let Some(change) = changes.recv().await {
        if matches!(change, PodChange::Synced | PodChange::Failed(_)) {
            break;
        }
    }
    changes
}

fn deployment() -> ObjectReference {
    ObjectReference::namespaced(kinds::deployment(), names::ISTIO_NAMESPACE, GATEWAY)
}

fn generation(object: &Object) -> i64 {
    object.at("/metadata/generation").as_i64().unwrap_or_default()
}

fn look_at(reference: &ObjectReference) -> String {
    format!(
        "look at it: kubectl describe istio {} -n {}",
        reference.name,
        kyma::NAMESPACE
    )
}

/// Whether the resource wants the gateway.
pub(super) fn wants_gateway(resource: &Object) -> bool {
    *resource.at(kyma::GATEWAY_SWITCH) == json!(true)
}
