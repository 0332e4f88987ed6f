//! The routing objects, in an order in which no host leaves directly that was routed before.

use super::{Run, count};
use crate::engine::graph::StepEnd;
use crate::engine::prepare::DryRun;
use crate::engine::undo::{self, UndoSettings};
use crate::error::Result;
use crate::plan::journal::Entry;
use crate::plan::ownership::Manifest;
use crate::plan::routing;
use std::sync::PoisonError;

const ROUTES: &str = "VirtualService";

impl<'run> Run<'run> {
    /// What admits traffic to the gateway comes first, what makes a host known last.
    ///
    /// A host whose mode changes may move from one VirtualService to another. Sidecars follow the older one as long as
    /// it names the host, so the new one is there before the old one lets go of it, and objects without use are taken
    /// away only when what takes their place is there.
    pub(super) async fn routing(self) -> Result<StepEnd> {
        for wave in routing::WAVES {
            let (new, known): (Vec<&'run Manifest>, Vec<_>) = self
                .prepared
                .routing_objects
                .iter()
                .filter(|manifest| wave.contains(&manifest.reference.kind.kind.as_str()))
                .partition(|manifest| self.is_new(manifest));
            self.apply_all("routing", &new).await?;
            self.apply_all("routing", &known).await?;
            if wave.contains(&ROUTES) {
                self.remove_obsolete(|kind| kind == ROUTES).await?;
            }
        }
        self.remove_obsolete(|kind| kind != ROUTES).await?;
        Ok(StepEnd::Done(Some(count(
            self.prepared.routing_objects.len(),
            "object",
        ))))
    }

    fn is_new(self, manifest: &Manifest) -> bool {
        let before = self.prepared.facts.journal.as_ref();
        before.is_none_or(|journal| {
            let mut entries = journal.entries.iter();
            !entries.any(|entry| entry.reference() == manifest.reference)
        })
    }

    async fn remove_obsolete(self, of: impl Fn(&str) -> bool) -> Result<()> {
        let prepared = self.prepared;
        let entries: Vec<Entry> = prepared
            .obsolete
            .iter()
            .filter(|entry| of(&entry.reference().kind.kind))
            .cloned()
            .collect();
        if entries.is_empty() {
            return Ok(());
        }
        let settings = UndoSettings {
            dry_run: DryRun::No,
            keep_namespace: true,
            timeout: prepared.settings.timeout,
        };
        undo::remove(
            self.cluster,
            &prepared.plan.identity,
            &entries,
            settings,
            self.events,
        )
        .await?;
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in &entries {
            journal.forget(&entry.reference());
        }
        Ok(())
    }
}
