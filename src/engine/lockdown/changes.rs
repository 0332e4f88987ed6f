//! Changes of one run of `lockdown`: recorded before they are made, made as ours, taken back by name and UID.

use crate::cluster::{ApplyOptions, Cluster, DeleteOptions, Deleted};
use crate::engine::event::{Event, Events};
use crate::engine::journal_store;
use crate::error::{Error, Result};
use crate::plan::journal::{Entry, Journal};
use crate::plan::ownership::Manifest;
use crate::vocabulary::{Change, ObjectReference};
use futures::future::try_join_all;
use tokio::sync::Mutex;

/// The journal of a run, and what it is written to.
pub(super) struct Changes<'run> {
    cluster: &'run Cluster,
    events: &'run Events,
    journal: Mutex<Journal>,
}

impl<'run> Changes<'run> {
    /// Changes recorded in this journal.
    pub(super) fn new(cluster: &'run Cluster, journal: Journal, events: &'run Events) -> Self {
        Self {
            cluster,
            events,
            journal: Mutex::new(journal),
        }
    }

    /// Changes the journal and writes it.
    pub(super) async fn note(&self, change: impl FnOnce(&mut Journal)) -> Result<()> {
        let mut journal = self.journal.lock().await;
        change(&mut journal);
        journal_store::write(self.cluster, &journal).await
    }

    /// Records the intention to make objects: one write for all of them.
    pub(super) async fn intend(&self, manifests: &[Manifest]) -> Result<()> {
        self.note(|journal| {
            for manifest in manifests {
                journal.record(Entry::intends(manifest));
            }
        })
        .await
    }

    /// Applies objects side by side; gives back their UIDs in order.
    pub(super) async fn apply(&self, step: &str, manifests: &[Manifest]) -> Result<Vec<String>> {
        let work = manifests.iter().map(|manifest| async move {
            let options = ApplyOptions::new(&manifest.reference, &manifest.manager);
            let applied = self.cluster.apply(&manifest.object, &options).await?;
            let uid = applied.object.uid().to_owned();
            self.journal.lock().await.note_uid(&manifest.reference, &uid);
            self.say(step, &manifest.reference, applied.change);
            Ok::<_, Error>(uid)
        });
        try_join_all(work).await
    }

    /// Deletes an object of this run; one that somebody replaced meanwhile is left.
    pub(super) async fn remove(&self, step: &str, reference: &ObjectReference) -> Result<Deleted> {
        let uid = self.uid(reference).await;
        let options = DeleteOptions {
            uid,
            propagation_foreground: reference.kind == crate::istio::kinds::job(),
            ..DeleteOptions::default()
        };
        let deleted = self.cluster.delete(reference, &options).await?;
        if !matches!(deleted, Deleted::NotThere | Deleted::OtherUid) {
            self.say(step, reference, Change::Deleted);
        }
        self.journal.lock().await.forget(reference);
        Ok(deleted)
    }

    async fn uid(&self, wanted: &ObjectReference) -> Option<String> {
        let journal = self.journal.lock().await;
        journal.entries.iter().find_map(|entry| match entry {
            Entry::Object { reference, uid, .. } if reference == wanted => uid.clone(),
            _ => None,
        })
    }

    /// The journal as it stands.
    pub(super) async fn journal(&self) -> Journal {
        self.journal.lock().await.clone()
    }

    fn say(&self, step: &str, object: &ObjectReference, change: Change) {
        (self.events)(Event::ObjectChanged {
            id: step.to_owned(),
            object: object.clone(),
            change,
            dry_run: false,
        });
    }
}
