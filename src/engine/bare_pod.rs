//! The pod without sidecar: what it reaches, nothing in the mesh can stop. Made for one run, and taken away after it.

use super::event::{Event, Events};
use super::pods;
use super::probe::ProbeSource;
use crate::cluster::{ApplyOptions, Cluster, DeleteOptions, Waited};
use crate::error::Result;
use crate::istio::kinds;
use crate::plan::journal::Journal;
use crate::plan::source;
use crate::vocabulary::{Object, ObjectReference, PlanIdentity, names};
use std::time::{Duration, Instant};

/// Makes a pod without sidecar for one run.
///
/// # Errors
/// If it cannot be made or does not get ready.
pub async fn make_bare_pod(
    cluster: &Cluster,
    journal: &Journal,
    name: &str,
    timeout: Duration,
    events: &Events,
) -> Result<ProbeSource> {
    let id = "unmeshed-source";
    let started = Instant::now();
    events(Event::StepStarted {
        id: id.to_owned(),
        title: "pod without sidecar, to see what it reaches".to_owned(),
    });
    let plan = &journal.plan.identity;
    let manifest = source::unmeshed_pod(plan, name, &journal.image, &journal.client_labels);
    let options = ApplyOptions::new(&manifest.reference, &manifest.manager);
    let result = async {
        cluster.apply(&manifest.object, &options).await?;
        let ready = |pod: Option<&Object>| match pod {
            Some(pod) if pods::is_ready(pod) => Waited::Done,
            Some(pod) if pod.text("/status/phase") == "Failed" => Waited::Failed("the pod failed".to_owned()),
            Some(_) => Waited::Not("the pod to be ready".to_owned()),
            None => Waited::Failed("the pod was deleted".to_owned()),
        };
        let progress = |on: &str| {
            events(Event::StepWaiting {
                id: id.to_owned(),
                on: on.to_owned(),
            });
        };
        let pod = cluster
            .wait(&manifest.reference, timeout, &ready, &progress)
            .await?;
        ProbeSource::of_pod(&pod, Some(names::SOURCE))
    }
    .await;
    match &result {
        Ok(_) => events(Event::StepFinished {
            id: id.to_owned(),
            detail: None,
            elapsed: started.elapsed(),
        }),
        Err(error) => events(Event::StepFailed {
            id: id.to_owned(),
            message: error.to_string(),
            elapsed: started.elapsed(),
        }),
    }
    result
}

/// Takes the pod away. Should that fail, it ends by itself, and `cleanup` removes it.
pub async fn remove_bare_pod(cluster: &Cluster, plan: &PlanIdentity, name: &str, events: &Events) {
    let reference = ObjectReference::namespaced(kinds::pod(), &plan.namespace, name);
    let options = DeleteOptions {
        grace_period_seconds: Some(0),
        ..DeleteOptions::default()
    };
    if let Err(error) = cluster.delete(&reference, &options).await {
        events(Event::Warning(format!(
            "{reference} could not be deleted ({error}); it ends by itself within ten minutes, or: kubectl delete pod {name} -n {}",
            plan.namespace
        )));
    }
}
