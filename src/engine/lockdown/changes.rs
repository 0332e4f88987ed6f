//! Changes of one run of `lockdown`: recorded before they are made, made as ours, taken back by name and UID.

use crate::cluster::{ApplyOptions, Cluster, DeleteOptions, Deleted};
use crate::engine::event::{Event, Events};
use crate::engine::journal_store;
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::plan::journal::{Entry, Journal};
use crate::plan::lock::SwitchUndo;
use crate::plan::ownership::Manifest;
use crate::vocabulary::{Change, ObjectReference, names};
use futures::future::try_join_all;
use serde_json::json;
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
        journal_store::write(self.cluster, &mut journal).await
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

    /// Applies the lock; gives back its UID. A lock of ours that is changed, or that was restored before, conflicts with
    /// nobody but ourselves.
    pub(super) async fn apply_lock(
        &self,
        step: &str,
        lock: &Manifest,
        changes_a_lock: bool,
    ) -> Result<String> {
        let options = ApplyOptions {
            force: changes_a_lock,
            ..ApplyOptions::new(&lock.reference, &lock.manager)
        };
        let applied = self.cluster.apply(&lock.object, &options).await?;
        let uid = applied.object.uid().to_owned();
        self.journal.lock().await.note_uid(&lock.reference, &uid);
        self.say(step, &lock.reference, applied.change);
        Ok(uid)
    }

    /// Takes the lock back: deletes it, or gives it the spec that it had.
    pub(super) async fn undo_lock(
        &self,
        step: &str,
        lock: &ObjectReference,
        undo: &SwitchUndo,
    ) -> Result<()> {
        match undo {
            SwitchUndo::Delete { .. } => self.remove(step, lock).await.map(drop),
            SwitchUndo::Restore { uid, spec, .. } => {
                let operations = json!([
                    {"op": "test", "path": "/metadata/uid", "value": uid},
                    {"op": "replace", "path": "/spec", "value": spec},
                ]);
                self.cluster.json_patch(lock, &operations, names::MANAGER).await?;
                self.say(step, lock, Change::Configured);
                Ok(())
            }
        }
    }

    /// Deletes an object of this run; one that somebody replaced meanwhile is left.
    pub(super) async fn remove(&self, step: &str, reference: &ObjectReference) -> Result<Deleted> {
        let uid = self.uid(reference).await;
        self.delete(step, reference, uid.as_deref()).await
    }

    /// Deletes an object with this UID, whatever it is.
    pub(super) async fn delete(
        &self,
        step: &str,
        reference: &ObjectReference,
        uid: Option<&str>,
    ) -> Result<Deleted> {
        let options = DeleteOptions {
            uid: uid.map(str::to_owned),
            propagation_foreground: reference.kind == kinds::job(),
            ..DeleteOptions::default()
        };
        let deleted = self.cluster.delete(reference, &options).await?;
        if !matches!(
            deleted,
            Deleted::NotThere | Deleted::OtherUid | Deleted::OtherVersion
        ) {
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

    fn say(&self, step: &str, object: &ObjectReference, change: Change) {
        (self.events)(Event::ObjectChanged {
            id: step.to_owned(),
            object: object.clone(),
            change,
            dry_run: false,
        });
    }
}
