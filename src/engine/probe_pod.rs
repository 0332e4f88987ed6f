//! Pods that one run probes from, made for it and taken away after it: without sidecar, where nothing in the mesh can
//! stop what they reach; or with one, started under what is to be proven.

use super::event::{Event, Events};
use super::pods;
use super::probe::ProbeSource;
use super::sentinel;
use crate::cluster::{ApplyOptions, Cluster, DeleteOptions, Waited};
use crate::error::Result;
use crate::istio::kinds;
use crate::plan::journal::Journal;
use crate::plan::source::{self, Evasion, Injection, ProbePodSettings};
use crate::vocabulary::{Object, ObjectReference, names};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Labels that decide on injection and on other people's policies: a pod of ours that is to be like the source has them.
const LABELS_OF_SOURCE: &[&str] = &[
    "istio.io/rev",
    "sidecar.istio.io/inject",
    "networking.kyma-project.io/to-egressgateway",
];

/// A pod to be made.
#[derive(Debug, Clone)]
pub struct ProbePod {
    name: String,
    title: &'static str,
    labels: BTreeMap<String, String>,
    injection: Injection,
    evasion: Evasion,
}

impl ProbePod {
    /// One without sidecar, with these labels besides our own.
    pub fn unmeshed(labels: BTreeMap<String, String>) -> Self {
        Self {
            name: format!("kubectl-egress-unmeshed-{}", &sentinel::nonce()[..6]),
            title: "pod without sidecar, to see what it reaches",
            labels,
            injection: Injection::None,
            evasion: Evasion::default(),
        }
    }

    /// One with a sidecar, injected as the pod of `source` is.
    pub fn meshed(mut labels: BTreeMap<String, String>, source: &ProbeSource) -> Self {
        for name in LABELS_OF_SOURCE {
            if let Some(value) = source.labels[*name].as_str() {
                labels.insert((*name).to_owned(), value.to_owned());
            }
        }
        Self {
            name: format!("kubectl-egress-meshed-{}", &sentinel::nonce()[..6]),
            title: "new pod with sidecar",
            labels,
            injection: Injection::Namespace,
            evasion: Evasion::default(),
        }
    }

    /// The same, trying to get past its sidecar or past NetworkPolicies.
    #[must_use]
    pub fn evading(mut self, title: &'static str, evasion: Evasion) -> Self {
        self.title = title;
        self.evasion = evasion;
        self
    }

    /// Names it in a namespace.
    pub fn reference(&self, namespace: &str) -> ObjectReference {
        ObjectReference::namespaced(kinds::pod(), namespace, &self.name)
    }
}

/// Makes a pod and waits until its containers are ready.
///
/// # Errors
/// If it cannot be made or does not get ready.
pub async fn make_probe_pod(
    cluster: &Cluster,
    journal: &Journal,
    namespace: &str,
    pod: &ProbePod,
    timeout: Duration,
    events: &Events,
) -> Result<ProbeSource> {
    let started = Instant::now();
    events(Event::StepStarted {
        id: pod.name.clone(),
        title: pod.title.to_owned(),
    });
    let settings = ProbePodSettings {
        namespace,
        name: &pod.name,
        image: &journal.image,
        labels: &pod.labels,
        client_labels: &journal.client_labels,
        injection: pod.injection.clone(),
        evasion: &pod.evasion,
    };
    let manifest = source::probe_pod(&journal.plan.identity, &settings);
    let options = ApplyOptions::new(&manifest.reference, &manifest.manager);
    let result = async {
        cluster.apply(&manifest.object, &options).await?;
        let progress = |on: &str| {
            events(Event::StepWaiting {
                id: pod.name.clone(),
                on: on.to_owned(),
            });
        };
        let made = cluster
            .wait(&manifest.reference, timeout, &runs, &progress)
            .await?;
        ProbeSource::of_pod(&made, Some(names::SOURCE))
    }
    .await;
    match &result {
        Ok(_) => events(Event::StepFinished {
            id: pod.name.clone(),
            detail: None,
            elapsed: started.elapsed(),
        }),
        Err(error) => events(Event::StepFailed {
            id: pod.name.clone(),
            message: error.to_string(),
            elapsed: started.elapsed(),
        }),
    }
    result
}

/// All containers are ready; the pod itself need not be, for it may bear a gate that nobody opens.
fn runs(pod: Option<&Object>) -> Waited {
    match pod {
        Some(pod) if pods::are_containers_ready(pod) => Waited::Done,
        Some(pod) if pod.text("/status/phase") == "Failed" => Waited::Failed("the pod failed".to_owned()),
        Some(pod) => Waited::Not(pods::why_not_ready(pod)),
        None => Waited::Failed("the pod was deleted".to_owned()),
    }
}

/// Takes a pod away, if it was made. Should that fail, it ends by itself, and `cleanup` removes it.
pub async fn remove_probe_pod(cluster: &Cluster, namespace: &str, pod: &ProbePod, events: &Events) {
    let reference = pod.reference(namespace);
    let options = DeleteOptions {
        grace_period_seconds: Some(0),
        ..DeleteOptions::default()
    };
    if let Err(error) = cluster.delete(&reference, &options).await {
        events(Event::Warning(format!(
            "{reference} could not be deleted ({error}); it ends by itself within ten minutes, or: kubectl delete pod {} -n {namespace}",
            pod.name
        )));
    }
}
