//! The live set of pods behind a selector.

use super::Cluster;
use super::failure::Failure;
use super::settings::Notice;
use super::watch::{Backoff, Target, next_event};
use crate::error::Error;
use crate::istio::kinds;
use crate::vocabulary::{Kind, Object};
use std::collections::HashMap;
use tokio::sync::mpsc;

/// A change in a set of pods.
#[derive(Debug)]
pub enum PodChange {
    /// A pod is there, or has changed.
    Present(Object),
    /// A pod is gone, as it was last.
    Gone(Object),
    /// Every pod that there was at this moment has been told.
    Synced,
    /// The pods cannot be read; final.
    Failed(Error),
}

impl Cluster {
    /// Tells the pods behind a selector and every change, reconnecting by itself; ends when the receiver is dropped.
    /// Costs one list (one plain request per 500 pods) and a watch.
    pub fn watch_pods(&self, namespace: &str, label_selector: &str) -> mpsc::Receiver<PodChange> {
        self.watch_set(Target {
            kind: kinds::pod(),
            namespace: Some(namespace.to_owned()),
            label_selector: Some(label_selector.to_owned()),
            name: None,
        })
    }

    /// Like [`Self::watch_pods`] for all objects of a kind in a namespace.
    pub fn watch_objects(&self, kind: &Kind, namespace: &str) -> mpsc::Receiver<PodChange> {
        self.watch_set(Target {
            kind: kind.clone(),
            namespace: Some(namespace.to_owned()),
            label_selector: None,
            name: None,
        })
    }

    fn watch_set(&self, target: Target) -> mpsc::Receiver<PodChange> {
        let (sender, receiver) = mpsc::channel(64);
        let cluster = self.clone();
        tokio::spawn(async move {
            let mut pods = PodSet {
                known: HashMap::new(),
                sender: sender.clone(),
            };
            tokio::select! {
                () = sender.closed() => {}
                () = cluster.keep_pods(&target, &mut pods) => {}
            }
        });
        receiver
    }

    async fn keep_pods(&self, target: &Target, pods: &mut PodSet) {
        let mut backoff = Backoff::new();
        let mut interrupted = false;
        loop {
            let failure = match self
                .follow_pods(target, pods, &mut backoff, &mut interrupted)
                .await
            {
                Ok(()) => continue,
                Err(failure) => failure,
            };
            if !failure.is_transient() && failure.code() != Some(410) {
                let error = self.transport().explain(failure, &target.subject());
                pods.tell(PodChange::Failed(error)).await;
                return;
            }
            interrupted = true;
            backoff.pause().await;
        }
    }

    /// Lists, then watches from there until the server no longer remembers the version.
    async fn follow_pods(
        &self,
        target: &Target,
        pods: &mut PodSet,
        backoff: &mut Backoff,
        interrupted: &mut bool,
    ) -> Result<(), Failure> {
        let selector = target.label_selector.as_deref();
        let namespace = target.namespace.as_deref();
        let (listed, mut version) = self.list_versioned(&target.kind, namespace, selector).await?;
        pods.replace(listed).await;
        loop {
            let mut lines = self.open_watch(target, Some(&version)).await?;
            if std::mem::take(interrupted) {
                let what = "watch of pods".to_owned();
                (self.transport().observer)(Notice::Reconnected { what });
            }
            while let Some(event) = next_event(&mut lines).await? {
                let object = Object(event.object);
                object.resource_version().clone_into(&mut version);
                *backoff = Backoff::new();
                match event.kind.as_str() {
                    "ADDED" | "MODIFIED" => pods.present(object).await,
                    "DELETED" => pods.gone(object).await,
                    _ => {}
                }
            }
            backoff.pause().await;
        }
    }
}

struct PodSet {
    known: HashMap<String, Object>,
    sender: mpsc::Sender<PodChange>,
}

impl PodSet {
    async fn tell(&self, change: PodChange) {
        // The task ends by itself when nobody listens.
        let _ = self.sender.send(change).await;
    }

    async fn present(&mut self, pod: Object) {
        let before = self.known.insert(pod.name().to_owned(), pod.clone());
        match before {
            Some(before)
                if before.uid() == pod.uid() && before.resource_version() == pod.resource_version() => {}
            Some(before) if before.uid() != pod.uid() => {
                self.tell(PodChange::Gone(before)).await;
                self.tell(PodChange::Present(pod)).await;
            }
            _ => self.tell(PodChange::Present(pod)).await,
        }
    }

    async fn gone(&mut self, pod: Object) {
        if self.known.remove(pod.name()).is_some() {
            self.tell(PodChange::Gone(pod)).await;
        }
    }

    /// Takes a whole list: what vanished while nobody watched is gone.
    async fn replace(&mut self, listed: Vec<Object>) {
        let names: std::collections::HashSet<&str> = listed.iter().map(Object::name).collect();
        let vanished: Vec<String> = self
            .known
            .keys()
            .filter(|name| !names.contains(name.as_str()))
            .cloned()
            .collect();
        for name in vanished {
            if let Some(pod) = self.known.remove(&name) {
                self.tell(PodChange::Gone(pod)).await;
            }
        }
        for pod in listed {
            self.present(pod).await;
        }
        self.tell(PodChange::Synced).await;
    }
}
