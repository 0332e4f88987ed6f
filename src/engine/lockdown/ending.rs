//! How a run ends: the switch is disarmed and the lock confirmed, or everything is taken back.

use super::document::{Lockdown, LockdownEnd};
use super::switch::Armed;
use super::work::Work;
use crate::error::Result;
use crate::finding::{Finding, catalogue};
use crate::plan::lock::{LockRecord, ReachedBefore};
use crate::vocabulary::{ObjectReference, Verdict};
use std::time::Duration;

/// Disarming takes a second or two; with less than this left the switch may act in the middle of it.
const DISARM_SECONDS: i64 = 15;
const DISARM_DEADLINE: Duration = Duration::from_secs(12);

impl Work<'_> {
    /// Disarms the switch and reads the lock again: only then it is confirmed.
    pub(super) async fn confirm(
        &self,
        document: &mut Lockdown,
        armed: &Armed,
        uid: &str,
        reached: &[ReachedBefore],
    ) -> Result<bool> {
        let prepared = self.prepared;
        if self.is_too_late(document, armed) {
            return Ok(false);
        }
        let started = self.start("confirm", "disarm the switch, and read the lock again");
        armed.disarm(self.cluster, DISARM_DEADLINE).await?;
        let live = self.cluster.get(&prepared.lock_manifest().reference).await?;
        let same = live.is_some_and(|live| live.uid() == uid && *live.at("/spec") == prepared.spec);
        if !same {
            document.findings.push(Finding::new(
                &catalogue::LOCK_ROLLED_BACK,
                "the lock is not there any more as it was proven: somebody else, or the switch, was faster",
            ));
            document.verdict = Verdict::Inconclusive;
            return Ok(false);
        }
        self.remove_switch().await?;
        let record = LockRecord {
            uid: uid.to_owned(),
            confirmed: true,
            ..prepared.record(reached)
        };
        self.changes.note(|journal| journal.record_lock(record)).await?;
        self.finish("confirm", started, None);
        document.end = LockdownEnd::Locked;
        Ok(true)
    }

    /// Whether the switch has acted, or may at any moment: what is seen from then on says nothing about the lock, which
    /// the document then says.
    pub(super) fn is_too_late(&self, document: &mut Lockdown, armed: &Armed) -> bool {
        if armed.left(self.cluster) >= DISARM_SECONDS {
            return false;
        }
        document.findings.push(
            Finding::new(
                &catalogue::LOCK_ROLLED_BACK,
                "the proof took longer than the dead-man's switch waits",
            )
            .fixed_by("give it more time: --confirm-within"),
        );
        document.verdict = Verdict::Inconclusive;
        true
    }

    /// Everything of the run but the lock.
    async fn remove_switch(&self) -> Result<()> {
        let references: Vec<ObjectReference> = self
            .prepared
            .scaffold()
            .into_iter()
            .map(|manifest| manifest.reference)
            .collect();
        let work = references
            .iter()
            .map(|reference| self.changes.remove("switch", reference));
        futures::future::try_join_all(work).await?;
        self.job_gone().await
    }

    /// Waits until the Job is gone with its pod; one whose creation was under way when we were interrupted goes too.
    async fn job_gone(&self) -> Result<()> {
        let job = self.prepared.job(0).reference;
        let Some(live) = self.cluster.get(&job).await? else {
            return Ok(());
        };
        if live.at("/metadata/deletionTimestamp").is_null() {
            self.changes.delete("switch", &job, Some(live.uid())).await?;
        }
        self.cluster.wait_gone(&job, live.uid(), DISARM_DEADLINE).await
    }

    /// Takes the lock back first, then the switch, then the record.
    pub(super) async fn roll_back(&self, armed: Option<&Armed>) -> Result<()> {
        let prepared = self.prepared;
        let started = self.start("roll-back", "take everything back");
        let undone = async {
            let lock = prepared.lock_manifest().reference;
            self.changes.undo_lock("roll-back", &lock, &prepared.undo).await?;
            self.remove_switch().await?;
            self.changes
                .note(|journal| {
                    if !prepared.changes_a_lock() {
                        journal.forget_lock(&prepared.run.namespace);
                    }
                })
                .await
        };
        match undone.await {
            Ok(()) => {
                self.finish("roll-back", started, None);
                Ok(())
            }
            Err(error) => Err(match armed {
                Some(armed) if armed.may_be_disarmed() => error.hint(format!(
                    "the lock was proven and its switch told to end, so the lock may stay: kubectl egress status; take it off: kubectl egress unlock {}",
                    prepared.flags()
                )),
                Some(armed) => error.hint(format!(
                    "the switch in the cluster takes the lock back by itself at {}; what else is left: kubectl egress unlock {}",
                    armed.deadline.strftime("%H:%M:%S UTC"),
                    prepared.flags()
                )),
                None => error.hint(format!("what is left: kubectl egress unlock {}", prepared.flags())),
            }),
        }
    }
}
