//! Waiting for a Deployment: three watches, one judgement.

use super::Cluster;
use super::failure::Subject;
use super::path;
use super::rollout::{Rollout, judge, selector};
use super::transport::Call;
use super::wait::{Progress, late, never, one};
use super::watch::{Target, Told};
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::vocabulary::{Kind, Object, ObjectReference};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};

/// The living objects of one watch, by name.
struct Watched {
    events: Receiver<Told>,
    objects: HashMap<String, Object>,
}

impl Watched {
    fn new(events: Receiver<Told>) -> Self {
        Self {
            events,
            objects: HashMap::new(),
        }
    }

    /// Takes an event in. Whether it was one that the judgement should see.
    fn take(&mut self, told: Option<Told>) -> Result<bool> {
        match told {
            Some(Told::Opened) => self.objects.clear(),
            Some(Told::Present(object)) => {
                self.objects.insert(object.name().to_owned(), object);
                return Ok(true);
            }
            Some(Told::Gone(object)) => {
                self.objects.remove(object.name());
                return Ok(true);
            }
            Some(Told::Quiet) => return Ok(true),
            Some(Told::Interrupted(_)) => {}
            Some(Told::Failed(error)) => return Err(error),
            None => return Err(Error::bug("the watch ended without a word")),
        }
        Ok(false)
    }

    fn all(&self) -> Vec<&Object> {
        self.objects.values().collect()
    }
}

/// The watches of the Deployment's parts; they begin when its selector is known.
struct Parts {
    selector: String,
    replica_sets: Watched,
    pods: Watched,
}

impl Cluster {
    /// Waits until a Deployment is rolled out: its change observed, all replicas updated and available, all pods ready,
    /// with sidecars if they are expected. `progress` hears why not yet, whenever that changes. Ends early if it will never
    /// be: an image that cannot be pulled, a quota, the Pod Security Standard, a webhook's refusal, a crash loop, no sidecar.
    /// Gives the ready pods of its current ReplicaSet. Costs no plain request unless the Deployment is absent or late.
    ///
    /// # Errors
    /// Exit code 6 after the deadline, with the last reason and the warnings among the pods' events.
    pub async fn wait_rollout(
        &self,
        reference: &ObjectReference,
        deadline: Duration,
        expect_sidecar: bool,
        progress: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Vec<Object>> {
        let mut progress = Progress::new(progress);
        let waiting = self.roll_out(reference, expect_sidecar, &mut progress);
        if let Ok(ended) = timeout_at(Instant::now() + deadline, waiting).await {
            return ended;
        }
        let mut error = late(reference, deadline, progress.last());
        for warning in self.warnings(reference).await {
            error = error.because(warning);
        }
        Err(error)
    }

    async fn roll_out(
        &self,
        reference: &ObjectReference,
        expect_sidecar: bool,
        progress: &mut Progress<'_>,
    ) -> Result<Vec<Object>> {
        let mut deployments = Watched::new(self.watch(one(reference)));
        let mut parts: Option<Parts> = None;
        loop {
            let changed = match parts.as_mut() {
                None => {
                    let told = deployments.events.recv().await;
                    deployments.take(told)?
                }
                Some(parts) => tokio::select! {
                    told = deployments.events.recv() => deployments.take(told)?,
                    told = parts.replica_sets.events.recv() => parts.replica_sets.take(told)?,
                    told = parts.pods.events.recv() => parts.pods.take(told)?,
                },
            };
            if !changed {
                continue;
            }
            let Some(deployment) = deployments.objects.get(&reference.name) else {
                progress.tell("it does not exist");
                continue;
            };
            let wanted = selector(deployment);
            let current = match &parts {
                Some(current) if current.selector == wanted => current,
                _ => parts.insert(self.parts(reference, wanted)),
            };
            let (sets, pods) = (current.replica_sets.all(), current.pods.all());
            match judge(deployment, &sets, &pods, expect_sidecar) {
                Rollout::Ready(mut pods) => {
                    pods.sort_by(|one, other| one.name().cmp(other.name()));
                    return Ok(pods);
                }
                Rollout::Not(why) => progress.tell(&why),
                Rollout::Failed(why) => return Err(never(reference, &why)),
            }
        }
    }

    fn parts(&self, reference: &ObjectReference, selector: String) -> Parts {
        let watch = |kind: Kind| {
            Watched::new(self.watch(Target {
                kind,
                namespace: reference.namespace.clone(),
                label_selector: Some(selector.clone()),
                name: None,
            }))
        };
        Parts {
            replica_sets: watch(kinds::replica_set()),
            pods: watch(kinds::pod()),
            selector,
        }
    }

    /// Warnings among the events of the Deployment's pods: some causes (a volume that cannot be mounted) show nowhere else.
    async fn warnings(&self, reference: &ObjectReference) -> Vec<String> {
        let namespace = reference.namespace.as_deref();
        let query = [("fieldSelector", "type=Warning"), ("limit", "200")];
        let path = path::with_query(path::collection(&kinds::event(), namespace), &query);
        let call = Call::get(path, Subject::collection("list", &kinds::event(), namespace));
        // Events are an extra: whoever may not read them still gets the reason.
        let Ok(reply) = self.transport().plain(&call).await else {
            return Vec::new();
        };
        let events = Object(reply.json().unwrap_or_default());
        let prefix = format!("{}-", reference.name);
        let mut warnings: Vec<String> = events
            .items("/items")
            .iter()
            .map(|event| Object(event.clone()))
            .filter(|event| event.text("/involvedObject/name").starts_with(&prefix))
            .map(|event| {
                format!(
                    "event of {}: {}: {}",
                    event.text("/involvedObject/name"),
                    event.text("/reason"),
                    event.text("/message")
                )
            })
            .collect();
        warnings.dedup();
        // The newest come last.
        warnings.drain(..warnings.len().saturating_sub(3));
        warnings
    }
}
